"""One of a few choices, or yes and no: gender, engagement, real or fake.

    Prediction(task="real_fake", value="real", gold="fake", probabilities={"real": 0.7, "fake": 0.3})

Two choices are also ranked, where their probabilities are known: the AUC of the second one (fake, male, no).
Source: Hanley & McNeil 1982, Radiology 143:29.
"""

from collections.abc import Sequence

import numpy as np

from eval.frame.classification import classify, metrics, said_and_true
from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.metrics import auc_of


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind in ("choice", "yes/no")


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    offered = tuple(dict.fromkeys(label for row in rows for label in row.offered))
    scores = classify(rows, frame.classes or offered, "choice_", "choices")
    if {len(row.probabilities or ()) for row in rows} != {2}:
        reason = "it needs the probabilities of two choices: use mode label, and an engine that gives them"
        return Scores(scores.statistics, scores.details, scores.counts, scores.caveats, {"choice_auc": reason})
    positive = list(rows[0].probabilities or ())[1]
    chances = np.array([(row.probabilities or {})[positive] for row in rows])
    truth = np.array([said_and_true(row)[1] == positive for row in rows])
    return Scores({**scores.statistics, "choice_auc": auc_of(chances, truth)}, scores.details, scores.counts,
                  scores.caveats)  # fmt: skip


CHOICE = Scorer(
    metrics=metrics("choice_", "choice", "choices") | {
        "choice_auc": Metric("AUC", "how often a face of the second choice gets the higher probability of it"),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has a label for the choice that was asked for",
)  # fmt: skip
