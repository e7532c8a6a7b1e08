from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from data_builders.sources import SOURCES
from eval.benchmarks import BENCHMARKS
from eval.frame.benchmark import Tested, find_aus, truth
from eval.frame.job import EvalConfig
from eval.frame.question import ask
from eval.scores import SCORES
from facevlm.config import ConfigError, load
from facevlm.record import FaceRecord
from facevlm.tasks import TASKS
from facevlm.vocab import LABEL_SETS, PROTOCOLS

ROOT = Path(__file__).parents[2]
FACE = FaceRecord("1", "set", "1.png", emotion="surprise", label_set="rafdb", aus={1: 1, 2: 0, 12: 3})


def test_every_file_of_the_shelf_is_in_the_table():
    files = {path.stem for path in (ROOT / "eval" / "benchmarks").glob("*.py")} - {"__init__"}
    assert files == set(BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_names_itself_and_things_that_exist(name):
    benchmark = BENCHMARKS[name]
    assert benchmark.name == name and benchmark.title and set(benchmark.by_table) <= set(benchmark.sources)
    assert set(benchmark.sources) - set(benchmark.by_table) <= set(SOURCES) and not {*benchmark.by_table} & {*SOURCES}
    names = [protocol.name for protocol in benchmark.protocols]
    assert names and len(set(names)) == len(names)
    for one in benchmark.protocols:
        assert one.doc and one.source and set(one.scores) <= set(SCORES) and one.scores
        assert one.headline in {metric for kind in one.scores for metric in SCORES[kind].metrics}, one.name
        assert one.aus is None or one.aus in PROTOCOLS
        assert one.label_set is None or one.label_set in LABEL_SETS
        assert one.task is None or one.task in TASKS
        assert one.tested in get_args(Tested) and (not one.folds or one.tested == "folds")
        assert one.faces is None or one.faces > 0
        assert len(set(one.labels)) == len(one.labels) and len(set(one.scores)) == len(one.scores)
        kinds = {TASKS[one.task].form.kind} if one.task else {"label"}
        assert kinds <= {"label"} or one.label_set is None or one.task in ("compound", "soft_label"), one.name
        assert not any(caveat.endswith(".") or "  " in caveat for caveat in one.caveats), one.name


def test_no_two_protocols_share_a_name():
    names = [protocol.name for benchmark in BENCHMARKS.values() for protocol in benchmark.protocols]
    assert len(set(names)) == len(names)


ASKED = {"emotion": ("label",), "affect": ("pair",), "number": ("number",), "choice": ("choice", "yes/no"),
         "attributes": ("words",), "words": ("words",), "shares": ("shares",), "text": ("text",), "age": ("number",),
         "pain": ("number",), "levels": ("choice",), "detection": ("yes/no",), "ratings": ("number",),
         "sentiment": ("words",), "rege_emotion": ("text",), "rege_au": ("text",)}  # fmt: skip
"""What <answer> holds where a kind of score applies; AUs and their intensities stand in <au>."""


def test_what_is_scored_is_what_is_asked():
    for protocol in (one for benchmark in BENCHMARKS.values() for one in benchmark.protocols):
        for kind in protocol.scores:
            if kind in ASKED:
                form = TASKS[protocol.task].form if protocol.task else TASKS["label"].form
                assert form.kind in ASKED[kind], protocol.name
            else:
                assert "au" in TASKS[protocol.task or "fast"].parts, protocol.name
                assert TASKS[protocol.task or "fast"].form.letters == (kind == "intensity"), protocol.name


def test_without_a_protocol_the_records_own_threshold_decides():
    assert truth(FACE, None) == ((1, 12), (1, 2, 12), 1)
    assert truth(replace(FACE, au_threshold=2), None).present == (12,)


def test_a_protocol_brings_its_aus_and_its_threshold():
    assert truth(FACE, PROTOCOLS["DISFA-8"]) == ((12,), (1, 2, 12), 2)
    assert truth(replace(FACE, aus={14: 5}), PROTOCOLS["DISFA-8"]) == ((), (), 2)


def test_an_unknown_protocol_is_refused_with_the_list():
    with pytest.raises(ConfigError, match="BP4D-12"):
        find_aus("disfa")


def test_table_keeps_whatever_has_a_label():
    keep = BENCHMARKS["table"].protocols[0].keep
    assert keep(FACE) and keep(replace(FACE, aus={})) and not keep(FaceRecord("1", "set", "1.png"))


def test_only_what_the_labels_can_answer_is_asked():
    assert ask(FACE, "fast").parts == ("au", "answer")
    assert ask(replace(FACE, aus={}), "fast").parts == ("answer",)
    assert ask(replace(FACE, emotion=None), "label").text == ""
    assert "Emotions: surprise, fear, disgust, happiness, sadness, anger, neutral." in ask(FACE, "label").text


@pytest.mark.parametrize("path", [path for path in sorted((ROOT / "configs" / "eval").rglob("*.yaml"))
                                  if "-m eval.run " in path.read_text()], ids=lambda path: path.stem)  # fmt: skip
def test_every_shipped_config_loads_and_says_how_to_launch_it(path):
    config = load(EvalConfig, None, ["--config", str(path), "records=data/x", "model=tiny", "out=runs/x"])
    assert config.benchmark in BENCHMARKS
    launch = path.read_text().splitlines()[1]
    assert launch.startswith(f"#   python -m eval.run --config configs/eval/{path.name}")


@pytest.mark.parametrize(
    ("item", "words"), [("batch=0", "start at 1"), ("limit=0", "leaves no face"), ("mode=slow", "mode")]
)
def test_settings_that_cannot_work_are_refused(item, words, capsys):
    with pytest.raises(SystemExit):
        load(EvalConfig, None, ["benchmark=table", "records=x", "model=tiny", "out=x", item])
    assert words in capsys.readouterr().err
