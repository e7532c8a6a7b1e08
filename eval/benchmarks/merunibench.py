"""MER-UniBench: nine sets of clips, always asked for emotions in free words, scored by three rules.

    FaceRecord(source="mer2023", split="test", emotion="worry", label_set="mer")        hit rate
    FaceRecord(source="cmu-mosi", split="test", valence=0.6)                            sentiment
    FaceRecord(source="mer2025", split="test", emotion_words=("shy", "delighted"))      wheel F1

Basic emotions: whether the label's group is among the words (hit rate), which naming everything makes 1; our precision
and F1 stand beside it. Sentiment: the sign of the words. Fine-grained: precision and recall of groups. The published
score is the mean of the nine parts. Five parts have no reader: build them with `source=table` and `options.name`,
IEMOCAP with a label set such as basic7, the others with a column of valence within -1 to 1 (their labels over 3).
"""

from dataclasses import replace

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import ONE_FRAME_RATE
from facevlm.record import FaceRecord

PAPER = "Lian et al. 2025, ICML (AffectGPT), MER-UniBench"
WHEEL = (
    "words are grouped by facevlm.wheel, not by the published lists of five wheels, and read from the answer form, "
    "not by a language model: near the published score, not the same"
)
CHOSEN = "published tables choose the checkpoint on the test set"
MISSING = {
    "mer2023": "which of MER2023's test parts is meant is not stated: options.parts says which were read",
    "mer2024": "the owners' test labels are not read: the test is what the build held out",
    "meld": "papers on MELD read the words that are spoken too",
}
BASIC = {"mer2023": "mer2023", "mer2024": "mer2024", "meld": "meld", "iemocap": "iemocap"}
SENTIMENT = ("cmu-mosi", "cmu-mosei", "ch-sims", "ch-sims-v2")


def as_word(record: FaceRecord) -> FaceRecord:
    """The emotion as the one word that must be among those said."""
    return replace(record, emotion_words=(record.emotion,) if record.emotion else ())


def as_sentiment(record: FaceRecord) -> FaceRecord:
    """The sign of the valence as a word."""
    return replace(record, emotion_words=("positive" if (record.valence or 0) > 0 else "negative",))


def _basic(source: str) -> Protocol:
    told = (MISSING[source],) if source in MISSING else ()
    return Protocol(
        name=f"mer-unibench-{source}", doc=f"One emotion, asked for in free words, on {source}: hit rate.",
        source=f"{PAPER}, basic emotions", scores=("words",), headline="words_hit_rate", task="open_vocabulary",
        keep=lambda record: record.source == source and record.emotion is not None, view=as_word,
        caveats=(*told, "long lists raise the hit rate: read it with the precision", WHEEL, CHOSEN, ONE_FRAME_RATE),
    )  # fmt: skip


def _sentiment(source: str) -> Protocol:
    return Protocol(
        name=f"mer-unibench-{source}", doc=f"Positive or negative, by emotions in free words, on {source}.",
        source=f"{PAPER}, sentiment; neutral labels left out", scores=("sentiment",),
        headline="sentiment_weighted_f1", task="open_vocabulary",
        keep=lambda record: record.source == source and bool(record.valence), view=as_sentiment,
        caveats=("which words are positive is our own map, see eval/scores/sentiment.py", CHOSEN, ONE_FRAME_RATE),
    )  # fmt: skip


def checked(record: FaceRecord) -> bool:
    """Clips of OV-MERD, whose words people checked."""
    return record.source == "mer2025" and record.attributes.get("described_by") == "ovmerd"


MERUNIBENCH = Benchmark(
    name="merunibench",
    title="MER-UniBench",
    sources=("mer2023", "mer2024", "mer2025", "meld", "iemocap", *SENTIMENT),
    by_table=("iemocap", *SENTIMENT),
    protocols=(
        *map(_basic, BASIC),
        *map(_sentiment, SENTIMENT),
        Protocol(
            name="mer-unibench-ov",
            doc="Every emotion, in free words, on OV-MERD: F1 of the groups.",
            source=f"{PAPER}, fine-grained emotions", scores=("words",), headline="words_f1",
            task="open_vocabulary", keep=lambda record: checked(record) and bool(record.emotion_words),

            caveats=("the published part is OV-MERD+ (532 clips); this is what the build held out of OV-MERD",
                     WHEEL, CHOSEN, ONE_FRAME_RATE),
        ),
    ),
)  # fmt: skip
