"""GFT: 172,800 frames of 96 people talking in groups of three, occurrence of AUs.

    FaceRecord(source="gft", split="test", subject="001A", aus={1: 0, 2: 0, …})

78 people are for training and 18 for the test, as the owners' folders say.
"""

from eval.frame.benchmark import Benchmark, Protocol
from facevlm.record import FaceRecord
from facevlm.vocab import PROTOCOLS

AUS = frozenset(PROTOCOLS["GFT-10"].aus)


def coded(record: FaceRecord) -> bool:
    """Records with any of the ten AUs."""
    return bool(AUS & record.aus.keys())


GFT = Benchmark(
    name="gft",
    title="GFT",
    sources=("gft",),
    protocols=(
        Protocol(
            name="gft-10",
            doc="Mean F1 of 10 AUs on the 18 people held out.",
            source="Girard et al. 2017, FG, 10 AUs, 78 people to train on and 18 to test on", scores=("aus",),
            headline="au_macro_f1", aus="GFT-10", keep=coded,
        ),
    ),
)  # fmt: skip
