"""Every kind of score: full marks for the truth, what unreadable answers cost, and what has no value."""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import brier_score_loss, f1_score, mean_absolute_error

from eval.benchmarks import BENCHMARKS
from eval.frame.benchmark import Protocol
from eval.frame.predictions import Prediction, read_predictions, to_line, write_predictions
from eval.frame.samples import write_samples
from eval.frame.scoring import score
from eval.run import evaluate
from eval.scores import SCORES
from facevlm.config import ConfigError
from facevlm.generate import Scripted
from facevlm.metrics import attribute_scores, brier, ece, icc31, wheel_score
from facevlm.prompts import gold, narrowed
from facevlm.record import RecordWriter, write_meta


def scored(rows: Sequence[Prediction], kind: str, **keys):
    """One kind of score without intervals."""
    protocol = Protocol(name="p", doc="", source="", scores=(kind,), headline="", **keys)
    return score(rows, protocol, repeats=0)


def said(task, value, truth, i=0, **more):
    faults = () if value is not None else ("not readable",)
    return Prediction(str(i), "set", str(i // 2), ("answer",), task, value=value, gold=truth, text="x", faults=faults,
                      **more)  # fmt: skip


# -- through the command, from labels to full marks


@pytest.fixture
def labelled(made, records, tmp_path):
    """The drawn faces with every label that a task asks for."""
    folder = tmp_path / "labelled"
    shutil.copytree(made[0], folder)
    (folder / "records-00000.parquet").unlink()
    full = [replace(r, source="mine", label_set="rafdb-compound", before="001.png",
                    emotion="sadly angry" if i % 2 else "sadly surprised",
                    caption="A face." if i % 2 else "A face that smiles.",
                    valence=round(math.sin(i), 2), arousal=round(math.cos(i), 2),
                    emotion_words=("shy", "delighted") if i % 3 else ("angry",),
                    attributes={"age": str(20 + i), "gender": "female" if i % 2 else "male", "pain": str(i % 5),
                                "engagement": str(i % 4), "authenticity": "fake" if i % 3 else "real",
                                "smiling": "yes" if i % 2 else "no", "young": "no" if i % 3 else "yes"})
            for i, r in enumerate(records)]  # fmt: skip
    shares = {"sadly angry": 0.7, "sadly surprised": 0.3}
    full = [replace(r, emotion_probs=shares if i % 2 else {"fearfully angry": 1.0}) for i, r in enumerate(full)]
    writer = RecordWriter(folder)
    writer.add(*full)
    writer.flush()
    write_meta(folder, None)
    return folder, full


LOW = {name for scorer in SCORES.values() for name, metric in scorer.metrics.items() if metric.best == "low"}


@pytest.mark.parametrize("name", [p.name for p in BENCHMARKS["table"].protocols])
def test_the_truth_scores_full_marks_in_every_protocol_of_a_table(labelled, config, name):
    folder, full = labelled
    protocol = next(p for p in BENCHMARKS["table"].protocols if p.name == name)
    task = protocol.task or "fast"
    parts = ("au", "answer") if name == "labels" else ("au",) if task in ("au_intensity", "change") else ("answer",)
    answers = iter([gold(narrowed(r, task), parts, task) for r in full])
    summary = evaluate(config(benchmark="table", protocol=name, records=str(folder)),
                       Scripted(lambda _: next(answers)))  # fmt: skip
    assert summary["n"] == 24 and summary["parse_failure_rate"] == 0 and summary["task"] == task
    best = {m: summary[m] for m in summary["metrics"] if summary[m] is not None and m != "choice_auc"}
    assert protocol.headline in best
    for metric, value in best.items():
        # Intensities were rounded to letters where the labels are whole numbers already: nothing is lost.
        assert value == pytest.approx(0 if metric in LOW else 1), metric
    assert Path(config().out, "report.html").stat().st_size > 5000
    rows = read_predictions(Path(config().out, "predictions.jsonl"))
    assert len(rows) == 24 and all(row.right for row in rows)


@pytest.mark.parametrize("name", [p.name for p in BENCHMARKS["table"].protocols])
def test_silence_scores_the_worst_and_says_that_nothing_could_be_read(labelled, config, name):
    summary = evaluate(config(benchmark="table", protocol=name, records=str(labelled[0])), Scripted(lambda _: ""))
    assert summary["parse_failure_rate"] == 1
    assert any("no answer could be read" in caveat for caveat in summary["caveats"])
    assert "every answer is empty" in summary["caveats"]
    for metric in summary["metrics"]:
        assert (summary[metric] is None) == (metric in summary["undefined"]), metric
        assert metric in LOW or not summary[metric] or summary[metric] <= 0.05, metric
    json.dumps(summary, allow_nan=False)


# -- what an answer that cannot be read costs


def test_an_unreadable_number_is_at_the_farther_end():
    rows = [said("age", None, 31.0), said("age", 40.0, 40.0, 1), said("age", None, 100.0, 2)]
    assert scored(rows, "number")["number_mae"] == pytest.approx(mean_absolute_error([31, 40, 100], [120, 40, 0]))


def test_unreadable_affect_is_at_the_farther_ends():
    one = scored([said("valence_arousal", None, (0.5, -0.2)), said("valence_arousal", (0.0, 0.0), (0.0, 0.0), 1)],
                 "affect")  # fmt: skip
    assert one["valence_rmse"] == pytest.approx(1.5 / math.sqrt(2))
    assert one["arousal_rmse"] == pytest.approx(1.2 / math.sqrt(2))


def test_unreadable_attributes_are_all_wrong():
    offered = ("smiling", "young")
    rows = [said("attributes", None, ("smiling",), offered=offered),
            said("attributes", ("young",), ("young",), 1, offered=offered)]  # fmt: skip
    result = scored(rows, "attributes")
    assert result["attribute_accuracy"] == 0.5
    truth, guess = [[1, 0], [0, 1]], [[0, 1], [0, 1]]
    assert result["attribute_f1"] == pytest.approx(f1_score(truth, guess, average="macro"))


def test_attributes_agree_with_the_scores_of_the_library():
    rng = np.random.default_rng(2)
    names = ("big nose", "smiling", "young")
    rows, guesses, truths = [], [], []
    for i in range(60):
        offered = tuple(name for name in names if rng.random() < 0.8) or names[:1]
        has, says = ({name: bool(rng.random() < 0.4) for name in offered} for _ in range(2))
        value = None if i % 7 == 0 else tuple(name for name in offered if says[name])
        rows.append(said("attributes", value, tuple(n for n in offered if has[n]), i, offered=offered))
        guesses.append(None if value is None else {n: "yes" if says[n] else "no" for n in offered})
        truths.append({n: "yes" if has[n] else "no" for n in offered})
    ours, theirs = scored(rows, "attributes"), attribute_scores(guesses, truths)
    assert ours["attribute_accuracy"] == pytest.approx(theirs.mean_accuracy)
    assert [row["labelled"] for row in ours["per_attribute"]] == [row.n for row in theirs.per_attribute]


def test_a_description_is_held_against_the_true_one():
    rows = [said("description", "A woman smiles.", "A young woman smiles broadly."), said("description", None, "x", 1)]
    assert scored(rows, "text")["text_rouge_l"] == pytest.approx(2 * 3 / (3 + 5) / 2)
    foreign = scored([said("description", "x", "она улыбается")], "text")
    assert foreign["text_rouge_l"] is None and "Latin" in foreign["undefined"]["text_rouge_l"]


def levels(i, aus, truth):
    return Prediction(str(i), "set", str(i), ("au",), "au_intensity", aus=aus, gold_levels=truth,
                      gold_aus=tuple(n for n, v in truth.items() if v >= 1), labelled_aus=tuple(truth))  # fmt: skip


def test_intensity_is_the_mean_over_aus_of_each_aus_own():
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 6, (40, 3)), rng.integers(0, 6, (40, 3))
    rows = [levels(i, {n: int(g) for n, g in zip((1, 6, 12), gs, strict=True) if g},
                   {n: float(t) for n, t in zip((1, 6, 12), ts, strict=True)})
            for i, (gs, ts) in enumerate(zip(guess, truth, strict=True))]  # fmt: skip
    result = scored(rows, "intensity")
    assert result["intensity_icc"] == pytest.approx(np.mean([icc31(guess[:, j], truth[:, j]) for j in range(3)]))
    assert result["intensity_mae"] == pytest.approx(mean_absolute_error(truth, guess))
    assert [row["au"] for row in result["per_au_intensity"]] == [1, 6, 12]


