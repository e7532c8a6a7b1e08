"""Positive or negative, by emotions in free words: the sentiment parts of MER-UniBench.

    Prediction(task="open_vocabulary", value=("delighted", "shy"), gold=("positive",))      says positive

Each word counts by its group of the emotion wheel: love and joy are positive; anger, sadness and fear negative
(the branches of Shaver et al. 1987, figure 1); surprise, and what is on no branch, is neither. More positive than
negative groups say positive, and the other way round; a tie, no such word and an answer that cannot be read are wrong.
Source: Lian et al. 2025, ICML (MER-UniBench): weighted F1, neutral labels left out. The published map from words to
sentiment is another.
"""

from collections.abc import Sequence

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores
from facevlm.metrics import ClassTable
from facevlm.metrics.sentiment import SENTIMENTS
from facevlm.wheel import groups

POSITIVE = frozenset({
    "affection", "lust", "longing", "cheerfulness", "zest", "contentment", "pride", "optimism", "enthrallment",
    "relief", "positive",
})  # fmt: skip
"""The groups of love and joy, and the word itself."""
NEGATIVE = frozenset({
    "irritation", "exasperation", "rage", "disgust", "envy", "torment", "suffering", "sadness", "disappointment",
    "shame", "neglect", "sympathy", "horror", "nervousness", "negative",
})  # fmt: skip
"""The groups of anger, sadness and fear, and the word itself."""


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "words" and not row.offered and row.gold in (("positive",), ("negative",))


def sentiment(words: Sequence[object]) -> str | None:
    """What more of the words' groups are; None = neither."""
    named = groups(words)
    balance = len(named & POSITIVE) - len(named & NEGATIVE)
    return None if not balance else "positive" if balance > 0 else "negative"


def _score(rows: Sequence[Prediction], frame: Frame) -> Scores:
    said = [sentiment(row.value) if isinstance(row.value, tuple) else None for row in rows]
    table = ClassTable.of(said, [str(row.gold[0]) for row in rows if isinstance(row.gold, tuple)], SENTIMENTS)
    return Scores({"sentiment_weighted_f1": table.weighted_f1, "sentiment_accuracy": table.accuracy},
                  {"no_sentiment": said.count(None)},
                  {score.label: score.support for score in table.per_class()})  # fmt: skip


SENTIMENT = Scorer(
    metrics={
        "sentiment_weighted_f1": Metric("Sentiment weighted F1", "F1 of positive and negative, by how often each is"),
        "sentiment_accuracy": Metric("Sentiment accuracy", "share of faces with the right side"),
    },
    applies=_applies,
    score=_score,
    lacking="no scored face is labelled positive or negative",
)
