import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def quickstart(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("quickstart")


def test_every_step_is_a_command_with_a_result_of_its_own(quickstart):
    names, results = [name for name, _, _ in quickstart.STEPS], [result for _, _, result in quickstart.STEPS]
    assert len(set(names)) == len(names) and len(set(results)) == len(results)
    for _, command, _ in quickstart.STEPS:
        configs = [Path(word) for word in command if word.endswith(".yaml")]
        assert all((ROOT / config).is_file() for config in configs)


@pytest.mark.parametrize(("said", "left"), [(None, None), (0, 0), ("error: no records", "error: no records")])
def test_a_command_in_this_process_leaves_what_it_exits_with(quickstart, monkeypatch, said, left):
    def main(arguments):
        assert arguments == ("--config", "x.yaml")
        if said is not None:
            raise SystemExit(said)

    monkeypatch.setitem(sys.modules, "eval.pretended", SimpleNamespace(main=main))
    assert quickstart.here("eval.pretended", "--config", "x.yaml") == left


def test_a_step_that_fails_ends_the_quickstart_with_its_reason(quickstart, monkeypatch):
    monkeypatch.setattr(quickstart, "here", lambda *words: "error: no records")
    with pytest.raises(SystemExit, match=r"fairness-sft failed \(error: no records\): see above"):
        quickstart.run("fairness-sft", ["-m", "eval.fairness", "runs/x"])


def test_numbers_that_are_not_there_are_nothing_to_test(quickstart):
    summary = {"ece": 0.1, "ci95": {"ece": [0.05, 0.2]}, "fairness": {"gaps": [], "counterfactual": None},
               "faithfulness": {"swap": {"difference": {"value": None, "why": "no claims", "n": 0}}}}  # fmt: skip
    found = [quickstart.shown(summary, at) for at in quickstart.BEYOND.values()]
    assert found == ["0.100 [0.050, 0.200]"] + ["nothing to test"] * 5


def test_gaps_and_shares_are_shown_with_their_intervals(quickstart):
    summary = {"ci95": {}, "fairness": {"gaps": [{"gap": 0.06, "ci95": [-0.01, 0.1]}]},
               "faithfulness": {"swap": {"difference": {"value": 0.4, "ci95": [None, None]}}}}  # fmt: skip
    assert quickstart.shown(summary, ("fairness", "gaps", 0)) == "0.060 [-0.010, 0.100]"
    assert quickstart.shown(summary, ("faithfulness", "swap", "difference")) == "0.400"
