"""Any labelled records, scored on whatever labels they carry.

    FaceRecord(source="mine", label_set="rafdb", emotion="surprise")              scored on emotion
    FaceRecord(source="mine", aus={1: 0, 2: 1, 12: 1}, au_threshold=1)            scored on three AUs

An AU counts as present from the record's own `au_threshold`. Sets with different thresholds or label sets mix here,
which a published protocol would not allow: give `protocol` to hold the AUs to one.
"""

from eval.benchmark import Benchmark
from facevlm.record import FaceRecord


def keep(record: FaceRecord) -> bool:
    """Records with an emotion or at least one labelled AU."""
    return record.emotion is not None or bool(record.aus)


TABLE = Benchmark(
    name="table",
    doc="The labels the records carry, each AU from its record's own threshold.",
    keep=keep,
)
