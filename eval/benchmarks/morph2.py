"""MORPH II: about 55,000 police photographs of some 13,000 people, with their true age.

    FaceRecord(source="morph2", split="test", subject="009055", attributes={"age": "54", "gender": "male"})
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_SPLIT

MORPH2 = Benchmark(
    name="morph2",
    title="MORPH II",
    sources=("morph2",),
    protocols=(
        Protocol(
            name="morph2-age",
            doc="Age in years of people held out: MAE, and the share within five years.",
            source="Ricanek & Tesafaye 2006, FG (labels); MAE and CS@5 as later papers report them",
            scores=("number", "age"), headline="number_mae", task="age",
            caveats=(NO_SPLIT, "many papers split by picture, so that a person is on both sides: their errors are "
                     "smaller"),
        ),
    ),
)  # fmt: skip
