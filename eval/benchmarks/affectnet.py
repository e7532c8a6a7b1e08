"""AffectNet: faces from the web, each labelled by one person; eight emotions, valence and arousal.

    FaceRecord(source="affectnet", split="test", label_set="affectnet8", emotion="contempt", valence=-0.4, arousal=0.1)

The test labels were never given out: papers report the validation part (500 faces of each emotion, so that accuracy is
UAR), which the readers call test. Seven classes are the same part without contempt.
"""

from dataclasses import replace

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE, VAL_IS_TEST
from facevlm.record import FaceRecord
from facevlm.vocab import LABEL_SETS

PAPER = "Mollahosseini, Hasani & Mahoor 2017, IEEE Trans. Affective Computing"
ONE_RATER = "each face was labelled by one person"
SEVEN = LABEL_SETS["affectnet7"].labels


def seven(record: FaceRecord) -> FaceRecord:
    """The record with seven emotions on offer."""
    return replace(record, label_set="affectnet7")


AFFECTNET = Benchmark(
    name="affectnet",
    title="AffectNet",
    sources=("affectnet", "affectnet-npy", "affectnet-plus"),
    protocols=(
        Protocol(
            name="affectnet-8",
            doc="Eight emotions on the validation part: accuracy.",
            source=f"{PAPER}; eight classes as later papers report them", scores=("emotion",),
            headline="emotion_accuracy", label_set="affectnet8", faces=4_000,
            caveats=(VAL_IS_TEST, NO_PEOPLE, ONE_RATER, "the release with .npy files has 3,999 of the 4,000 faces"),
        ),
        Protocol(
            name="affectnet-7",
            doc="Seven emotions, without contempt, on the validation part: accuracy.",
            source=f"{PAPER}; seven classes as later papers report them", scores=("emotion",),
            headline="emotion_accuracy", classes=SEVEN, faces=3_500, view=seven,
            keep=lambda record: record.emotion in SEVEN, caveats=(VAL_IS_TEST, NO_PEOPLE, ONE_RATER),
        ),
        Protocol(
            name="affectnet-va",
            doc="Valence and arousal on the validation part: CCC and RMSE.",
            source=f"{PAPER}, valence and arousal (RMSE, CCC)", scores=("affect",), headline="affect_ccc",
            task="valence_arousal", caveats=(VAL_IS_TEST, NO_PEOPLE, ONE_RATER),
        ),
    ),
)  # fmt: skip
