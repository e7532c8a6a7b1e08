"""One of a few levels in their order, such as four of engagement: how far off, and agreement beyond chance.

    Prediction(task="engagement", offered=("very low", "low", "high", "very high"), value="low", gold="high")

Levels count from 0 in the order in which they are offered. An answer that cannot be read is the level farthest from
the truth. Source of the kappa: Cohen 1968, Psychological Bulletin 70:213, quadratic weights.
"""

from collections.abc import Sequence

import numpy as np

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.metrics import Floats, SumStatistic, kappas, mean_of


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "choice"


def _places(row: Prediction) -> tuple[int, int]:
    """The level that was said and the true one."""
    true, last = row.offered.index(str(row.gold)), len(row.offered) - 1
    if isinstance(row.value, str):
        return row.offered.index(row.value), true
    return (last if true < last - true else 0), true


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    places = np.array([_places(row) for row in rows])
    levels = max(len(row.offered) for row in rows)
    cells = np.eye(levels**2)[places[:, 0] * levels + places[:, 1]]

    def agreement(sums: Floats) -> Floats:
        return kappas(sums.reshape(*sums.shape[:-1], levels, levels))

    squares = (places[:, 0] - places[:, 1]).astype(np.float64) ** 2
    flat = "all faces are of one level, and the model says that level for all"
    return Scores({"level_mse": mean_of(squares), "level_kappa": SumStatistic(cells, agreement)},
                  undefined={"level_kappa": flat})  # fmt: skip


LEVELS = Scorer(
    metrics={
        "level_mse": Metric("Level MSE", "mean squared distance in levels", best="low", high=None),
        "level_kappa": Metric("Weighted kappa", "agreement on the level beyond chance, quadratic weights", low=-1),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has a level",
)
