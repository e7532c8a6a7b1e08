"""FairFace: 10,954 faces from Flickr, about as many of each of seven races, with gender and nine age groups.

    FaceRecord(source="fairface", split="test", attributes={"age_group": "50-59", "gender": "male", "race": …})

Made to see whether age and gender are told equally well for everyone: race is the subgroup by which scores are set
apart, and is never asked for. The test set was never published; the owners' validation part is the test.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE, VAL_IS_TEST

PAPER = "Kärkkäinen & Joo 2021, WACV, accuracy by group"

FAIRFACE = Benchmark(
    name="fairface",
    title="FairFace",
    sources=("fairface",),
    protocols=(
        Protocol(
            name="fairface-gender",
            doc="Gender as the owners' annotators saw it: accuracy.",
            source=PAPER, scores=("choice",), headline="choice_accuracy", task="gender", faces=10_954,
            classes=("female", "male"), caveats=(VAL_IS_TEST, NO_PEOPLE),
        ),
        Protocol(
            name="fairface-age",
            doc="Nine age groups as the owners' annotators saw them: accuracy.",
            source=PAPER, scores=("choice", "levels"), headline="choice_accuracy", task="age_group", faces=10_954,
            caveats=(VAL_IS_TEST, NO_PEOPLE, "the groups are of unequal width"),
        ),
    ),
)  # fmt: skip
