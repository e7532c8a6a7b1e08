"""CASME II: 255 spontaneous micro-expressions of 26 people, filmed at 200 frames a second, with AUs.

Paper: Yan et al., "CASME II: An Improved Spontaneous Micro-Expression Database and the Baseline Evaluation", PLoS ONE
2014. Licence: signed agreement, research; pictures must not be passed on. Get it: by request to the authors.

Tree                                            (the folders around sub01 have several names)
    CASME2-coding-20140508.xlsx, or -20190701
    CASME2-RAW/sub01/EP02_01f/img46.jpg         whole pictures
    Cropped/sub01/EP02_01f/reg_img46.jpg        aligned faces

Labels: Subject, Filename, OnsetFrame, ApexFrame, OffsetFrame, Action Units, Estimated Emotion. Papers report five
classes: happiness, disgust, surprise, repression, others; the few clips of fear and sadness are left out. MEGC 2019
takes disgust and repression as negative, happiness as positive. Action units are written "4+L10", without intensities;
"?" means unknown. The coders wrote down what belongs to the micro-expression, not every movement of the face: AUs
that are not named are not labelled, unless `unnamed="absent"` asks for the papers' reading (1 or 0 for every AU that
some clip of the set has). Protocol: leave one subject out, so there is no split here.

Known faults: ApexFrame can be "/"; numbers in the frames' names are not padded.

One row:  1  EP02_01f  46  59  86  4+L10  disgust
    -> FaceRecord(id="sub01/EP02_01f", media="CASME2-RAW/sub01/EP02_01f/img59.jpg",
                  before="CASME2-RAW/sub01/EP02_01f/img46.jpg", subject="01", emotion="disgust", aus={4: 1, 10: 1},
                  attributes={"sided_aus": "L10"})
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.files import find
from data_builders.reading.micro import Clip, Coding, NoApex, Unnamed, holders, records, table
from data_builders.reading.rows import Row
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord

_SETS = {"five": "casme2", "all": "casme2-all", "megc": "megc3"}
_NEGATIVE = ("disgust", "repression")


def read(root: Path, *, classes: Literal["five", "all", "megc"] = "five", pictures: Literal["raw", "cropped"] = "raw",
         no_apex: NoApex = "drop", unnamed: Unnamed = "unlabelled") -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of CASME II.

    Args:
        classes: the five that papers report, all seven, or MEGC 2019's three (negative, positive, surprise).
        pictures: whole pictures, or aligned faces.
        no_apex: leave out a clip without an apex frame, or take the frame halfway through it.
        unnamed: what AUs are that a clip's codes do not name.

    Raises:
        ConfigError: no coding sheet, or no folder of the subjects.
    """
    path = find(root, "CASME2-coding-20190701.xlsx", "CASME2-coding-20140508.xlsx", "CASME2-coding*.xlsx",
                "*/CASME2-coding*.xlsx", what="CASME II's CASME2-coding-<date>.xlsx")  # fmt: skip
    every = holders(root, r"sub\d+")
    fitting = [h for h in every if not h or ("crop" in h.lower()) == (pictures == "cropped")]
    if not fitting:
        raise ConfigError(f"{root} has no folder with sub01, sub02 … of {pictures} pictures; it has "
                          f"{', '.join(every) or 'none'}: set `pictures` or `root`")  # fmt: skip

    def clip_of(row: Row) -> Clip:
        subject = row["subject"].lower().removeprefix("sub")
        if not subject.isdecimal() or not row["clip"]:
            raise BadRow("bad row", f"Subject is {row['subject']!r}, Filename {row['clip']!r}")
        name = f"sub{int(subject):02d}/{row['clip']}"
        return Clip(name, f"{int(subject):02d}", f"{fitting[0]}/{name}" if fitting[0] else name)

    frame = re.compile(r"reg_img(\d+)" if pictures == "cropped" else r"img(\d+)")
    coding = Coding("casme2", SOURCE.licence, "casme2-all", _SETS[classes], _NEGATIVE, no_apex, unnamed, frame)
    yield from records(root, table(path), coding, clip_of)


SOURCE = Source(
    name="casme2",
    title="CASME II",
    read=read,
    tasks=("emotion", "au", "change"),
    licence="CASME II agreement: research, no passing on",
    needs="CASME2-coding-<date>.xlsx and the folder with sub01, sub02 …",
    published={"": 255},
)
