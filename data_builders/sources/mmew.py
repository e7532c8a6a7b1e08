"""MMEW: 300 micro-expressions and 900 macro-expressions of the same people.

Paper: Ben et al., "Video-based Facial Micro-Expression Analysis: A Survey of Datasets, Features and Algorithms", IEEE
TPAMI 2022. Licence: signed agreement, research; pictures must not be passed on. Get it: by request to the authors.

Tree
    MMEW_Final/MMEW_Micro_Exp.xlsx                              one row per micro-expression
    MMEW_Final/Micro_Expression/<emotion>/S01-01-001/1.jpg      its frames
    MMEW_Final/Macro_Expression/S01/<emotion>/S01-07-001.jpg    macro-expressions: pictures

Labels: happiness, anger, surprise, disgust, fear, sadness, and for micro-expressions others; MEGC's three classes take
anger, disgust, fear and sadness as negative. A name is person-emotion-sample. The columns of the sheet are recalled:
Subject, Filename, OnsetFrame, ApexFrame, OffsetFrame, Action Units, Estimated Emotion, in any case and spacing. AUs
that are not named are not labelled, unless `unnamed="absent"` asks for 0 for every AU that some other clip has.
Protocol: leave one subject out, so there is no split here.

Known faults: the emotion stands in the sheet and in the folder's name; a clip where they differ is dropped.

One row:  1  S01-01-001  1  12  20  4+7  disgust
    -> FaceRecord(id="S01-01-001", media="MMEW_Final/Micro_Expression/disgust/S01-01-001/12.jpg",
                  before="MMEW_Final/Micro_Expression/disgust/S01-01-001/1.jpg", subject="S01", emotion="disgust",
                  aus={4: 1, 7: 1})
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, relative, subfolders, walk
from data_builders.reading.micro import Clip, Coding, NoApex, Unnamed, records, table
from data_builders.reading.rows import Row
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord

Classes = Literal["all", "megc"]
_SETS = {"all": "micro7", "megc": "megc3"}
_NEGATIVE = ("anger", "disgust", "fear", "sadness")
_FRAME = re.compile(r"(\d+)")
_LICENCE = "MMEW agreement: research, no passing on"


def read(root: Path, *, classes: Classes = "all", no_apex: NoApex = "drop",
         unnamed: Unnamed = "unlabelled") -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The micro-expressions of MMEW.

    Args:
        classes: all seven, or MEGC's three (negative, positive, surprise).
        no_apex: leave out a clip without an apex frame, or take the frame halfway through it.
        unnamed: what AUs are that a clip's codes do not name.

    Raises:
        ConfigError: no sheet, or no Micro_Expression folder.
    """
    path = find(root, "MMEW_Final/MMEW_Micro_Exp.xlsx", "MMEW_Micro_Exp.xlsx", "MMEW_Final/*Micro*.xlsx",
                "*Micro*.xlsx", what="MMEW's MMEW_Micro_Exp.xlsx")  # fmt: skip
    base = find(root, "MMEW_Final/Micro_Expression", "Micro_Expression", what="MMEW's Micro_Expression folder")
    clips = {clip.lower(): (emotion, clip) for emotion in subfolders(base) for clip in subfolders(base / emotion)}
    coding = _coding(SOURCE.name, classes, no_apex, unnamed)
    yield Note(f"the columns of {path.name} are recalled, not checked: look at some records")

    def clip_of(row: Row) -> Clip:
        if row["clip"].lower() not in clips:
            raise BadRow("file missing", f"no folder of Micro_Expression holds {row['clip']!r}")
        emotion, clip = clips[row["clip"].lower()]
        if coding.label(emotion) != coding.label(row["emotion"]):
            raise BadRow("two labels", f"the sheet says {row['emotion']!r}, the folder {emotion!r}")
        return Clip(clip, clip.split("-")[0], f"{relative(base, root)}/{emotion}/{clip}")

    yield from records(root, table(path), coding, clip_of)


def read_macro(root: Path, *, classes: Classes = "all") -> Iterator[FaceRecord | Drop]:
    """The macro-expressions of MMEW.

    Args:
        classes: all, or MEGC's three (negative, positive, surprise).

    Raises:
        ConfigError: no Macro_Expression folder.
    """
    base = find(root, "MMEW_Final/Macro_Expression", "Macro_Expression", what="MMEW's Macro_Expression folder")
    coding = _coding(MACRO.name, classes, "drop", "unlabelled")
    for path in walk(root, relative(base, root)):
        stem = path.rpartition("/")[2].rpartition(".")[0]
        try:
            emotion = coding.label(path.split("/")[-2])
            yield FaceRecord(id=stem, source=MACRO.name, media=path, subject=stem.split("-")[0], emotion=emotion,
                             label_set=coding.asked, licence=_LICENCE)  # fmt: skip
        except BadRow as e:
            yield Drop(path, e.reason, e.detail)


def _coding(name: str, classes: Classes, no_apex: NoApex, unnamed: Unnamed) -> Coding:
    return Coding(name, _LICENCE, "micro7", _SETS[classes], _NEGATIVE, no_apex, unnamed, _FRAME)


SOURCE = Source(
    name="mmew",
    title="MMEW (micro-expressions)",
    read=read,
    tasks=("emotion", "au", "change"),
    licence=_LICENCE,
    needs="MMEW_Final with MMEW_Micro_Exp.xlsx and Micro_Expression",
    layout="recalled",
    published={"": 300},
)
MACRO = Source(
    name="mmew-macro",
    title="MMEW (macro-expressions)",
    read=read_macro,
    tasks=("emotion",),
    licence=_LICENCE,
    needs="MMEW_Final with Macro_Expression",
    layout="recalled",
    published={"": 900},
)
