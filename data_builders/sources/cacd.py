"""CACD: about 163,000 faces of 2,000 celebrities with age, found by name and year: the ages are noisy.

Paper: Chen, Chen & Hsu, "Cross-Age Reference Coding for Age-Invariant Face Recognition and Retrieval", ECCV 2014.
Licence: research; the pictures belong to their owners. Get it: from the authors' page, no form.

Tree
    CACD2000/53_Robert_Duvall_0001.jpg
    celebrity2000_meta.mat      celebrityImageData {age, identity, year, rank, lfw, birth, name}; celebrity2000.mat,
                                which holds features too, also does

Names: age_name_number. Labels: age = year of the picture - year of birth. Rank 1-50 orders the celebrities born in one
year (40 people each); those of rank 1 to 5 were cleaned by hand: 1-2 are val (80 people), 3-5 test (120), the others
train (1,800, not cleaned). Known faults: pictures found for a person may show another; without the .mat there is no
rank, and the split is drawn by person; some names have accents that unpacking may have changed.

One row:  name{1} = 53_Robert_Duvall_0001.jpg, age 53, rank 1
    -> FaceRecord(id="53_Robert_Duvall_0001", media="CACD2000/53_Robert_Duvall_0001.jpg", split="val",
                  subject="Robert_Duvall", attributes={"age": "53"})
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_builders.reading import matfile
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, find_any, relative
from data_builders.reading.named import age, pictures
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split

_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<name>.+)_\d+")


def read(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of CACD, from its .mat or, without it, from the names of the pictures.

    Raises:
        ConfigError: neither is there, or the .mat is another.
    """
    table = find_any(root, "celebrity2000_meta.mat", "celebrity2000.mat", "*/celebrity2000_meta.mat")
    if table is None:
        yield Note("celebrity2000_meta.mat was not found: age and person are read from the names of the pictures; "
                   "without the official split, one is drawn by person")  # fmt: skip
        yield from pictures(root, "", lambda stem, path: _record(stem, path, None, ""), "53_Robert_Duvall_0001.jpg")
        return
    folder = find(root, "CACD2000", "*/CACD2000", what="CACD's folder of pictures, CACD2000")
    names, *numbers = matfile.variables(table, *(f"celebrityImageData.{key}" for key in ("name", "age", "rank")))
    ages, ranks = (np.ravel(values).astype(int).tolist() for values in numbers)
    if not len(names) == len(ages) == len(ranks):
        raise ConfigError(f"{table} does not fit together: {len(names)} names, {len(ages)} ages, {len(ranks)} ranks")
    before = relative(folder, root)
    for name, years, rank in zip(names, ages, ranks, strict=True):
        try:
            yield _record(name.rpartition(".")[0], f"{before}/{name}", str(years), _split(rank))
        except BadRow as e:
            yield Drop(name, e.reason, e.detail)


def _split(rank: int) -> Split:
    if not 1 <= rank <= 50:
        raise BadRow("unknown split", f"rank {rank} is not within 1-50")
    return "val" if rank <= 2 else "test" if rank <= 5 else "train"


def _record(stem: str, path: str, years: str | None, split: Split) -> FaceRecord:
    match = _NAME.fullmatch(stem)
    if match is None:
        raise BadRow("bad name", f"{stem!r} is not age_name_number")
    return FaceRecord(
        id=stem, source="cacd", media=path, subject=match["name"], split=split,
        attributes={"age": age(years or match["age"])}, licence=SOURCE.licence,
    )  # fmt: skip


SOURCE = Source(
    name="cacd",
    title="CACD",
    read=read,
    tasks=("age",),
    licence="CACD terms: research; pictures from the web",
    needs="CACD2000/ and celebrity2000_meta.mat",
)
