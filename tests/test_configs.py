import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_builders import build, export
from data_builders.sources import SOURCES
from eval.benchmarks import BENCHMARKS
from eval.job import EvalConfig
from facevlm import analyze, mix
from facevlm.config import load, plug

ROOT = Path(__file__).parent.parent
FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*.yaml"))
COMMANDS = {  # folder, or name in configs/quickstart: the command that reads it
    "data": "data_builders.build", "sft": "facevlm.sft", "rl": "rl.grpo", "grpo": "rl.grpo", "eval": "eval.run",
    "analyze": "facevlm.analyze", "export": "data_builders.export",
}  # fmt: skip
LAUNCH = re.compile(r"^#   (?:accelerate launch(?: --\S+(?: [\w.]+)?)*?|python) -m ([\w.]+) (--config .*)$")


def command(path: Path) -> str:
    """The command that a config belongs to."""
    return COMMANDS[path.stem if path.parts[1] == "quickstart" else path.parts[1]]


def launch_lines(path: Path) -> list[tuple[str, list[str]]]:
    """Each launch line of the head comment: its module, and the arguments after it."""
    head = [line for line in path.read_text().partition("\n\n")[0].splitlines() if line.startswith("#")]
    return [(m[1], shlex.split(m[2])) for line in head if (m := LAUNCH.match(line))]


def launches() -> list[Any]:
    return [pytest.param(path, argv, id=" ".join([str(path), *argv[2:]]))
            for path in FILES for _, argv in launch_lines(ROOT / path)]  # fmt: skip


def table(module: str) -> tuple[type[Any], Callable[[Any], object] | None]:
    """The dataclass of a command, and what checks the trainer's keys."""
    if module == "facevlm.sft":
        from facevlm import sft

        return sft.Config, sft.arguments
    if module == "rl.grpo":
        from rl import grpo

        return grpo.Config, grpo.arguments
    light = {"data_builders.build": build.Config, "eval.run": EvalConfig, "facevlm.analyze": analyze.Config,
             "data_builders.export": export.Config}
    return light[module], None


def test_there_are_configs_for_every_command() -> None:
    assert {command(path) for path in FILES} == set(COMMANDS.values())


@pytest.mark.parametrize("path", FILES, ids=str)
def test_head_comment_says_how_to_launch_this_very_file(path: Path) -> None:
    lines = launch_lines(ROOT / path)
    assert lines, f"{path} has no line such as '#   python -m {command(path)} --config {path}' in its head comment"
    assert {(module, *argv[:2]) for module, argv in lines} == {(command(path), "--config", str(path))}
    if command(path) in ("facevlm.sft", "rl.grpo"):
        assert "accelerate launch" in (ROOT / path).read_text()


@pytest.mark.parametrize(("path", "argv"), launches())
def test_every_launch_line_gives_a_config(path: Path, argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HOME", os.devnull)  # a line may name a folder below the reader's home
    cls, arguments = table(command(path))
    config = load(cls, "", argv)
    if arguments is not None:
        arguments(config)


@pytest.mark.parametrize("path", [p for p in FILES if command(p) in ("data_builders.build", "eval.run", "facevlm.sft",
                                                                "rl.grpo")], ids=str)  # fmt: skip
def test_what_a_config_names_is_on_its_shelf(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = load(table(command(path))[0], "", launch_lines(path)[0][1])
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
