"""FER2013: 35,887 faces from the web, 48 x 48 grey, in seven emotions.

Paper: Goodfellow et al., "Challenges in Representation Learning", ICONIP 2013. Licence: none stated, the pictures are
a web scrape. Get it: from the Kaggle challenge; the csv, or mirrors with class folders.

Sources: fer2013 reads the csv and writes the pictures out; fer2013-folders reads class folders.
    fer2013.csv             emotion,pixels,Usage
    icml_face_data.csv      "emotion"," Usage"," pixels": the same rows, blanks before the column names
    train.csv, test.csv     emotion,pixels (all of it split train), and pixels without labels
    {train,test}/angry/{Training,PublicTest,PrivateTest}_<n>.jpg     <n> is no row number of the csv

Labels: 0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral. Usage: Training = train, PublicTest = val,
PrivateTest = test. `pixels` are 2,304 numbers 0-255, row by row. Known faults: duplicates, pictures that are no faces,
many wrong labels (FER+ has better ones for the same rows).

One row:  0,70 80 82 72 58 58 60 63 54 58 ...,Training       the first
    -> FaceRecord(id="00000", media="images/Training/00000.png", split="train", emotion="anger")
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.fer import USAGES, picture
from data_builders.reading.files import find
from data_builders.reading.folders import SPLITS, class_records, places
from data_builders.reading.rows import Row, columns, require, rows
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord


def read(root: Path, *, into: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of the csv.

    Args:
        into: where the pictures are written; `media` is relative to it.

    Raises:
        ConfigError: no csv, or without the columns.
    """
    path = find(root, "fer2013.csv", "*/fer2013.csv", "icml_face_data.csv", "*/icml_face_data.csv", "train.csv",
                "*/train.csv", what="FER2013's csv (class folders are source fer2013-folders)")  # fmt: skip
    wanted, found = ["emotion", "pixels"], columns(path)
    if path.name != "train.csv" or "Usage" in found:
        wanted.append("Usage")
    require(path, wanted, found)
    if "Usage" not in wanted:
        yield Note("train.csv was read: every record is in split train, the official val and test are not there")
    for number, row in enumerate(rows(path, wanted)):
        if isinstance(row, Drop):
            yield row
            continue
        try:
            yield _record(row, number, into)
        except BadRow as e:
            yield Drop(f"{number:05d}", e.reason, e.detail, USAGES.get(row.get("Usage", "Training"), ""))
    if "Usage" not in wanted and (path.parent / "test.csv").is_file():
        for number, _ in enumerate(rows(path.parent / "test.csv", ["pixels"])):
            yield Drop(f"test.csv {number:05d}", "unlabelled", "test.csv has pixels only")


def _record(row: Row, number: int, into: Path) -> FaceRecord:
    usage = row.get("Usage", "Training")
    if usage not in USAGES:
        raise BadRow("unknown split", f"Usage {usage!r} is none of {', '.join(USAGES)}")
    emotion = cells.emotion(row["emotion"], "fer2013", {})
    if emotion is None:
        raise BadRow("unlabelled", "no emotion is given")
    media = picture(into, usage, number, row["pixels"])
    return FaceRecord(id=f"{number:05d}", source=CSV.name, media=media, split=USAGES[usage], emotion=emotion,
                      label_set="fer2013", licence=CSV.licence)  # fmt: skip


def read_folders(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of class folders; the split is in the file's name, else the folder's.

    Raises:
        ConfigError: no folders train and test, or folders that are no emotion.
    """
    where = places(root, SPLITS, "FER2013's class folders (the csv is source fer2013)")
    for item in class_records(root, where, FOLDERS, "fer2013"):
        if isinstance(item, FaceRecord):
            # The mirrors' folder test holds PublicTest, the official val, as well.
            split = USAGES.get(item.media.rsplit("/", 1)[1].split("_")[0], item.split)
            item = item if split == item.split else replace(item, split=split)
        yield item


_LICENCE = "none stated: pictures scraped from the web, for research"
_PUBLISHED = {"train": 28_709, "val": 3_589, "test": 3_589}
CSV = Source(
    name="fer2013", title="FER2013", read=read, tasks=("emotion",), licence=_LICENCE, extracts=True,
    needs="fer2013.csv, icml_face_data.csv or train.csv", published=_PUBLISHED,
)  # fmt: skip
FOLDERS = Source(
    name="fer2013-folders", title="FER2013 (class folders)", read=read_folders, tasks=("emotion",), licence=_LICENCE,
    needs="train and test with a folder for each emotion", published=_PUBLISHED,
)  # fmt: skip
