"""Fit a temperature to a model's label probabilities, for the service to tell calibrated ones.

    python -m eval.run --config configs/eval/synthetic.yaml model=runs/grpo mode=label split=val out=runs/eval/val
    python -m eval.calibrate runs/eval/val --out runs/grpo/calibration.json

The run must be of mode `label` on a validation split. On the test split a fit would spoil every later score, on the
training split it would believe the model; and in the other modes `eval.run` asks for the probabilities of an answer
that nobody thought or listed AUs before, which are not those that the service tells there. `facevlm.serve` applies the
file to answers of the same mode and labels when it lies beside the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.compare import protocol_of, read_run
from eval.frame.classification import said_and_true
from eval.frame.predictions import Prediction
from eval.frame.scoring import subjects
from facevlm.config import ConfigError, doc, load
from facevlm.metrics import bootstrap_all, ece
from facevlm.prompts import variant
from facevlm.reading.calibration import Calibration, fit_temperature, nll, tempered, write

FOLDS = 5
"""Parts of the people, each of which is judged by a temperature that was fitted on the others."""
FEWEST = 50
"""Faces below which a temperature is not worth its name: ECE of ten bins is mostly noise there."""


@dataclass(frozen=True)
class CalibrateConfig:
    run: list[str] = doc("folder of a finished run of mode label on a validation split; may stand alone on the "
                         "command line")  # fmt: skip
    out: str = doc("file to write: calibration.json beside the model")
    bootstrap: int = doc("resamples for the 95 % intervals", default=1000)
    seed: int = doc("of the folds and the resamples", default=0)

    def __post_init__(self) -> None:
        if len(self.run) != 1:
            raise ConfigError(f"{len(self.run)} runs given; one temperature is fitted on one run")
        if self.bootstrap < 1:
            raise ConfigError(f"bootstrap={self.bootstrap}: it starts at 1")


def usable(folder: Path) -> list[Prediction]:
    """The rows of a run that a temperature may be fitted on.

    Raises:
        ConfigError: another split or mode, or too few faces with a label and probabilities.
    """
    run = read_run(folder, folder.name)
    split = run.summary.get("split") or protocol_of(folder).split
    if split != "val":
        raise ConfigError(f"{folder} was run on {f'split {split!r}' if split else 'all splits'}; a temperature is "
                          "fitted on validation faces: run eval.run with split=val")  # fmt: skip
    if tasks := {row.task for row in run.rows} - {"label"}:
        raise ConfigError(f"{folder} asked {', '.join(sorted(tasks))}; run eval.run with mode=label")
    rows = [row for row in run.rows if row.judged and row.probabilities and said_and_true(row)[1] in row.probabilities]
    if len(rows) < FEWEST:
        raise ConfigError(f"{folder} holds {len(rows)} labelled faces with probabilities, {FEWEST} are the least; "
                          "probabilities=true and engine vllm or transformers give them")  # fmt: skip
    if len({frozenset(row.probabilities or ()) for row in rows}) > 1:
        raise ConfigError(f"{folder} offers different labels to different faces; calibrate one label set at a time")
    return rows


def calibrate(rows: Sequence[Prediction], repeats: int = 1000, seed: int = 0) -> tuple[Calibration, dict[str, Any]]:
    """The temperature of all rows; and what it is worth on people it was not fitted on.

    Returns:
        The calibration, and `before` and `after`: the ECE (ten bins of equal width) of the likeliest label and the
        NLL in nats, each with a 95 % interval over people. `after` is cross-fitted.
    """
    labels = tuple(rows[0].probabilities or ())
    p = np.array([[(row.probabilities or {})[label] for label in labels] for row in rows])
    truth = np.array([labels.index(said_and_true(row)[1]) for row in rows])
    people = subjects(rows)
    fold = np.array([variant(seed, row.id if who is None else who, FOLDS)
                     for row, who in zip(rows, people, strict=True)])  # fmt: skip
    crossed = p.copy()
    for i in np.unique(fold):
        if (fold != i).any():
            crossed[fold == i] = tempered(p[fold == i], fit_temperature(p[fold != i], truth[fold != i]))

    def error(q: NDArray[np.float64], faces: NDArray[np.int64]) -> float:
        return ece(np.clip(q[faces].max(1), 0, 1), q[faces].argmax(1) == truth[faces])

    statistics = {
        "ece_before": lambda faces: error(p, faces), "ece_after": lambda faces: error(crossed, faces),
        "nll_before": lambda faces: nll(p[faces], truth[faces]),
        "nll_after": lambda faces: nll(crossed[faces], truth[faces]),
    }  # fmt: skip
    measured = bootstrap_all(statistics, len(rows), people, repeats, seed)
    found = Calibration(fit_temperature(p, truth), "label", labels, len(rows))
    return found, {name: interval._asdict() for name, interval in measured.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config = load(CalibrateConfig, __doc__, argv, inputs="run")
    try:
        rows = usable(Path(config.run[0]))
        found, measured = calibrate(rows, config.bootstrap, config.seed)
        write(Path(config.out), found)
    except ConfigError as e:
        raise SystemExit(f"error: {e}") from e
    print(f"temperature {found.temperature:.3f} by {found.faces} faces")
    for name, label in (("ece", "ECE"), ("nll", "NLL")):
        before, after = (measured[f"{name}_{when}"] for when in ("before", "after"))
        print(f"{label} before {_shown(before)}, after {_shown(after)} (cross-fitted over people)")
    print(config.out)


def _shown(interval: dict[str, float]) -> str:
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


if __name__ == "__main__":
    main()
