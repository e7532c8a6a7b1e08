"""REGE, FABA-Bench's score of descriptions: what is recognised in the text, plus ROUGE-L; 0-2.

    Prediction(task="description", value="The man smiles. He looks happy.", gold="A happy man, smiling.")

Truth and answer are read alike: the emotion, or the AUs, that the text tells. Each score is given twice: as published,
with the faults of the published reading, and mended (`facevlm.metrics.faba` says which they are). A true text that
tells nothing when read properly is left out of the mended recognition. Source: Li et al. 2024, ECCV.
"""

import math
from collections.abc import Sequence

import numpy as np

from eval.frame.predictions import Prediction
from eval.frame.statistic import Frame, Metric, Scorer, Scores, number
from facevlm.metrics import FABA_AUS, AUTable, Floats, SumStatistic, mean_of
from facevlm.metrics.faba import published_au_f1_of, read_aus, read_emotion, rouge_l_of_sentences
from facevlm.metrics.words import rouge_l

_WORDLESS = "no true text holds a word in Latin letters"


def _applies(row: Prediction) -> bool:
    return row.judged and row.kind == "text"


def _texts(rows: Sequence[Prediction]) -> list[tuple[str, str]]:
    """What was said and the truth; what cannot be read is empty."""
    return [(row.value if isinstance(row.value, str) else "", str(row.gold)) for row in rows]


def _plus(a: SumStatistic, b: SumStatistic) -> SumStatistic:
    width = a.marks.shape[1]

    def finish(sums: Floats) -> Floats:
        return np.asarray(a.finish(sums[..., :width]) + b.finish(sums[..., width:]))

    return SumStatistic(np.hstack([a.marks, b.marks]), finish)


def _rouge(pairs: Sequence[tuple[str, str]]) -> tuple[SumStatistic, SumStatistic]:
    """Mended and published."""
    published = (rouge_l_of_sentences(said, gold) for said, gold in pairs)
    return mean_of([rouge_l(said, gold).f1 for said, gold in pairs]), \
        mean_of([math.nan if score is None else score for score in published])  # fmt: skip


def _right(said: str, gold: str) -> float:
    true = read_emotion(gold)
    return math.nan if true is None else float(read_emotion(said) == true)


def _emotion(rows: Sequence[Prediction], frame: Frame) -> Scores:
    pairs = _texts(rows)
    mended = mean_of([_right(*pair) for pair in pairs])
    published = mean_of([float(read_emotion(said, "published") == read_emotion(gold, "published"))
                         for said, gold in pairs])  # fmt: skip
    rouge, published_rouge = _rouge(pairs)
    untold = int(sum(math.isnan(_right(*pair)) for pair in pairs))
    why = f"no true text tells an emotion, or {_WORDLESS}"
    return Scores(
        {"rege_emotion": _plus(mended, rouge), "rege_emotion_published": _plus(published, published_rouge),
         "faba_accuracy": mended, "faba_accuracy_published": published},
        {"rouge_l": number(rouge()), "rouge_l_published": number(published_rouge())},
        caveats=[f"{untold} true texts tell no emotion: left out of the mended accuracy"] if untold else [],
        undefined={"rege_emotion": why, "rege_emotion_published": _WORDLESS, "faba_accuracy": why},
    )  # fmt: skip


def _aus(rows: Sequence[Prediction], frame: Frame) -> Scores:
    pairs, known = _texts(rows), frozenset(FABA_AUS)
    said, true = ([read_aus(text) & known for text in side] for side in zip(*pairs, strict=True))
    mended = AUTable.of(said, true, [FABA_AUS] * len(rows), FABA_AUS).macro_f1
    named, shown = ([read_aus(text, "published") for text in side] for side in zip(*pairs, strict=True))
    published = published_au_f1_of(named, shown)
    rouge, published_rouge = _rouge(pairs)
    none = f"no true text names one of the twelve AUs, or {_WORDLESS}"
    return Scores(
        {"rege_au": _plus(mended, rouge), "faba_au_f1": mended, "faba_au_f1_published": published,
         "rege_au_published": _plus(published, published_rouge)},
        {"rouge_l": number(rouge()), "rouge_l_published": number(published_rouge())},
        {f"AU{au}": sum(au in shown for shown in true) for au in FABA_AUS},
        undefined=dict.fromkeys(("rege_au", "rege_au_published", "faba_au_f1", "faba_au_f1_published"), none),
    )  # fmt: skip


_LACKING = "no scored face has a description"
EMOTION = Scorer(
    metrics={
        "rege_emotion": Metric("REGE, mended", "emotion accuracy plus ROUGE-L", high=2),
        "rege_emotion_published": Metric("REGE as published", "emotion accuracy plus ROUGE-L", high=2),
        "faba_accuracy": Metric("Told emotion, mended", "share of texts that tell the emotion of the true text"),
        "faba_accuracy_published": Metric("Told emotion as published", "by the published reading of both texts"),
    },
    applies=_applies, score=_emotion, lacking=_LACKING,
)  # fmt: skip
AUS = Scorer(
    metrics={
        "rege_au": Metric("AU REGE, mended", "F1 of twelve AUs plus ROUGE-L", high=2),
        "rege_au_published": Metric("AU REGE as published", "F1 of twelve AUs plus ROUGE-L", high=2),
        "faba_au_f1": Metric("Told AUs, mended", "mean F1 of twelve AUs, those that no true text names left out"),
        "faba_au_f1_published": Metric("Told AUs as published", "mean F1 of twelve AUs, denied ones counted as named"),
    },
    applies=_applies, score=_aus, lacking=_LACKING,
)  # fmt: skip