def test_a_list_without_letters_says_no_intensity():
    rows = [levels(0, {12: None}, {12: 1.0}), levels(1, None, {12: 5.0})]
    assert scored(rows, "intensity")["intensity_mae"] == pytest.approx((4 + 5) / 2)


def test_an_au_without_spread_is_left_out_of_the_icc_and_named():
    rows = [levels(i, {12: 1 + i % 5}, {12: float(1 + i % 5), 4: 0.0}) for i in range(10)]
    result = scored(rows, "intensity")
    assert result["intensity_icc"] == pytest.approx(1) and any("AU4 never varies" in c for c in result["caveats"])


def test_words_agree_by_group_and_long_lists_cost_precision_but_not_hits():
    rows = [said("open_vocabulary", ("delighted",), ("happy",)),
            said("open_vocabulary", ("happy", "angry", "afraid", "bored"), ("happy",), 1),
            said("open_vocabulary", None, ("sad",), 2)]  # fmt: skip
    result = scored(rows, "words")
    assert result["words_hit_rate"] == pytest.approx(2 / 3) and result["words_recall"] == pytest.approx(2 / 3)
    assert result["words_precision"] == pytest.approx((1 + 1 / 4) / 3)
    ours = wheel_score([row.value for row in rows], [row.gold for row in rows])
    assert result["words_f1"] == pytest.approx(ours.f1) and result["words_recall"] == pytest.approx(ours.recall)


