"""FERBench: the test parts of RAF-DB, FER+, AffectNet and SFEW as one test, each face with its own set's emotions.

    records=data/rafdb,data/ferplus,data/affectnet,data/sfew

11,072 faces as published: 3,068 + 3,573 + 4,000 + 431. The overall accuracy weighs each set by its size; each alone is
a benchmark of its own name.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE
from facevlm.vocab import BASIC_EMOTIONS

FERBENCH = Benchmark(
    name="ferbench",
    title="FERBench",
    sources=("rafdb", "ferplus", "ferplus-folders", "affectnet", "affectnet-npy", "sfew"),
    protocols=(
        Protocol(
            name="ferbench",
            doc="Seven or eight emotions over the test parts of four sets: accuracy over all faces.",
            source="UniFER, arXiv 2511.00389 (2025), FERBench", scores=("emotion",), headline="emotion_accuracy",
            classes=BASIC_EMOTIONS, faces=11_072, keep=lambda record: record.emotion in BASIC_EMOTIONS,
            caveats=(
                "FERBench counts 3,573 faces of FER+ and 431 of SFEW; how it labels faces without a majority, and "
                "which stills it leaves out, is not stated",
                "the published reader takes any label word in the text where the answer has none, which raises scores",
                "the parts of AffectNet and SFEW are validation parts: nothing was held back from the choice of a "
                "checkpoint", NO_PEOPLE,
            ),
        ),
    ),
)  # fmt: skip
