"""Who is compared with whom: the factors that records carry (gender, age, skin tone …), alone and two crossed.

    age 34 -> "30-39"; gender x age -> "female x 30-39"; no gender -> None: left out of that factor, and counted

"Factor" and "intersection" as in Mitchell et al. 2019, "Model Cards for Model Reporting", sections 4.3 and 4.7.
Factors are what answers are compared by; no model is asked for them here.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from facevlm.config import ConfigError
from facevlm.record import FaceRecord

DEMOGRAPHIC = ("gender", "age", "age_group", "race", "skin_tone")
"""The attributes of `facevlm.vocab.ATTRIBUTES` that say who someone is."""

AGES = (0, 3, 10, 20, 30, 40, 50, 60, 70)
"""The lower ends of age bands in years: those of FairFace (Karkkainen & Joo 2021, WACV)."""

MOST = 40
"""An attribute with more values than this divides nobody into groups: a name or a number, say."""

Merge = Mapping[str, Mapping[str, Sequence[str | int]]]
"""Attribute -> new value -> the values that it takes together; others stay as they are."""


class Factor(NamedTuple):
    """One way of dividing n faces."""

    name: str
    values: list[str | None]
    """(n,) the subgroup of each face; None = not stated."""
    order: tuple[str, ...]
    """The subgroups that occur."""

    @property
    def crossed(self) -> bool:
        return " x " in self.name

    @property
    def missing(self) -> int:
        """Faces that belong to no subgroup."""
        return sum(value is None for value in self.values)


def band(years: float, edges: Sequence[int] = AGES) -> str:
    """The age band of some years: "30-39", "70 or more", or "below 18" where the lowest edge is 18."""
    if years < edges[0]:
        return f"below {edges[0]}"
    place = sum(years >= edge for edge in edges)
    return f"{edges[place - 1]} or more" if place == len(edges) else f"{edges[place - 1]}-{edges[place] - 1}"


def value_of(record: FaceRecord, name: str, ages: Sequence[int], merge: Merge) -> str | None:
    """The subgroup that a record belongs to by one attribute; None = not stated."""
    text = record.attributes.get(name)
    if not text:
        return None
    for new, taken in merge.get(name, {}).items():
        if text in map(str, taken):
            return new
    return band(float(text), ages) if name == "age" else text


def _place(value: str, ages: Sequence[int]) -> tuple[float, str]:
    """Numbers and bands by size, words after them by letter."""
    start = value.removeprefix("below ").split("-")[0].split(" ")[0]
    if value.startswith("below "):
        return ages[0] - 0.5, value
    return (float(start), value) if start.replace(".", "", 1).isdigit() else (float("inf"), value)


def _factor(name: str, values: list[str | None], ages: Sequence[int]) -> Factor:
    found = {value for value in values if value is not None}
    return Factor(name, values, tuple(sorted(found, key=lambda value: _place(value, ages))))


def _cross(a: Factor, b: Factor) -> Factor:
    values = [None if x is None or y is None else f"{x} x {y}" for x, y in zip(a.values, b.values, strict=True)]
    found = set(values)
    return Factor(f"{a.name} x {b.name}", values, tuple(v for x in a.order for y in b.order if (v := f"{x} x {y}")
                                                        in found))  # fmt: skip


def carried(records: Sequence[FaceRecord]) -> list[str]:
    """The demographic attributes that any record carries; age bands of the source only where no age is known."""
    names = [name for name in DEMOGRAPHIC if any(record.attributes.get(name) for record in records)]
    return [name for name in names if not (name == "age_group" and "age" in names)]


def factors(records: Sequence[FaceRecord], by: Sequence[str] = (), ages: Sequence[int] = AGES,
            merge: Merge | None = None, crossed: bool = True) -> list[Factor]:  # fmt: skip
    """The factors of n faces, then the intersections of two of them.

    Args:
        records: of each face.
        by: attributes; none = those of `carried`.
        ages: lower ends of age bands in years, ascending.
        merge: values to take together, such as {"skin_tone": {"light": [1, 2], "dark": [6, 7]}}.
        crossed: the intersections as well.

    Raises:
        ConfigError: an attribute that no record carries, or one that divides nobody into groups.
    """
    merge = merge or {}
    singles = []
    for name in by or carried(records):
        found = _factor(name, [value_of(record, name, ages, merge) for record in records], ages)
        if not found.order:
            there = sorted({key for record in records for key in record.attributes})
            raise ConfigError(f"by={name}: no record carries it; the records carry {', '.join(there) or 'none'}")
        if len(found.order) > MOST:
            raise ConfigError(f"by={name}: {len(found.order)} values for {len(records)} faces make no subgroups; name "
                              "another attribute, or take values together with merge")  # fmt: skip
        singles.append(found)
    return singles + ([_cross(a, b) for a, b in combinations(singles, 2)] if crossed else [])
