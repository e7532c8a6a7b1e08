"""What judgements of counterfactual faces say: how far the probability of a word moves with the trait alone."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from eval.groups.disparity import Batch, Settings, corrected, disparities
from eval.groups.subgroups import Factor
from facevlm.metrics import Statistic, bootstrap, mean_of
from facevlm.metrics.inputs import Floats


class Judged(NamedTuple):
    """One face of a group with what was said about it."""

    group: str
    """Faces that differ in one trait alone, over sources."""
    value: str
    """What of that trait it shows, such as the skin tone "4"."""
    emotion: str | None
    """The expression it is labelled with."""
    subject: str | None
    chances: Mapping[str, float]
    """By the name of a judgement: the probability (0-1) of its high word, the mean of both orders."""


def _spans(faces: Sequence[Judged], chances: Floats) -> Floats:
    """(groups,) how far apart the highest and the lowest probability within each group are."""
    names = list(dict.fromkeys(face.group for face in faces))
    place = {name: i for i, name in enumerate(names)}
    group = np.array([place[face.group] for face in faces])
    high, low = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    np.maximum.at(high, group, chances)
    np.minimum.at(low, group, chances)
    return high - low


def _factor(name: str, values: Sequence[str | None]) -> Factor:
    return Factor(name, list(values), tuple(sorted({v for v in values if v is not None})))


def _people(faces: Sequence[Judged]) -> list[str | None]:
    """Whom to draw together: all faces of a person, and all of a group where nobody is named."""
    return [face.subject or face.group for face in faces]


def summary(faces: Sequence[Judged], judgements: Sequence[str], settings: Settings) -> dict[str, Any]:
    """How judgements hang on the trait, JSON-able.

    Args:
        faces: at least one, those of a group with different values.

    Returns:
        `values`: the mean probability of each word by value of the trait, with intervals. `gaps`: highest minus
        lowest value, with interval and p, Holm over all judgements. `within`: the mean span of the probability within
        a group, which opposite movements do not cancel. `expressions`: the gap between labelled expressions, to
        compare with: a judgement that hangs on the trait as much as on a smile hangs on it a good deal.
    """
    columns = {name: np.array([face.chances[name] for face in faces]) for name in judgements}
    measures: dict[str, Statistic] = {name: mean_of(column) for name, column in columns.items()}
    batch = Batch(list(range(len(faces))), _people(faces), measures, {}, frozenset())
    table = disparities(batch, _factor("value", [face.value for face in faces]), settings)
    tests = corrected(table.gaps, judgements)
    shown = disparities(batch, _factor("expression", [face.emotion for face in faces]), settings)
    groups = {face.group: face for face in faces}
    people = [face.subject or face.group for face in groups.values()]
    within = []
    for name, column in columns.items():
        spans = _spans(faces, column)
        mean = mean_of(spans)
        ends = bootstrap(mean, len(spans), people, settings.repeats, settings.seed) if settings.repeats else None
        known = ends is not None and not np.isnan(ends.low)
        within.append({"measure": name, "groups": len(spans), "value": mean(),
                       "ci95": [ends.low, ends.high] if ends is not None and known else None})  # fmt: skip
    return {"groups": len(groups), "faces": len(faces), "tests": tests, "values": table.subgroups, "gaps": table.gaps,
            "within": within, "expressions": shown.gaps}  # fmt: skip
