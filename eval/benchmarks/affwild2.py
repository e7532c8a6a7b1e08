"""Aff-Wild2 (ABAW): frames of web videos; expression, 12 AUs, valence and arousal, each a set of its own videos.

    FaceRecord(source="affwild2-expr", split="test", subject="10-60-1280x720_right", label_set="affwild2", emotion=…)

The test labels are withheld: the validation set is what can be reported, and what the readers call test. Nobody says
who the people are: a subject is one face of one video.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import VAL_IS_TEST

PAPER = "Kollias 2022, CVPR Workshops, ABAW challenges"
VIDEOS = "intervals are by face of a video; a person in several videos counts as several"

AFFWILD2 = Benchmark(
    name="affwild2",
    title="Aff-Wild2",
    sources=("affwild2-expr", "affwild2-au", "affwild2-va"),
    protocols=(
        Protocol(
            name="affwild2-expr",
            doc="Eight expressions on the validation set: macro F1.",
            source=f"{PAPER}: EXPR, macro F1 of eight", scores=("emotion",), headline="emotion_macro_f1",
            label_set="affwild2", keep=lambda record: record.source == "affwild2-expr", caveats=(VAL_IS_TEST, VIDEOS),
        ),
        Protocol(
            name="affwild2-au",
            doc="Mean F1 of 12 AUs on the validation set.",
            source=f"{PAPER}: AU, mean F1 of 12", scores=("aus",), headline="au_macro_f1", aus="AffWild2-12",
            keep=lambda record: record.source == "affwild2-au", caveats=(VAL_IS_TEST, VIDEOS),
        ),
        Protocol(
            name="affwild2-va",
            doc="Valence and arousal on the validation set: mean CCC.",
            source=f"{PAPER}: VA, mean of both CCC", scores=("affect",), headline="affect_ccc",
            task="valence_arousal", keep=lambda record: record.source == "affwild2-va",
            caveats=(VAL_IS_TEST, VIDEOS),
        ),
    ),
)  # fmt: skip
