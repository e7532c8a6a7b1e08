"""Any labelled records, scored on whatever labels they carry.

    FaceRecord(source="mine", label_set="rafdb", emotion="surprise")              protocol labels: emotion
    FaceRecord(source="mine", aus={1: 0, 2: 1, 12: 1}, au_threshold=1)            protocol labels: three AUs
    FaceRecord(source="mine", attributes={"age": "31"})                           protocol age

An AU counts as present from the record's own `au_threshold`. Sets with different thresholds or label sets mix here,
which a published protocol would not allow: give `au_protocol` to hold the AUs to one.
"""

from eval.frame.benchmark import Benchmark, Protocol, Scored
from facevlm.record import FaceRecord
from facevlm.tasks import TASKS

OURS = "ours: whatever labels the records carry"


def keep(record: FaceRecord) -> bool:
    """Records with an emotion or at least one labelled AU."""
    return record.emotion is not None or bool(record.aus)


def _of(name: str, task: str, scores: Scored, headline: str) -> Protocol:
    return Protocol(name=name, doc=f"Needs {TASKS[task].needs}.", source=OURS,
                    scores=(scores,), headline=headline, task=task)  # fmt: skip


TABLE = Benchmark(
    name="table",
    title="Any labelled records",
    sources=(),
    protocols=(
        Protocol(
            name="labels",
            doc="The emotion and AU labels the records carry, each AU from its record's own threshold.",
            source=OURS, scores=("emotion", "aus"), headline="emotion_accuracy", keep=keep,
        ),
        _of("intensity", "au_intensity", "intensity", "intensity_icc"),
        _of("one-au", "au_single", "choice", "choice_accuracy"),
        _of("affect", "valence_arousal", "affect", "affect_ccc"),
        _of("compound", "compound", "emotion", "emotion_uar"),
        _of("words", "open_vocabulary", "words", "words_f1"),
        _of("shares", "soft_label", "shares", "shares_overlap"),
        _of("age", "age", "number", "number_mae"),
        _of("pain", "pain", "number", "number_pcc"),
        _of("gender", "gender", "choice", "choice_accuracy"),
        _of("engagement", "engagement", "choice", "choice_accuracy"),
        _of("real-fake", "real_fake", "choice", "choice_accuracy"),
        _of("attributes", "attributes", "attributes", "attribute_accuracy"),
        _of("description", "description", "text", "text_rouge_l"),
        _of("change", "change", "aus", "au_macro_f1"),
    ),
)  # fmt: skip
