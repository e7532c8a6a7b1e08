"""SCUT-FBP5500: 5,500 faces with the mean beauty rating of 60 people, 1-5.

    FaceRecord(source="scutfbp", split="test", attributes={"beauty": "2.883333", "gender": "female"})

Two official splits, chosen when building: `options.protocol` 60-40, or fold-1 … fold-5, whose runs `eval.pool` lays
together. What 60 raters found beautiful is a fact about them: do not use it to judge people.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import NO_PEOPLE

PAPER = "Liang, Lin, Jin, Xie & Li 2018, ICPR"
TASTE = "ratings of 60 people: a fact about their taste, not about the faces"

SCUTFBP = Benchmark(
    name="scutfbp",
    title="SCUT-FBP5500",
    sources=("scutfbp",),
    protocols=(
        Protocol(
            name="scutfbp-60-40",
            doc="Mean rating on the 2,200 faces of the 60/40 split: Pearson's r (PC), MAE, RMSE.",
            source=f"{PAPER}, split of 60 % and 40 %", scores=("number",), headline="number_pcc", task="beauty",
            faces=2_200, caveats=(TASTE, NO_PEOPLE),
        ),
        Protocol(
            name="scutfbp-5-fold",
            doc="Mean rating, mean over the owners' five folds: Pearson's r (PC), MAE, RMSE.",
            source=f"{PAPER}, five-fold cross validation", scores=("number",), headline="number_pcc", task="beauty",
            tested="folds", caveats=(TASTE, NO_PEOPLE),
        ),
    ),
)  # fmt: skip
