"""FER+: the pictures of FER2013 with ten votes each for eight emotions.

    FaceRecord(source="ferplus", split="test", label_set="ferplus", emotion="neutral", emotion_probs={…})

Which faces remain hangs on what a majority is: 3,153 by the paper's rule (`majority: strict` when building), 3,376
where one emotion only has to lead (`majority: plurality`). 3,573 have a picture at all.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE

PAPER = "Barsoum et al. 2016, ICMI"
SOURCES = ("ferplus", "ferplus-folders")

FERPLUS = Benchmark(
    name="ferplus",
    title="FER+",
    sources=SOURCES,
    protocols=(
        Protocol(
            name="ferplus",
            doc="Eight emotions by majority vote on the test part: accuracy.",
            source=f"{PAPER}, majority mode", scores=("emotion",), headline="emotion_accuracy",
            label_set="ferplus", faces=3_153, keep=lambda record: record.emotion is not None,
            caveats=(NO_PEOPLE, "papers differ in which faces they keep, and few say which"),
        ),
        Protocol(
            name="ferplus-votes",
            doc="The shares of ten votes on the test part: overlap and Jensen-Shannon divergence.",
            source=f"votes of {PAPER}; the score is ours", scores=("shares",), headline="shares_overlap",
            task="soft_label", label_set="ferplus", caveats=(NO_PEOPLE,),
        ),
    ),
)  # fmt: skip
