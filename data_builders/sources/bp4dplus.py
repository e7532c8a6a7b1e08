"""BP4D+ (MMSE): coded video frames of 140 people in 4 of 10 tasks, AU occurrence, intensity of five AUs.

Paper: Zhang et al., "Multimodal Spontaneous Emotion Corpus for Human Behavior Analysis", CVPR 2016. Licence: signed by
the university, no passing on. Get it: by request to Binghamton University.

Tree, as the owners ship it
    AUCoding/AU_OCC/F001_T1.csv                    header, then frame, one code per AU; tasks T1, T6, T7, T8 only
    AUCoding/AU_INT/AU06/F001_T1_AU06.csv          no header: frame, 0-5; AU 6, 10, 12, 14, 17
    2D+3D/F001/T1/0000.jpg                         numbers padded to 3 or 4 digits

Labels: 0 absent, 1 present, 9 unknown: not labelled. AU 1, 2, 4, 5, 6, 7, 9-20, 22, 23, 24, 27-39; 25 and 26 were
never coded. No official split. Known faults: the header calls both the frame and AU1 "1"; F and M people share
numbers, the letter belongs to the name; F041_T7's labels and video differ in length, it is dropped; labels count
frames from 1 and pictures from 0 by one reading, by another both have one number: see `first_frame`.

One row:  F001_T1.csv: 120,0,0,9,…     (AU 1, 2, 4, …)
    -> FaceRecord(id="F001_T1-120", media="2D+3D/F001/T1/0120.jpg", subject="F001", aus={1: 0, 2: 0, …},
                  attributes={"gender": "female"}); AU4 is not in `aus`
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading.aucoding import Coding
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord


def read(root: Path, *, intensity: bool = False, pictures: str | None = None, first_frame: Literal[0, 1] = 1,
         every: int = 1) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of BP4D+, one a coded frame.

    Args:
        intensity: take AU 6, 10, 12, 14 and 17 from AU_INT where a sequence has it.
        pictures: the folder that holds F001/T1; None = where it usually is.
        first_frame: 1 = a label's picture has the label's number; 0 = the number before, pictures counting from 0.
        every: keep every n-th coded frame of a sequence.

    Raises:
        ConfigError: no AU_OCC folder, or no pictures.
    """
    tasks = ["T1", "T6", "T7", "T8"]
    coding = Coding(SOURCE, tasks, lambda _: "", intensity, pictures, first_frame, every, faulty=("F041_T7",))
    return coding.records(root)


SOURCE = Source(
    name="bp4dplus",
    title="BP4D+",
    read=read,
    tasks=("au", "au intensity", "gender"),
    licence="BP4D+ terms: signed agreement, research, no passing on",
    needs="AUCoding and 2D+3D",
)
