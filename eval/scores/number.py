"""One number a face: age in years, pain on the PSPI scale.

    Prediction(task="age", value=34.0, gold=31.0)

An answer that cannot be read counts as the end of the scale that is farther from the truth (see `NumberTable.of`).
"""

from collections.abc import Sequence

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.metrics import NumberTable
from facevlm.tasks import TASKS


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "number"


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    form = TASKS[rows[0].task].form
    said = [{"": float(row.value)} if isinstance(row.value, int | float) else None for row in rows]
    true = [{"": float(row.gold)} for row in rows if isinstance(row.gold, int | float)]
    table = NumberTable.of(said, true, [""], (form.low, form.high))
    flat = "every face has one and the same true number, or the model says one for all"
    return Scores(
        {"number_mae": table.mae, "number_rmse": table.rmse, "number_pcc": table.pearson, "number_icc": table.icc31},
        undefined={"number_pcc": flat, "number_icc": flat},
    )


NUMBER = Scorer(
    metrics={
        "number_mae": Metric("MAE", "mean distance, in the unit asked for", best="low", high=None),
        "number_rmse": Metric("RMSE", "root of the mean squared distance", best="low", high=None),
        "number_pcc": Metric("Pearson's r", "correlation with the truth", low=-1),
        "number_icc": Metric("ICC(3,1)", "consistency with the truth", low=-1),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has the number that was asked for",
)
