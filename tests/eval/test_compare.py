import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from eval import fairness, faithful
from eval.compare import CompareConfig, compare, main
from eval.faithfulness.job import FaithfulConfig, prepare
from eval.frame.predictions import read_predictions, write_predictions
from eval.run import evaluate
from facevlm.config import ConfigError
from facevlm.generate import Scripted
from facevlm.metrics import holm
from facevlm.record import RecordWriter, write_meta


@pytest.fixture
def runs(config, oracle, parrot, tmp_path):
    """Two finished runs over the same faces: one always says neutral, one knows."""
    evaluate(config(out=str(tmp_path / "base")), parrot("<au>AU12</au><answer>neutral</answer>"))
    evaluate(config(out=str(tmp_path / "best")), oracle())
    return tmp_path


def settings(folder, *names, **keys):
    given = [str(folder / name) for name in names]
    return CompareConfig(**{"runs": given, "out": str(folder / "both"), "bootstrap": 20, "gallery": 4, **keys})


def test_each_run_stands_under_its_name(runs):
    summary = compare(settings(runs, "base", "best"))
    assert summary["base"]["emotion_accuracy"] == pytest.approx(1 / 8)
    assert summary["best"]["emotion_accuracy"] == 1 and summary["best"]["ci95"]["au_macro_f1"] == [1, 1]
    assert json.loads((runs / "both" / "summary.json").read_text()) == json.loads(json.dumps(summary))


def test_differences_are_paired_and_signed_b_minus_a(runs):
    found = {d["metric"]: d for d in compare(settings(runs, "base", "best"))["differences"]}
    assert set(found) == {"emotion_accuracy", "au_macro_f1"}
    one = found["emotion_accuracy"]
    assert (one["a"], one["b"], one["n"]) == ("base", "best", 24)
    assert one["value"] == pytest.approx(7 / 8) and 0 < one["ci95"][0] <= one["value"] <= one["ci95"][1]


def test_a_run_does_not_differ_from_itself(runs):
    shutil.copytree(runs / "best", runs / "copy")
    for one in compare(settings(runs, "best", "copy"))["differences"]:
        assert one["value"] == 0 and one["ci95"] == [0, 0]


def test_three_runs_give_each_step_and_the_whole_way(runs):
    shutil.copytree(runs / "best", runs / "last")
    pairs = [(d["a"], d["b"]) for d in compare(settings(runs, "base", "best", "last"))["differences"]]
    assert pairs == 2 * [("base", "best"), ("best", "last"), ("base", "last")]


def test_the_page_shows_what_every_run_said(runs):
    compare(settings(runs, "base", "best", names="before,after"))
    html = (runs / "both" / "report.html").read_text()
    assert "after − before, Emotion accuracy: +0.875" in html
    faces = html[html.index("<h2>Faces of after") :]
    assert faces.count("<dt>before</dt><dd>neutral · AU12</dd>") == 4 and "data:image/jpeg" in faces


def test_the_page_is_written_without_pictures_when_the_records_are_gone(runs):
    facts = json.loads((runs / "best" / "run.json").read_text())
    facts["config"]["records"] = "gone"
    (runs / "best" / "run.json").write_text(json.dumps(facts))
    compare(settings(runs, "base", "best"))
    assert "records not found" in (runs / "both" / "report.html").read_text()


def _drop(folder, n):
    path = Path(folder, "predictions.jsonl")
    write_predictions(path, read_predictions(path)[n:])


def test_runs_over_different_faces_are_refused_and_the_difference_named(runs):
    _drop(runs / "base", 3)
    with pytest.raises(ConfigError, match="base lacks 3 faces that others have, e.g. face-000; add common=true"):
        compare(settings(runs, "base", "best"))


def test_common_scores_only_the_faces_all_runs_share(runs):
    _drop(runs / "base", 3)
    summary = compare(settings(runs, "base", "best", common=True))
    assert summary["best"]["n"] == 21 and summary["base"]["n"] == 24  # base lost none: its own summary stands
    assert {d["n"] for d in summary["differences"]} == {21}


def test_no_face_in_common_is_an_error(runs):
    _drop(runs / "base", 24)
    with pytest.raises(ConfigError, match="no face in common"):
        compare(settings(runs, "base", "best", common=True))


