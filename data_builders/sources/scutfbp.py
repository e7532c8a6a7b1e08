"""SCUT-FBP5500: 5,500 frontal faces with a beauty score 1-5, the mean of 60 raters.

Paper: Liang, Lin, Jin, Xie & Li, "SCUT-FBP5500: A Diverse Benchmark Dataset for Multi-Paradigm Facial Beauty
Prediction", ICPR 2018. Licence: non-commercial research. Get it: from the authors' repository, no form.

Tree of the released archive                                      lists of the repository
    Images/AF1.jpg                                                    data/<k>/{train,test}_<k>.txt
    train_test_files/All_labels.txt
    train_test_files/split_of_60%training and 40%testing/{train,test}.txt
    train_test_files/5_folders_cross_validations_files/cross_validation_<k>/{train,test}_<k>.txt

Lines: name and mean. Names of the archive: A Asian or C Caucasian, then F female or M male, then a number; of the
repository's lists: f or m, t, then y Asian or w Caucasian. Known faults: the two kinds of names are not known to count
alike, so they are never turned into one another. No people are named.

One row:  CF437.jpg 2.883333     (in train.txt)
    -> FaceRecord(id="CF437", media="Images/CF437.jpg", split="train",
                  attributes={"beauty": "2.883333", "gender": "female", "race": "Caucasian"})
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading.cells import BadRow, number
from data_builders.reading.files import find, find_any, relative
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

_NAME = re.compile(r"(?:(?P<race>[AC])(?P<sex>[FM])|(?P<sex2>[fm])t(?P<race2>[yw]))\d+")
_GENDER = {"f": "female", "m": "male"}
_RACE = {"a": "Asian", "y": "Asian", "c": "Caucasian", "w": "Caucasian"}
_SPLIT_60 = ("split_of_60%training and 40%testing", "split_of_60%_training_and_40%_testing")
Protocol = Literal["60-40", "fold-1", "fold-2", "fold-3", "fold-4", "fold-5", "none"]


def read(root: Path, *, protocol: Protocol = "60-40") -> Iterator[FaceRecord | Drop | Note]:
    """The records of SCUT-FBP5500.

    Args:
        protocol: the split of 3,300 / 2,200, one of the five folds of 4,400 / 1,100, or none: All_labels.txt.

    Raises:
        ConfigError: no lists of the protocol, or no folder of pictures.
    """
    folder = relative(find(root, "Images", "images", "*/Images", what="SCUT-FBP5500's folder Images"), root)
    seen: set[str] = set()
    for labels, split in _lists(root, protocol):
        for line, row in words(labels):
            name = row[0]
            try:
                if len(row) != 2:
                    raise BadRow("bad row", f"{len(row)} cells in line {line}, a name and a score are wanted")
                if name in seen:
                    raise BadRow("named twice", f"{name} is in the lists of {protocol} again, in {labels.name}")
                seen.add(name)
                yield _record(name, f"{folder}/{name}", row[1], split)
            except BadRow as e:
                yield Drop(name, e.reason, e.detail, split)
    if protocol != "none" and find_any(root, f"{folder}/AF1.jpg") and any(name[0] in "fm" for name in seen):
        yield Note("the lists name pictures as the repository does (fty1.jpg), the folder as the archive does "
                   "(AF1.jpg): use the lists of the archive, train_test_files")  # fmt: skip


def _lists(root: Path, protocol: Protocol) -> list[tuple[Path, Split]]:
    if protocol == "none":
        return [(find(root, "train_test_files/All_labels.txt", "All_labels.txt", what="All_labels.txt"), "")]
    k = protocol[-1]
    folders = [f"train_test_files/5_folders_cross_validations_files/cross_validation_{k}", f"data/{k}", k]
    stems = {"train": f"train_{k}", "test": f"test_{k}"}
    if protocol == "60-40":
        folders = [*(f"train_test_files/{name}" for name in _SPLIT_60), *_SPLIT_60]
        stems = {"train": "train", "test": "test"}
    parts: tuple[Split, Split] = ("train", "test")
    return [(find(root, *(f"{folder}/{stems[part]}.txt" for folder in folders),
                  what=f"the {part} list of protocol {protocol}"), part) for part in parts]  # fmt: skip


def _record(name: str, media: str, score: str, split: Split) -> FaceRecord:
    stem = name.rpartition(".")[0] or name
    match = _NAME.fullmatch(stem)
    if match is None:
        raise BadRow("bad name", f"{name!r} is neither like AF1.jpg nor like fty1.jpg")
    value = number(score, (), "bad score")
    if value is None or not 1 <= value <= 5:
        raise BadRow("bad score", f"{score!r} is not within 1-5")
    gender, race = (match["sex"] or match["sex2"]).lower(), (match["race"] or match["race2"]).lower()
    return FaceRecord(
        id=stem, source="scutfbp", media=media, split=split, licence=SOURCE.licence,
        attributes={"beauty": score, "gender": _GENDER[gender], "race": _RACE[race]},
    )  # fmt: skip


SOURCE = Source(
    name="scutfbp",
    title="SCUT-FBP5500",
    read=read,
    tasks=("beauty", "gender", "race"),
    licence="SCUT-FBP5500 terms: non-commercial research",
    needs="Images/ and train_test_files/, or the repository's data/<k>/ lists",
    published={"": 5_500},
    layout="labels",
)
