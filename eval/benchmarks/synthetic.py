"""The drawn faces of `data_builders.sources.synthetic`: eight emotions and the 18 AUs that can be drawn.

    FaceRecord(source="synthetic", label_set="basic8", emotion="happiness", aus={6: 3, 12: 4, 25: 0, …})

An AU behind an occluder is missing from `aus`: not labelled, so naming it is neither right nor wrong. A trace
(intensity 1) counts as absent. A test bench: no score on it is a claim about people.
"""

from eval.frame.benchmark import Benchmark, Protocol
from facevlm.record import FaceRecord

OURS = "ours: data_builders.sources.synthetic draws the labels, so they are exact"
DRAWN = "drawn faces: a test bench, not a claim about people"


def keep(record: FaceRecord) -> bool:
    """Records with an emotion, or AUs alone."""
    return record.emotion is not None or bool(record.aus)


SYNTHETIC = Benchmark(
    name="synthetic",
    title="Drawn faces",
    sources=("synthetic",),
    protocols=(
        Protocol(
            name="synthetic",
            doc="Schematic drawn faces: eight emotions and 18 AUs, present from intensity 2.",
            source=OURS, scores=("emotion", "aus"), headline="emotion_accuracy", aus="synthetic-18",
            label_set="basic8", keep=keep, caveats=(DRAWN,),
        ),
        Protocol(
            name="synthetic-intensity",
            doc="Schematic drawn faces: the intensity of 18 AUs, 0-5.",
            source=OURS, scores=("intensity",), headline="intensity_icc", task="au_intensity", aus="synthetic-18",
            keep=lambda record: bool(record.aus), caveats=(DRAWN,),
        ),
    ),
)  # fmt: skip
