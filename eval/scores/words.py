"""Emotions in free words, by the groups of the emotion wheel (`facevlm.wheel`).

    Prediction(task="open_vocabulary", value=("delighted", "shy"), gold=("happy",))

Per face: precision, the share of groups said that are right; recall, the share of right groups that are said; and
whether any group is right at all, the hit rate of MER-UniBench, which a longer list can only raise: hence the others.
The F1 is that of the mean precision and recall (`metrics.wheel_score`, and how it differs from the published one).
"""

from collections.abc import Sequence

import numpy as np

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.metrics import Floats, SumStatistic, mean_of
from facevlm.metrics.inputs import ratio
from facevlm.wheel import groups


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "words" and not row.offered


def _rates(row: Prediction) -> tuple[float, float, float, float]:
    """Precision, recall and hit of one face, and 1; an answer that cannot be read is 0 in all three."""
    gold = groups(row.gold if isinstance(row.gold, tuple) else ())
    said = groups(row.value if isinstance(row.value, tuple) else ())
    hits = len(gold & said)
    return hits / len(said) if said else 0.0, hits / len(gold), float(hits > 0), 1.0


def _f1(sums: Floats) -> Floats:
    precision, recall, n = sums[..., 0], sums[..., 1], sums[..., 3]
    return np.where(precision + recall > 0, ratio(2 * precision * recall, (precision + recall) * n), 0.0)


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    rates: Floats = np.array([_rates(row) for row in rows])
    names = ("words_precision", "words_recall", "words_hit_rate")
    length = float(np.mean([len(row.value) if isinstance(row.value, tuple) else 0 for row in rows]))
    means = {name: mean_of(rates[:, i]) for i, name in enumerate(names)}
    return Scores({"words_f1": SumStatistic(rates, _f1)} | means, {"words_per_answer": length})


WORDS = Scorer(
    metrics={
        "words_f1": Metric("Wheel F1", "F1 of mean precision and recall, by groups of words"),
        "words_precision": Metric("Wheel precision", "share of the groups said that are right"),
        "words_recall": Metric("Wheel recall", "share of the right groups that are said"),
        "words_hit_rate": Metric("Hit rate", "share of faces with any right group: long lists raise it"),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has emotions in free words",
)
