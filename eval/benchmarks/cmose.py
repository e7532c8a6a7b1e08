"""CMOSE: clips of students in online sessions with four levels of engagement; the owners' split.

    FaceRecord(source="cmose", split="test", subject="video10_person0", attributes={"engagement": "2"})
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import ONE_FRAME_RATE

CMOSE = Benchmark(
    name="cmose",
    title="CMOSE",
    sources=("cmose",),
    protocols=(
        Protocol(
            name="cmose-engagement",
            doc="Four levels of engagement on the owners' test part: accuracy, macro F1; kappa of the levels.",
            source="Wu et al. 2024, CVPR Workshops, accuracy and macro F1", scores=("choice", "levels"),
            headline="choice_accuracy", task="engagement", classes=("very low", "low", "high", "very high"),
            caveats=("its levels, highly disengaged to highly engaged, are asked as very low to very high",
                     "a person is known within a session only: who comes twice counts as two", ONE_FRAME_RATE),
        ),
    ),
)  # fmt: skip
