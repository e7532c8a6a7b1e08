"""MEGC 2019: micro-expressions of CASME II and SAMM in three classes, each person held out once.

    records=data/casme2-megc,data/samm-megc       both built with options.classes=megc

Negative is disgust and repression in CASME II; anger, contempt, disgust, fear and sadness in SAMM.
"""

from eval.frame.benchmark import Benchmark, Protocol
from eval.frame.caveats import APEX

PAPER = "See et al. 2019, FG, MEGC 2019"


def _of(source: str, title: str) -> Protocol:
    return Protocol(
        name=f"megc-{source}", doc=f"Three classes on {title} alone: UF1 (macro F1) and UAR.",
        source=f"{PAPER}, {title} part", scores=("emotion",), headline="emotion_macro_f1", label_set="megc3",
        tested="subjects", keep=lambda record: record.source == source, caveats=(APEX,),
    )  # fmt: skip


MEGC = Benchmark(
    name="megc",
    title="MEGC 2019",
    sources=("casme2", "samm"),
    protocols=(
        Protocol(
            name="megc-3",
            doc="Three classes over both sets, leaving one person out: UF1 (macro F1) and UAR.",
            source=f"{PAPER}, composite", scores=("emotion",), headline="emotion_macro_f1", label_set="megc3",
            tested="subjects",
            caveats=("the published composite also holds SMIC, which has no reader here: numbers of the whole do not "
                     "compare", APEX),
        ),
        _of("casme2", "CASME II"),
        _of("samm", "SAMM"),
    ),
)  # fmt: skip
