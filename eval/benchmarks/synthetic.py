"""The drawn faces of `data_builders.sources.synthetic`: eight emotions and the 18 AUs that can be drawn.

    FaceRecord(source="synthetic", label_set="basic8", emotion="happiness", aus={6: 3, 12: 4, 25: 0, …})

An AU behind an occluder is missing from `aus`: not labelled, so naming it is neither right nor wrong. A trace
(intensity 1) counts as absent. A test bench: no score on it is a claim about people.
"""

from eval.benchmark import Benchmark
from facevlm.record import FaceRecord


def keep(record: FaceRecord) -> bool:
    """Records with the eight basic labels, or AUs alone."""
    return record.label_set in ("basic8", None) and (record.emotion is not None or bool(record.aus))


SYNTHETIC = Benchmark(
    name="synthetic",
    doc="Schematic drawn faces: a test bench, not a claim about people.",
    keep=keep,
    protocol="synthetic-18",
    label_set="basic8",
)
