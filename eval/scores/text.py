"""A description, against the one of the labels: ROUGE-L.

    Prediction(task="description", value="A woman smiles broadly.", gold="A young woman is smiling.")

It counts shared words in their order: two good descriptions may share few, so small differences say nothing. An empty
answer has 0. Source: Lin 2004, as the `rouge_score` package computes it without stemming.
"""

from collections.abc import Sequence

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.metrics import mean_of, rouge_l


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "text"


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    each = [rouge_l(row.value if isinstance(row.value, str) else None, str(row.gold)) for row in rows]
    none = "no true description holds a word in Latin letters, which is all that ROUGE-L sees"
    found = {"text_rouge_l": [one.f1 for one in each], "text_precision": [one.precision for one in each],
             "text_recall": [one.recall for one in each]}  # fmt: skip
    return Scores({name: mean_of(column) for name, column in found.items()}, undefined=dict.fromkeys(found, none))


TEXT = Scorer(
    metrics={
        "text_rouge_l": Metric("ROUGE-L", "words shared in order with the true description, F1"),
        "text_precision": Metric("ROUGE-L precision", "share of the said words that are shared"),
        "text_recall": Metric("ROUGE-L recall", "share of the true description's words that are shared"),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has a description",
)
