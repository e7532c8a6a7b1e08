"""Ages within a few years of the truth, beside the mean error that `number` gives.

    Prediction(task="age", value=34.0, gold=31.0)      within five years

An answer that cannot be read is within no distance. Source: Geng, Zhou & Smith-Miles 2007, IEEE TPAMI 29:2234.
"""

from collections.abc import Sequence

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.metrics import mean_of

WITHIN = 5.0


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "number"


def _near(row: Prediction) -> float:
    said, true = row.value, row.gold
    return float(isinstance(said, int | float) and isinstance(true, int | float) and abs(said - true) <= WITHIN)


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    return Scores({"age_cs5": mean_of([_near(row) for row in rows])})


AGE = Scorer(
    metrics={"age_cs5": Metric("CS@5", "share of faces whose age is told to within five years")},
    applies=_applies,
    score=_score,
    lacking="no scored face has an age",
)
