"""MORPH II (album 2): about 55,000 police photographs of some 13,000 people over years, with age, gender and race.

Paper: Ricanek & Tesafaye, "MORPH: A Longitudinal Image Database of Normal Adult Age-Progression", FG 2006. Licence:
paid, per institution; pictures must not be passed on. Get it: from the University of North Carolina Wilmington.

Tree (recalled)
    MORPH_Album2_comp.csv       id_num,picture_num,dob,doa,race,gender,facial_hair,age,age_diff,glasses,photo
    MORPH_Album2_EYECOORDS.csv  eyes only: not read
    Album2/009055_1M54.JPG

Names: person _ picture gender age. Labels: race B, W, A, H, O. Known faults: a person's gender, race or date of birth
can differ between pictures; ids lose their zeros in the csv; endings differ in case; other race codes are not known
here and not labelled. Without a csv, age, gender and person come from the names, and there is no race. No official
split: by person.

One row:  9055,1,…,B,M,…,54,…,Album2/009055_1M54.JPG
    -> FaceRecord(id="009055_1M54", media="Album2/009055_1M54.JPG", subject="009055",
                  attributes={"age": "54", "gender": "male", "race": "Black"})
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_builders.reading.cells import BadRow
from data_builders.reading.files import walk
from data_builders.reading.named import age, pictures
from data_builders.reading.rows import columns, rows
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord

_NAME = re.compile(r"(?P<person>\d+)_(?P<shot>\d+)(?P<gender>[MF])(?P<age>\d{1,3})", re.IGNORECASE)
_GENDER = {"M": "male", "F": "female"}
_RACE = {"B": "Black", "W": "White", "A": "Asian", "H": "Hispanic", "O": "other"}
_COLUMNS = ("photo", "age", "gender", "race")


def read(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of MORPH II, from its csv or, without it, from the names of the pictures.

    Raises:
        ConfigError: neither is there.
    """
    table = _table(root)
    if table is None:
        yield Note(f"no csv with columns {', '.join(_COLUMNS)} was found: labels are read from the names of the "
                   "pictures, without race")  # fmt: skip
        yield from pictures(root, "", lambda stem, path: _record(stem, path, {}), "009055_1M54.JPG")
        return
    path, names = table
    yield Note(f"labels are read from {path.name}")
    # The csv's folders and endings are not always those on the disk.
    files = {file.rpartition("/")[2].rpartition(".")[0].lower(): file for file in walk(root)}
    unknown: Counter[str] = Counter()
    for row in rows(path, list(names.values())):
        if isinstance(row, Drop):
            yield row
            continue
        cells = {column: row[name] for column, name in names.items()}
        stem = cells["photo"].replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
        try:
            if stem.lower() not in files:
                raise BadRow("file missing", f"{cells['photo']!r} is not below the root")
            yield _record(stem, files[stem.lower()], cells)
            unknown.update({cells["race"]} - {*_RACE, ""})
        except BadRow as e:
            yield Drop(stem or "no name", e.reason, e.detail)
    if unknown:
        yield Note(f"race codes that are not known, and so not labelled: "
                   f"{', '.join(f'{code!r} {n}' for code, n in sorted(unknown.items()))}")  # fmt: skip


def _table(root: Path) -> tuple[Path, dict[str, str]] | None:
    """The csv that has the labels, and its columns by our names; others hold eyes or other albums."""
    for path in sorted((*root.glob("*.csv"), *root.glob("*/*.csv"))):
        found = {name.lower(): name for name in columns(path)} if not path.name.startswith("._") else {}
        if set(_COLUMNS) <= found.keys():
            return path, {column: found[column] for column in _COLUMNS}
    return None


def _record(stem: str, path: str, cells: dict[str, str]) -> FaceRecord:
    match = _NAME.fullmatch(stem)
    if match is None:
        raise BadRow("bad name", f"{stem!r} is not person_picture, gender, age")
    letter = cells.get("gender", match["gender"]).upper()
    if letter not in ("", *_GENDER):
        raise BadRow("unknown label", f"gender {letter!r} is neither M nor F")
    found = {"age": age(cells.get("age", match["age"])), "gender": _GENDER.get(letter),
             "race": _RACE.get(cells.get("race", ""))}  # fmt: skip
    return FaceRecord(
        id=stem, source="morph2", media=path, subject=match["person"].zfill(6), licence=SOURCE.licence,
        attributes={name: value for name, value in found.items() if value is not None},
    )  # fmt: skip


SOURCE = Source(
    name="morph2",
    title="MORPH II",
    read=read,
    tasks=("age", "gender", "race"),
    licence="MORPH terms: paid licence, no passing on",
    needs="the pictures, named like 009055_1M54.JPG; MORPH_Album2_*.csv for race",
    layout="recalled",
)
