"""Which of the attributes on offer a face has: accuracy and F1 per attribute, averaged over attributes.

    Prediction(task="attributes", offered=("smiling", "eyeglasses"), value=("smiling",), gold=("smiling",))

An answer that cannot be read is wrong on every attribute that was on offer: counted as naming none, it would be right
on most, since most are absent. Source of the mean accuracy: Liu et al. 2015, ICCV (CelebA).
"""

from collections.abc import Sequence

import numpy as np

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores, number
from facevlm.metrics import Floats, SumStatistic
from facevlm.metrics.inputs import mean_where, ratio


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "words" and bool(row.offered)


def _marks(rows: Sequence[Prediction], names: Sequence[str]) -> Floats:
    """(5, faces, attributes): known, right, rightly named, named, present; each 0 or 1."""
    marks = np.zeros((5, len(rows), len(names)))
    place = {name: i for i, name in enumerate(names)}
    for i, row in enumerate(rows):
        present = set(row.gold if isinstance(row.gold, tuple) else ())
        said = set(row.value) if isinstance(row.value, tuple) else set(row.offered) - present
        for name in row.offered:
            has, named = name in present, name in said
            marks[:, i, place[str(name)]] = 1, has == named, has and named, named, has
    return marks


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    names = list(dict.fromkeys((*frame.classes, *sorted({name for row in rows for name in row.offered}))))
    marks = _marks(rows, names)

    # (faces, 5 x attributes): what each face adds to the sums.
    sums = marks.transpose(1, 0, 2).reshape(len(rows), -1)

    def rates(total: Floats) -> tuple[Floats, Floats, Floats]:
        known, right, hit, named, present = np.moveaxis(total.reshape(*total.shape[:-1], 5, len(names)), -2, 0)
        return ratio(right, known), ratio(2 * hit, named + present), present

    def accuracies(total: Floats) -> Floats:
        right, _, _ = rates(total)
        return mean_where(right, ~np.isnan(right))

    def f1s(total: Floats) -> Floats:
        _, f1, present = rates(total)
        return mean_where(f1, present > 0)

    accuracy, f1 = (column.tolist() for column in rates(sums.sum(0))[:2])
    counts = {name: int(n) for name, n in zip(names, marks[4].sum(0), strict=True)}
    asked = marks[0].sum(0).tolist()
    table = [{"attribute": name, "accuracy": number(a), "f1": number(f), "present": counts[name], "labelled": int(n)}
             for name, a, f, n in zip(names, accuracy, f1, asked, strict=True)]  # fmt: skip
    never = [name for name, n in counts.items() if not n]
    return Scores(
        {"attribute_accuracy": SumStatistic(sums, accuracies), "attribute_f1": SumStatistic(sums, f1s)},
        {"per_attribute": table}, counts,
        [f"no face has {', '.join(never)}: left out of the F1"] if never else [],
        {"attribute_f1": "no face has any of the attributes"},
    )  # fmt: skip


ATTRIBUTES = Scorer(
    metrics={
        "attribute_accuracy": Metric("Attribute accuracy", "share of right yes and no, mean over attributes"),
        "attribute_f1": Metric("Attribute macro-F1", "mean F1 over the attributes that occur"),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has yes/no attributes that were asked for",
)
