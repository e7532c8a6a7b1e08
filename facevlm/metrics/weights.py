"""Metrics that need every face, and not only sums over them: those that rank faces, or count them in many cells.

A resample is how often each face was drawn. What does not depend on that, such as the order of the faces, is computed
once, so that a resample costs a pass over the faces and no sorting (`metrics.bootstrap`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facevlm.metrics.inputs import Floats, Indices


@dataclass(frozen=True, eq=False)
class WeightStatistic:
    """A metric of n faces, called like a function: all faces, or those at the indices (repeats count repeatedly)."""

    n: int
    finish: Callable[[Floats], float]
    """(n,) how often each face counts, whole numbers -> the value; nan where undefined."""

    def __call__(self, indices: Indices | None = None) -> float:
        drawn = np.ones(self.n) if indices is None else np.bincount(indices, minlength=self.n).astype(np.float64)
        return self.finish(drawn)


class Ranking:
    """Faces from the highest score to the lowest; those of equal score are one group."""

    def __init__(self, scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        starts = np.flatnonzero(np.diff(scores[self._order], prepend=np.nan) != 0)
        self._starts = starts if len(starts) < len(scores) else None

    def ordered(self, values: Floats) -> Floats:
        """(faces,) values in the order of the ranking."""
        return values[self._order]

    def sums(self, ordered: Floats) -> Floats:
        """(groups,) sums of ordered values over each group, that of the highest score first."""
        return ordered if self._starts is None else np.asarray(np.add.reduceat(ordered, self._starts))
