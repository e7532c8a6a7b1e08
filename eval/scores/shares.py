"""The share of people who see each emotion, against the votes of annotators.

    Prediction(task="soft_label", value={"fear": 0.7, "surprise": 0.3}, gold={"fear": 0.5, "surprise": 0.5})

Jensen-Shannon divergence in bits: 0 where all shares agree, 1 where nothing is in common. Overlap is 1 minus the total
variation distance. An answer that cannot be read has a divergence of 1 and an overlap of 0.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from eval.frame.predictions import Prediction, agrees
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.answer import Value
from facevlm.metrics import js_divergences, mean_of, share_table


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "shares"


def _shares(value: Value | None) -> Mapping[str, float] | None:
    return value if isinstance(value, Mapping) else None


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    said, true = [_shares(row.value) for row in rows], [_shares(row.gold) for row in rows]
    labels = sorted({label for shares in (*said, *true) for label in shares or ()})
    p, q = share_table(said, labels), share_table(true, labels)
    return Scores({
        "shares_js": mean_of(js_divergences(p, q)),
        "shares_overlap": mean_of(np.nan_to_num(np.minimum(p, q).sum(1))),
        "shares_top": mean_of([float(agrees(row)) for row in rows]),
    })  # fmt: skip


SHARES = Scorer(
    metrics={
        "shares_js": Metric("JS divergence", "how far the said from the true distribution is, in bits", best="low"),
        "shares_overlap": Metric("Overlap of shares", "what the said and the true distribution have in common"),
        "shares_top": Metric("Top label", "share of faces whose most frequent label is said to be that"),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has the votes of annotators",
)
