"""ExpW: 91,793 faces in pictures from web searches, in seven emotions.

    FaceRecord(source="expw", split="test", label_set="expw", emotion="anger", box=(113, 28, 226, 141))
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE, NO_SPLIT

EXPW = Benchmark(
    name="expw",
    title="ExpW",
    sources=("expw",),
    protocols=(
        Protocol(
            name="expw",
            doc="Seven emotions on the faces held out: accuracy.",
            source="Zhang, Luo, Loy & Tang 2018, IJCV (labels; split not stated); accuracy as later papers report it",
            scores=("emotion",), headline="emotion_accuracy", label_set="expw",
            caveats=(NO_SPLIT, NO_PEOPLE, "faces of one picture may be in both parts"),
        ),
    ),
)  # fmt: skip
