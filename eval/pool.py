"""Lay the runs of several folds together: each tests other people, and no model was trained on those it tests.

    python -m eval.pool runs/eval/disfa-1 runs/eval/disfa-2 runs/eval/disfa-3 --out runs/eval/disfa

For folds by person, an owner's folds and leave-one-subject-out alike. Writes summary.json (all answers scored
together, with intervals; under `over_folds` each run and the mean over runs, as papers give it), predictions.jsonl,
predictions.parquet and report.html.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.compare import protocol_of, read_run
from eval.frame.benchmark import Protocol
from eval.frame.predictions import Prediction
from eval.frame.result import write_result
from eval.frame.scoring import fold_means, score, subjects, values
from eval.pages.figures import Run, headline
from facevlm.config import ConfigError, doc, load, write_resolved


@dataclass(frozen=True)
class PoolConfig:
    runs: list[str] = doc("folders of finished runs, one for each fold; may stand alone on the command line")
    out: str = doc("folder to write to")
    bootstrap: int = doc("resamples for the 95 % intervals; 0 = none", default=1000)
    seed: int = doc("of the resamples", default=0)

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise ConfigError(f"{len(self.runs)} run given; pooling takes one for each fold, at least two")
        if self.bootstrap < 0:
            raise ConfigError(f"bootstrap={self.bootstrap}: it starts at 0")
        if any(Path(self.out).resolve() == Path(run).resolve() for run in self.runs):
            raise ConfigError(f"out={self.out} is one of the runs; name another folder")


def _apart(runs: Sequence[Run]) -> None:
    """Raises ConfigError where two runs test one face, or one person."""
    faces: list[set[object]] = [{row.key for row in run.rows} for run in runs]
    people: list[set[object]] = [{name for name in subjects(run.rows) if name is not None} for run in runs]
    for names in (faces, people):
        for i, some in enumerate(names):
            for j in range(i):
                if both := some & names[j]:
                    raise ConfigError(f"{runs[j].name} and {runs[i].name} both test {len(both)} of the same, e.g. "
                                      f"{min(map(str, both))}: folds share no face and no person")  # fmt: skip


_ALIKE = ("mode", "task", "reader", "max_pixels", "max_new_tokens", "prompt", "engine")


def _alike(config: PoolConfig, runs: Sequence[Run]) -> Protocol:
    """The protocol of all runs.

    Raises:
        ConfigError: they differ in it, or in how the model was asked.
    """
    protocols = [protocol_of(Path(folder)) for folder in config.runs]
    for run, one in zip(runs[1:], protocols[1:], strict=True):
        if (one.name, one.aus) != (protocols[0].name, protocols[0].aus):
            raise ConfigError(f"{runs[0].name} was scored by protocol {protocols[0].name}, {run.name} by {one.name}")
        if odd := [key for key in _ALIKE if run.summary.get(key) != runs[0].summary.get(key)]:
            raise ConfigError(f"{runs[0].name} and {run.name} differ in {', '.join(odd)}; run them alike")
    return protocols[0]


def pool(config: PoolConfig) -> dict[str, Any]:
    """Check, score together, report. Returns what summary.json holds.

    Raises:
        ConfigError: a run is not finished, or the runs share faces or people, or were not made alike.
    """
    runs = [read_run(Path(folder), Path(folder).name) for folder in config.runs]
    protocol = _alike(config, runs)
    _apart(runs)
    rows: list[Prediction] = [row for run in runs for row in run.rows]
    first = runs[0].summary
    scores = score(rows, protocol, config.bootstrap, config.seed)
    models = [run.summary["model"] for run in runs]
    found = ["one model tests several folds: fair only if trained on none"] if len(set(models)) < len(models) else []
    if protocol.faces is not None and len(rows) != protocol.faces:
        found.append(f"{len(rows)} faces of {protocol.faces} that the whole test has")
    kept = ("benchmark", "protocol", "doc", "source", "headline", "au_protocol", "split", *_ALIKE, "versions")
    seconds, tokens = sum(run.summary["seconds"] or 0 for run in runs), sum(row.completion_tokens for row in rows)
    # Of predictions from elsewhere nobody knows how long they took.
    speed = {"images_per_second": len(rows) / seconds if seconds else None, "seconds": seconds or None,
             "tokens_per_image": tokens / len(rows) if tokens else None}  # fmt: skip
    summary = {
        **{key: first.get(key) for key in kept}, "model": ", ".join(models), **scores, **speed,
        "caveats": [*found, *scores["caveats"]], "skipped": None,
        "over_folds": fold_means([values(run.rows, protocol) for run in runs]),
    }  # fmt: skip
    out = Path(config.out)
    write_resolved(config, out)
    write_result(out, summary, rows, None, gallery=0, seed=config.seed)
    return summary


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(PoolConfig, __doc__, argv, inputs="runs")
    try:
        summary = pool(config)
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    name = summary["headline"]
    mean = summary["over_folds"]["mean"].get(name)
    print(headline([(Path(config.out).name, summary)]))
    print(f"mean over {len(config.runs)} folds, {name}: " + ("none" if mean is None else f"{mean:.3f}"))
    print("".join(f"note: {caveat}\n" for caveat in summary["caveats"]) + f"{config.out}/report.html")


if __name__ == "__main__":
    main()
