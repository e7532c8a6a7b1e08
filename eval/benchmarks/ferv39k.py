"""FERV39k: clips of seven emotions in 22 scenes, from films and television; one official test list.

    FaceRecord(source="ferv39k", split="test", label_set="basic7", emotion="happiness")
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE, ONE_FRAME_RATE
from facevlm.vocab import BASIC_EMOTIONS

FERV39K = Benchmark(
    name="ferv39k",
    title="FERV39k",
    sources=("ferv39k",),
    protocols=(
        Protocol(
            name="ferv39k",
            doc="Seven emotions in clips, on the test list over all scenes: UAR, and WAR (the accuracy).",
            source="Wang et al. 2022, CVPR, all scenes", scores=("emotion",), headline="emotion_uar",
            label_set="basic7", classes=BASIC_EMOTIONS[:7], faces=7_847, caveats=(NO_PEOPLE, ONE_FRAME_RATE),
        ),
    ),
)  # fmt: skip
