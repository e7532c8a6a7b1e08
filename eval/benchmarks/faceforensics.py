"""FaceForensics++: 140 real test videos and their fakes by four methods.

    FaceRecord(source="faceforensics", split="test", subject="000", attributes={"authenticity": "fake",
                                                                                "manipulation": "Deepfakes"})

A record is a video, asked about once; published frame scores ask about each frame. FaceShifter and DeepFakeDetection
are no part of the four-method test. With all four methods, four of five videos are fakes: saying "fake" always is 80 %
accurate, so that UAR and AUC say more.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import ONE_FRAME_RATE
from facevlm.record import FaceRecord

PAPER = "Rössler et al. 2019, ICCV"
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
REAL = 140
ODDS = "four of five videos are fakes: saying fake always is 80 % accurate"
LEVEL = "one answer for a video; published numbers are often for frames, and hang on the compression that was read"


def of_youtube(record: FaceRecord) -> bool:
    """Whether a video is an original of YouTube, not one of DeepFakeDetection's actors."""
    return record.attributes.get("authenticity") == "real" and not (record.subject or "").startswith("actor")


def four(record: FaceRecord) -> bool:
    """Originals and the fakes of the four methods."""
    return of_youtube(record) or record.attributes.get("manipulation") in METHODS


def _of(method: str) -> Protocol:
    return Protocol(
        name=f"ffpp-{method.lower()}", doc=f"Real or fake, {method} against the originals: accuracy and AUC.",
        source=f"{PAPER}, {method}", scores=("choice",), headline="choice_accuracy", task="real_fake", faces=2 * REAL,
        keep=lambda record: of_youtube(record) or record.attributes.get("manipulation") == method,
        caveats=(LEVEL, ONE_FRAME_RATE),
    )  # fmt: skip


FACEFORENSICS = Benchmark(
    name="faceforensics",
    title="FaceForensics++",
    sources=("faceforensics",),
    protocols=(
        Protocol(
            name="ffpp",
            doc="Real or fake, four methods together: accuracy, UAR and (with mode=label) AUC.",
            source=f"{PAPER}, four methods, official test list", scores=("choice",), headline="choice_accuracy",
            task="real_fake", faces=REAL * (1 + len(METHODS)), keep=four, caveats=(ODDS, LEVEL, ONE_FRAME_RATE),
        ),
        *map(_of, METHODS),
    ),
)  # fmt: skip
