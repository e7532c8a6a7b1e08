"""How far subgroups are apart: each measure in each subgroup, the gaps between them, and whether chance explains them.

Intervals are 95 %, resampled by subject. A gap is the highest value minus the lowest: never below 0, and above 0 by
chance alone. Its p value is that of a centred bootstrap (Efron & Tibshirani 1993, section 16.4; Hall & Wilson 1991,
Biometrics 47:757): each subgroup's resampled values are moved to its own value, and p is the share of resamples whose
own highest and lowest are as far apart as those observed. Picking the two extremes is thereby paid for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.frame.statistic import number
from eval.groups.subgroups import Factor
from facevlm.metrics import Floats, Indices, Statistic, SumStatistic, holm
from facevlm.metrics.intervals import resampled
from facevlm.metrics.resampling import cluster_numbers

LEAST = 20
"""Faces below which a subgroup is named, and given no number."""

FEW_PEOPLE = 10
"""People below which a percentile interval over subjects is too narrow (Cameron, Gelbach & Miller 2008)."""


class Batch(NamedTuple):
    """Measures of the same faces, which are resampled together."""

    places: list[int]
    """(faces,) the number of each among all rows."""
    subjects: list[str | None]
    """(faces,)"""
    measures: Mapping[str, Statistic]
    counted: Mapping[str, NDArray[np.bool_]]
    """(faces,) which of them a measure is over; a measure that is not named here is over all."""
    low_is_best: frozenset[str]


class Settings(NamedTuple):
    """How subgroups are compared."""

    least: int = LEAST
    repeats: int = 2000
    """Bootstrap resamples; 0 = no intervals and no p values."""
    seed: int = 0


class Table(NamedTuple):
    """What was found; rows of plain values."""

    subgroups: list[dict[str, Any]]
    gaps: list[dict[str, Any]]


def within(function: Statistic, faces: NDArray[np.bool_], kept: dict[int, SumStatistic] | None = None) -> Statistic:
    """The statistic over some of the n faces; nan if none of them is drawn.

    Args:
        faces: (n,) which ones count.
        kept: what was made before for these faces, so that the metrics of one table go on sharing its sums.
    """
    if isinstance(function, SumStatistic):
        made = None if kept is None else kept.get(id(function.marks))
        if made is None:
            made = function.within(faces)
            if kept is not None:
                kept[id(function.marks)] = made
        return replace(function, marks=made.marks)

    def some(indices: Indices) -> float:
        drawn = indices[faces[indices]]
        return function(drawn) if len(drawn) else float("nan")

    return some


def _interval(values: Floats) -> list[float] | None:
    values = values[~np.isnan(values)]
    return np.quantile(values, [0.025, 0.975]).tolist() if values.size else None


def _value(function: Statistic, n: int) -> float | None:
    with np.errstate(invalid="ignore", divide="ignore"):
        return number(float(function(np.arange(n))))


def disparities(batch: Batch, factor: Factor, settings: Settings) -> Table:
    """Each measure in each subgroup, beside its value over all faces; and how far the subgroups are apart.

    Args:
        factor: the subgroup of each row, of which the batch's faces are some.
    """
    n = len(batch.places)
    belongs = np.array([factor.values[i] or "" for i in batch.places])
    numbers = cluster_numbers(n, batch.subjects)
    rows: list[dict[str, Any]] = []
    functions: list[Statistic] = []
    for name, function in batch.measures.items():
        rows.append({"factor": factor.name, "measure": name, "subgroup": None})
        functions.append(function)
    for value in factor.order:
        kept: dict[int, SumStatistic] = {}
        for name, function in batch.measures.items():
            rows.append({"factor": factor.name, "measure": name, "subgroup": value})
            functions.append(within(function, belongs == value, kept))
    for row, function in zip(rows, functions, strict=True):
        mine = np.ones(n, dtype=bool) if row["subgroup"] is None else belongs == row["subgroup"]
        mine &= np.asarray(batch.counted.get(row["measure"], True))
        row |= _described(function, mine, numbers, settings.least)
    drawn: Floats = np.empty((len(rows), 0))
    if settings.repeats and (some := [i for i, row in enumerate(rows) if row["value"] is not None]):
        drawn = np.full((len(rows), settings.repeats), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn[some] = resampled([functions[i] for i in some], n, batch.subjects, settings.repeats, settings.seed)
        for i in some:
            rows[i]["ci95"] = _interval(drawn[i]) if rows[i]["people"] > 1 else None
    gaps = [_gap(name, factor, rows, drawn, name in batch.low_is_best, settings) for name in batch.measures]
    return Table([row for row in rows if row["subgroup"] is not None], gaps)


def _described(function: Statistic, mine: NDArray[np.bool_], numbers: Indices, least: int) -> dict[str, Any]:
    """Faces, people and value of a subgroup, or why it has no value."""
    n, people = int(np.sum(mine)), len(np.unique(numbers[mine]))
    row: dict[str, Any] = {"n": n, "people": people, "value": None, "ci95": None, "why": None}
    if n < least:
        return row | {"why": f"n too small: {n} of at least {least}"}
    value = _value(function, len(mine))
    why = "it has no value on these faces" if value is None else None
    if value is not None and people < 2:
        why = "all of one person: there is no interval"
    return row | {"value": value, "why": why}


def _gap(name: str, factor: Factor, rows: Sequence[Mapping[str, Any]], drawn: Floats, low_is_best: bool,
         settings: Settings) -> dict[str, Any]:  # fmt: skip
    """The gap of one measure between the subgroups that have a value and more than one person."""
    mine = [i for i, row in enumerate(rows) if row["measure"] == name]
    overall, parts = mine[0], mine[1:]
    fit = [i for i in parts if rows[i]["value"] is not None and rows[i]["people"] > 1]
    gap: dict[str, Any] = {
        "factor": factor.name, "measure": name, "overall": rows[overall]["value"], "highest": None, "lowest": None,
        "gap": None, "ci95": None, "worst": None, "worst_minus_overall": None, "worst_ci95": None, "p": None,
        "p_holm": None, "compared": len(fit), "left_out": [rows[i]["subgroup"] for i in parts if i not in fit],
        "why": None,
    }  # fmt: skip
    if len(fit) < 2:
        return gap | {"why": f"fewer than two subgroups with {settings.least} faces of two people and a value"}
    values = np.array([rows[i]["value"] for i in fit])
    # Of equal values the last: where all are equal, two subgroups are still compared.
    high, low = fit[int(values.argmax())], fit[len(fit) - 1 - int(values[::-1].argmin())]
    worst = high if low_is_best else low
    gap |= {"highest": rows[high]["subgroup"], "lowest": rows[low]["subgroup"], "worst": rows[worst]["subgroup"],
            "gap": float(values.max() - values.min()),
            "worst_minus_overall": None if rows[overall]["value"] is None
            else rows[worst]["value"] - rows[overall]["value"]}  # fmt: skip
    if not drawn.shape[1]:
        return gap
    gap |= {"ci95": _interval(drawn[high] - drawn[low]), "worst_ci95": _interval(drawn[worst] - drawn[overall])}
    return gap | _chance(drawn[fit], values, [rows[i]["subgroup"] for i in fit])


def _chance(drawn: Floats, values: Floats, names: Sequence[str]) -> dict[str, Any]:
    """How likely a gap as wide is where all subgroups are alike: (subgroups, repeats) and (subgroups,)."""
    whole = drawn[:, ~np.isnan(drawn).any(0)]
    if whole.shape[1] < drawn.shape[1] / 2:
        return {"why": "no p: a subgroup has no value in most resamples, it rests on too few people"}
    apart = whole - values[:, None]
    # Rounding must not make the observed gap larger than itself.
    wide = int((np.ptp(apart, axis=0) >= np.ptp(values) - 1e-12).sum())
    still = [name for name, row in zip(names, whole, strict=True) if np.ptp(row) == 0]
    why = f"{', '.join(still)}: the same in all resamples (all right, or all wrong), so p is too small"
    return {"p": (1 + wide) / (1 + whole.shape[1]), "why": why if still and np.ptp(values) > 0 else None}


def corrected(gaps: list[dict[str, Any]], tested: Sequence[str]) -> int:
    """Add Holm's p to the gaps of the measures that are tested, as one family; how many tests that are."""
    family = [gap for gap in gaps if gap["measure"] in tested and gap["p"] is not None]
    if family:
        for gap, p in zip(family, holm([gap["p"] for gap in family]), strict=True):
            gap["p_holm"] = p
    return len(family)
