"""C-EXPR-DB: frames of web videos in seven compound expressions.

    FaceRecord(source="cexpr", split="test", label_set="cexpr", emotion="fearfully surprised")

Participants of ABAW get 56 videos without labels: the labels are your own, or the organisers'. So there is no reader;
`source=table` with `options.name=cexpr` and `options.label_set=cexpr` builds the records. Frames labelled "other" are
left out.
"""

from eval.frame.benchmark import Benchmark, Protocol

CEXPR = Benchmark(
    name="cexpr",
    title="C-EXPR-DB",
    sources=("cexpr",),
    by_table=("cexpr",),
    protocols=(
        Protocol(
            name="cexpr-7",
            doc="Seven compound expressions: macro F1.",
            source="Kollias 2023, CVPR, C-EXPR-DB; macro F1 of seven as the ABAW challenges score it",
            scores=("emotion",), headline="emotion_macro_f1", task="compound", label_set="cexpr",
            caveats=("the organisers' labels of the test videos are not given out: numbers of the challenge compare "
                     "only if made with these",),
        ),
    ),
)  # fmt: skip
