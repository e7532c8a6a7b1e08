"""RAER: clips of students in five states of learning.

    FaceRecord(source="raer", split="test", label_set="raer", emotion="confusion")

The EU AI Act forbids emotion recognition in schools outside medical and safety uses: measure, do not deploy.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE, ONE_FRAME_RATE

RAER = Benchmark(
    name="raer",
    title="RAER",
    sources=("raer",),
    protocols=(
        Protocol(
            name="raer",
            doc="Five states on the owners' test list: UAR, and WAR (the accuracy).",
            source="Zhao et al. 2025, ICCV, CLIP-based Context-aware Academic Emotion Recognition",
            scores=("emotion",), headline="emotion_uar", label_set="raer", caveats=(NO_PEOPLE, ONE_FRAME_RATE),
        ),
    ),
)  # fmt: skip
