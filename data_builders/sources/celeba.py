"""CelebA: 202,599 faces of 10,177 celebrities with 40 binary attributes.

Paper: Liu, Luo, Wang & Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015. Licence: non-commercial
research; pictures must not be passed on. Get it: from the authors' page, no form.

Tree, as the authors ship it (loose or in Anno/, Eval/, Img/)    or as a common mirror has it
    list_attr_celeba.txt, list_eval_partition.txt                    the same two files as .csv
    identity_CelebA.txt                                              (not there: no subjects)
    img_align_celeba/000001.jpg   178x218                            img_align_celeba/img_align_celeba/000001.jpg
    img_align_celeba_png/000001.png, another download

Labels: 1 = the attribute is there, -1 = it is not (absent, not unknown). "Male" becomes `gender`. Partition 0 train,
1 val, 2 test; nobody is in two of them. Known faults: the .txt begins with its number of rows, and blanks between
cells vary; the lists say .jpg for the .png download too.

One row:  000001.jpg -1  1  1 … (5_o_Clock_Shadow Arched_Eyebrows Attractive …)
    -> FaceRecord(id="000001", media="img_align_celeba/000001.jpg", split="train", subject="2880",
                  attributes={"5 o clock shadow": "no", "arched eyebrows": "yes", …, "gender": "female"})
"""

from collections.abc import Iterator
from pathlib import Path

from data_builders.reading import binary
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, find_any, relative
from data_builders.reading.rows import require, words
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split

_SPLITS: dict[str, Split] = {"0": "train", "1": "val", "2": "test"}
_PICTURES = [f"{above}{name}{inner}" for name in ("img_align_celeba", "img_align_celeba_png")
             for inner in (f"/{name}", "") for above in ("", "Img/")]  # fmt: skip


def read(root: Path) -> Iterator[FaceRecord | Drop | Note]:
    """The records of CelebA, with the aligned pictures.

    Raises:
        ConfigError: no attribute list, one without its header, or no folder of aligned pictures.
    """
    labels = find(root, *_places("list_attr_celeba"), what="CelebA's list_attr_celeba.txt or .csv")
    pictures = find(root, *_PICTURES, what="CelebA's folder of aligned pictures")
    folder, ending = relative(pictures, root), ".png" if "_png" in pictures.name else ".jpg"
    parts, people = _table(root, "list_eval_partition"), _table(root, "identity_CelebA")
    if not parts:
        yield Note("list_eval_partition was not found: without the official split, one is drawn")
    if not people:
        yield Note("identity_CelebA was not found: no subjects")
    names, lines = _header(labels)
    for _, (name, *flags) in lines:
        stem = name.rsplit(".", 1)[0]
        try:
            attributes = binary.labelled(names, flags, "-1")
            yield FaceRecord(
                id=stem, source="celeba", media=f"{folder}/{stem}{ending}", split=_split(stem, parts),
                subject=_subject(stem, people), attributes=attributes, licence=SOURCE.licence,
            )  # fmt: skip
        except BadRow as e:
            yield Drop(stem, e.reason, e.detail)


def _places(name: str) -> list[str]:
    return [f"{folder}{name}{ending}" for ending in (".txt", ".csv") for folder in ("", "Anno/", "Eval/")]


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    return words(path, "," if path.suffix == ".csv" else None)


def _header(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The attributes' words, and the lines below them."""
    lines = _lines(path)
    first = next(((n, row) for n, row in lines if not (len(row) == 1 and row[0].isdigit())), None)
    if first is None:
        raise ConfigError(f"label file {path} is empty: it has no line of attribute names")
    # The first column of a csv has a name of its own.
    names = first[1][1:] if path.suffix == ".csv" else first[1]
    require(path, ["Male", "Smiling"], names)
    return binary.words(names), lines


def _table(root: Path, name: str) -> dict[str, str]:
    """Picture -> second cell of a list, without the header of a csv; empty where there is no such list."""
    path = find_any(root, *_places(name))
    lines = _lines(path) if path is not None else ()
    return {row[0].rsplit(".", 1)[0]: row[1] for _, row in lines if len(row) == 2 and row[1].isdigit()}


def _split(stem: str, parts: dict[str, str]) -> Split:
    if parts and parts.get(stem) not in _SPLITS:
        raise BadRow("unknown split", f"list_eval_partition says {parts.get(stem)}, which is none of 0, 1, 2")
    return _SPLITS[parts[stem]] if parts else ""


def _subject(stem: str, people: dict[str, str]) -> str | None:
    if people and stem not in people:
        raise BadRow("unknown subject", "identity_CelebA does not name the picture")
    return people.get(stem)


SOURCE = Source(
    name="celeba",
    title="CelebA",
    read=read,
    tasks=("attributes", "gender"),
    licence="CelebA terms: non-commercial research, no passing on",
    needs="list_attr_celeba.txt or .csv, list_eval_partition, identity_CelebA.txt and img_align_celeba/",
    published={"train": 162_770, "val": 19_867, "test": 19_962},
)
