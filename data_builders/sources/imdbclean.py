"""IMDB-Clean: about 284,000 faces of IMDB-WIKI with cleaned ages, gender and a face box.

Paper: Lin, Shen, Wang & Pantic, "FP-Age: Leveraging Face Parsing Attention for Facial Age Estimation in the Wild",
IEEE TIP 2022; pictures: Rothe, Timofte & Van Gool, "DEX", ICCV Workshops 2015. Licence: labels MIT; the pictures are
IMDB-WIKI's, for academic research only. Get it: the authors' repository has the labels and a script that fetches and
crops the pictures.

Tree, as the script leaves it                      or as a common mirror has it
    csvs/imdb_{train,valid,test}_new_1024.csv          imdb_{train,valid,test}_new_1024.csv
    data/imdb-clean-1024/00/nm0000100_rm….jpg          imdb-clean-1024/imdb-clean-1024/00/nm0000100_rm….jpg

Columns: filename, age, gender (M, F), head angles, x_min, y_min, x_max, y_max (pixels of the 1024 picture). The first
part of a name is the person's number at IMDB. Known faults: imdb_*_new.csv beside them box another crop and are not
read; a box may reach over the edge of its picture.

One row:  00/nm0000100_rm46373120_1955-1-6_2003.jpg,48,M,…,301,292,712,819
    -> FaceRecord(id="nm0000100_rm46373120_1955-1-6_2003", split="train", subject="nm0000100",
                  media="data/imdb-clean-1024/00/nm0000100_rm46373120_1955-1-6_2003.jpg", box=(301, 292, 712, 819),
                  attributes={"age": "48", "gender": "male"})
"""

from collections.abc import Iterator
from pathlib import Path

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, find_any, relative
from data_builders.reading.named import age
from data_builders.reading.rows import Row, columns, require, rows
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

_LABELS = ("filename", "age", "gender")
_BOX = ("x_min", "y_min", "x_max", "y_max")
_GENDER = {"M": "male", "F": "female"}
_SPLITS: dict[str, Split] = {"train": "train", "valid": "val", "test": "test"}


def read(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of IMDB-Clean.

    Raises:
        ConfigError: no csv, a column is missing, or no folder of pictures.
    """
    find(root, *(place for part in _SPLITS for place in _places(part)), what="IMDB-Clean's imdb_train_new_1024.csv")
    pictures = find(root, "data/imdb-clean-1024", "imdb-clean-1024/imdb-clean-1024", "imdb-clean-1024",
                    what="IMDB-Clean's folder of pictures, imdb-clean-1024")  # fmt: skip
    folder = relative(pictures, root)
    for part, split in _SPLITS.items():
        labels = find_any(root, *_places(part))
        if labels is None:
            yield Note(f"imdb_{part}_new_1024.csv was not found: no {split} rows")
            continue
        found = columns(labels)
        boxed = set(_BOX) <= set(found)
        if not boxed:
            yield Note(f"{labels.name} has no columns {', '.join(_BOX)}: faces are not boxed")
        wanted = (*_LABELS, *_BOX) if boxed else _LABELS
        require(labels, wanted, found)
        for row in rows(labels, wanted):
            if isinstance(row, Drop):
                yield Drop(f"{part} {row.id}", row.reason, row.detail, split)
                continue
            try:
                yield _record(row, folder, split)
            except BadRow as e:
                yield Drop(row["filename"] or "no name", e.reason, e.detail, split)


def _places(part: str) -> list[str]:
    return [f"{folder}imdb_{part}_new_1024.csv" for folder in ("csvs/", "")]


def _record(row: Row, folder: str, split: Split) -> FaceRecord:
    file = row["filename"].replace("\\", "/")
    stem = file.rpartition("/")[2].rpartition(".")[0]
    person = stem.partition("_")[0]
    if not (person.startswith("nm") and person[2:].isdigit()):
        raise BadRow("bad name", f"{file!r} does not begin with a person's number, such as nm0000100")
    gender = _GENDER.get(row["gender"].upper())
    if gender is None and row["gender"]:
        raise BadRow("unknown label", f"gender {row['gender']!r} is neither M nor F")
    return FaceRecord(
        id=stem, source="imdbclean", media=f"{folder}/{file}", split=split, subject=person,
        box=cells.box([row.get(name, "") for name in _BOX]), licence=SOURCE.licence,
        attributes={"age": age(row["age"])} | ({"gender": gender} if gender else {}),
    )  # fmt: skip


SOURCE = Source(
    name="imdbclean",
    title="IMDB-Clean",
    read=read,
    tasks=("age", "gender"),
    licence="labels MIT; pictures IMDB-WIKI: academic research",
    needs="imdb_{train,valid,test}_new_1024.csv and imdb-clean-1024/",
)
