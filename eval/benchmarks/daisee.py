"""DAiSEE: webcam clips of students with four levels of engagement; the owners' split by person.

    FaceRecord(source="daisee", split="test", subject="110001", attributes={"engagement": "2", "boredom": "0"})
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import ONE_FRAME_RATE

DAISEE = Benchmark(
    name="daisee",
    title="DAiSEE",
    sources=("daisee",),
    protocols=(
        Protocol(
            name="daisee-engagement",
            doc="Four levels of engagement on the owners' test part: accuracy; MSE and kappa of the levels.",
            source="Gupta et al. 2016, DAiSEE, accuracy of four levels; MSE as later papers report it, in levels",
            scores=("choice", "levels"), headline="choice_accuracy", task="engagement",
            classes=("very low", "low", "high", "very high"),
            caveats=("few clips are of the two low levels: read UAR beside the accuracy", ONE_FRAME_RATE),
        ),
    ),
)  # fmt: skip
