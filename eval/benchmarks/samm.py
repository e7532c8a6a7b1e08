"""SAMM: micro-expressions in five classes, each person held out once; see `casme2` for the scores.

    FaceRecord(source="samm", subject="006", label_set="samm", emotion="surprise", before="….jpg")
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import APEX

SAMM = Benchmark(
    name="samm",
    title="SAMM",
    sources=("samm",),
    protocols=(
        Protocol(
            name="samm-5",
            doc="Five classes, leaving one person out: UF1 (macro F1), UAR, accuracy.",
            source="Davison et al. 2018, IEEE Trans. Affective Computing (labels); UF1 and UAR as See et al. 2019, "
                   "FG, define them",
            scores=("emotion",), headline="emotion_macro_f1", label_set="samm", tested="subjects",
            keep=lambda record: record.emotion is not None, caveats=(APEX,),
        ),
    ),
)  # fmt: skip
