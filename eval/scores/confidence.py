"""Whether a model knows when it is right, from the probability of each label on offer (`generate.LabelProbs`).

    Prediction(task="label", gold="fear", probabilities={"fear": 0.6, "surprise": 0.3, …})

The label with the highest probability is held against the truth, and that probability is the confidence. Sources:
ECE, Guo et al. 2017, ICML; Brier 1950, Monthly Weather Review 78:1 (summed over labels, 0-2); risk-coverage, El-Yaniv
& Wiener 2010, JMLR 11:1605: what share of answers is wrong if only the most confident are given.
"""

from collections.abc import Sequence

import numpy as np

from eval.frame.classification import said_and_true
from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.metrics import Floats, SumStatistic, aurc_of, mean_of, risk_coverage, selective_accuracy_of

POINTS = 20
"""How many points of the risk-coverage curve are kept."""
BINS = 10


def _applies(row: Prediction) -> bool:
    return row.judged and row.probabilities is not None


def _brier(row: Prediction) -> float:
    gold = said_and_true(row)[1]
    return sum((p - (label == gold)) ** 2 for label, p in (row.probabilities or {}).items())


def _ece(confidence: Floats, correct: Floats) -> SumStatistic:
    """`metrics.ece` of ten bins of equal width, from what each face adds to the gap of its bin."""
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.eye(BINS)[place] * (confidence - correct)[:, None]
    marks = np.hstack([gaps, np.ones((len(gaps), 1))])
    return SumStatistic(marks, lambda sums: np.asarray(np.abs(sums[..., :-1]).sum(-1) / sums[..., -1]))


def _bins(confidence: Floats, correct: Floats) -> list[dict[str, float | int | None]]:
    """The reliability diagram: what was claimed and what was right, by bins of equal width."""
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return [{"from": i / BINS, "to": (i + 1) / BINS, "n": int(mine.sum()),
             "confidence": float(confidence[mine].mean()) if mine.any() else None,
             "accuracy": float(correct[mine].mean()) if mine.any() else None}
            for i in range(BINS) for mine in [place == i]]  # fmt: skip


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    best = [max((row.probabilities or {}).items(), key=lambda pair: pair[1]) for row in rows]
    confidence = np.clip(np.array([p for _, p in best]), 0, 1)
    correct = np.array([label == said_and_true(row)[1] for (label, _), row in zip(best, rows, strict=True)])
    curve = risk_coverage(confidence, correct)
    picked = np.unique(np.linspace(0, len(rows) - 1, POINTS).round().astype(int))
    agree = float(np.mean([label == said_and_true(row)[0] for (label, _), row in zip(best, rows, strict=True)]))
    return Scores(
        {
            "ece": _ece(confidence, correct.astype(np.float64)),
            "brier": mean_of([_brier(row) for row in rows]),
            "aurc": aurc_of(confidence, correct),
            "accuracy_at_80": selective_accuracy_of(confidence, correct, 0.8),
        },
        {
            "reliability": _bins(confidence, correct.astype(np.float64)),
            "risk_coverage": [{"coverage": float(curve.coverage[i]), "risk": float(curve.risk[i])} for i in picked],
            "likeliest_is_said": agree,
        },
    )


CONFIDENCE = Scorer(
    metrics={
        "ece": Metric("ECE", "mean gap of confidence and accuracy over ten bins", best="low"),
        "brier": Metric("Brier score", "squared distance of probabilities and truth, 0-2", best="low", high=2),
        "aurc": Metric("AURC", "mean error over all shares answered, most confident first", best="low"),
        "accuracy_at_80": Metric("Accuracy at 80 %", "of the most confident 80 % of the faces"),
    },
    applies=_applies,
    score=_score,
    lacking="no probabilities of the labels are known: use mode label, and an engine that gives them",
)
