"""Published protocols on drawn faces under their names: folds, pooling, classes, and folders that are not theirs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval import catalogue
from eval.benchmarks import BENCHMARKS
from eval.compare import CompareConfig, compare
from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.job import prepare
from eval.frame.predictions import read_predictions
from eval.pool import PoolConfig, main, pool
from eval.run import evaluate
from facevlm.config import ConfigError
from facevlm.folds import BP4D, DISFA, fold_of
from facevlm.generate import Choice, Scripted
from facevlm.prompts import gold
from facevlm.record import RecordWriter, write_meta
from facevlm.vocab import LABEL_SETS, PROTOCOLS

ROOT = Path(__file__).parents[2]
PEOPLE = [people[i] for people in DISFA for i in range(2)]  # two of each fold


def folder_of(made, tmp_path, name, records):
    folder = tmp_path / name
    shutil.copytree(made[0], folder)
    (folder / "records-00000.parquet").unlink()
    writer = RecordWriter(folder)
    writer.add(*records)
    writer.flush()
    write_meta(folder, None)
    return folder


@pytest.fixture
def disfa(made, records, tmp_path):
    """DISFA, had it been drawn: 24 faces of six people, four of each fold's two, without a split."""
    rng = np.random.default_rng(0)
    drawn = [replace(r, source="disfa", split="", subject=PEOPLE[i // 4], emotion=None, label_set=None, rationale=None,
                     aus={n: float(rng.integers(0, 6)) for n in PROTOCOLS["DISFA-12"].aus})
             for i, r in enumerate(records)]  # fmt: skip
    return folder_of(made, tmp_path, "disfa", drawn), drawn


def noisy(faces, task="fast"):
    """A model that is right about every second face and names AU1 on the others."""
    wrong = "<au>AU1:C</au>" if task == "au_intensity" else "<au>AU1</au>"
    answers = iter([gold(r, ("au",), task) if i % 2 else wrong for i, r in enumerate(faces)])
    return Scripted(lambda _: next(answers))


def settings(config, disfa, **keys):
    return config(**{"benchmark": "disfa", "records": str(disfa[0]), **keys})


def test_the_folds_hold_each_person_once():
    for folds, n in ((DISFA, 27), (BP4D, 41)):
        people = [name for part in folds for name in part]
        assert len(people) == len(set(people)) == n
    assert fold_of(DISFA, "SN003") == 1 and fold_of(DISFA, "SN001") == 3 and fold_of(DISFA, None) is None


def test_one_model_over_all_folds_gets_each_fold_and_their_mean_and_a_caveat(config, disfa):
    summary = evaluate(settings(config, disfa), noisy(disfa[1]))
    assert summary["protocol"] == "disfa-8" and summary["au_protocol"] == "DISFA-8" and summary["n"] == 24
    values = [fold["au_macro_f1"] for fold in summary["over_folds"]["folds"]]
    assert len(values) == 3 and summary["over_folds"]["mean"]["au_macro_f1"] == pytest.approx(np.mean(values))
    said = " | ".join(summary["caveats"])
    assert "24 faces of 130814" in said and "one model over all people" in said
    assert [row["au"] for row in summary["per_au"]] == [1, 2, 4, 6, 9, 12, 25, 26]


def test_a_fold_asks_only_about_its_people(config, disfa):
    of_two = [r for r in disfa[1] if r.subject in DISFA[1]]
    summary = evaluate(settings(config, disfa, fold=2), noisy(of_two))
    assert summary["n"] == 8 and summary["fold"] == 2 and summary["skipped_by"] == {"of another fold": 16}
    assert not any("one model over all people" in caveat for caveat in summary["caveats"])


def test_presence_starts_at_two_in_disfa(config, disfa):
    evaluate(settings(config, disfa), noisy(disfa[1]))
    for row, record in zip(read_predictions(Path(config().out, "predictions.jsonl")), disfa[1], strict=True):
        assert row.gold_aus == tuple(n for n in PROTOCOLS["DISFA-8"].aus if record.aus[n] >= 2)


def test_intensities_are_asked_with_letters_whatever_the_mode(config, disfa):
    summary = evaluate(settings(config, disfa, protocol="disfa-intensity"), noisy(disfa[1], "au_intensity"))
    assert summary["task"] == "au_intensity" and 0 < summary["intensity_icc"] < 1
    assert len(summary["per_au_intensity"]) == 12 and "from A (trace) to E (maximum)" in summary["prompt"]


@pytest.mark.parametrize(("keys", "words"), [
    ({"fold": 4}, "has folds 1 to 3"),
    ({"mode": "label"}, "24 without a label for what is asked"),
    ({"protocol": "bp4d"}, "it has disfa-8, disfa-12, disfa-intensity"),
    ({"protocol": "disfa-intensity", "reader": "lenient"}, "action units with intensity, which is read by strict"),
    ({"price_per_million_tokens": -1.0}, "is no price"),
    ({"benchmark": "rafdb"}, "holds records of disfa, benchmark rafdb is about .*benchmark=disfa"),
    ({"benchmark": "table"}, "no records in split 'test', which protocol labels tests; it has"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_remedy(config, disfa, keys, words):
    with pytest.raises(ConfigError, match=words):
        prepare(settings(config, disfa, **keys))


def test_a_folder_without_folds_takes_no_fold(config):
    with pytest.raises(ConfigError, match="protocol synthetic has no folds by person"):
        prepare(config(fold=1))


# -- pooling


@pytest.fixture
def folds(config, disfa, tmp_path):
    """Three finished runs, one a fold."""
    for fold in (1, 2, 3):
        mine = [r for r in disfa[1] if r.subject in DISFA[fold - 1]]
        evaluate(settings(config, disfa, fold=fold, out=str(tmp_path / f"fold{fold}")), noisy(mine))
    return tmp_path


def pooled(folder, *names, **keys):
    return PoolConfig(runs=[str(folder / name) for name in names], out=str(folder / "all"), bootstrap=20, **keys)


def test_pooled_folds_give_what_one_run_over_all_gives(folds, config, disfa):
    summary = pool(pooled(folds, "fold1", "fold2", "fold3"))
    whole = evaluate(settings(config, disfa, out=str(folds / "whole")), noisy(disfa[1]))
    assert summary["n"] == 24 and summary["au_macro_f1"] == pytest.approx(whole["au_macro_f1"])
    assert summary["over_folds"]["mean"] == pytest.approx(whole["over_folds"]["mean"])
    assert any("one model tests several folds" in caveat for caveat in summary["caveats"])
    assert json.loads((folds / "all" / "summary.json").read_text()) == json.loads(json.dumps(summary))
    assert (folds / "all" / "report.html").is_file() and (folds / "all" / "predictions.parquet").is_file()


def test_folds_that_share_a_person_are_refused(folds):
    shutil.copytree(folds / "fold1", folds / "again")
    with pytest.raises(ConfigError, match="both test 8 of the same"):
        pool(pooled(folds, "fold1", "again"))


def test_folds_that_were_asked_in_two_ways_are_refused(folds, config, disfa):
    mine = [r for r in disfa[1] if r.subject in DISFA[2]]
    evaluate(settings(config, disfa, fold=3, mode="explain", out=str(folds / "other")), noisy(mine))
    with pytest.raises(ConfigError, match="differ in mode, task, prompt"):
        pool(pooled(folds, "fold1", "other"))


def test_the_pooling_command_prints_the_mean_over_folds(folds, capsys):
    main([*(str(folds / f"fold{i}") for i in (1, 2, 3)), f"out={folds / 'all'}", "bootstrap=20"])
    assert "mean over 3 folds, au_macro_f1: 0." in capsys.readouterr().out


# -- classes


@pytest.fixture
def rafdb(made, records, tmp_path):
    labels = LABEL_SETS["rafdb"].labels
    faces = [replace(r, source="rafdb", label_set="rafdb", emotion=labels[i % 6], aus={}, subject=None)
             for i, r in enumerate(records)]  # fmt: skip
    return folder_of(made, tmp_path, "rafdb", faces), faces


def test_rafdb_asks_for_seven_emotions_and_names_the_class_that_is_missing(config, rafdb):
    answers = iter([gold(r, ("answer",)) for r in rafdb[1]])
    settings = config(benchmark="rafdb", records=str(rafdb[0]), mode="label")
    summary = evaluate(settings, Scripted(lambda _: next(answers)))
    assert summary["emotion_accuracy"] == 1 and summary["headline"] == "emotion_accuracy"
    assert summary["confusion"]["rows"] == list(LABEL_SETS["rafdb"].labels)
    said = " | ".join(summary["caveats"])
    assert "no face is labelled neutral" in said and "24 faces of 3068" in said and "names no people" in said
    assert summary["ci95_by"].startswith("face")
    html = Path(config().out, "report.html").read_text()
    assert "24 faces of 3068" in html and "Li, Deng &amp; Du 2017" in html


def test_the_compound_protocol_refuses_the_basic_set_and_says_why(config, rafdb):
    with pytest.raises(ConfigError, match="protocol rafdb-compound, in task compound: 24 of another label set: rafdb"):
        prepare(config(benchmark="rafdb", protocol="rafdb-compound", records=str(rafdb[0])))


# -- a protocol of one's own, and the frame


def merged(record):
    return replace(record, label_set="megc3", emotion="surprise" if record.emotion == "surprise" else "negative")


MINE = Benchmark(name="mine", title="Mine", sources=("rafdb",), protocols=(
    Protocol(name="three", doc="Three classes.", source="this test", scores=("emotion",), headline="emotion_uar",
             keep=lambda record: record.emotion != "happiness", view=merged, caveats=("merged",)),))  # fmt: skip


def test_a_protocol_of_ones_own_may_drop_and_merge_classes(config, rafdb, monkeypatch):
    monkeypatch.setitem(BENCHMARKS, "mine", MINE)
    summary = evaluate(config(benchmark="mine", records=str(rafdb[0]), mode="label"),
                       Scripted(lambda _: "<answer>negative</answer>"))  # fmt: skip
    assert summary["n"] == 20 and summary["skipped_by"] == {"not of the protocol": 4}
    assert summary["n_by_class"] == {"negative": 16, "surprise": 4} and summary["emotion_uar"] == 0.5
    assert "Emotions: negative, positive, surprise." in summary["prompt"] and summary["caveats"][-1] == "only 20 faces"


def test_runs_by_two_protocols_are_not_compared(config, oracle, records, tmp_path):
    evaluate(config(out=str(tmp_path / "a")), oracle())
    evaluate(config(out=str(tmp_path / "b"), au_protocol="DISFA-8"), oracle())
    with pytest.raises(ConfigError, match=r"protocol synthetic \(synthetic-18\) and .*\(DISFA-8\) were scored"):
        compare(CompareConfig(runs=[str(tmp_path / "a"), str(tmp_path / "b")], out=str(tmp_path / "c")))


class Sure(Scripted):
    """Says what it is told, and is sure of it to a share that differs by face."""

    def __init__(self, answers):
        self.left, self.asked = iter(answers), []
        super().__init__(lambda request: next(self.left))

    def choose(self, requests, labels, max_new_tokens=512):
        self.asked.append((len(requests), tuple(labels)))
        chances = {label: 0.65 if label == labels[0] else 0.05 for label in labels}
        replies = self.generate(requests, max_new_tokens)
        return [Choice(r.text, r.prompt_tokens, r.completion_tokens, chances) for r in replies]


def test_probabilities_are_asked_where_one_label_is_and_go_into_the_summary_and_the_page(config, records):
    model = Sure([gold(r, ("answer",)) for r in records])
    summary = evaluate(config(mode="label"), model)
    assert sum(n for n, _ in model.asked) == 24
    assert {labels for _, labels in model.asked} == {LABEL_SETS["basic8"].labels}
    # The first label is right for three of 24 faces, and always claimed with 0.65.
    assert summary["ece"] == pytest.approx(0.65 - 1 / 8) and summary["likeliest_is_said"] == pytest.approx(1 / 8)
    assert summary["ci95"]["brier"][0] <= summary["brier"] <= summary["ci95"]["brier"][1]
    html = Path(config().out, "report.html").read_text()
    assert "ECE" in html and "Reliability of" in html and "Risk and coverage of" in html


@pytest.mark.parametrize("keys", [{"mode": "fast"}, {"mode": "label", "probabilities": False}])
def test_probabilities_are_not_asked_where_they_say_nothing_or_are_not_wanted(config, records, keys):
    model = Sure([gold(r, ("au", "answer") if keys["mode"] == "fast" else ("answer",)) for r in records])
    assert "ece" not in evaluate(config(**keys), model) and not model.asked


def test_cost_follows_from_the_tokens_and_the_price(config, oracle):
    summary = evaluate(config(price_per_million_tokens=2.0), oracle())
    rows = read_predictions(Path(config().out, "predictions.jsonl"))
    tokens = sum(row.prompt_tokens + row.completion_tokens for row in rows)
    assert summary["cost"] == pytest.approx(tokens * 2e-6)
    assert summary["cost_per_thousand_images"] == pytest.approx(tokens * 2e-6 / 24 * 1000)
    assert evaluate(config(), oracle(24))["cost"] is None


def test_the_page_of_protocols_is_up_to_date():
    written = (ROOT / "docs" / "evaluation.md").read_text()
    assert written == catalogue.page(), "run `python -m eval.catalogue > docs/evaluation.md`"
