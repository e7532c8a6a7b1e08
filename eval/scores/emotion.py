"""One emotion a face, against one label: accuracy, recall and F1.

    Prediction(task="label", value="fear", gold="surprise", offered=("surprise", "fear", …))

An answer that cannot be read, or names no emotion on offer, is wrong.
"""

from collections.abc import Sequence

from eval.frame.classification import classify, metrics
from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Scorer, Scores


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "label"


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    return classify(rows, frame.classes, "emotion_", "emotions")


EMOTION = Scorer(
    metrics=metrics("emotion_", "emotion", "emotions"),
    applies=_applies,
    score=_score,
    lacking="no scored face has an emotion label, or no emotion was asked for",
)