def test_runs_held_to_different_truths_are_refused(runs):
    path = runs / "base" / "predictions.jsonl"
    rows = read_predictions(path)
    write_predictions(path, [replace(rows[0], gold="anger" if rows[0].gold != "anger" else "fear"), *rows[1:]])
    with pytest.raises(ConfigError, match="1 faces to different truths, e.g. face-000"):
        compare(settings(runs, "base", "best"))


def test_an_unfinished_run_is_named(runs):
    (runs / "base" / "summary.json").unlink()
    with pytest.raises(ConfigError, match="base has no summary.json"):
        compare(settings(runs, "base", "best"))


@pytest.mark.parametrize("names", ["one", "one,one", "one,differences", "one,"])
def test_names_must_be_one_for_each_run_and_differ(runs, names):
    with pytest.raises(ConfigError, match="names"):
        compare(settings(runs, "base", "best", names=names))


def test_a_run_without_aus_has_no_au_difference(runs, config, parrot):
    evaluate(config(out=str(runs / "label"), mode="label"), parrot("<answer>neutral</answer>"))
    found = compare(settings(runs, "label", "best"))["differences"]
    assert [d["metric"] for d in found] == ["emotion_accuracy"]


def test_the_command_takes_folders_as_they_are(runs, capsys):
    main([str(runs / "base"), str(runs / "best"), "--out", str(runs / "both"), "--names", "a,b", "bootstrap=20"])
    said = capsys.readouterr().out
    assert "b − a, Emotion accuracy: +0.875" in said and "report.html" in said


def test_one_run_is_nothing_to_compare(capsys):
    with pytest.raises(SystemExit):
        main(["only", "--out", "x"])
    assert "at least two" in capsys.readouterr().err


def test_p_values_are_raised_for_how_many_differences_are_looked_at(runs):
    shutil.copytree(runs / "best", runs / "last")
    found = compare(settings(runs, "base", "best", "last"))["differences"]
    raised = holm([one["p"] for one in found])
    assert [one["p_holm"] for one in found] == raised
    first = {one["metric"]: one for one in found if (one["a"], one["b"]) == ("base", "best")}["emotion_accuracy"]
    assert first["p"] < 0.01 and first["p_holm"] == pytest.approx(6 * first["p"])
    same = [one for one in found if (one["a"], one["b"]) == ("best", "last")]
    assert {one["p"] for one in same} == {1} and {one["p_holm"] for one in same} == {1}


def test_without_swaps_there_is_no_p(runs):
    found = compare(settings(runs, "base", "best", swaps=0))["differences"]
    assert {one["p"] for one in found} == {one["p_holm"] for one in found} == {None}


def test_what_flipped_is_counted_and_shown(runs):
    path = runs / "best" / "predictions.jsonl"
    rows = read_predictions(path)
    neutral = next(i for i, row in enumerate(rows) if row.gold == "neutral")
    rows[neutral] = replace(rows[neutral], value="fear")  # base says neutral of all: right here, and only here
    write_predictions(path, rows)
    summary = compare(settings(runs, "base", "best", gallery=6))
    assert summary["flipped"] == [{"a": "base", "b": "best", "gained": 21, "lost": 1, "n": 24}]
    html = (runs / "both" / "report.html").read_text()
    part = html[html.index("What flipped") :].partition("</section>")[0]
    assert "base to best: 22 of 24 faces flipped, 21 to right and 1 to wrong" in part
    assert part.count('data-kind="gained"') == 5 and part.count('data-kind="lost"') == 1
    assert part.count("data:image/jpeg") == 6 and rows[neutral].id in part


def test_a_pair_that_agrees_shows_no_flipped_face(runs):
    shutil.copytree(runs / "best", runs / "copy")
    assert compare(settings(runs, "best", "copy"))["flipped"][0] | {"n": 0} == {"a": "best", "b": "copy", "gained": 0,
                                                                                "lost": 0, "n": 0}  # fmt: skip
    html = (runs / "both" / "report.html").read_text()
    assert "0 of 24 faces flipped" in html and 'data-kind="gained"' not in html