def test_shares_overlap_by_what_they_have_in_common():
    rows = [said("soft_label", {"fear": 0.7, "anger": 0.3}, {"fear": 0.4, "anger": 0.4, "sadness": 0.2}),
            said("soft_label", None, {"fear": 1.0}, 1)]  # fmt: skip
    result = scored(rows, "shares")
    assert result["shares_js"] == pytest.approx((jensenshannon([0.7, 0.3, 0], [0.4, 0.4, 0.2], 2) ** 2 + 1) / 2)
    assert result["shares_overlap"] == pytest.approx(0.7 / 2) and result["shares_top"] == 0.5


# -- confidence


def sure(i, p, truth):
    chances = {"fake": p, "real": 1 - p}
    return said("real_fake", max(chances, key=chances.get), truth, i, offered=("fake", "real"), probabilities=chances)


def test_confidence_is_scored_wherever_probabilities_are_known():
    rng = np.random.default_rng(1)
    p, fake = rng.random(200), rng.random(200) < 0.4
    rows = [sure(i, float(x), "fake" if y else "real") for i, (x, y) in enumerate(zip(p, fake, strict=True))]
    result = scored(rows, "choice")
    # Summed over two labels, Brier's score is twice the one of the positive label.
    assert result["brier"] == pytest.approx(2 * brier_score_loss(fake, p))
    correct = (p > 0.5) == fake
    assert result["ece"] == pytest.approx(ece(np.maximum(p, 1 - p), correct))
    assert result["brier"] == pytest.approx(brier(np.stack([1 - p, p], 1), fake.astype(int)))
    assert result["accuracy_at_80"] == pytest.approx(correct[np.argsort(-np.maximum(p, 1 - p))[:160]].mean())
    assert 0 < result["aurc"] < 1 and result["likeliest_is_said"] == 1
    assert sum(row["n"] for row in result["reliability"]) == 200
    assert result["risk_coverage"][-1]["coverage"] == 1
    assert result["risk_coverage"][-1]["risk"] == pytest.approx(1 - result["choice_accuracy"])


def test_two_choices_are_ranked_by_the_probability_of_the_second():
    rows = [sure(0, 0.9, "fake"), sure(1, 0.4, "fake"), sure(2, 0.2, "real"), sure(3, 0.3, "real")]
    assert scored(rows, "choice")["choice_auc"] == 1
    assert "needs the probabilities" in scored([replace(r, probabilities=None) for r in rows], "choice")["undefined"][
        "choice_auc"]  # fmt: skip


