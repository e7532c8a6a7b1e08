"""Lay several finished runs over the same faces side by side, with paired differences.

    python -m eval.compare runs/eval/base runs/eval/sft runs/eval/grpo --out runs/eval/compare --names base,sft,grpo

Writes summary.json (each run's summary under its name, `differences` and `flipped`) and report.html into `out`.
Differences are resampled together, subject by subject: two separate intervals may overlap although the difference is
clear. Their p values come from swapping the two models' answers subject by subject, and are raised for how many
differences are looked at (Holm). What `eval.fairness` and `eval.faithful` left in the runs' folders (fairness/,
faithful/) is shown beside, and stands in summary.json as `fairness` and `faithfulness`. Predictions from elsewhere
that eval.score has scored are runs as any other.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.frame.benchmark import Protocol
from eval.frame.beside import beside, in_short
from eval.frame.folders import read_together
from eval.frame.job import EvalConfig, find
from eval.frame.predictions import Key, Prediction, read_predictions
from eval.frame.scoring import score, statistics
from eval.frame.statistic import Statistic, number
from eval.pages.figures import Run, difference_in_words, headline
from eval.pages.flips import counts, in_words, pairs
from eval.pages.report import write_report
from eval.scores import SCORES
from facevlm.config import ConfigError, build, doc, load, write_resolved
from facevlm.metrics import SumStatistic, holm, paired_bootstrap, permutation_test
from facevlm.record import RecordSet, whole_file


@dataclass(frozen=True)
class CompareConfig:
    runs: list[str] = doc("folders of finished runs, the one to start from first; may stand alone on the command line")
    out: str = doc("folder to write to")
    names: str = doc("names of the runs, separated by commas; empty = their folders' names", default="")
    common: bool = doc("score only the faces that all runs share, where they differ", default=False)
    bootstrap: int = doc("resamples for the 95 % intervals", default=1000)
    swaps: int = doc("random swaps for the p values; 0 = none", default=10_000)
    seed: int = doc("of the resamples and of the gallery", default=0)
    gallery: int = doc("faces shown in the report; 0 = none", default=24)

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise ConfigError(f"{len(self.runs)} run given; comparing takes at least two")
        if self.bootstrap < 1 or self.gallery < 0 or self.swaps < 0:
            raise ConfigError(f"bootstrap={self.bootstrap}, gallery={self.gallery}, swaps={self.swaps}: the first "
                              "starts at 1, the others at 0")  # fmt: skip


def name_runs(config: CompareConfig) -> list[str]:
    """The names of the runs.

    Raises:
        ConfigError: not one for each, one twice, or one that summary.json needs for itself.
    """
    given = [name.strip() for name in config.names.split(",")] if config.names else []
    names = given or [Path(run).name for run in config.runs]
    if len(names) != len(config.runs):
        raise ConfigError(f"{len(names)} names ({config.names}) for {len(config.runs)} runs; give one for each")
    if len(set(names)) < len(names) or not all(names) or {"differences", "flipped"} & set(names):
        raise ConfigError(f"names {', '.join(names)} must differ, none empty or called 'differences' or 'flipped'; "
                          "set names=a,b")  # fmt: skip
    return names


def read_run(folder: Path, name: str) -> Run:
    """A finished run as `eval.run` left it.

    Raises:
        ConfigError: not there, or not finished.
    """
    for file in ("summary.json", "predictions.jsonl", "run.json"):
        if not (folder / file).is_file():
            raise ConfigError(f"{folder} has no {file}, so it is no finished run; finish it with `python -m eval.run`")
    return Run(name, json.loads((folder / "summary.json").read_text()), read_predictions(folder / "predictions.jsonl"))


def protocol_of(folder: Path) -> Protocol:
    """The protocol that a run was scored by.

    Raises:
        ConfigError: it was made by another version, which had other keys or protocols.
    """
    return find(build(EvalConfig, json.loads((folder / "run.json").read_text())["config"]))[1]


def _gold(row: Prediction) -> tuple[object, ...]:
    # Two modes may ask for different parts of one truth, so only what both asked for must agree.
    return row.gold_aus, row.labelled_aus, row.error is None


def _agree(a: Prediction, b: Prediction) -> bool:
    return _gold(a) == _gold(b) and (None in (a.gold, b.gold) or a.gold == b.gold)


def align(runs: Sequence[Run], common: bool) -> list[Run]:
    """The runs over the same faces in the same order.

    Raises:
        ConfigError: they hold different faces and `common` is off, none in common, or their truths differ.
    """
    tables: list[dict[Key, Prediction]] = [{row.key: row for row in run.rows} for run in runs]
    shared = [key for key in tables[0] if all(key in table for table in tables)]
    for run, table in zip(runs, tables, strict=True):
        missing = set().union(*tables) - table.keys()
        if missing and not common:
            raise ConfigError(f"{run.name} lacks {len(missing)} faces that others have, e.g. {min(missing)[1]}; "
                              "add common=true to score only those that all runs share")  # fmt: skip
    if not shared:
        raise ConfigError(f"{', '.join(run.name for run in runs)} have no face in common; evaluate the same records")
    for run, table in zip(runs[1:], tables[1:], strict=True):
        if odd := [key for key in shared if not _agree(table[key], tables[0][key])]:
            raise ConfigError(f"{runs[0].name} and {run.name} hold {len(odd)} faces to different truths, e.g. "
                              f"{odd[0][1]}: labels, protocol or pictures changed; evaluate them alike")  # fmt: skip
    return [run._replace(rows=[table[key] for key in shared]) for run, table in zip(runs, tables, strict=True)]


def rescore(run: Run, before: int, protocol: Protocol, config: CompareConfig) -> Run:
    """The run with its numbers over fewer faces; unchanged if it lost none of `before`."""
    if len(run.rows) == before:
        return run
    scores = score(run.rows, protocol, config.bootstrap, config.seed)
    fewer = f"only the {len(run.rows)} of {before} faces that all runs share"
    return run._replace(summary={**run.summary, **scores, "caveats": [fewer, *scores["caveats"]], "over_folds": None})


def compared(protocol: Protocol) -> list[str]:
    """The metrics whose differences are given: the headline, of each thing scored the first, and of confidence."""
    firsts = [next(iter(SCORES[kind].metrics)) for kind in (*protocol.scores, "confidence")]
    return list(dict.fromkeys((protocol.headline, *firsts)))


def _paired(a: Run, b: Run, metric: str) -> tuple[Sequence[Prediction], Sequence[Prediction]]:
    """The rows to compare; for confidence those of the faces whose probabilities both runs have."""
    if metric not in SCORES["confidence"].metrics:
        return a.rows, b.rows
    both = [i for i, rows in enumerate(zip(a.rows, b.rows, strict=True)) if all(row.probabilities for row in rows)]
    return [a.rows[i] for i in both], [b.rows[i] for i in both]


def difference(a: Run, b: Run, metric: str, protocol: Protocol, config: CompareConfig) -> dict[str, Any] | None:
    """How much higher b is than a, paired over the same faces; None where the metric does not apply to both."""
    both = [statistics(rows, protocol).get(metric) for rows in _paired(a, b, metric)]
    if both[0] is None or both[1] is None:
        return None
    clusters = both[0].subjects
    if len(clusters) != len(both[1].subjects):
        return None
    value, low, high = paired_bootstrap(both[0].function, both[1].function, len(clusters), clusters, config.bootstrap,
                                        config.seed)  # fmt: skip
    interval = [number(low), number(high)]
    return {"a": a.name, "b": b.name, "metric": metric, "value": number(value), "ci95": interval, "n": len(clusters),
            "p": _chance(both[0], both[1], config), "p_holm": None}  # fmt: skip


def _chance(a: Statistic, b: Statistic, config: CompareConfig) -> float | None:
    """How likely a difference as large is if the models were interchangeable; None where nothing can be swapped.

    That is where a metric is no sum over faces (a correlation of ranks, say), or the runs' tables have other classes.
    """
    one, other = a.function, b.function
    if not (config.swaps and isinstance(one, SumStatistic) and isinstance(other, SumStatistic)
            and one.marks.shape == other.marks.shape):  # fmt: skip
        return None
    return number(permutation_test(one, other, a.subjects, config.swaps, config.seed).p)


def differences(runs: Sequence[Run], protocol: Protocol, config: CompareConfig) -> list[dict[str, Any]]:
    """Each run against the one before it, and the last against the first; p raised for all that are given."""
    found = [difference(a, b, metric, protocol, config) for metric in compared(protocol) for a, b in pairs(runs)]
    given = [one for one in found if one is not None]
    tested = [one for one in given if one["p"] is not None]
    for one, raised in zip(tested, holm([one["p"] for one in tested]) if tested else (), strict=True):
        one["p_holm"] = raised
    return given


def _same_protocol(config: CompareConfig) -> Protocol:
    protocols = [protocol_of(Path(folder)) for folder in config.runs]
    if odd := [i for i, one in enumerate(protocols) if (one.name, one.aus) != (protocols[0].name, protocols[0].aus)]:
        one, other = (f"{config.runs[i]} by protocol {protocols[i].name} ({protocols[i].aus})" for i in (0, odd[0]))
        raise ConfigError(f"{one} and {other} were scored; score both by one: their answers are kept")
    return protocols[0]


def _faces(folder: Path) -> RecordSet | None:
    """The records the run asked about, for their pictures; None if they are no longer there."""
    config = json.loads((folder / "run.json").read_text())["config"]
    try:
        return read_together(config["records"])
    except (FileNotFoundError, ValueError):
        return None


def compare(config: CompareConfig) -> dict[str, Any]:
    """Read, align, score, report. Returns what summary.json holds.

    Raises:
        ConfigError: see `name_runs`, `read_run`, `align` and `protocol_of`; or the runs' protocols differ.
    """
    found = [read_run(Path(f), name) for f, name in zip(config.runs, name_runs(config), strict=True)]
    protocol, aligned = _same_protocol(config), align(found, config.common)
    out = Path(config.out)
    runs = [rescore(run, len(whole.rows), protocol, config)._replace(beside=beside(Path(folder), out))
            for folder, run, whole in zip(config.runs, aligned, found, strict=True)]  # fmt: skip
    apart = differences(runs, protocol, config)
    summary: dict[str, Any] = {run.name: {**run.summary, **in_short(run.beside)} for run in runs}
    summary |= {"differences": apart, "flipped": counts(runs)}
    write_resolved(config, out)
    with whole_file(out / "summary.json") as draft:
        draft.write_text(json.dumps(summary, indent=2) + "\n")
    write_report(out / "report.html", runs, _faces(Path(config.runs[-1])), apart, config.gallery, config.seed)
    return summary


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(CompareConfig, __doc__, argv, inputs="runs")
    try:
        summary = compare(config)
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    lines = [headline([(name, summary[name]) for name in name_runs(config)])]
    lines += [difference_in_words(one) for one in summary["differences"]]
    lines += [in_words(one) for one in summary["flipped"]]
    print("\n".join([*lines, f"{config.out}/report.html"]))


if __name__ == "__main__":
    main()
