"""AffectNet: 420,299 faces from the web labelled by hand, one annotator each: eight emotions, valence and arousal.

Paper: Mollahosseini, Hasani & Mahoor, "AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in
the Wild", IEEE TAC 2017. Licence: signed research agreement; pictures must not be passed on. Get it: by request to the
authors.

Tree of the first release (CSV)            of the later one (NPY), with crops of 224 px
    Manually_Annotated/                        train_set/images/12.jpg
        Manually_Annotated_Images/689/….jpg    train_set/annotations/12_{exp,val,aro,lnd}.npy
    Manually_Annotated_file_lists/             val_set/images/…
        training.csv, validation.csv           val_set/annotations/…
    Automatically_Annotated/… (option)

Labels: 0 neutral, 1 happy, 2 sad, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt; 8 none of these (kept for its
valence and arousal), 9 uncertain, 10 no face. valence and arousal -1 to 1, -2 = not labelled. 68 landmarks: "x;y;x;y…"
or 136 numbers. _exp, _val, _aro are numbers, often stored as text.
The test labels were never given out: validation is the test set. Known faults: face_width below 0 = no usable face;
some copies of validation.csv have no header; endings in any case; no subjects.

One row:  689/737d….jpg,134,134,899,899,181.64;530.91;…,1,0.785714,-0.055556
    -> FaceRecord(id="689/737d…", media="Manually_Annotated/Manually_Annotated_Images/689/737d….jpg", split="train",
                  box=(134, 134, 1033, 1033), landmarks=((181.64, 530.91), …), emotion="happiness", valence=0.785714,
                  arousal=-0.055556)
"""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from data_builders.reading import cells
from data_builders.reading.affect import LICENCE, Classes, labelled, points
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, listing, relative, system_file
from data_builders.reading.rows import Row, columns, require, rows
from data_builders.source import Note, Source
from facevlm.record import Drop, FaceRecord, Split

_COLUMNS = ("subdirectory_filepath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks",
            "expression", "valence", "arousal")  # fmt: skip
_SETS: tuple[tuple[str, Split], ...] = (("train_set", "train"), ("val_set", "test"))


def read_csv(root: Path, *, automatic: bool = False, classes: Classes = 8) -> Iterator[FaceRecord | Drop | Note]:
    """The records of AffectNet's first release.

    Args:
        automatic: read the pictures that a network labelled as well, for training.
        classes: 7 leaves contempt unlabelled.

    Raises:
        ConfigError: a list or the pictures' folder is not there, or a list has other columns.
    """
    lists: list[tuple[str, str, Split]] = [("Manually", "training", "train"), ("Manually", "validation", "test")]
    for kind, name, split in lists + [("Automatically", "*", "train")] * automatic:
        labels = find(
            root, *(f"{place}{name}.csv" for place in (f"{kind}_[Aa]nnotated_file_list*/",
                                                       f"{kind}_[Aa]nnotated/{kind}_[Aa]nnotated_file_list*/")),
            *([f"{name}.csv"] if kind == "Manually" else ["[Aa]utomatically*.csv"]),
            what=f"AffectNet's {kind.lower()} annotated list {name}.csv",
        )  # fmt: skip
        pictures = find(root, f"{kind}_[Aa]nnotated/{kind}_[Aa]nnotated_[Ii]mages", f"{kind}_[Aa]nnotated_[Ii]mages",
                        f"{kind}_[Aa]nnotated", what=f"the {kind.lower()} annotated pictures")  # fmt: skip
        yield from _list(labels, relative(pictures, root), split, classes)


def _list(labels: Path, folder: str, split: Split, classes: Classes) -> Iterator[FaceRecord | Drop | Note]:
    head = [name.lower() for name in columns(labels)]
    headed = not {"/", "\\"} & set(head[0])  # a picture's path stands first
    if headed or len(head) != len(_COLUMNS):
        require(labels, _COLUMNS, head)
    if not headed:
        yield Note(f"{labels.name} has no header: its nine columns are taken in the order of the other list")
    for row in islice(rows(labels, names=head if headed else _COLUMNS), int(headed), None):
        if isinstance(row, Drop):
            yield row
            continue
        try:
            yield _row(row, folder, split, classes)
        except BadRow as e:
            yield Drop(row["subdirectory_filepath"], e.reason, e.detail)


