"""What scores are made of: a metric, a statistic that can be resampled, and what one kind of scoring gives."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from eval.frame.predictions import Prediction
from facevlm import metrics


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is shown."""

    title: str
    note: str
    """What it is, in a few words."""
    best: Literal["high", "low"] = "high"
    low: float = 0.0
    """The lower end of its scale; above it a bar begins."""
    high: float | None = 1.0
    """The upper end of its scale; None = it has none, and no bar is drawn."""


class Frame(NamedTuple):
    """What a protocol fixes about the tables of a score."""

    classes: tuple[str, ...]
    """Classes in their order; others that occur follow."""
    aus: tuple[int, ...]


class Statistic(NamedTuple):
    """A metric that can be resampled: `function` takes face numbers, `subjects` says whose faces they are."""

    function: metrics.Statistic
    subjects: list[str | None]


@dataclass(frozen=True, slots=True)
class Scores:
    """What one kind of scoring says about some faces."""

    statistics: Mapping[str, metrics.Statistic]
    """By metric: takes the numbers of the faces drawn (0..faces-1, some repeatedly). A `metrics.SumStatistic` or a
    `metrics.WeightStatistic` is resampled much faster than another function."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """The tables behind the numbers, JSON-able; what is a list of mappings alike is drawn as a table."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many faces the truth has of each class, AU or attribute."""
    caveats: Sequence[str] = ()
    """What was found that a reader of the numbers must know."""
    undefined: Mapping[str, str] = field(default_factory=dict)
    """Why a metric has no value on these faces, where that is known."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """One kind of scoring: which faces it looks at, and what it says about them."""

    metrics: Mapping[str, Metric]
    applies: Callable[[Prediction], bool]
    """Whether a face is scored; it depends on the labels and the question, never on the answer."""
    score: Callable[[Sequence[Prediction], Frame], Scores]
    """Called with at least one face, all of which `applies` took."""
    lacking: str
    """What it means if no face is scored."""


def number(value: float) -> float | None:
    """The value, or None where it is undefined: JSON has no nan."""
    return None if math.isnan(value) else value


def plain(score: Any) -> dict[str, Any]:
    """A named tuple of a table as a mapping that JSON can hold."""
    return {name: number(v) if isinstance(v, float) else v for name, v in score._asdict().items()}
