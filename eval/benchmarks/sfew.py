"""SFEW 2.0: stills from films in seven emotions; papers report the part Val, since the test labels are withheld.

    FaceRecord(source="sfew", split="test", label_set="caer", emotion="anger")
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE, VAL_IS_TEST

SFEW = Benchmark(
    name="sfew",
    title="SFEW 2.0",
    sources=("sfew",),
    protocols=(
        Protocol(
            name="sfew",
            doc="Seven emotions on Val: accuracy.",
            source="Dhall et al. 2012, IEEE MultiMedia; accuracy on Val as later papers report it",
            scores=("emotion",), headline="emotion_accuracy", label_set="caer",
            caveats=(VAL_IS_TEST, NO_PEOPLE, "copies of Val have 435 or 436 pictures, FERBench counts 431"),
        ),
    ),
)  # fmt: skip
