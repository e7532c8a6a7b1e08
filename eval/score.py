"""Predictions -> numbers. Every metric is `facevlm.metrics`; this file says which rows each one looks at.

A face whose picture could not be read is left out of every metric (that depends on the record, never on the model) and
counted. An answer that could not be read is wrong.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from eval.predictions import Prediction
from facevlm.metrics import AUTable, ClassTable, Indices, bootstrap, set_f1
from facevlm.vocab import AUS, EMOTIONS

METRICS = ("emotion_accuracy", "emotion_uar", "emotion_macro_f1", "au_macro_f1", "au_micro_f1", "au_set_f1")
"""What is scored with an interval, in the order of tables. Null where no face has the labels or none was asked."""


class Statistic(NamedTuple):
    """A metric that can be resampled: `function` takes face numbers, `subjects` says whose faces they are."""

    function: Callable[[Indices], float]
    subjects: list[str | None]


def emotion_rows(rows: Sequence[Prediction]) -> list[Prediction]:
    """The rows that are scored on emotion."""
    return [row for row in rows if row.error is None and "answer" in row.parts]


def au_rows(rows: Sequence[Prediction]) -> list[Prediction]:
    """The rows that are scored on AUs."""
    return [row for row in rows if row.error is None and "au" in row.parts and row.labelled_aus]


def _subjects(rows: Sequence[Prediction]) -> list[str | None]:
    return [None if row.subject is None else f"{row.source}/{row.subject}" for row in rows]


def class_table(rows: Sequence[Prediction], labels: Sequence[str]) -> ClassTable:
    """The emotions of `rows`, classes in the order of `labels`, then others that occur."""
    predicted, truth = [row.emotion for row in rows], [str(row.gold_emotion) for row in rows]
    occurring = sorted({*truth, *(x for x in predicted if x is not None)}, key=EMOTIONS.index)
    return ClassTable.of(predicted, truth, list(dict.fromkeys((*labels, *occurring))))


def au_table(rows: Sequence[Prediction], aus: Sequence[int]) -> AUTable:
    """The AUs of `rows`, columns as in `aus`."""
    return AUTable.of([row.named_aus for row in rows], [row.gold_aus for row in rows],
                      [row.labelled_aus for row in rows], aus)  # fmt: skip


def statistics(rows: Sequence[Prediction], labels: Sequence[str], aus: Sequence[int]) -> dict[str, Statistic]:
    """The metrics that apply to some of the rows, by name."""
    found: dict[str, Statistic] = {}
    if faces := emotion_rows(rows):
        classes, subjects = class_table(faces, labels), _subjects(faces)
        found |= {
            "emotion_accuracy": Statistic(classes.accuracy, subjects),
            "emotion_uar": Statistic(classes.uar, subjects),
            "emotion_macro_f1": Statistic(classes.macro_f1, subjects),
        }
    if faces := au_rows(rows):
        table, subjects = au_table(faces, aus), _subjects(faces)
        each = np.array([set_f1(row.named_aus, row.gold_aus, row.labelled_aus) for row in faces])
        found |= {
            "au_macro_f1": Statistic(table.macro_f1, subjects),
            "au_micro_f1": Statistic(table.micro_f1, subjects),
            "au_set_f1": Statistic(lambda indices: float(each[indices].mean()), subjects),
        }
    return found


def number(value: float) -> float | None:
    """The value, or None where it is undefined: JSON has no nan."""
    return None if math.isnan(value) else value


def _details(rows: Sequence[Prediction], labels: Sequence[str], aus: Sequence[int]) -> dict[str, Any]:
    """The tables behind the headline numbers: per AU, per class, confusion."""
    details: dict[str, Any] = {"au_scored": None, "per_au": [], "per_class": [], "confusion": None}
    if faces := emotion_rows(rows):
        classes = class_table(faces, labels)
        columns, counts = [*classes.labels, "unreadable"], classes.confusion().tolist()
        details["per_class"] = [_plain(score) for score in classes.per_class()]
        details["confusion"] = {"rows": list(classes.labels), "columns": columns, "counts": counts}
    if faces := au_rows(rows):
        table = au_table(faces, aus)
        details["au_scored"] = table.scored()
        details["per_au"] = [_plain(score) | {"name": AUS[score.au].name} for score in table.per_au()]
    return details


def _plain(score: Any) -> dict[str, Any]:
    return {name: number(v) if isinstance(v, float) else v for name, v in score._asdict().items()}


def score(rows: Sequence[Prediction], labels: Sequence[str], aus: Sequence[int], repeats: int = 1000,
          seed: int = 0) -> dict[str, Any]:  # fmt: skip
    """All metrics of some predictions, JSON-able; what does not apply is None.

    Args:
        labels: emotion classes in the order to show them; others that occur follow.
        aus: the AUs to score.
        repeats: bootstrap resamples for the 95 % intervals; 0 = no intervals.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("no predictions to score; check what was filtered out before")
    scored = [row for row in rows if row.error is None]
    subjects = {x for x in _subjects(scored) if x is not None}
    complete = all(row.subject is not None for row in scored)
    result: dict[str, Any] = {"n": len(scored), "n_subjects": len(subjects) or None}
    result |= dict.fromkeys(METRICS)
    intervals: dict[str, list[float | None]] = {}
    for name, (function, clusters) in statistics(rows, labels, aus).items():
        result[name] = number(function(np.arange(len(clusters))))
        if repeats:
            _, low, high = bootstrap(function, len(clusters), clusters, repeats, seed)
            intervals[name] = [number(low), number(high)]
    result["ci95"] = intervals
    mixed = "subject where known, else face" if subjects else "face (no subjects known)"
    result["ci95_by"] = "subject" if complete else mixed
    result["parse_failure_rate"] = sum(bool(row.faults) for row in scored) / len(scored) if scored else None
    result["unreadable_images"] = len(rows) - len(scored)
    return result | _details(rows, labels, aus)
