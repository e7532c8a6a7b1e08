"""CAS(ME)^3, part A: 860 labelled micro-expressions with depth, filmed at 30 frames a second, with AUs.

Paper: Li et al., "CAS(ME)^3: A Third Generation Facial Spontaneous Micro-Expression Database with Depth Information
and High Ecological Validity", IEEE TPAMI 2023. Licence: signed agreement, research; pictures must not be passed on.
Get it: by request to the authors.

Tree
    cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx    sheet "label"; or without "_v2"
    spNo.1_a_355/355.jpg                         a clip's folder <Subject>_<Filename>_<Onset>, below any folder

Labels: Subject, Filename, Onset, Apex, Offset, AU, emotion (version 2 also shade): happy, disgust, fear, anger, sad,
surprise, others. MEGC's three classes take disgust, fear, anger and sad as negative. AUs that are not named are not
labelled, unless `unnamed="absent"` asks for 0 for every AU that some other clip of the set has. Protocol: leave one
subject out, so there is no split here.

Known faults: labels say spNO, folders spNo; depth lies beside the colour pictures, so that only .jpg is looked at; the
owners' list of errors leaves 816 of the 860 rows: give its clips as `exclude`.

One row:  spNO.1  a  355  362  370  4+7  disgust
    -> FaceRecord(id="spno.1_a_355", media="spNo.1_a_355/362.jpg", before="spNo.1_a_355/355.jpg", subject="spno.1",
                  emotion="disgust", aus={4: 1, 7: 1})
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, subfolders
from data_builders.reading.micro import Clip, Coding, NoApex, Unnamed, holders, records, table
from data_builders.reading.rows import Row
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord

_SETS = {"all": "micro7", "megc": "megc3"}
_NEGATIVE = ("disgust", "fear", "anger", "sadness")
_CLIP = r"spno\.\d+_.+_\d+"
_FRAME = re.compile(r"(\d+)")


def read(root: Path, *, classes: Literal["all", "megc"] = "all", no_apex: NoApex = "drop",
         unnamed: Unnamed = "unlabelled",
         exclude: list[str] | None = None) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of CAS(ME)^3, part A.

    Args:
        classes: all seven, or MEGC's three (negative, positive, surprise).
        no_apex: leave out a clip without an apex frame, or take the frame halfway through it.
        unnamed: what AUs are that a clip's codes do not name.
        exclude: clips to leave out, such as "spNO.1_a_355".

    Raises:
        ConfigError: no label sheet, or no folder of the clips.
    """
    path = find(root, "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "cas(me)3_part_A_ME_label_JpgIndex*.xlsx",
                "*/cas(me)3_part_A_ME_label_JpgIndex*.xlsx", what="CAS(ME)^3's label sheet")  # fmt: skip
    clips = {name.lower(): f"{place}/{name}" if place else name
             for place in reversed(holders(root, _CLIP)) for name in subfolders(root / place)}  # fmt: skip
    if not clips:
        raise ConfigError(f"{root} has no clip folders such as spNo.1_a_355: set `root` to the folder that holds them")
    left_out = {name.lower() for name in exclude or ()}
    seen = set()

    def clip_of(row: Row) -> Clip:
        name = f"{row['subject']}_{row['clip']}_{row['onset'].removesuffix('.0')}".lower()
        if name in left_out:
            seen.add(name)
            raise BadRow("excluded", "named in the option `exclude`")
        if name not in clips:
            raise BadRow("file missing", f"no folder is called {name}, in any case")
        return Clip(name, row["subject"].lower(), clips[name])

    coding = Coding("casme3", SOURCE.licence, "micro7", _SETS[classes], _NEGATIVE, no_apex, unnamed, _FRAME, (".jpg",))
    yield from records(root, table(path, "label"), coding, clip_of)
    if strange := sorted(left_out - seen):
        yield Note(f"exclude names clips that the label sheet does not have: {', '.join(strange)}")


SOURCE = Source(
    name="casme3",
    title="CAS(ME)^3, part A",
    read=read,
    tasks=("emotion", "au", "change"),
    licence="CAS(ME)^3 agreement: research, no passing on",
    needs="cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx and the clips' folders spNo.1_a_355 …",
    published={"": 860},
)
