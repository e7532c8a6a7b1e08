import json
from pathlib import Path

import numpy as np
import pytest

from eval.groups.disparity import Settings
from eval.groups.judgement_page import verdict
from eval.groups.judgements import JUDGEMENTS, question
from eval.groups.perception import Judged, summary
from eval.judgement import JudgementConfig, judge, main
from facevlm.config import ConfigError
from facevlm.generate import Scripted
from facevlm.record import FaceRecord, RecordWriter, write_meta
from facevlm.tiny.faces import counterfactuals, look, render

TONES = ("1", "4", "7")
NAMES = [judgement.name for judgement in JUDGEMENTS]


class Prejudiced:
    """Finds dark faces less trustworthy, says the first word more often than the second, and counts its calls."""

    engine = "scripted"

    def __init__(self, dies_after=None):
        self.asked, self.dies_after = 0, dies_after

    def generate(self, requests, max_new_tokens=512, temperature=0.0, seed=None):
        raise AssertionError("only probabilities are asked for")

    def label_probs(self, requests, labels):
        if self.dies_after is not None and self.asked >= self.dies_after:
            raise KeyboardInterrupt
        self.asked += len(requests)
        return [self._one(request, labels) for request in requests]

    def _one(self, request, labels):
        dark = np.asarray(request.images[0]).mean() < 150
        first = 0.6 if labels[0] in ("trustworthy", "untrustworthy") else 0.5
        if dark and "trustworthy" in labels:
            first += -0.3 if labels[0] == "trustworthy" else 0.3
        return {labels[0]: first, labels[1]: 1 - first}


@pytest.fixture
def pairs(tmp_path):
    """24 drawn faces in three skin tones each."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    writer = RecordWriter(folder)
    for i in range(24):
        for tone in TONES:
            name = f"{i}-{tone}.png"
            render({12: 4 * (i % 2)}, counterfactuals(look(i), "skin")[tone], size=48).image.save(folder / name)
            writer.add(FaceRecord(id=f"{i}-{tone}", source="synthetic", media=name, split="test", subject=f"s{i // 2}",
                                  emotion=("neutral", "happiness")[i % 2], label_set="basic8",
                                  attributes={"pair": str(i), "subgroup": tone, "skin_tone": tone}))  # fmt: skip
    writer.flush()
    write_meta(folder, None)
    return folder


@pytest.fixture
def config(pairs, tmp_path):
    return lambda **keys: JudgementConfig(**{"model": "scripted", "records": str(pairs), "out": str(tmp_path / "out"),
                                             "bootstrap": 500, "batch": 30, **keys})  # fmt: skip


def test_a_prejudice_is_found_and_the_order_of_the_words_is_taken_out(config):
    model = Prejudiced()
    result = judge(config(), lambda: model)
    gaps = {gap["measure"]: gap for gap in result["gaps"]}
    gap = gaps["trustworthy / untrustworthy"]
    # Equal in both orders: the liking for the first word, 0.1, cancels.
    assert gap["lowest"] == "7" and gap["gap"] == pytest.approx(0.3) and gap["p_holm"] < 0.05
    assert all(other["gap"] == 0 and other["p"] == 1 for name, other in gaps.items() if "trust" not in name)
    assert result["tests"] == 10 and result["groups"] == 24 and result["changed"] == "skin_tone"
    within = {row["measure"]: row["value"] for row in result["within"]}
    assert within["trustworthy / untrustworthy"] == pytest.approx(0.3) and within["warm / cold"] == 0
    assert model.asked == 24 * 3 * len(JUDGEMENTS) * 2
    assert "1 of 10 judgements hang on it" in verdict(result)
    html = Path(config().out, "judgement.html").read_text()
    assert "trustworthy / untrustworthy" in html and "None" not in html.split("<main>")[1]


def test_a_killed_run_asks_only_the_rest(config):
    with pytest.raises(KeyboardInterrupt):
        judge(config(), lambda: Prejudiced(dies_after=600))
    rest = Prejudiced()
    result = judge(config(), lambda: rest)
    assert rest.asked == (72 - 30) * len(JUDGEMENTS) * 2 and result["faces"] == 72

    def start():
        raise AssertionError("the engine was started")

    assert judge(config(), start)["gaps"] == result["gaps"]


def test_another_model_does_not_go_on_where_one_began(config):
    judge(config(limit=10), Prejudiced)
    with pytest.raises(ConfigError, match="in another way \\(model"):
        judge(config(model="another"), Prejudiced)


def test_an_engine_without_probabilities_is_refused(config):
    with pytest.raises(ConfigError, match="tells no label probabilities"):
        judge(config(), lambda: Scripted(lambda request: "warm"))


def test_records_without_groups_are_refused(made, config):
    with pytest.raises(ConfigError, match="no counterfactual groups"):
        judge(config(records=str(made[0])), Prejudiced)
    with pytest.raises(SystemExit, match="no counterfactual groups"):
        main(["model=tiny", f"records={made[0]}", f"out={config().out}"])


def test_a_group_with_a_picture_that_cannot_be_read_is_left_out(config, pairs):
    (pairs / "0-1.png").write_bytes(b"no picture")
    result = judge(config(), Prejudiced)
    assert result["groups"] == 23 and result["unreadable_images"] == 1


def test_movements_that_cancel_in_the_mean_show_within_groups():
    faces = [Judged(str(i), value, None, None, {"a / b": 0.5 + 0.2 * (1 if value == "1" else -1) * (-1) ** i})
             for i in range(40) for value in "17"]  # fmt: skip
    found = summary(faces, ["a / b"], Settings(repeats=200))
    assert found["gaps"][0]["gap"] == pytest.approx(0) and found["within"][0]["value"] == pytest.approx(0.4)
    assert found["expressions"][0]["gap"] is None  # nobody is labelled


def test_few_faces_give_no_number():
    faces = [Judged(str(i), value, "fear", str(i), {"a / b": 0.5}) for i in range(5) for value in "17"]
    found = summary(faces, ["a / b"], Settings(repeats=50))
    assert found["values"][0]["value"] is None and found["gaps"][0]["why"] and found["tests"] == 0
    assert json.dumps(found, allow_nan=False)


def test_a_question_names_both_words_in_its_order():
    assert len({word for j in JUDGEMENTS for word in (j.high, j.low)}) == 20
    assert question("warm", "cold").startswith("Which word fits this person better, warm or cold?")


@pytest.mark.slow
def test_the_embedded_model_can_be_asked(config):
    from facevlm.generate import engine

    result = judge(config(model="tiny", engine="transformers", limit=8, bootstrap=100),
                   lambda: engine("tiny", "transformers"))  # fmt: skip
    assert result["faces"] == 24 and all(0 <= row["value"] <= 1 for row in result["within"])
