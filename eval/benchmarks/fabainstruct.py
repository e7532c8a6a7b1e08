"""FABA-Bench (EmoLA): 403 descriptions of an emotion and 325 of AUs, of faces of AffectNet, written by GPT-4V.

    FaceRecord(source="fabainstruct", id="eval_emotion/abc.jpg", split="test", caption="The man smiles …")
    FaceRecord(source="fabainstruct", id="eval_au/abc.jpg", split="test", aus={4: 1}, aus_by="gpt-4v", caption=…)

REGE adds how well the text's emotion or AUs agree to its ROUGE-L. The truth is read out of a text as the answer is;
`facevlm.metrics.faba` tells the faults of the published reading, and both numbers are given.
"""

from dataclasses import replace

from eval.frame.benchmark import Benchmark, Protocol
from facevlm.metrics import FABA_AUS
from facevlm.record import FaceRecord

PAPER = "Li et al. 2024, ECCV, FABA-Bench"
WRITTEN = "the truth is what GPT-4V wrote, not what people saw"
ASKED = "asked in our words for a description, not with FABA's instructions"


def about(task: str, record: FaceRecord) -> bool:
    """Whether the record's description is of that task, as its id says."""
    return record.id.startswith(f"eval_{task}/")


def others_absent(record: FaceRecord) -> FaceRecord:
    """The record with the bench's twelve AUs, absent where the description does not name them."""
    return replace(record, aus={au: record.aus.get(au, 0.0) for au in FABA_AUS})


FABAINSTRUCT = Benchmark(
    name="fabainstruct",
    title="FABA-Bench",
    sources=("fabainstruct",),
    protocols=(
        Protocol(
            name="faba-emotion",
            doc="A description; the emotion it tells, and its words: REGE as published and mended, ROUGE-L.",
            source=f"{PAPER}, emotion", scores=("rege_emotion", "text"), headline="rege_emotion_published",
            task="description", faces=403, keep=lambda record: about("emotion", record), caveats=(WRITTEN, ASKED),
        ),
        Protocol(
            name="faba-au",
            doc="A description; the AUs it tells, and its words: REGE as published and mended, ROUGE-L.",
            source=f"{PAPER}, AU", scores=("rege_au", "text"), headline="rege_au_published", task="description",
            faces=325, keep=lambda record: about("au", record), caveats=(WRITTEN, ASKED),
        ),
        Protocol(
            name="faba-au-list",
            doc="The twelve AUs as a list instead of a description: mean F1.",
            source=f"AUs of {PAPER}; asking for a list is ours", scores=("aus",), headline="au_macro_f1", task="au",
            faces=325, keep=lambda record: about("au", record), view=others_absent,
            caveats=(WRITTEN, "an AU that the description leaves out or doubts counts as absent"),
        ),
    ),
)  # fmt: skip