def test_calibration_is_compared_over_the_faces_whose_probabilities_both_runs_have(runs):
    labels = ("neutral", "happiness")
    for name, sure, first in (("base", 0.9, 0), ("best", 0.6, 4)):
        path = runs / name / "predictions.jsonl"
        rows = [replace(row, probabilities=None if i < first else {"neutral": sure, "happiness": 1 - sure})
                for i, row in enumerate(read_predictions(path))]  # fmt: skip
        write_predictions(path, [replace(row, offered=labels) for row in rows])
    (found,) = [d for d in compare(settings(runs, "base", "best"))["differences"] if d["metric"] == "ece"]
    assert found["n"] == 20 and found["value"] == pytest.approx(-0.3) and found["p"] is not None


# -- what other commands found


@pytest.fixture
def looked(config, parrot, records, made, tmp_path):
    """Two runs in mode explain, one of a model that says nothing readable, both looked at further."""
    folder, known = made
    labelled = tmp_path / "labelled"
    labelled.mkdir()
    writer = RecordWriter(labelled)
    for i, one in enumerate(known):
        writer.add(replace(one, attributes={"gender": ("female", "male")[i % 2]}))
    writer.flush()
    write_meta(labelled, folder)
    for name, said in (("mute", None), ("wordy", "<think>Cheek raiser (AU6). This is fear.</think>")):
        def script(request, said=said):
            return "yes" if said is None else f"{said}<au>AU6</au><answer>fear</answer>"

        run = tmp_path / name
        evaluate(config(records=str(labelled), out=str(run), mode="explain"), Scripted(script))
        fairness.main([str(run), "least=5", "bootstrap=20"])
        job = prepare(FaithfulConfig(records=str(labelled), model="scripted", out=str(run / "faithful"), bootstrap=20,
                                     predictions=str(run), probes=["agreement"], gallery=0))  # fmt: skip
        faithful.run(job, lambda: Scripted(script))
    return tmp_path


def test_what_other_commands_found_stands_beside_the_scores_with_links(looked):
    summary = compare(settings(looked, "mute", "wordy"))
    assert summary["wordy"]["fairness"]["gaps"][0]["factor"] == "gender" and summary["mute"]["fairness"]["gaps"] == []
    assert summary["wordy"]["faithfulness"]["agreement"]["think_au_f1"]["value"] == 1
    assert summary["mute"]["faithfulness"]["agreement"]["think_au_f1"]["value"] is None
    html = (looked / "both" / "report.html").read_text()
    assert "Emotion accuracy, gap by gender" in html and "Thinking and AU list" in html
    for page in ("fairness/fairness.html", "faithful/report.html"):
        assert f'href="../wordy/{page}"' in html and (looked / "both" / ".." / "wordy" / page).is_file()


def test_of_a_model_that_nobody_can_read_the_page_says_that_there_is_nothing_to_test(looked):
    compare(settings(looked, "mute", "wordy"))
    html = (looked / "both" / "report.html").read_text()
    beyond = html[html.index("Is it the same for everybody?") : html.index("<h2>Emotions")]
    mute = [row for row in beyond.split("<tr") if ">mute</th>" in row]
    assert len(mute) == 4 and all("nothing to test" in row and "0.000" not in row for row in mute)


def test_what_belongs_to_other_answers_or_another_model_is_told_and_not_shown(looked):
    path = looked / "wordy" / "predictions.jsonl"
    rows = read_predictions(path)
    write_predictions(path, [replace(rows[0], text="changed"), *rows[1:]])
    facts = json.loads((looked / "wordy" / "faithful" / "run.json").read_text())
    facts["fingerprint"]["weights"] = [["model.safetensors", 1, 2]]
    (looked / "wordy" / "faithful" / "run.json").write_text(json.dumps(facts))
    summary = compare(settings(looked, "mute", "wordy"))
    assert "fairness" not in summary["wordy"] and "faithfulness" not in summary["wordy"]
    html = (looked / "both" / "report.html").read_text()
    assert "is about other answers than the run has now" in html and "is about another model than the run" in html
    assert "not looked at: run eval.fairness" in html and "not looked at: run eval.faithful" in html
