"""Whether there is any pain (PSPI above 0), by the number that was said.

    Prediction(task="pain", value=2.0, gold=0.0)       said to be in pain, and is not

An answer that cannot be read is wrong: pain where there is none, none where there is. For the AUC, which ranks faces
by what was said, it stands at the farther end of the scale. Sources: Lucey et al. 2011, FG (AUC of pain against none);
Prkachin & Solomon 2008, Pain 139:267 (PSPI).
"""

from collections.abc import Sequence

import numpy as np

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.metrics import Floats, SumStatistic, auc_of
from facevlm.metrics.inputs import ratio
from facevlm.tasks import TASKS


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "number"


def _number(row: Prediction) -> float:
    """What was said, or the farther end of the scale."""
    form, true = TASKS[row.task].form, float(str(row.gold))
    if isinstance(row.value, int | float):
        return float(row.value)
    return form.low if true - form.low > form.high - true else form.high


def _f1(sums: Floats) -> Floats:
    return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    truth = np.array([float(str(row.gold)) > 0 for row in rows])
    said = np.array([_number(row) for row in rows])
    unread = np.array([row.value is None for row in rows])
    named = np.where(unread, ~truth, said > 0)
    marks = np.stack([named & truth, named, truth], -1).astype(np.float64)
    none = "every face is in pain, or none is"
    return Scores({"pain_f1": SumStatistic(marks, _f1), "pain_auc": auc_of(said, truth)},
                  counts={"pain": int(truth.sum()), "no pain": int((~truth).sum())},
                  undefined={"pain_f1": "no face is in pain, and none is said to be", "pain_auc": none})  # fmt: skip


PAIN = Scorer(
    metrics={
        "pain_f1": Metric("Pain F1", "F1 of PSPI above 0"),
        "pain_auc": Metric("Pain AUC", "how often a face in pain gets the higher number"),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has a pain score",
)
