"""Valence and arousal, each from -1 to 1: CCC (the mean of both is ABAW's score), RMSE and Pearson's r.

    Prediction(task="valence_arousal", value=(0.35, -0.2), gold=(0.5, 0.0))

An answer that cannot be read counts as the end of each scale that is farther from the truth (see `NumberTable.of`).
Source: Lin 1989, Biometrics 45:255 (CCC); Kollias 2022, ABAW challenges (mean of both).
"""

from collections.abc import Sequence

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.answer import Value
from facevlm.metrics import NumberTable

AXES = ("valence", "arousal")


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "pair"


def _axes(value: Value | None) -> dict[str, float] | None:
    return {axis: float(str(x)) for axis, x in zip(AXES, value, strict=True)} if isinstance(value, tuple) else None


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    said, true = [_axes(row.value) for row in rows], [_axes(row.gold) or {} for row in rows]
    found = {"affect_ccc": NumberTable.of(said, true, AXES, (-1, 1)).ccc}
    for axis in AXES:
        one = NumberTable.of(said, true, [axis], (-1, 1))
        found |= {f"{axis}_ccc": one.ccc, f"{axis}_rmse": one.rmse, f"{axis}_pcc": one.pearson}
    flat = "the truth never varies, or the model says one for all"
    return Scores(found, undefined={name: flat for name in found if not name.endswith("rmse")})


AFFECT = Scorer(
    metrics={
        "affect_ccc": Metric("Affect CCC", "mean of valence and arousal", low=-1),
        "valence_ccc": Metric("Valence CCC", "concordance with the truth", low=-1),
        "arousal_ccc": Metric("Arousal CCC", "concordance with the truth", low=-1),
        "valence_rmse": Metric("Valence RMSE", "on the scale from -1 to 1", best="low", high=2),
        "arousal_rmse": Metric("Arousal RMSE", "on the scale from -1 to 1", best="low", high=2),
        "valence_pcc": Metric("Valence r", "Pearson's correlation", low=-1),
        "arousal_pcc": Metric("Arousal r", "Pearson's correlation", low=-1),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has labels of valence and arousal",
)
