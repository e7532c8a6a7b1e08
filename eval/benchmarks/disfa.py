"""DISFA: 130,814 frames of 27 people watching films, 12 AUs with intensity 0-5 in every frame.

    FaceRecord(source="disfa", subject="SN001", aus={1: 0, …, 12: 3, …}, au_threshold=2)

Papers train on two thirds of the people and test on the last, three times over: run each fold's model with `fold=1`,
`fold=2`, `fold=3` and lay the runs together with `eval.pool`. A model that never saw DISFA is run once, over all
people; its mean over folds stands in the results too. Some code counts an AU from intensity 1, LibreFace tests on five
folds, and some lists pair frames with labels one off: none of their numbers compare with these.
"""

from eval.frame.benchmark import Benchmark, Protocol
from facevlm.folds import DISFA as FOLDS
from facevlm.record import FaceRecord
from facevlm.vocab import PROTOCOLS

PAPER = "Mavadati et al. 2013, IEEE Trans. Affective Computing 4:151"
LISTS = "subject lists of ME-GraphAU (Luo et al. 2022, IJCAI)"
FRAMES = 130_814


def coded(record: FaceRecord) -> bool:
    """Records with all twelve AUs of the set."""
    return set(PROTOCOLS["DISFA-12"].aus) <= record.aus.keys()


DISFA = Benchmark(
    name="disfa",
    title="DISFA",
    sources=("disfa",),
    protocols=(
        Protocol(
            name="disfa-8",
            doc="Mean F1 of 8 AUs, present from intensity 2, three folds by person: what most papers report.",
            source=f"{PAPER} (intensity >= 2); 8 AUs and three folds: {LISTS}", scores=("aus",),
            headline="au_macro_f1", aus="DISFA-8", tested="folds", folds=FOLDS, faces=FRAMES, keep=coded,
        ),
        Protocol(
            name="disfa-12",
            doc="Mean F1 of all 12 AUs, present from intensity 2, three folds by person.",
            source=f"{PAPER} (12 AUs, intensity >= 2); three folds: {LISTS}", scores=("aus",),
            headline="au_macro_f1", aus="DISFA-12", tested="folds", folds=FOLDS, faces=FRAMES, keep=coded,
        ),
        Protocol(
            name="disfa-intensity",
            doc="Intensity 0-5 of 12 AUs: ICC(3,1), MAE and r, mean over AUs, three folds by person.",
            source=f"{PAPER} (intensities, ICC); three folds: {LISTS}", scores=("intensity",),
            headline="intensity_icc", task="au_intensity", aus="DISFA-12", tested="folds", folds=FOLDS, faces=FRAMES,
            keep=coded,
        ),
    ),
)  # fmt: skip
