"""Which faces are drawn: whole subjects with replacement, and the sums over what was drawn."""

from collections.abc import Hashable, Iterator, Sequence
from itertools import islice

import numpy as np

from facevlm.metrics.inputs import Floats, Indices

_BLOCK = 2**21
"""Weights held at a time: 16 MiB of them."""


def cluster_numbers(n: int, clusters: Sequence[Hashable | None] | None) -> Indices:
    """(n,) number of each face's cluster in the order they first occur; a face with None is one of its own.

    Raises:
        ValueError: clusters of another length.
    """
    if clusters is None:
        return np.arange(n)
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} clusters given for {n} faces; give the subject of every face, or None")
    numbers: dict[Hashable, int] = {}
    # A tuple is never equal to a face's number.
    return np.array([numbers.setdefault(i if cluster is None else (cluster,), len(numbers))
                     for i, cluster in enumerate(clusters)])  # fmt: skip


class Resamples:
    """The same seed draws the same clusters, whatever is computed from them."""

    def __init__(self, n: int, clusters: Sequence[Hashable | None] | None, repeats: int, seed: int):
        numbers = cluster_numbers(n, clusters)
        self.sizes = np.bincount(numbers)
        """(clusters,) faces in each."""
        self.count, self._repeats, self._seed = len(self.sizes), repeats, seed
        self._numbers, self._order = numbers, np.argsort(numbers, kind="stable")
        self._starts = np.cumsum(self.sizes) - self.sizes

    def _drawn(self) -> Iterator[Indices]:
        rng = np.random.default_rng(self._seed)
        for _ in range(self._repeats):
            yield rng.integers(self.count, size=self.count)

    def faces(self) -> Iterator[Indices]:
        """The numbers of the faces of each resample."""
        for drawn in self._drawn():
            sizes = self.sizes[drawn]
            ends = np.cumsum(sizes)
            yield self._order[np.arange(ends[-1]) + np.repeat(self._starts[drawn] - ends + sizes, sizes)]

    def times(self) -> Iterator[Floats]:
        """(n,) how often each face is in each resample."""
        for drawn in self._drawn():
            times = np.bincount(drawn, minlength=self.count).astype(np.float64)
            yield times if self.count == len(self._numbers) else times[self._numbers]

    def sums(self, marks: Floats) -> Floats:
        """(repeats, m) sums of the (faces, m) marks over each resample."""
        whole = marks if self.count == len(marks) else np.add.reduceat(marks[self._order], self._starts)
        result = np.empty((self._repeats, marks.shape[1]))
        draws, step = self._drawn(), max(1, _BLOCK // self.count)
        for start in range(0, self._repeats, step):
            times = [np.bincount(drawn, minlength=self.count) for drawn in islice(draws, step)]
            np.matmul(np.array(times, dtype=np.float64), whole, out=result[start : start + len(times)])
        return result
