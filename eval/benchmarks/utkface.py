"""UTKFace: about 23,700 faces from the web with estimated age and gender.

    FaceRecord(source="utkface", split="test", attributes={"age": "25", "gender": "male", "race": "Asian"})
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE, NO_SPLIT

PAPER = "Zhang, Song & Qi 2017, CVPR (labels)"

UTKFACE = Benchmark(
    name="utkface",
    title="UTKFace",
    sources=("utkface",),
    protocols=(
        Protocol(
            name="utkface-age",
            doc="Age in years: MAE, and the share within five years.",
            source=f"{PAPER}; MAE as later papers report it", scores=("number", "age"), headline="number_mae",
            task="age", caveats=(NO_SPLIT, NO_PEOPLE, "ages are estimates that people checked; some papers keep only "
                                 "ages 21 to 60, which makes the error smaller"),
        ),
        Protocol(
            name="utkface-gender",
            doc="Gender as labelled: accuracy.",
            source=f"{PAPER}; accuracy as later papers report it", scores=("choice",), headline="choice_accuracy",
            task="gender", classes=("female", "male"), caveats=(NO_SPLIT, NO_PEOPLE),
        ),
    ),
)  # fmt: skip
