"""A mean with its interval by person, how much it rests on, and why it has no value where it has none."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from facevlm.metrics import bootstrap, mean_of

FEW = 30
"""Fewer faces or claims than this are said to be few."""
FEW_PEOPLE = 10
"""Fewer people than this make an interval too narrow: a bootstrap of few clusters covers less than it says
(Cameron, Gelbach & Miller 2008, Review of Economics and Statistics 90:414)."""


class Number(NamedTuple):
    """A mean over faces or claims."""

    value: float | None
    low: float | None
    """Lower end of the 95 % interval; None = there is none."""
    high: float | None
    n: int
    people: int
    why: str = ""
    """Why there is no value."""

    def plain(self) -> dict[str, Any]:
        """As summary.json holds it."""
        if self.value is None:
            return {"value": None, "why": self.why, "n": self.n}
        return {"value": self.value, "ci95": [self.low, self.high], "n": self.n, "people": self.people}

    @property
    def few(self) -> str:
        """What must be said beside a number that rests on little; nothing where it does not."""
        if self.value is None or (self.n >= FEW and self.people >= FEW_PEOPLE):
            return ""
        return f"rests on {self.n} only, of {self.people} {'person' if self.people == 1 else 'people'}"


def _end(value: float) -> float | None:
    return None if math.isnan(value) else value


def measured(values: Sequence[float | None], whose: Sequence[str], repeats: int, seed: int, lacking: str) -> Number:
    """The mean of the values that are not None, resampled by person.

    Args:
        values: one a face or claim; None = it does not apply there.
        whose: whose face each is about.
        repeats: resamples; 0 = no interval.
        lacking: why there is no number, where no value applies.
    """
    there = [(value, who) for value, who in zip(values, whose, strict=True) if value is not None]
    if not there:
        return Number(None, None, None, 0, 0, lacking)
    mean, people = mean_of([value for value, _ in there]), [who for _, who in there]
    if not repeats:
        return Number(mean(), None, None, len(there), len(set(people)))
    value, low, high = bootstrap(mean, len(there), people, repeats, seed)
    return Number(value, _end(low), _end(high), len(there), len(set(people)))


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return float(np.mean(values)) if values else None
