"""Published numbers of a benchmark beside runs of our own, and what keeps them from being compared.

    python -m eval.leaderboard disfa runs/eval/mine runs/eval/theirs

The published numbers, with where each stands and by which protocol it was obtained as far as that is known, are in
`eval/leaderboard.yaml`. None of them was measured here; runs are folders of eval.run or eval.score.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eval.benchmarks import BENCHMARKS
from eval.frame.benchmark import Benchmark, Protocol, pick
from eval.pages.figures import METRICS, decimal, in_brackets
from facevlm.config import ConfigError, build, doc, load, plug, read_yaml

FILE = Path(__file__).with_suffix(".yaml")
NOT_STATED, DIFFERS = "not stated", "differs"


@dataclass(frozen=True)
class Published:
    """One number that somebody else published."""

    benchmark: str
    metric: str
    """A name in `figures.METRICS`."""
    model: str
    value: float
    """In the unit of the metric."""
    source: str
    """Where it stands."""
    protocol: str = NOT_STATED
    """The protocol of the benchmark by which it was obtained; or not stated, or that it differs from all of them."""
    training: Literal["tuned", "zero-shot", "not stated"] = "not stated"
    """Whether the model was trained on the set's own training part."""
    by: str = "its authors"
    """Who ran the model."""
    note: str = ""


def published(path: Path = FILE) -> list[Published]:
    """All published numbers.

    Raises:
        ConfigError: the file cannot be read, or a number names a source that is not in it.
    """
    values = read_yaml(path)
    found = [build(Published, one) for one in values.get("numbers", [])]
    sources: Mapping[str, str] = values.get("sources", {})
    if strange := sorted({one.source for one in found} - sources.keys()):
        raise ConfigError(f"{path}: no source is called {', '.join(strange)}")
    return [build(Published, {**vars(one), "source": sources[one.source]}) for one in found]


@dataclass(frozen=True)
class Ours:
    """A run of eval.run, eval.score or eval.pool."""

    name: str
    summary: Mapping[str, Any]


def read_ours(folder: Path, benchmark: Benchmark) -> Ours:
    """The run in a folder.

    Raises:
        ConfigError: there is none, or it is of another benchmark.
    """
    if not (folder / "summary.json").is_file():
        raise ConfigError(f"{folder} has no summary.json, so it is no finished run")
    summary = json.loads((folder / "summary.json").read_text())
    if summary.get("benchmark") != benchmark.name:
        raise ConfigError(f"{folder} is a run of benchmark {summary.get('benchmark')}, not of {benchmark.name}")
    return Ours(folder.name, summary)


def board(benchmark: Benchmark, numbers: Sequence[Published], runs: Sequence[Ours]) -> str:
    """The table of each metric that anybody published or a run has as its headline, best first."""
    theirs = [one for one in numbers if one.benchmark == benchmark.name]
    heads = [run.summary["headline"] for run in runs]
    metrics = dict.fromkeys((*(one.metric for one in theirs), *heads))
    tables = [_table(metric, [one for one in theirs if one.metric == metric], runs) for metric in metrics]
    return "\n\n".join(filter(None, tables)) or f"nobody's numbers on {benchmark.name} are known here"


def _table(metric: str, theirs: Sequence[Published], runs: Sequence[Ours]) -> str:
    shown = METRICS[metric]
    mine = [run for run in runs if run.summary.get(metric) is not None]
    if not theirs and not mine:
        return ""
    lines: list[tuple[float, list[str]]] = [(one.value, _their_line(one)) for one in theirs]
    lines += [(run.summary[metric], _our_line(run, metric)) for run in mine]
    lines.sort(key=lambda line: line[0], reverse=shown.best == "high")
    head = [shown.title, "", "whose", "model", "protocol", "training", "source"]
    table = [head, *(cells for _, cells in lines)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    text = ["  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
            for cells in table]  # fmt: skip
    return "\n".join([*text, *_warnings(theirs, mine)])


def _their_line(one: Published) -> list[str]:
    who = "" if one.by == "its authors" else f"; run by {one.by}"
    return [decimal(one.value), "", "theirs", one.model, one.protocol, one.training,
            f"{one.source}{who}" + (f"; {one.note}" if one.note else "")]  # fmt: skip


def _our_line(run: Ours, metric: str) -> list[str]:
    summary = run.summary
    aus = f" ({summary['au_protocol']})" if summary.get("au_protocol") else ""
    return [decimal(summary[metric]), in_brackets(summary, metric), "ours", f"{run.name}: {summary['model']}",
            f"{summary['protocol']}{aus}", "see the run",
            f"{summary['n']} faces, reader {summary['reader']}"]  # fmt: skip


def _warnings(theirs: Sequence[Published], mine: Sequence[Ours]) -> list[str]:
    """What keeps the numbers of one table from being compared."""
    found = []
    if unknown := sum(one.protocol == NOT_STATED for one in theirs):
        found.append(f"{unknown} of {len(theirs)} published numbers do not state their protocol: no comparison")
    if other := sum(one.protocol == DIFFERS for one in theirs):
        found.append(f"{other} of {len(theirs)} were obtained by another protocol than any here: no comparison")
    stated = {one.protocol for one in theirs} - {NOT_STATED, DIFFERS}
    for run in mine:
        name = run.summary["protocol"]
        if theirs and name not in stated:
            found.append(f"{run.name} was scored by {name}, by which no number here was published")
        found += [f"{run.name}: {caveat}" for caveat in run.summary.get("caveats", ())]
    return [f"note: {line}" for line in found]


def protocol_of(one: Published) -> Protocol | None:
    """The protocol that a published number names; None where it is not stated, or differs.

    Raises:
        ConfigError: it names a benchmark or a protocol that there is none of.
    """
    benchmark = plug(BENCHMARKS, one.benchmark, "benchmark")
    return None if one.protocol in (NOT_STATED, DIFFERS) else pick(benchmark, one.protocol)


@dataclass(frozen=True)
class BoardConfig:
    show: list[str] = doc("a benchmark, then folders of runs; may stand alone on the command line")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(BoardConfig, __doc__, argv, inputs="show")
    try:
        if not config.show:
            raise ConfigError(f"name a benchmark: {', '.join(BENCHMARKS)}")
        benchmark = plug(BENCHMARKS, config.show[0], "benchmark")
        runs = [read_ours(Path(folder), benchmark) for folder in config.show[1:]]
        print(board(benchmark, published(), runs))
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e


if __name__ == "__main__":
    main()
