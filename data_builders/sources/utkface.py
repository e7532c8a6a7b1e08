"""UTKFace: about 23,700 faces from the web with age, gender and race, all in the file names.

Paper: Zhang, Song & Qi, "Age Progression/Regression by Conditional Adversarial Autoencoder", CVPR 2017. Licence:
non-commercial research. Get it: from the authors' page, no form.

Tree
    UTKFace/25_0_2_20170104023102422.jpg.chip.jpg    aligned and cropped, one folder
    part1/, part2/, part3/ 25_0_2_….jpg              as found ("in the wild"), another download
    A common mirror has the aligned faces three times: UTKFace/, crop_part1/ and utkface_aligned_cropped/.

Names: [age]_[gender]_[race]_[yyyymmddHHMMSSmmm]; gender 0 male, 1 female; race 0 White, 1 Black, 2 Asian, 3 Indian,
4 other. Known faults: three names have one number between age and date: 0 and 1 are taken as gender, more can only be
a race ("61_3_…"), and the other is not labelled; "53__0_…" leaves the gender empty; one name has a blank before its
ending, one lacks the dot ("…357jpg.chip.jpg"). Ages are estimates, checked by people. No official split, no people.

One row:  25_0_2_20170104023102422.jpg.chip.jpg
    -> FaceRecord(id="25_0_2_20170104023102422", media="UTKFace/25_0_2_20170104023102422.jpg.chip.jpg",
                  attributes={"age": "25", "gender": "male", "race": "Asian"})
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, find_any, relative
from data_builders.reading.named import age, pictures
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord

_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>\d?)_(?:(?P<race>\d)_)?\d{12,17}")
_GENDER = {"0": "male", "1": "female"}
_RACE = {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "other"}
_ALIGNED = ("UTKFace", "utkface_aligned_cropped/UTKFace", "utkface", "crop_part1")


def read(root: Path, *, faces: Literal["aligned", "wild"] = "aligned") -> Iterator[FaceRecord | Drop | Note]:
    """The records of UTKFace.

    Args:
        faces: aligned = the crops; wild = the pictures as found in part1 to part3, where the face is not boxed.

    Raises:
        ConfigError: no folder of them, or no picture named so.
    """
    form = "25_0_2_20170104023102422.jpg"
    if faces == "wild":
        find(root, "part[1-3]", what="UTKFace's part1 to part3 of pictures in the wild")
        for part in sorted(root.glob("part[1-3]")):
            yield from pictures(root, part.name, _record, form)
        return
    # One of the mirror's copies, not all: the same face would be there three times.
    folder = find_any(root, *_ALIGNED) or root
    if folder == root and find_any(root, "part[1-3]") is not None:
        raise ConfigError(f"{root} holds part1 to part3, the pictures in the wild, and no UTKFace/: "
                          "set options.faces=wild")  # fmt: skip
    yield Note(f"faces are read from {relative(folder, root)}/")
    yield from pictures(root, "" if folder == root else relative(folder, root), _record, form)


def _record(stem: str, path: str) -> FaceRecord:
    match = _NAME.match(stem.strip())
    if match is None:
        raise BadRow("bad name", f"{stem!r} is not age_gender_race_date")
    gender, race = match["gender"], match["race"]
    if race is None and gender not in _GENDER:
        gender, race = "", gender
    # Nothing written is not labelled; any other number has no meaning.
    if gender not in ("", *_GENDER) or (race or "0") not in _RACE:
        raise BadRow("unknown label", f"gender {gender!r}, race {race!r}")
    found = {"age": age(match["age"]), "gender": _GENDER.get(gender), "race": _RACE.get(race or "")}
    return FaceRecord(
        id=match[0], source="utkface", media=path, licence=SOURCE.licence,
        attributes={name: value for name, value in found.items() if value is not None},
    )  # fmt: skip


SOURCE = Source(
    name="utkface",
    title="UTKFace",
    read=read,
    tasks=("age", "gender", "race"),
    licence="UTKFace terms: non-commercial research",
    needs="UTKFace/ (the aligned faces), or part1/ to part3/",
)
