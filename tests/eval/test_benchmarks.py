from dataclasses import replace
from pathlib import Path

import pytest

from eval.benchmark import find_protocol, truth
from eval.benchmarks import BENCHMARKS
from eval.job import EvalConfig, ask
from facevlm.config import ConfigError, load
from facevlm.record import FaceRecord
from facevlm.vocab import LABEL_SETS, PROTOCOLS

ROOT = Path(__file__).parents[2]
FACE = FaceRecord("1", "set", "1.png", emotion="surprise", label_set="rafdb", aus={1: 1, 2: 0, 12: 3})


def test_every_file_of_the_shelf_is_in_the_table():
    files = {path.stem for path in (ROOT / "eval" / "benchmarks").glob("*.py")} - {"__init__"}
    assert files == set(BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_names_itself_and_things_that_exist(name):
    benchmark = BENCHMARKS[name]
    assert benchmark.name == name and benchmark.doc
    assert benchmark.protocol is None or benchmark.protocol in PROTOCOLS
    assert benchmark.label_set is None or benchmark.label_set in LABEL_SETS


def test_without_a_protocol_the_records_own_threshold_decides():
    assert truth(FACE, None) == ((1, 12), (1, 2, 12), 1)
    assert truth(replace(FACE, au_threshold=2), None).present == (12,)


def test_a_protocol_brings_its_aus_and_its_threshold():
    assert truth(FACE, PROTOCOLS["DISFA-8"]) == ((12,), (1, 2, 12), 2)
    assert truth(replace(FACE, aus={14: 5}), PROTOCOLS["DISFA-8"]) == ((), (), 2)


def test_an_unknown_protocol_is_refused_with_the_list():
    with pytest.raises(ConfigError, match="BP4D-12"):
        find_protocol("disfa")


def test_synthetic_keeps_only_its_label_set():
    keep = BENCHMARKS["synthetic"].keep
    assert not keep(FACE) and keep(replace(FACE, label_set="basic8")) and not keep(FaceRecord("1", "set", "1.png"))


def test_table_keeps_whatever_has_a_label():
    keep = BENCHMARKS["table"].keep
    assert keep(FACE) and keep(replace(FACE, aus={})) and not keep(FaceRecord("1", "set", "1.png"))


def test_only_what_the_labels_can_answer_is_asked():
    assert ask(FACE, "fast").parts == ("au", "answer")
    assert ask(replace(FACE, aus={}), "fast").parts == ("answer",)
    assert ask(replace(FACE, emotion=None), "label").text == ""
    assert "Emotions: surprise, fear, disgust, happiness, sadness, anger, neutral." in ask(FACE, "label").text


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "eval").rglob("*.yaml")), ids=lambda path: path.stem)
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
