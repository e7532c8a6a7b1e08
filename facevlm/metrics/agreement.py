"""Do two models, or several people, grade alike? Cohen's kappa of two, Krippendorff's alpha of any number."""

import math
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np

from facevlm.metrics.inputs import Floats, Indices, pairs, ratio


def kappa(predicted: Sequence[int] | Indices, truth: Sequence[int] | Indices, levels: int,
          weights: Literal["quadratic", "linear", "none"] = "quadratic") -> float:  # fmt: skip
    """Cohen's kappa of two gradings in 0..levels-1, at most 1; nan if both use one and the same grade only.

    Source: Cohen 1968, Psychological Bulletin 70:213.

    Raises:
        ValueError: unequal or empty input, unknown weights, or a grade that is not a whole number of the range.
    """
    x, y = pairs(predicted, truth)
    both = np.stack([x, y])
    if (both != both.round()).any() or both.min() < 0 or both.max() >= levels:
        raise ValueError(f"grades {both.min()} to {both.max()} given; kappa wants whole ones from 0 to {levels - 1}")
    seen = np.bincount((x * levels + y).astype(np.int64), minlength=levels**2).reshape(levels, levels)
    return float(kappas(seen.astype(np.float64), weights))


def kappas(tables: Floats, weights: Literal["quadratic", "linear", "none"] = "quadratic") -> Floats:
    """(…,) kappas of (…, predicted, truth) counts of grades; see `kappa`."""
    apart = np.abs(np.subtract.outer(np.arange(tables.shape[-1]), np.arange(tables.shape[-1]))).astype(np.float64)
    match weights:
        case "quadratic":
            cost = apart**2
        case "linear":
            cost = apart
        case "none":
            cost = (apart > 0).astype(np.float64)
        case _:
            raise ValueError(f"weights {weights!r} are none of quadratic, linear, none")
    chance = np.einsum("...i,ij,...j->...", tables.sum(-1), cost, tables.sum(-2))
    return 1 - ratio((cost * tables).sum((-2, -1)) * tables.sum((-2, -1)), chance)


def _points(values: Sequence[Hashable], level: str) -> Floats:
    """(values, dimensions) points whose squared distance is the difference that alpha counts."""
    if level == "nominal":
        places = {value: i for i, value in enumerate(dict.fromkeys(values))}
        return np.eye(len(places))[[places[value] for value in values]]
    numbers = np.array([float(value) for value in values])  # type: ignore[arg-type]
    if not np.isfinite(numbers).all():
        raise ValueError("a rating is nan or infinite; pass None for a missing one")
    if level == "ordinal":
        # The ratings between two grades, half of either end counted, are the distance of their mean ranks.
        _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        numbers = (np.cumsum(counts) - counts / 2)[place]
    return np.asarray(numbers - numbers.mean())[:, None]


def krippendorff_alpha(ratings: Sequence[Sequence[Hashable | None]],
                       level: Literal["nominal", "ordinal", "interval"] = "nominal") -> float:  # fmt: skip
    """Agreement of several raters, some of whom left faces out; at most 1, 0 = chance.

    Args:
        ratings: one row per rater, one value per face in the same order, None where there is none. Numbers, unless
            the level is nominal.
        level: what a difference means: other or same, how many ranks apart, how far apart.

    Returns:
        nan if no face was rated twice, or all ratings are the same. Faces rated once are left out.

    Raises:
        ValueError: rows of different length, no face, an unknown level, or ratings that are no numbers.

    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability".
    """
    if len({len(row) for row in ratings}) != 1 or not ratings[0]:
        raise ValueError(f"rows of {[len(row) for row in ratings]} ratings given; every rater needs one row with a "
                         "value or None for each face, and at least one face")  # fmt: skip
    if level not in ("nominal", "ordinal", "interval"):
        raise ValueError(f"level {level!r} is none of nominal, ordinal, interval")
    faces = [[value for value in face if value is not None] for face in zip(*ratings, strict=True)]
    faces = [face for face in faces if len(face) > 1]
    values = [value for face in faces for value in face]
    if len(set(values)) < 2:
        return math.nan
    points, sizes = _points(values, level), np.array([len(face) for face in faces])

    def spread(squares: Floats, sums: Floats, n: Floats) -> Floats:
        """Squared distance of all pairs of n points, halved."""
        return np.asarray(n * squares - (sums**2).sum(-1))

    squares = (points**2).sum(-1)
    starts, n = np.cumsum(sizes) - sizes, np.array(float(len(values)))
    within = spread(np.add.reduceat(squares, starts), np.add.reduceat(points, starts), sizes.astype(np.float64))
    observed = (within / (sizes - 1)).sum()
    expected = spread(squares.sum(), points.sum(0), n) / (n - 1)
    return float(1 - observed / expected)
