"""AgeDB: about 16,500 faces of 568 celebrities over their lives, with age and gender, all in the file names.

Paper: Moschoglou, Papaioannou, Sagonas, Deng, Kotsia & Zafeiriou, "AgeDB: the first manually collected, in-the-wild
age database", CVPR Workshops 2017. Licence: non-commercial research. Get it: on request, as a zip with a password.

Tree
    AgeDB/0_MariaCallas_35_f.jpg      or the pictures loose in the root

Names: number_name_age_gender, gender f or m. The name is the person. Known faults: the AgeDB-30 of face recognition
(a .bin of pairs) is another thing and not read. No official split: by person.

One row:  0_MariaCallas_35_f.jpg
    -> FaceRecord(id="0_MariaCallas_35_f", media="AgeDB/0_MariaCallas_35_f.jpg", subject="MariaCallas",
                  attributes={"age": "35", "gender": "female"})
"""

import re
from collections.abc import Iterator
from pathlib import Path

from data_builders.reading.cells import BadRow
from data_builders.reading.named import age, pictures
from data_builders.source import Source
from facevlm.record import Drop, FaceRecord

_NAME = re.compile(r"\d+_(?P<name>.+)_(?P<age>\d{1,3})_(?P<gender>[mf])", re.IGNORECASE)
_GENDER = {"f": "female", "m": "male"}


def read(root: Path) -> Iterator[FaceRecord | Drop]:
    """The records of AgeDB.

    Raises:
        ConfigError: no picture below the root is named so.
    """
    yield from pictures(root, "", _record, "0_MariaCallas_35_f.jpg")


def _record(stem: str, path: str) -> FaceRecord:
    match = _NAME.fullmatch(stem)
    if match is None:
        raise BadRow("bad name", f"{stem!r} is not number_name_age_gender")
    attributes = {"age": age(match["age"]), "gender": _GENDER[match["gender"].lower()]}
    return FaceRecord(id=stem, source="agedb", media=path, subject=match["name"], attributes=attributes,
                      licence=SOURCE.licence)  # fmt: skip


SOURCE = Source(
    name="agedb",
    title="AgeDB",
    read=read,
    tasks=("age", "gender"),
    licence="AgeDB terms: non-commercial research, on request",
    needs="the pictures, named like 0_MariaCallas_35_f.jpg",
)
