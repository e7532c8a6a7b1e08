"""FEA-20K (Facial-R1): 1,688 test faces of seven sets with AUs, an emotion and a description.

    FaceRecord(source="fea20k", split="test", aus={1: 1, 4: 1}, emotion="sadness", rationale="The inner brows …")

Its files list the AUs that are there; its evaluation takes every other one as absent, and averages over the AUs that
occur in the file at hand. So do these protocols. For other uses an AU that is not listed is not labelled.
"""

from dataclasses import replace

from eval.frame.benchmark import Benchmark, Protocol
from facevlm.record import FaceRecord
from facevlm.vocab import AUS

PAPER = "Facial-R1, AAAI 2026 (arXiv 2511.10254, withdrawn by its first author)"
POOLED = "all sets together; published numbers are set by set, and their protocol is not stated"
MACHINE = "beyond DISFA, BP4D and RAF-AU no human coded the AUs"


def others_absent(record: FaceRecord) -> FaceRecord:
    """The record with every AU that is not listed as absent."""
    return replace(record, aus=dict.fromkeys(AUS, 0.0) | dict(record.aus))


def described(record: FaceRecord) -> FaceRecord:
    """The record with its description as the caption, whichever way it was built."""
    return replace(record, caption=record.caption or record.rationale)


FEA20K = Benchmark(
    name="fea20k",
    title="FEA-20K",
    sources=("fea20k",),
    protocols=(
        Protocol(
            name="fea20k-au",
            doc="Mean F1 over every AU that occurs in the test; unlisted AUs count as absent.",
            source=f"{PAPER}, released evaluation", scores=("aus",), headline="au_macro_f1", task="au",
            keep=lambda record: bool(record.aus), view=others_absent,
            caveats=(POOLED, MACHINE, "published AUs are matched anywhere in the thinking, denied ones too"),
        ),
        Protocol(
            name="fea20k-emotion",
            doc="The emotion, where the label is one of eight: accuracy.",
            source=f"{PAPER}, released evaluation (first word of the answer)", scores=("emotion",),
            headline="emotion_accuracy", label_set="basic8", keep=lambda record: record.emotion is not None,
            caveats=(POOLED, "faces with several labels, or another word, are left out"),
        ),
        Protocol(
            name="fea20k-text",
            doc="A description against the reference: ROUGE-L.",
            source=f"{PAPER}, released evaluation", scores=("text",), headline="text_rouge_l", task="description",
            keep=lambda record: bool(record.caption or record.rationale), view=described,
            caveats=(POOLED, "published ROUGE-L is of the whole output, its tags included"),
        ),
    ),
)  # fmt: skip
