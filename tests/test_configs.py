import importlib
import itertools
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_builders.sources import SOURCES
from eval.benchmarks import BENCHMARKS
from eval.fairness import FairnessConfig
from eval.faithfulness.job import FaithfulConfig
from eval.frame.job import EvalConfig
from facevlm import mix
from facevlm.config import load, plug
from facevlm.serve.settings import Config as ServeConfig

ROOT = Path(__file__).parent.parent
# accelerate's are read by its own launcher (tests/rl/test_recipes.py), studies by perf/study.py, deploy by others
# (tests/test_deploy.py).
FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*.yaml")
               if path.parent.name not in ("accelerate", "studies", "deploy"))  # fmt: skip
COMMANDS = {"data_builders.build", "data_builders.export", "facevlm.sft", "facevlm.analyze", "rl.grpo",
            "rl.self_improve", "eval.run", "facevlm.serve"}  # fmt: skip
LAUNCH = re.compile(r"^#   (?:accelerate launch(?: --\S+(?: [\w./-]+)?)*?|python) -m ([\w.]+) (--config .*)$")


def command(path: Path) -> str:
    """The command that a config belongs to, by its head comment; "" where it says none."""
    return next((module for module, argv in launch_lines(ROOT / path) if str(path) in files(argv)), "")


def files(argv: list[str]) -> list[str]:
    """The configs that a command line names: what is laid over another comes after it."""
    return [given for flag, given in itertools.pairwise(argv) if flag == "--config"]


def launch_lines(path: Path) -> list[tuple[str, list[str]]]:
    """Each launch line of the head comment: its module, and the arguments after it."""
    head = [line for line in path.read_text().partition("\n\n")[0].splitlines() if line.startswith("#")]
    return [(m[1], shlex.split(m[2])) for line in head if (m := LAUNCH.match(line))]


def own_line(path: Path) -> list[str]:
    """The arguments of the first launch line that names the config itself."""
    return next(argv for _, argv in launch_lines(path) if str(path) in files(argv))


def launches() -> list[Any]:
    return [pytest.param(module, argv, id=" ".join([str(path), *argv[2:]]))
            for path in FILES for module, argv in launch_lines(ROOT / path)]  # fmt: skip


ELSEWHERE: dict[str, type[Any]] = {"eval.run": EvalConfig, "eval.fairness": FairnessConfig,
                                  "eval.faithful": FaithfulConfig, "facevlm.serve": ServeConfig}  # fmt: skip
"""Commands whose keys stand in another file."""


def table(module: str) -> tuple[type[Any], Callable[[Any], object] | None]:
    """The dataclass of a command, and what checks the trainer's keys."""
    if module in ELSEWHERE:
        return ELSEWHERE[module], None
    room = importlib.import_module(module)
    return room.Config, getattr(room, "arguments", None)


def test_there_are_configs_for_every_command() -> None:
    assert {command(path) for path in FILES} >= COMMANDS


@pytest.mark.parametrize("path", FILES, ids=str)
def test_head_comment_says_how_to_launch_this_very_file(path: Path) -> None:
    assert command(path), f"{path} has no line such as '#   python -m … --config {path}' in its head comment"
    if command(path) in ("facevlm.sft", "rl.grpo"):
        assert "accelerate launch" in (ROOT / path).read_text()


@pytest.mark.parametrize(("module", "argv"), launches())
def test_every_launch_line_gives_a_config(module: str, argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HOME", os.devnull)  # a line may name a folder below the reader's home
    cls, arguments = table(module)
    config = load(cls, "", argv)
    if arguments is not None:
        arguments(config)


@pytest.mark.parametrize("path", [p for p in FILES if command(p) in ("data_builders.build", "eval.run", "facevlm.sft",
                                                                "rl.grpo")], ids=str)  # fmt: skip
def test_what_a_config_names_is_on_its_shelf(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = load(table(command(path))[0], "", own_line(path))
    if command(path) == "data_builders.build":
        plug(SOURCES, config.source, "source")
    elif command(path) == "eval.run":
        plug(BENCHMARKS, config.benchmark, "benchmark")
    elif command(path) == "facevlm.sft":
        mix.check(config.tasks, config.per_record, config.balance)
    else:
        from rl.rewards import REWARDS

        for name in config.rewards:
            plug(REWARDS, name, "reward")
