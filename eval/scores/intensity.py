"""How strong each action unit is, 0-5: ICC(3,1), MAE and Pearson's r per AU, averaged over AUs.

    Prediction(task="au_intensity", aus={12: 3}, gold_levels={6: 0, 12: 4}, labelled_aus=(6, 12))

An AU that is not listed is said to be at 0; one listed without a letter says no intensity, and the list counts as not
readable. What cannot be read counts as the farther end of the scale for each AU (see `NumberTable.of`).
Source of the ICC: Shrout & Fleiss 1979, Psychological Bulletin 86:420; its use for AUs: Mavadati et al. 2013.
"""

from collections.abc import Sequence

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores, plain
from facevlm.metrics import NumberTable
from facevlm.vocab import AUS

STRONGEST = 5.0


def _applies(row: Prediction) -> bool:
    return "au" in row.parts and bool(row.gold_levels)


def _said(row: Prediction) -> dict[int, float] | None:
    """The intensities of a list in which every AU has one; else None."""
    if row.aus is None:
        return None
    told = {au: float(level) for au, level in row.aus.items() if level is not None}
    return told if len(told) == len(row.aus) else None


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    known = [au for au in frame.aus if any(au in row.gold_levels for row in rows)]
    levels = NumberTable.of([_said(row) for row in rows], [row.gold_levels for row in rows], known, (0, STRONGEST),
                            unlisted=0)  # fmt: skip
    # Which AUs a correlation is averaged over depends on the truth alone: those that vary in it.
    seen = {au: {row.gold_levels[au] for row in rows if au in row.gold_levels} for au in known}
    flat = [f"AU{au}" for au in known if len(seen[au]) < 2]
    caveat = f"{', '.join(flat)} never varies in the truth: left out of ICC and Pearson's r"
    table = [{"au": au, **plain(score), "name": AUS[au].name}
             for au, score in zip(known, levels.per_column(), strict=True)]  # fmt: skip
    silent = "no AU varies in the truth, or the model says one intensity of an AU for every face"
    return Scores(
        {"intensity_icc": levels.icc31, "intensity_mae": levels.mae, "intensity_mse": levels.mse,
         "intensity_pcc": levels.pearson},
        {"per_au_intensity": table},
        {f"AU{au}": sum(row.gold_levels.get(au, 0) > 0 for row in rows) for au in known},
        [caveat] if flat else [],
        {"intensity_icc": silent, "intensity_pcc": silent},
    )  # fmt: skip


INTENSITY = Scorer(
    metrics={
        "intensity_icc": Metric("Intensity ICC(3,1)", "mean over AUs of the consistency with the coders", low=-1),
        "intensity_mae": Metric("Intensity MAE", "mean over AUs of the distance, 0-5", best="low", high=STRONGEST),
        "intensity_mse": Metric("Intensity MSE", "mean over AUs, squared distance", best="low", high=STRONGEST**2),
        "intensity_pcc": Metric("Intensity r", "mean over AUs of Pearson's correlation", low=-1),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has coded AU intensities, or no AUs were asked for",
)
