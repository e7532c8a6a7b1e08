"""CAER-S and CAER: stills and clips of television series in seven emotions, the scene around the face kept.

    FaceRecord(source="caer-s", split="test", label_set="caer", emotion="happiness")
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE, ONE_FRAME_RATE

PAPER = "Lee, Kim, Kim, Park & Sohn 2019, ICCV"
SCENES = "often several people are in the picture, and none is boxed: it is open whose emotion is meant"

CAER = Benchmark(
    name="caer",
    title="CAER",
    sources=("caer-s", "caer"),
    protocols=(
        Protocol(
            name="caer-s",
            doc="Seven emotions in stills, on the owners' test part: accuracy.",
            source=f"{PAPER}, CAER-S", scores=("emotion",), headline="emotion_accuracy", label_set="caer",
            keep=lambda record: record.source == "caer-s",
            caveats=(NO_PEOPLE, SCENES, "frames of one scene are near duplicates: few of them are independent"),
        ),
        Protocol(
            name="caer",
            doc="Seven emotions in clips, on the owners' test part: accuracy.",
            source=f"{PAPER}, CAER", scores=("emotion",), headline="emotion_accuracy", label_set="caer",
            keep=lambda record: record.source == "caer", caveats=(NO_PEOPLE, SCENES, ONE_FRAME_RATE),
        ),
    ),
)  # fmt: skip