def test_without_probabilities_confidence_is_not_spoken_of():
    assert "ece" not in scored([said("label", "fear", "fear")], "emotion")["metrics"]


# -- what has no value, and what must be said


def test_one_constant_answer_has_no_correlation_and_says_why():
    rows = [said("age", 30.0, float(20 + i), i) for i in range(5)]
    result = scored(rows, "number")
    assert result["number_pcc"] is None and "one for all" in result["undefined"]["number_pcc"]
    assert result["number_mae"] > 0


def test_an_absent_class_is_named_and_left_out_of_means():
    rows = [said("label", "fear", "fear", i) for i in range(40)]
    result = scored(rows, "emotion", classes=("fear", "contempt"))
    assert result["emotion_uar"] == 1 and result["n_by_class"] == {"fear": 40, "contempt": 0}
    assert any("no face is labelled contempt" in caveat for caveat in result["caveats"])


def test_a_subgroup_of_three_carries_its_size():
    assert "only 3 faces" in scored([said("label", "fear", "fear", i) for i in range(3)], "emotion")["caveats"]


def test_one_person_has_no_interval_and_says_so():
    rows = [replace(said("label", "fear", "fear", i), subject="a") for i in range(40)]
    protocol = Protocol(name="p", doc="", source="", scores=("emotion",), headline="emotion_accuracy")
    result = score(rows, protocol, repeats=20)
    assert result["ci95"]["emotion_accuracy"] == [None, None]
    assert any("one person" in caveat for caveat in result["caveats"])


def test_labels_of_another_kind_give_none_with_its_reason():
    result = scored([said("age", 30.0, 30.0)], "emotion")
    assert result["emotion_accuracy"] is None and "no emotion was asked" in result["undefined"]["emotion_accuracy"]


def test_no_au_present_is_no_zero():
    rows = [Prediction(str(i), "s", None, ("au",), "au", aus={}, labelled_aus=(1, 2)) for i in range(3)]
    result = scored(rows, "aus")
    assert result["au_macro_f1"] is None and result["undefined"]["au_macro_f1"].startswith("no face shows any AU")


def test_every_metric_of_every_kind_has_a_name_of_its_own():
    names = [name for scorer in SCORES.values() for name in scorer.metrics]
    assert len(names) == len(set(names))


# -- files


def every_kind():
    return [
        said("age", 31.0, 30.0, probabilities=None), said("valence_arousal", (0.1, -0.2), (0.0, 0.5), 1),
        said("open_vocabulary", ("a \ud83d",), (), 2), said("soft_label", {"fear": 1.0}, {"anger": 1.0}, 3),
        said("au_single", True, False, 4), sure(5, 0.25, "real"), levels(6, {12: 3}, {12: 4.0, 6: 0.0}),
        replace(said("label", None, "fear", 7), error="file missing: x.png"),
    ]  # fmt: skip


def test_rows_of_every_kind_come_back_from_disk_as_they_were(tmp_path):
    write_predictions(tmp_path / "p.jsonl", every_kind())
    assert read_predictions(tmp_path / "p.jsonl") == every_kind()


def test_the_parquet_file_holds_a_row_a_face_that_can_be_read_by_anyone(tmp_path):
    write_samples(tmp_path / "p.parquet", every_kind())
    rows = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert [row["value"] for row in rows[:5]] == ["31", "valence 0.10, arousal -0.20", "a ?", "fear 100%", "yes"]
    assert rows[5]["probabilities"] == [{"label": "fake", "p": 0.25}, {"label": "real", "p": 0.75}]
    assert rows[6]["gold_levels"] == [{"au": 6, "intensity": 0.0}, {"au": 12, "intensity": 4.0}]
    assert rows[7]["right"] is None and rows[7]["error"].startswith("file missing") and rows[0]["right"] is True


def test_an_unknown_task_in_a_file_is_named(tmp_path):
    line = json.loads(to_line(said("age", 1.0, 1.0))) | {"task": "taste"}
    (tmp_path / "p.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(ConfigError, match="line 1 is no prediction .unknown task 'taste'"):
        read_predictions(tmp_path / "p.jsonl")
