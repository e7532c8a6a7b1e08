import json
from dataclasses import replace

import numpy as np
import pytest

from eval.calibrate import calibrate, main, usable
from eval.frame.predictions import Prediction, write_predictions
from facevlm.config import ConfigError
from facevlm.reading import calibration

LABELS = ("anger", "fear", "happiness")


def rows(n=200, sureness=3.0):
    """Faces of 20 people; the model's probabilities are too sure by a factor in the exponent."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(n):
        honest = rng.dirichlet(np.ones(3))
        sure = calibration.tempered(honest[None], 1 / sureness)[0]
        row = Prediction(f"f{i}", "set", f"s{i % 20}", ("answer",), "label", LABELS, value=LABELS[sure.argmax()])
        found.append(replace(row, gold=str(rng.choice(LABELS, p=honest)),
                             probabilities=dict(zip(LABELS, sure.tolist(), strict=True))))  # fmt: skip
    return found


@pytest.fixture
def run(tmp_path):
    """`run(rows, split=…)` is the folder of a finished run."""

    def make(some, split="val"):
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        write_predictions(folder / "predictions.jsonl", some)
        (folder / "summary.json").write_text(json.dumps({"split": split}))
        config = {"benchmark": "synthetic", "records": "r", "model": "tiny", "out": "o"}
        (folder / "run.json").write_text(json.dumps({"config": config}))
        return folder

    return make


def test_is_better_on_people_it_was_not_fitted_on():
    found, measured = calibrate(rows(600), repeats=50)
    assert found.temperature == pytest.approx(3, rel=0.3) and found.faces == 600 and found.fits("label", LABELS)
    assert measured["ece_after"]["value"] < measured["ece_before"]["value"] / 2
    assert measured["nll_after"]["value"] < measured["nll_before"]["value"]
    assert measured["ece_before"]["low"] <= measured["ece_before"]["value"] <= measured["ece_before"]["high"]


def test_is_written_for_the_service(run, tmp_path, capsys):
    main([str(run(rows())), "--out", str(tmp_path / calibration.FILE), "bootstrap=20"])
    found = calibration.read(str(tmp_path))
    assert found.mode == "label" and found.labels == LABELS and found.temperature > 1.5
    said = capsys.readouterr().out
    assert "ECE before 0." in said and "cross-fitted" in said


@pytest.mark.parametrize(("change", "split", "says"), [
    (lambda some: some, "test", "split 'test'"),
    (lambda some: some, None, "split"),
    (lambda some: some, "train", "split 'train'"),
    (lambda some: [replace(row, task="explain") for row in some], "val", "mode=label"),
    (lambda some: [replace(row, probabilities=None) for row in some], "val", "0 labelled faces"),
    (lambda some: some[:40], "val", "40 labelled faces"),
    (lambda some: [*some, replace(some[0], gold="fear", probabilities={"fear": 1.0})], "val", "different labels"),
])  # fmt: skip
def test_other_runs_are_refused(run, tmp_path, change, split, says):
    folder = run(change(rows()), split)
    with pytest.raises(ConfigError, match=says):
        usable(folder)
    with pytest.raises(SystemExit, match="error"):
        main([str(folder), "--out", str(tmp_path / "out.json")])
    assert not (tmp_path / "out.json").exists()
