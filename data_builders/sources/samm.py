"""SAMM: 159 spontaneous micro-expressions, filmed at 200 frames a second, AUs with intensities.

Paper: Davison, Lansley, Costen, Tan & Yap, "SAMM: A Spontaneous Micro-Facial Movement Dataset", IEEE Trans. Affective
Computing 2018. Licence: signed agreement, research; pictures must not be passed on. Get it: by request to the authors.

Tree
    SAMM_Micro_FACS_Codes_v2.xlsx       notes stand above the row that begins with "Subject"
    006/006_1_2/006_05562.jpg           or below a folder such as SAMM

Labels: Subject, Filename, Onset Frame, Apex Frame, Offset Frame, Objective Classes, Estimated Emotion, Action Units.
Papers report five classes: anger, other, happiness, surprise, contempt; disgust, fear and sadness are left out. MEGC
2019 takes anger, contempt, disgust, fear and sadness as negative. Action units carry an intensity, and a side (L, R)
or A for "stronger on one side" before it: "A1B+A2C". In "R14A or 17A" the coders name two possibilities: neither is
labelled. A clip with a code that has no intensity holds 1 for each of its AUs. AUs that are not named are not
labelled, unless `unnamed="absent"` asks for 0 for every AU that some other clip of the set has. Protocol: leave one
subject out, so there is no split here.

Known faults: spreadsheets turn the subject 006 into 6; numbers in the frames' names are padded to five digits.

One row:  006  006_1_2  5562  5588  5632  …  3  Surprise  A1B+A2C
    -> FaceRecord(id="006_1_2", media="006/006_1_2/006_05588.jpg", before="006/006_1_2/006_05562.jpg", subject="006",
                  emotion="surprise", aus={1: 2, 2: 3}, attributes={"sided_aus": "A1+A2", "objective_class": "3"})
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

_SETS = {"five": "samm", "all": "samm-all", "megc": "megc3"}
_NEGATIVE = ("anger", "contempt", "disgust", "fear", "sadness")
_FRAME = re.compile(r"(?:\d+_)?(\d+)")


def read(root: Path, *, classes: Literal["five", "all", "megc"] = "five", no_apex: NoApex = "drop",
         unnamed: Unnamed = "unlabelled") -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of SAMM.

    Args:
        classes: the five that papers report, all eight, or MEGC 2019's three (negative, positive, surprise).
        no_apex: leave out a clip without an apex frame, or take the frame halfway through it.
        unnamed: what AUs are that a clip's codes do not name.

    Raises:
        ConfigError: no coding sheet, or no folder of the subjects.
    """
    path = find(root, "SAMM_Micro_FACS_Codes_v2.xlsx", "SAMM_Micro_FACS_Codes*.xlsx", "*/SAMM_Micro_FACS_Codes*.xlsx",
                what="SAMM's SAMM_Micro_FACS_Codes_v2.xlsx")  # fmt: skip
    places = sorted(holders(root, r"\d{3}"), key=lambda h: "crop" in h.lower())
    if not places:
        raise ConfigError(f"{root} has no folder with 006, 007 …: set `root` to the folder that holds the frames")

    def clip_of(row: Row) -> Clip:
        subject, clip = row["subject"].removesuffix(".0").zfill(3), row["clip"]
        if not subject.isdecimal() or not clip.startswith(f"{subject}_"):
            raise BadRow("bad row", f"Subject is {row['subject']!r}, Filename {clip!r}")
        return Clip(clip, subject, "/".join(part for part in (places[0], subject, clip) if part))

    coding = Coding("samm", SOURCE.licence, "samm-all", _SETS[classes], _NEGATIVE, no_apex, unnamed, _FRAME)
    yield from records(root, table(path), coding, clip_of)


SOURCE = Source(
    name="samm",
    title="SAMM",
    read=read,
    tasks=("emotion", "au", "au intensity", "change"),
    licence="SAMM agreement: research, no passing on",
    needs="SAMM_Micro_FACS_Codes_v2.xlsx and the folders 006, 007 …",
    published={"": 159},
)
