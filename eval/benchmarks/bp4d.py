"""BP4D: 146,847 coded frames of 41 people in eight tasks, occurrence of 12 AUs.

    FaceRecord(source="bp4d", subject="F001", aus={1: 0, 2: 0, 4: 1, …})

Three folds by person, as DISFA's (see there). A code of 9 is not labelled, and neither right nor wrong.
"""

from eval.frame.benchmark import Benchmark, Protocol
from facevlm.folds import BP4D as FOLDS
from facevlm.record import FaceRecord
from facevlm.vocab import PROTOCOLS

AUS = frozenset(PROTOCOLS["BP4D-12"].aus)


def coded(record: FaceRecord) -> bool:
    """Records with any of the twelve AUs."""
    return bool(AUS & record.aus.keys())


BP4D = Benchmark(
    name="bp4d",
    title="BP4D",
    sources=("bp4d",),
    protocols=(
        Protocol(
            name="bp4d-12",
            doc="Mean F1 of 12 AUs, three folds by person: what most papers report.",
            source="Zhang et al. 2014, Image and Vision Computing (occurrence codes); 12 AUs and three folds: subject "
                   "lists of ME-GraphAU (Luo et al. 2022, IJCAI)",
            scores=("aus",), headline="au_macro_f1", aus="BP4D-12", tested="folds", folds=FOLDS, faces=146_847,
            keep=coded, caveats=("some evaluations score all 27 AUs that are coded: another number",),
        ),
    ),
)  # fmt: skip
