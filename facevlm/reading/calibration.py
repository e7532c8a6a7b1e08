"""Label probabilities that mean what they say: a temperature fitted on validation faces, kept beside the model.

Temperature scaling (Guo et al. 2017, ICML, section 4.2): p_i ** (1 / T), renormalised. The order of the labels stays.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facevlm.answer import MODES, Mode
from facevlm.checkpoint import folder
from facevlm.config import ConfigError
from facevlm.record import whole_file

FILE = "calibration.json"
"""Beside a model's weights."""

_LOW, _HIGH = 1 / 20, 20.0
"""The temperatures that are looked at: beyond them the fit says that the labels, or the model, are of no use."""
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted temperature, and what it holds for."""

    temperature: float
    mode: Mode
    """The mode of the questions whose probabilities it was fitted on, and the only one it holds for."""
    labels: tuple[str, ...]
    """The labels that were on offer."""
    faces: int
    """How many faces it was fitted on."""

    def fits(self, mode: str, labels: Sequence[str]) -> bool:
        """Whether it holds for a question."""
        return mode == self.mode and set(labels) == set(self.labels)

    def apply(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """The calibrated probabilities, summing to 1."""
        scaled = tempered(np.array([list(probabilities.values())]), self.temperature)[0]
        return dict(zip(probabilities, scaled.tolist(), strict=True))


def tempered(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """(faces, labels) probabilities at a temperature; each row sums to 1."""
    logits = np.log(np.maximum(probabilities, _TINY)) / temperature
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def nll(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of the true labels in nats; `truth` holds their columns."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], _TINY)).mean())


def fit_temperature(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The temperature, 1/20 to 20, at which the true labels are likeliest.

    The likelihood is convex in 1 / T, so its slope is bisected.

    Args:
        probabilities: (faces, labels), rows summing to 1.
        truth: (faces,) columns of the true labels.

    Raises:
        ValueError: shapes that do not belong together, or no face.
    """
    if probabilities.ndim != 2 or truth.shape != (len(probabilities),) or not len(truth):
        raise ValueError(f"probabilities of shape {probabilities.shape} and truth of shape {truth.shape} given; "
                         "(faces, labels) and (faces,) are wanted, with at least one face")  # fmt: skip
    logs = np.log(np.maximum(probabilities, _TINY))
    right = logs[np.arange(len(truth)), truth].mean()

    def slope(inverse: float) -> float:
        return float((tempered(probabilities, 1 / inverse) * logs).sum(1).mean() - right)

    low, high = 1 / _HIGH, 1 / _LOW
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / math.sqrt(low * high)


def write(target: Path, calibration: Calibration) -> None:
    """Write a calibration file; it is whole or absent."""
    with whole_file(target) as draft:
        draft.write_text(json.dumps(asdict(calibration), indent=2) + "\n")


def read(model: str) -> Calibration | None:
    """The calibration beside a model; None where there is none.

    Raises:
        ConfigError: there is a file, and it is not one of ours.
    """
    file = folder(model) / FILE
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text())
        read = Calibration(float(found["temperature"]), found["mode"], tuple(found["labels"]), int(found["faces"]))
        if read.mode not in MODES or not _LOW <= read.temperature <= _HIGH:
            raise ValueError(f"temperature {read.temperature}, mode {read.mode!r}")
    except (ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{file} is no calibration ({e}); make it anew by `python -m eval.calibrate`") from e
    return read
