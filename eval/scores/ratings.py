"""How strongly emotions show, one question for each, as experts rated them: agreement emotion by emotion.

    Prediction(task="emotion_intensity", offered=("elation",), value=6.0, gold=5.83)

Answer and mean rating are rounded to whole grades 0-7. Per emotion: Cohen's kappa with quadratic weights and the rank
correlation; both are averaged over the emotions whose truth varies. A model that gives an emotion one grade for every
face has 0 in both. What cannot be read counts as the farther end of the scale. Sources: Cohen 1968, Psychological
Bulletin 70:213; Spearman 1904, with mean ranks for ties.
"""

from collections.abc import Sequence

import numpy as np

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores, number
from facevlm.metrics import Floats, WeightStatistic
from facevlm.metrics.inputs import mean_where
from facevlm.tasks import TASKS

GRADES = 8
_APART = np.subtract.outer(np.arange(GRADES), np.arange(GRADES)).astype(np.float64) ** 2


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "number" and len(row.offered) == 1


def _grades(row: Prediction) -> tuple[int, int]:
    """The grade that was said and the true one."""
    form, true = TASKS[row.task].form, float(str(row.gold))
    end = form.low if true - form.low > form.high - true else form.high
    said = float(row.value) if isinstance(row.value, int | float) else end
    return int(said + 0.5), int(true + 0.5)


def kappas(tables: Floats) -> Floats:
    """(…,) quadratic kappa of (…, said, true) counts; nan where the truth is one grade."""
    n, said, true = tables.sum((-2, -1)), tables.sum(-1), tables.sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = np.einsum("...i,ij,...j->...", said, _APART, true) / n
        return np.where((true > 0).sum(-1) > 1, 1 - (tables * _APART).sum((-2, -1)) / chance, np.nan)


def rank_correlations(tables: Floats) -> Floats:
    """(…,) Spearman's correlation of (…, said, true) counts; 0 where one grade is said, nan where one is true."""
    n, said, true = tables.sum((-2, -1)), tables.sum(-1), tables.sum(-2)
    # Mean rank of each grade, from the middle of all ranks.
    x, y = (np.cumsum(side, -1) - side / 2 - n[..., None] / 2 for side in (said, true))
    both = np.einsum("...i,...ij,...j->...", x, tables, y)
    spread = np.sqrt((said * x**2).sum(-1) * (true * y**2).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((true > 0).sum(-1) > 1, np.where(spread > 0, both / spread, 0), np.nan)


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    names = sorted({str(row.offered[0]) for row in rows})
    place = {name: i for i, name in enumerate(names)}
    cells = np.array([(place[str(row.offered[0])] * GRADES + said) * GRADES + true
                      for row in rows for said, true in [_grades(row)]])  # fmt: skip

    def tables(times: Floats) -> Floats:
        counts: Floats = np.bincount(cells, times, minlength=len(names) * GRADES**2).astype(np.float64)
        return counts.reshape(-1, GRADES, GRADES)

    def kappa(times: Floats) -> float:
        found = kappas(tables(times))
        return float(mean_where(found, ~np.isnan(found)))

    def spearman(times: Floats) -> float:
        found = rank_correlations(tables(times))
        return float(mean_where(found, ~np.isnan(found)))

    every = tables(np.ones(len(rows)))
    each = zip(names, kappas(every).tolist(), rank_correlations(every).tolist(), every.sum((-2, -1)).tolist(),
               strict=True)  # fmt: skip
    flat = "no emotion's rating varies over these faces"
    return Scores({"rating_kappa": WeightStatistic(len(rows), kappa),
                   "rating_spearman": WeightStatistic(len(rows), spearman)},
                  {"per_emotion": [{"emotion": name, "kappa": number(k), "spearman": number(r), "faces": int(n)}
                                   for name, k, r, n in each]},
                  undefined={"rating_kappa": flat, "rating_spearman": flat})  # fmt: skip


RATINGS = Scorer(
    metrics={
        "rating_kappa": Metric("Rating kappa", "mean over emotions of quadratic kappa with the mean rating", low=-1),
        "rating_spearman": Metric("Rating Spearman", "mean over emotions of the rank correlation of grades", low=-1),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has rated emotions",
)
