"""Which action units are present: F1 per AU and over all, over labelled AUs only.

    Prediction(task="fast", aus={6: None, 12: 3}, gold_aus=(12,), labelled_aus=(1, 2, 6, 12))

An AU that nobody labelled is neither right nor wrong. A list that cannot be read names no AU: each one that is present
is missed.
"""

from collections.abc import Sequence

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores, plain
from facevlm.metrics import AUTable, mean_of, set_f1
from facevlm.vocab import AUS


def _applies(row: Prediction) -> bool:
    return "au" in row.parts and bool(row.labelled_aus)


def au_table(rows: Sequence[Prediction], aus: Sequence[int]) -> AUTable:
    """The AUs of `rows`, columns as in `aus`."""
    return AUTable.of([row.named_aus for row in rows], [row.gold_aus for row in rows],
                      [row.labelled_aus for row in rows], aus)  # fmt: skip


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    table = au_table(rows, frame.aus)
    each = [set_f1(row.named_aus, row.gold_aus, row.labelled_aus) for row in rows]
    per_au = table.per_au()
    unseen = [f"AU{score.au}" for score in per_au if not score.support]
    some = f"no face shows {', '.join(unseen)}: the macro-F1 is over the other {len(per_au) - len(unseen)} AUs"
    none = "no face shows any AU: there is no F1"
    return Scores(
        {"au_macro_f1": table.macro_f1, "au_micro_f1": table.micro_f1, "au_set_f1": mean_of(each)},
        {"au_scored": table.scored(), "per_au": [plain(score) | {"name": AUS[score.au].name} for score in per_au]},
        {f"AU{score.au}": score.support for score in per_au},
        [none if len(unseen) == len(per_au) else some] if unseen else [],
        {"au_macro_f1": none, "au_micro_f1": "no face shows any AU, and none is named"},
    )


ACTION_UNITS = Scorer(
    metrics={
        "au_macro_f1": Metric("AU macro-F1", "mean F1 over the AUs that occur"),
        "au_micro_f1": Metric("AU micro-F1", "F1 of all AU decisions pooled"),
        "au_set_f1": Metric("AU F1 per face", "F1 of each face's AU list, averaged"),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face has AU labels, or no AUs were asked for",
)
