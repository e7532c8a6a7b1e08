"""FairFace: 97,698 faces from Flickr in equal shares of seven races, with age group and gender.

Paper: Kärkkäinen & Joo, "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age for Bias Measurement and
Mitigation", WACV 2021. Licence: CC BY 4.0. Get it: from the authors' repository, no form.

Tree
    fairface_label_train.csv, fairface_label_val.csv   file,age,gender,race,service_test
    train/1.jpg, val/1.jpg     or the same inside fairface-img-margin025-trainval/ and fairface-img-margin125-trainval/

Labels: age 0-2, 3-9, 10-19, …, 60-69, more than 70; gender Male, Female; race White, Black, Latino_Hispanic,
East Asian, Southeast Asian, Indian, Middle Eastern. The test set was never published: val is the test.
`service_test`, a subset for commercial services, is not read. Known faults: a spreadsheet that opened the csv turned
"3-9" into 9-Mar or 3-Sep and "10-19" into Oct-19; no other group can be a date, so they are read back and counted.
Numbers begin at 1 in both folders. No people are named: nothing keeps a person out of two splits.

One row:  train/1.jpg,50-59,Male,East Asian,True
    -> FaceRecord(id="train/1", media="train/1.jpg", split="train",
                  attributes={"age_group": "50-59", "gender": "male", "race": "East Asian"})
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, find_any, relative
from data_builders.reading.rows import Row, columns, require, rows
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

_COLUMNS = ("file", "age", "gender", "race")
_AGES = ("0-2", "3-9", *(f"{n}-{n + 9}" for n in range(10, 70, 10)), "more than 70")
_RACES = {race.lower().replace("_", " "): race for race in (
    "White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian", "Middle Eastern")}  # fmt: skip
_MONTHS = {"mar": 3, "march": 3, "sep": 9, "sept": 9, "september": 9, "oct": 10, "october": 10}
_DATES = {frozenset({3, 9}): "3-9", frozenset({10, 19}): "10-19"}


def read(root: Path, *, margin: Literal["0.25", "1.25"] = "0.25") -> Iterator[FaceRecord | Drop | Note]:
    """The records of FairFace.

    Args:
        margin: around the face, where the root holds both archives: tight, or with hair and shoulders.

    Raises:
        ConfigError: no label file, a column is missing, or no folder of pictures.
    """
    archive = f"fairface-img-margin{margin.replace('.', '')}-trainval"
    splits: tuple[tuple[str, Split], ...] = (("train", "train"), ("val", "test"))
    mangled = 0
    find(root, "fairface_label_train.csv", "fairface_label_val.csv", what="FairFace's fairface_label_train.csv")
    for part, split in splits:
        labels = find_any(root, f"fairface_label_{part}.csv")
        if labels is None:
            yield Note(f"fairface_label_{part}.csv was not found: no {split} rows")
            continue
        require(labels, _COLUMNS, columns(labels))
        pictures = find(root, f"{archive}/{part}", part, what=f"FairFace's folder of {part} pictures")
        folder = relative(pictures.parent, root)
        for row in rows(labels, _COLUMNS):
            if isinstance(row, Drop):
                yield Drop(f"{part} {row.id}", row.reason, row.detail, split)
                continue
            try:
                yield _record(row, "" if folder == "." else f"{folder}/", split)
                mangled += row["age"] not in _AGES
            except BadRow as e:
                yield Drop(row["file"], e.reason, e.detail, split)
    if mangled:
        yield Note(f"{mangled} age groups were not in the owners' spelling (a spreadsheet makes dates of 3-9 and "
                   "10-19: 9-Mar, 3-Sep, Oct-19) and were read back")  # fmt: skip


def _record(row: Row, before: str, split: Split) -> FaceRecord:
    file = row["file"].replace("\\", "/")
    if not file:
        raise BadRow("no media", "the row names no picture")
    gender, race = row["gender"].lower(), _RACES.get(row["race"].lower().replace("_", " "))
    if gender not in ("male", "female") or race is None:
        raise BadRow("unknown label", f"gender {row['gender']!r}, race {row['race']!r}")
    return FaceRecord(
        id=file.rsplit(".", 1)[0], source="fairface", media=before + file, split=split,
        attributes={"age_group": _age(row["age"]), "gender": gender, "race": race}, licence=SOURCE.licence,
    )  # fmt: skip


def _age(text: str) -> str:
    """The age group of a cell, also of one that a spreadsheet made a date of."""
    if text in _AGES:
        return text
    words = [word for word in re.split(r"[^a-z0-9+]+", re.sub(r"[ t]\d+:.*", "", text.lower())) if word]
    if "".join(words) in ("70+", "morethan70"):
        return "more than 70"
    # The year that a spreadsheet adds says nothing; "Oct-19" kept as a month is the first of October 2019.
    if "2019" in words and _numbers(words, but="2019") == {10, 1}:
        return "10-19"
    numbers = _numbers([word for word in words if not re.fullmatch(r"\d{4}", word)])
    if (found := _DATES.get(frozenset(numbers))) is None:
        raise BadRow("unknown label", f"age {text!r} is none of {', '.join(_AGES)}, nor a date made of one")
    return found


def _numbers(words: list[str], but: str = "") -> set[int]:
    return {int(word) if word.isdigit() else _MONTHS.get(word, -1) for word in words if word != but}


SOURCE = Source(
    name="fairface",
    title="FairFace",
    read=read,
    tasks=("age", "gender", "race"),
    licence="CC-BY-4.0",
    needs="fairface_label_train.csv, fairface_label_val.csv, train/ and val/",
    share=True,
    published={"train": 86_744, "test": 10_954},
)
