"""What the RAF sets (RAF-DB basic and compound, RAF-ML) share: their tree, splits in names, manual attributes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, relative
from data_builders.reading.rows import words
from data_builders.source import Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split

Pictures = Literal["aligned", "original"]
"""The 100 px aligned faces, or the pictures as they were found, in which the face is not boxed."""

_SPLITS: dict[str, Split] = {"train": "train", "test": "test"}
_GENDER = {"0": "male", "1": "female", "2": None}  # 2 is unsure: not labelled
_RACE = {"0": "Caucasian", "1": "African-American", "2": "Asian"}
_AGE = {"0": "0-3", "1": "4-19", "2": "20-39", "3": "40-69", "4": "70+"}


def place(base: Path, root: Path, pictures: Pictures) -> tuple[str, str]:
    """What stands before and after a picture's stem in its path below the root."""
    folder = base / "Image" / pictures
    if (folder / pictures).is_dir():  # aligned.zip, unpacked into a folder of its own name
        folder /= pictures
    return relative(folder, root) + "/", "_aligned.jpg" if pictures == "aligned" else ".jpg"


def records(root: Path, source: Source, part: str, pictures: Pictures) -> Iterator[FaceRecord | Drop]:
    """The records of a part of RAF-DB, "basic" or "compound", in the owners' tree.

    Raises:
        ConfigError: the label file is not there, or the root is the other part, whose ids mean something else.
    """
    names = ("list_patition_label.txt", "list_partition_label.txt")
    labels = find(root, *(f"{place}EmoLabel/{name}" for place in (f"{part}/", "", f"*/{part}/") for name in names),
                  what=f"RAF-DB {part}'s list_patition_label.txt")  # fmt: skip
    base = labels.parent.parent
    if base.resolve().name.lower() == {"basic": "compound", "compound": "basic"}[part]:
        raise ConfigError(f"{base} is not RAF-DB {part}: the ids of the two parts differ. Set `root` to the folder "
                          f"that holds {part}/")  # fmt: skip
    before, after = place(base, root, pictures)
    for _, row in words(labels):
        try:
            if len(row) != 2:
                raise BadRow("bad row", f"{len(row)} cells, a name and a label are wanted")
            stem = row[0].rsplit(".", 1)[0]
            extra = attributes(base / f"Annotation/manual/{stem}_manu_attri.txt")
            yield record(source, stem, f"{before}{stem}{after}", row[1], extra)
        except BadRow as e:
            yield Drop(row[0], e.reason, e.detail)


def record(source: Source, stem: str, media: str, label: str, extra: dict[str, str]) -> FaceRecord:
    """One picture of RAF-DB, whose name begins with its split.

    Raises:
        BadRow: neither train nor test, or no id of the source's label set.
    """
    split = _SPLITS.get(stem.split("_")[0].lower())
    if split is None:
        raise BadRow("unknown split", f"{stem} begins with neither train nor test")
    return FaceRecord(
        id=stem, source=source.name, media=media, split=split, emotion=cells.emotion(label, source.name, {}),
        label_set=source.name, attributes=extra, licence=source.licence,
    )  # fmt: skip


def attributes(path: Path) -> dict[str, str]:
    """Gender, race and age group below the five landmark lines; nothing where there is no file.

    Raises:
        BadRow: fewer lines, or a number that has no meaning there.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    except FileNotFoundError:
        return {}
    values = [line.split()[0] for line in lines if line.strip()][5:8]
    if len(values) != 3:
        raise BadRow("bad attributes", f"{path.name} has {len(values)} of the three lines after the landmarks")
    try:
        found = {"gender": _GENDER[values[0]], "race": _RACE[values[1]], "age_group": _AGE[values[2]]}
    except KeyError as e:
        raise BadRow("bad attributes", f"{path.name} has {values}; {e} has no meaning there") from e
    return {name: value for name, value in found.items() if value is not None}
