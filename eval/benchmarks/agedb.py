"""AgeDB: about 16,500 faces of 568 celebrities over their lives, with age and gender.

    FaceRecord(source="agedb", split="test", subject="MariaCallas", attributes={"age": "35", "gender": "female"})
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_SPLIT

AGEDB = Benchmark(
    name="agedb",
    title="AgeDB",
    sources=("agedb",),
    protocols=(
        Protocol(
            name="agedb-age",
            doc="Age in years of people held out: MAE, and the share within five years.",
            source="Moschoglou et al. 2017, CVPR Workshops (labels); MAE as later papers report it",
            scores=("number", "age"), headline="number_mae", task="age",
            caveats=(NO_SPLIT, "a model may know celebrities by name, and so their age in a film"),
        ),
    ),
)  # fmt: skip
