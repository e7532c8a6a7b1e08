"""DISFA+: posed and spontaneous expressions of 9 people, 12 AUs with intensity 0-5 in every frame.

Paper: Mavadati, Sanger & Mahoor, "Extended DISFA Dataset: Investigating Posed and Spontaneous Facial Expressions",
CVPR Workshops 2016. Licence: signed agreement, non-commercial, no passing on. Get it: by request to the University of
Denver.

Tree, as the authors ship it
    Labels/SN001/A1_AU1_TrailNo_1/AU1.txt … AU26.txt       two header lines, then "000.jpg     0"
    Images/SN001/A1_AU1_TrailNo_1/000.jpg                  Aligned/… beside it where someone cropped the faces

Labels: AU 1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26; present from intensity 2. No official split. Known faults: all
nine people (SN001, 003, 004, 007, 009, 010, 013, 025, 027) are in DISFA too, under the same names, and no build sees
that: hold them out of one set if the other is the test.

One row:  SN001/A1_AU1_TrailNo_1/AU1.txt: 012.jpg     4     (and the eleven other files)
    -> FaceRecord(id="SN001/A1_AU1_TrailNo_1/012", media="Images/SN001/A1_AU1_TrailNo_1/012.jpg", subject="SN001",
                  aus={1: 4, 2: 0, …}, au_threshold=2)
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from data_builders.reading.files import find, relative, subfolders
from data_builders.reading.frames import merge, missing_note, thinned
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.images import SUFFIXES
from facevlm.record import Drop, FaceRecord
from facevlm.vocab import PROTOCOLS

_AUS, _THRESHOLD = PROTOCOLS["DISFA-12"].aus, PROTOCOLS["DISFA-12"].threshold
_HEADER = 2


def read(root: Path, *, pictures: str = "Images", every: int = 1) -> Iterator[FaceRecord | Drop | Note]:
    """The records of DISFA+, one a frame.

    Args:
        pictures: the folder beside Labels that holds the pictures, such as Images or Aligned.
        every: keep every n-th frame of a trial.

    Raises:
        ConfigError: no labels, or no folder of pictures.
    """
    labels = find(root, "Labels", "*/Labels", what="DISFA+'s Labels folder")
    images = relative(find(labels.parent, pictures, what="DISFA+'s folder of pictures"), root)
    missing: dict[str, int] = {}
    for subject in subfolders(labels):
        for trial in subfolders(labels / subject):
            where = f"{subject}/{trial}"
            files = _files(labels / where)
            found = merge({au: words(files[au]) if au in files else () for au in _AUS}, _picture, where,
                          header=_HEADER)  # fmt: skip
            yield from found.drops
            missing |= {f"{where} AU{au}": n for au, n in found.missing.items()}
            for (_, name), aus in thinned(sorted((_order(n), aus) for n, aus in found.frames.items()), every):
                if not aus:
                    yield Drop(f"{where}/{name}", "unlabelled", "no AU has a usable level")
                    continue
                yield FaceRecord(id=f"{where}/{os.path.splitext(name)[0]}", source="disfaplus",
                                 media=f"{images}/{where}/{name}", subject=subject, aus=aus, au_threshold=_THRESHOLD,
                                 licence=SOURCE.licence)  # fmt: skip
            if not found.frames:
                yield Drop(where, "unlabelled", "its label files are empty or not there")
    yield from missing_note(missing)


def _files(folder: Path) -> dict[int, Path]:
    named = ((re.fullmatch(r"AU0*(\d+)\.txt", p.name, re.IGNORECASE), p) for p in sorted(folder.iterdir()))
    return {int(match[1]): path for match, path in named if match}


def _picture(text: str) -> str:
    if os.path.splitext(text)[1].lower() not in SUFFIXES:
        raise ValueError(f"{text!r} is no picture")
    return text


def _order(name: str) -> tuple[int, str]:
    """Sorts 99.jpg before 100.jpg where names are not padded."""
    return len(name), name


SOURCE = Source(
    name="disfaplus",
    title="DISFA+",
    read=read,
    tasks=("au", "au intensity"),
    licence="DISFA terms: signed agreement, non-commercial research, no passing on",
    needs="Labels and Images",
)
