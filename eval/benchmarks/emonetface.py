"""EmoNet-Face: generated faces in 40 emotions; HQ rated 0-7 by experts, Binary with yes or no.

    FaceRecord(source="emonetface-hq", split="test", attributes={"intensity of elation": "5.833", …})
    FaceRecord(source="emonetface-binary", split="test", attributes={"shows elation": "yes", "shows awe": "no"})

HQ asks about each emotion of a face by itself: 40 questions a face. Experts agree little (pairwise weighted kappa
about 0.20), and on some emotions not at all: an average over all 40 is diluted by noise, so that the others have a
protocol of their own.
"""

from collections.abc import Sequence
from dataclasses import replace

from eval.frame.benchmark import Benchmark, Protocol, aspect
from facevlm.record import FaceRecord

PAPER = "Schuhmann et al. 2025, NeurIPS, EmoNet-Face"
UNRELIABLE = ("interest", "concentration", "contemplation")
"""Emotions on which experts do not agree beyond chance: Krippendorff's alpha at most 0. That of others is not stated,
but for elation (0.58)."""
GENERATED = "generated faces: nobody feels anything, and experts agree little (pairwise weighted kappa about 0.20)"
RATED, SHOWN = "intensity of ", "shows "
"""Before an emotion, in the names of the attributes of HQ and Binary."""


def each_emotion(record: FaceRecord) -> Sequence[FaceRecord]:
    """One question for each rated emotion."""
    return [aspect(record, name.removeprefix(RATED), attributes={name: value})
            for name, value in record.attributes.items() if name.startswith(RATED)]  # fmt: skip


def reliable(attribute: str) -> bool:
    """Whether experts agree on the attribute's emotion; some names are two words with a slash."""
    return not set(attribute.removeprefix(RATED).removeprefix(SHOWN).split("/")) & set(UNRELIABLE)


def each_reliable(record: FaceRecord) -> Sequence[FaceRecord]:
    """One question for each rated emotion that experts agree on."""
    return [one for one in each_emotion(record) if all(map(reliable, one.attributes))]


def _reliable_only(record: FaceRecord) -> Sequence[FaceRecord]:
    kept = {name: value for name, value in record.attributes.items() if reliable(name)}
    return [replace(record, attributes=kept)]


def _hq(record: FaceRecord) -> bool:
    return record.source.startswith("emonetface-hq")


def _binary(record: FaceRecord) -> bool:
    return record.source.startswith("emonetface-binary")


MEAN = "agreement is with the mean of the experts, not with each of them, and so above the published kind"
NAMED = "the emotions that were asked about are offered together, not one by one, and most have one rater"
NO_TRAIN = "the owners give no split of Binary: the test is what the build held out"

EMONETFACE = Benchmark(
    name="emonetface",
    title="EmoNet-Face",
    sources=("emonetface-hq", "emonetface-hq-files", "emonetface-binary", "emonetface-binary-files"),
    protocols=(
        Protocol(
            name="emonet-hq",
            doc="Intensity 0-7 of each of 40 emotions: weighted kappa and Spearman, mean over emotions.",
            source=f"{PAPER}, HQ, weighted kappa; weights not stated, ours are quadratic", scores=("ratings",),
            headline="rating_kappa", task="emotion_intensity", faces=2_500, keep=_hq, questions=each_emotion,
            caveats=(MEAN, GENERATED),
        ),
        Protocol(
            name="emonet-hq-reliable",
            doc="The same without the emotions on which experts do not agree.",
            source=f"ratings of {PAPER}, HQ; the choice of emotions is ours, by its Krippendorff's alpha",
            scores=("ratings",), headline="rating_kappa", task="emotion_intensity", faces=2_500, keep=_hq,
            questions=each_reliable, caveats=(f"without {', '.join(UNRELIABLE)}", MEAN, GENERATED),
        ),
        Protocol(
            name="emonet-binary",
            doc="Whether emotions are there, by the majority of their raters: mean F1 over emotions.",
            source=f"{PAPER}, Binary, F1", scores=("attributes",), headline="attribute_f1", task="attributes",
            keep=_binary, caveats=(NAMED, NO_TRAIN, GENERATED),
        ),
        Protocol(
            name="emonet-binary-reliable",
            doc="The same without the emotions on which experts do not agree.",
            source=f"labels of {PAPER}, Binary; the choice of emotions is ours, by its Krippendorff's alpha",
            scores=("attributes",), headline="attribute_f1", task="attributes", keep=_binary,
            questions=_reliable_only, caveats=(f"without {', '.join(UNRELIABLE)}", NAMED, NO_TRAIN, GENERATED),
        ),
    ),
)  # fmt: skip
