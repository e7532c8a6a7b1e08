"""CASME II: micro-expressions in five classes, each person held out once.

    FaceRecord(source="casme2", subject="01", label_set="casme2", emotion="disgust", before="….jpg")

UF1 is the macro F1 and UAR the mean recall, of all people's clips pooled: most people lack classes. One model for each
person held out, their runs laid together with `eval.pool`; a model that never saw the set is run once.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import APEX

CASME2 = Benchmark(
    name="casme2",
    title="CASME II",
    sources=("casme2",),
    protocols=(
        Protocol(
            name="casme2-5",
            doc="Five classes, leaving one person out: UF1 (macro F1), UAR, accuracy.",
            source="Yan et al. 2014, PLoS ONE (labels); UF1 and UAR as See et al. 2019, FG, define them",
            scores=("emotion",), headline="emotion_macro_f1", label_set="casme2", tested="subjects",
            keep=lambda record: record.emotion is not None, caveats=(APEX,),
        ),
    ),
)  # fmt: skip
