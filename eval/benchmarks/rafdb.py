"""RAF-DB: faces from the web in seven basic emotions (3,068 to test on) or eleven compound ones (792).

    FaceRecord(source="rafdb", split="test", label_set="rafdb", emotion="sadness")
    FaceRecord(source="rafdb-compound", split="test", label_set="rafdb-compound", emotion="sadly angry")

The two are separate releases, and separate folders of records. Papers on basic emotions report the plain accuracy,
which happiness dominates (1,185 of 3,068); the mean of the recalls is here UAR.
"""

from eval.frame.benchmark import Benchmark, Protocol

PAPER = "Li, Deng & Du 2017, CVPR"
NO_PEOPLE = "the set names no people: a person may be in both parts, and intervals count faces as independent"

RAFDB = Benchmark(
    name="rafdb",
    title="RAF-DB",
    sources=("rafdb", "rafdb-compound"),
    protocols=(
        Protocol(
            name="rafdb-basic",
            doc="Seven basic emotions on the official test part: accuracy.",
            source=f"{PAPER}, basic set; accuracy as later papers report it", scores=("emotion",),
            headline="emotion_accuracy", label_set="rafdb", faces=3_068, caveats=(NO_PEOPLE,),
            keep=lambda record: record.source == "rafdb",
        ),
        Protocol(
            name="rafdb-compound",
            doc="Eleven compound emotions on the official test part: mean recall (UAR).",
            source=f"{PAPER}, compound set, mean diagonal of the confusion matrix", scores=("emotion",),
            headline="emotion_uar", task="compound", label_set="rafdb-compound", faces=792, caveats=(NO_PEOPLE,),
            keep=lambda record: record.source == "rafdb-compound",
        ),
    ),
)  # fmt: skip
