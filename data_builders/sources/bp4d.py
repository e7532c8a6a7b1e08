"""BP4D-Spontaneous: 146,847 coded video frames of 41 people in 8 tasks, AU occurrence, intensity of five AUs.

Paper: Zhang et al., "BP4D-Spontaneous: a high-resolution spontaneous 3D dynamic facial expression database", Image and
Vision Computing 2014. Licence: signed by the university, no passing on. Get it: by request to Binghamton University.

Tree, as the owners ship it
    AUCoding/AU_OCC/F001_T1.csv                    header, then frame, one code per AU
    AUCoding/AU_INT/AU06/F001_T1_AU06.csv          no header: frame, 0-5; AU 6, 10, 12, 14, 17
    Sequences(2D+3D)/F001/T1/2440.jpg              also Sequences_2D+3D; numbers padded to 3 or 4 digits, or not

Labels: 0 absent, 1 present, 9 not codable: not labelled. Papers report 12 AUs (BP4D-12) over three folds of people,
see reading/folds.py. Known faults: an older header runs from 0 to 99, column k being AU k; a newer one names the
coded AUs and calls the frame column 1 as well, so columns go by place. Padding differs from person to person: pictures
are matched by number. Only stretches of a video are coded.

One row:  F001_T1.csv: 2440,0,0,9,…     (AU 1, 2, 4, …)
    -> FaceRecord(id="F001_T1-2440", media="Sequences(2D+3D)/F001/T1/2440.jpg", subject="F001", aus={1: 0, 2: 0, …},
                  attributes={"gender": "female"}); AU4 is not in `aus`
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from data_builders.reading import folds
from data_builders.reading.aucoding import Coding
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord


def read(root: Path, *, fold: Literal[1, 2, 3] | None = None, intensity: bool = False, pictures: str | None = None,
         first_frame: Literal[0, 1] = 1, every: int = 1) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of BP4D, one a coded frame.

    Args:
        fold: test this fold's people and train on the rest; None = the build draws people.
        intensity: take AU 6, 10, 12, 14 and 17 from AU_INT where a sequence has it.
        pictures: the folder that holds F001/T1; None = where it usually is.
        first_frame: 1 = a label's picture has the label's number; 0 = the number before, pictures counting from 0.
        every: keep every n-th coded frame of a sequence.

    Raises:
        ConfigError: no AU_OCC folder, or no pictures.
    """
    tasks = [f"T{n}" for n in range(1, 9)]
    split = partial(folds.split, folds.BP4D, fold=fold)
    return Coding(SOURCE, tasks, split, intensity, pictures, first_frame, every).records(root)


SOURCE = Source(
    name="bp4d",
    title="BP4D",
    read=read,
    tasks=("au", "au intensity", "gender"),
    licence="BP4D terms: signed agreement, research, no passing on",
    needs="AUCoding and Sequences(2D+3D)",
    published={"": 146_847},
)
