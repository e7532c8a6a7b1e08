"""How sure is the number? Percentile bootstrap over subjects, of one model and of the difference of two."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from facevlm.metrics.inputs import Floats, Statistic
from facevlm.metrics.resampling import Resamples
from facevlm.metrics.sums import SumStatistic
from facevlm.metrics.weights import WeightStatistic


class Interval(NamedTuple):
    """A value and its confidence interval, in the value's own unit."""

    value: float
    low: float
    high: float


def _check(n: int, repeats: int, level: float) -> None:
    if n < 1 or repeats < 1 or not 0 < level < 1:
        raise ValueError(f"n={n}, repeats={repeats}, level={level} given; n and repeats start at 1, level lies in 0-1")


def _resampled(statistics: Sequence[Statistic], n: int, resamples: Resamples, repeats: int) -> Floats:
    """(statistics, repeats) values. Those of one table share its sums, the others are scored resample by resample."""
    values = np.empty((len(statistics), repeats))
    tables: dict[int, Floats] = {}
    for statistic in statistics:
        if isinstance(statistic, SumStatistic):
            if len(statistic.marks) != n:
                raise ValueError(f"a metric of {len(statistic.marks)} faces given for n={n}; resample all it has")
            tables[id(statistic.marks)] = statistic.marks
    if tables:
        ends = np.cumsum([marks.shape[1] for marks in tables.values()])[:-1]
        sums = dict(zip(tables, np.split(resamples.sums(np.hstack(list(tables.values()))), ends, axis=1), strict=True))
    weighed, others = [], []
    for i, statistic in enumerate(statistics):
        if isinstance(statistic, SumStatistic):
            values[i] = statistic.finish(sums[id(statistic.marks)])
        elif isinstance(statistic, WeightStatistic):
            if statistic.n != n:
                raise ValueError(f"a metric of {statistic.n} faces given for n={n}; resample all it has")
            weighed.append((i, statistic))
        else:
            others.append((i, statistic))
    if weighed:
        for j, times in enumerate(resamples.times()):
            for i, statistic in weighed:
                values[i, j] = statistic.finish(times)
    if others:
        for j, faces in enumerate(resamples.faces()):
            for i, statistic in others:
                values[i, j] = statistic(faces)
    return values


def _interval(value: float, values: Floats, clusters: int, level: float) -> Interval:
    values = values[~np.isnan(values)]
    if not values.size or clusters == 1:
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(value, low, high)


def bootstrap_all(statistics: Mapping[str, Statistic], n: int, clusters: Sequence[Hashable | None] | None = None,
                  repeats: int = 1000, seed: int = 0, level: float = 0.95) -> dict[str, Interval]:  # fmt: skip
    """The intervals of several statistics of the same n faces, drawn once for all of them; see `bootstrap`."""
    _check(n, repeats, level)
    resamples = Resamples(n, clusters, repeats, seed)
    values = _resampled(list(statistics.values()), n, resamples, repeats)
    return {name: _interval(float(statistic(np.arange(n))), row, resamples.count, level)
            for (name, statistic), row in zip(statistics.items(), values, strict=True)}  # fmt: skip


def bootstrap(statistic: Statistic, n: int, clusters: Sequence[Hashable | None] | None = None,
              repeats: int = 1000, seed: int = 0, level: float = 0.95) -> Interval:  # fmt: skip
    """Percentile bootstrap interval of a statistic of n faces.

    Args:
        statistic: takes the numbers (int array, 0..n-1, some repeatedly) of the faces drawn. A `SumStatistic`, such as
            `table.macro_f1`, is scored for all resamples at once, a `WeightStatistic`, such as `auc_of`, without
            sorting each of them; with the same result.
        n: how many faces there are.
        clusters: subject of each face. Whole subjects are drawn, since faces of one person are not independent:
            drawing faces would give intervals that are far too narrow. A face with None stands for itself.
        repeats: how many resamples.
        seed: the same seed gives the same interval, and the same resamples for another statistic.
        level: share (0-1) of resamples that the interval holds.

    Returns:
        The value over all faces, low and high. Resamples with an undefined statistic are left out; low and high
        are nan if none is left or there is only one cluster to draw from.

    Raises:
        ValueError: n < 1, clusters of another length, repeats < 1, or a level outside 0-1.

    Source: Efron & Tibshirani 1993, ch. 13; clusters: Davison & Hinkley 1997, section 3.8.
    """
    return bootstrap_all({"": statistic}, n, clusters, repeats, seed, level)[""]


def resampled(statistics: Sequence[Statistic], n: int, clusters: Sequence[Hashable | None] | None = None,
              repeats: int = 1000, seed: int = 0) -> Floats:  # fmt: skip
    """(statistics, repeats) values of several statistics of the same n faces over the same resamples; see `bootstrap`.

    For what one interval at a time does not tell, such as how far the best of several subgroups is from the worst.
    """
    _check(n, repeats, 0.95)
    return _resampled(statistics, n, Resamples(n, clusters, repeats, seed), repeats)


def paired_bootstrap(statistic_a: Statistic, statistic_b: Statistic, n: int,
                     clusters: Sequence[Hashable | None] | None = None, repeats: int = 1000, seed: int = 0,
                     level: float = 0.95) -> Interval:  # fmt: skip
    """Interval of the difference b - a of two models on the same n faces, resampled together; see `bootstrap`.

    Two separate intervals may overlap although the difference is clear: pairing takes out how hard the faces are.
    Two subgroups of one model's faces are compared in the same way, with `SumStatistic.within`.
    """
    _check(n, repeats, level)
    resamples = Resamples(n, clusters, repeats, seed)
    a, b = _resampled([statistic_a, statistic_b], n, resamples, repeats)
    everyone = np.arange(n)
    return _interval(float(statistic_b(everyone)) - float(statistic_a(everyone)), b - a, resamples.count, level)
