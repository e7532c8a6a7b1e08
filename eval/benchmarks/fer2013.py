"""FER2013: 48 x 48 grey faces from the web in seven emotions; PrivateTest is the test.

    FaceRecord(source="fer2013", split="test", label_set="fer2013", emotion="anger")

Many labels are wrong, and some pictures are no faces: FER+ labels the same pictures anew.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE

PAPER = "Goodfellow et al. 2013, ICONIP, Challenges in Representation Learning"

FER2013 = Benchmark(
    name="fer2013",
    title="FER2013",
    sources=("fer2013", "fer2013-folders"),
    protocols=(
        Protocol(
            name="fer2013",
            doc="Seven emotions on PrivateTest: accuracy.",
            source=f"{PAPER}, accuracy on PrivateTest", scores=("emotion",), headline="emotion_accuracy",
            label_set="fer2013", faces=3_589,
            caveats=(NO_PEOPLE, "the set holds duplicates, wrong labels and pictures that are no faces"),
        ),
    ),
)  # fmt: skip