def _row(row: Row, folder: str, split: Split, classes: Classes) -> FaceRecord:
    path = row["subdirectory_filepath"].replace("\\", "/")
    if not path:
        raise BadRow("no media", "the row names no picture")
    emotion, valence, arousal = labelled(row["expression"], row["valence"], row["arousal"], classes)
    if (cells.number(row["face_width"], (), "bad face box") or 0) < 0:
        raise BadRow("no face", f"face_width is {row['face_width']}")
    corners = [row[name] for name in _COLUMNS[1:5]]
    text = row["facial_landmarks"]
    return FaceRecord(
        id=os.path.splitext(path)[0], source="affectnet", media=f"{folder}/{path}", split=split,
        box=cells.box(corners, "xywh"), landmarks=points(text.split(";")) if text else None, emotion=emotion,
        label_set=f"affectnet{classes}", valence=valence, arousal=arousal, licence=LICENCE,
    )  # fmt: skip


def read_npy(root: Path, *, classes: Classes = 8) -> Iterator[FaceRecord | Drop | Note]:
    """The records of AffectNet's later release.

    Args:
        classes: 7 leaves contempt unlabelled.

    Raises:
        ConfigError: train_set or val_set, or a folder in it, is not there.
    """
    for name, split in _SETS:
        base = find(root, name, f"*/{name}", what=f"AffectNet's {name}")
        annotations = find(base, "annotations", what=f"the annotations of {name}")
        folder = find(base, "images", what=f"the pictures of {name}")
        pictures, before = listing(folder), relative(folder, root)
        files = sorted(e.name for e in os.scandir(annotations) if not system_file(e.name))
        for stem in (file.removesuffix("_exp.npy") for file in files if file.endswith("_exp.npy")):
            picture = pictures.pop(stem.lower(), None)
            try:
                if picture is None:
                    raise BadRow("file missing", f"{before} has no picture {stem}")
                yield _annotated(annotations, stem, f"{name}/{stem}", f"{before}/{picture}", split, classes)
            except BadRow as e:
                yield Drop(f"{name}/{stem}", e.reason, e.detail)
        for picture in pictures.values():
            yield Drop(f"{name}/{picture}", "unlabelled", "the picture has no _exp.npy")


def _annotated(annotations: Path, stem: str, name: str, media: str, split: Split, classes: Classes) -> FaceRecord:
    exp, val, aro = (_scalar(f"{annotations}/{stem}_{part}.npy") for part in ("exp", "val", "aro"))
    landmarks = _array(f"{annotations}/{stem}_lnd.npy")
    emotion, valence, arousal = labelled(exp, val, aro, classes)
    return FaceRecord(
        id=name, source="affectnet-npy", media=media, split=split, label_set=f"affectnet{classes}", emotion=emotion,
        valence=valence, arousal=arousal, licence=LICENCE,
        landmarks=None if landmarks is None else points(landmarks.ravel().tolist()),
    )  # fmt: skip


def _array(path: str) -> Any:
    """A stored array, None where there is no such file.

    Raises:
        BadRow: torn, or Python objects, which could run code.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as e:
        raise BadRow("bad annotation", f"{os.path.basename(path)}: {e}") from e
    if not isinstance(found, np.ndarray):
        raise BadRow("bad annotation", f"{os.path.basename(path)} holds several arrays")
    return found


def _scalar(path: str) -> str:
    found = _array(path)
    if found is None:
        return ""
    if found.size != 1:
        raise BadRow("bad annotation", f"{os.path.basename(path)} holds {found.size} values, one is wanted")
    value = found.item()
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip()


CSV = Source(
    name="affectnet",
    title="AffectNet",
    read=read_csv,
    tasks=("emotion", "va"),
    licence=LICENCE,
    needs="Manually_Annotated and Manually_Annotated_file_lists",
    published={"train": 287_651, "test": 4_000},
)
NPY = Source(
    name="affectnet-npy",
    title="AffectNet, release with .npy annotations",
    read=read_npy,
    tasks=("emotion", "va"),
    licence=LICENCE,
    needs="train_set and val_set, each with images and annotations",
    published={"train": 287_651, "test": 3_999},
)
