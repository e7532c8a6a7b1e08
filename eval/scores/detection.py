"""Yes or no, where yes is what is looked for: F1 of yes, and rankings by its probability.

    Prediction(task="ambivalence", value=True, gold=False, probabilities={"yes": 0.6, "no": 0.4})

An answer that cannot be read is the wrong one. Sources: Hanley & McNeil 1982, Radiology 143:29 (AUC); Zhu 2004,
University of Waterloo (average precision).
"""

from collections.abc import Sequence

import numpy as np

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.metrics import Floats, SumStatistic, auc_of, average_precision_of
from facevlm.metrics.inputs import ratio


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "yes/no"


def _f1(sums: Floats) -> Floats:
    return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    truth = np.array([row.gold is True for row in rows])
    said = np.array([row.gold is not True if row.value is None else row.value is True for row in rows])
    marks = np.stack([said & truth, said, truth], -1).astype(np.float64)
    f1 = SumStatistic(marks, _f1)
    never = "no face is a yes, and none is said to be"
    if any(row.probabilities is None for row in rows):
        reason = "it needs the probabilities of yes and no, from an engine that gives them"
        return Scores({"detection_f1": f1},
                      undefined={"detection_f1": never, "detection_ap": reason, "detection_auc": reason})  # fmt: skip
    chances = np.array([(row.probabilities or {})["yes"] for row in rows])
    ranked = {"detection_ap": average_precision_of(chances, truth), "detection_auc": auc_of(chances, truth)}
    one = "all faces are a yes, or all a no"
    return Scores({"detection_f1": f1, **ranked},
                  undefined={"detection_f1": never, "detection_ap": one, "detection_auc": one})  # fmt: skip


DETECTION = Scorer(
    metrics={
        "detection_f1": Metric("F1 of yes", "F1 of what is looked for"),
        "detection_ap": Metric("Average precision", "area under precision and recall, by the probability of yes"),
        "detection_auc": Metric("AUC of yes", "how often a true yes gets the higher probability"),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has a yes or no",
)
