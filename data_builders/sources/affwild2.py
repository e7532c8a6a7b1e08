"""Aff-Wild2 (ABAW): 2.8 million frames of some 560 web videos; expression, 12 AUs, valence and arousal by frame.

Paper: Kollias & Zafeiriou, "Expression, Affect, Action Unit Recognition: Aff-Wild2, Multi-Task Learning and ArcFace",
BMVC 2019. Licence: EULA, non-commercial research, no passing on. Get it: by request to the organisers of the ABAW
competitions, with the signed EULA.

Tree, as the organisers ship it
    6th ABAW Annotations/EXPR_Recognition_Challenge/Train_Set/<video>.txt          also EXPR_Classification_Challenge
    6th ABAW Annotations/AU_Detection_Challenge/Validation_Set/<video>_left.txt
    6th ABAW Annotations/VA_Estimation_Challenge/…
    6th ABAW Annotations/MTL_Challenge/{train,validation}_set.txt
    cropped_aligned/<video>[_left|_right]/00001.jpg                                also below batch1, batch2, new_vids

Labels, a header and then one line a frame, line n being picture n:
    EXPR  0 neutral, 1 anger, 2 disgust, 3 fear, 4 happiness, 5 sadness, 6 surprise, 7 other, -1 invalid
    AU    1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26: 0 absent, 1 present, -1 invalid
    VA    valence, arousal in -1..1, -5 invalid
    MTL   "<video>/00001.jpg", valence, arousal, expression, 12 AUs: only the frames it lists
The test set has no labels: Validation_Set is the reported test set. Known faults: frames without a face have no
picture; _left and _right name one face of two; nobody says who the people are, so a subject is one face of one video.
The files of 2020 and 2021 (AU_Set, Expression_Set, VA_Set) know other expressions and AUs and are refused.

One row:  AU_Detection_Challenge/Train_Set/10-60-1280x720_right.txt, line 3: 0,0,1,0,0,0,0,0,0,0,-1,0
    -> FaceRecord(id="10-60-1280x720_right-00002", media="cropped_aligned/10-60-1280x720_right/00002.jpg",
                  split="train", aus={1: 0, 2: 0, 4: 1, …}); AU25 is not in `aus`
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.files import find, relative, subfolders, system_file
from data_builders.reading.frames import Line, numbered, thinned
from data_builders.reading.rows import words
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import PROTOCOLS

_AUS = PROTOCOLS["AffWild2-12"].aus
_CODES = {"0": 0.0, "1": 1.0, "-1": None}
_OLD = ("AU_Set", "Expression_Set", "EXPR_Set", "VA_Set")
_BATCHES = ("batch", "new_vids", "cropped_aligned")
_LICENCE = "Aff-Wild2 EULA: non-commercial research, no passing on"
_NEEDS = "an ABAW Annotations folder and cropped_aligned"


@dataclass(frozen=True)
class _Kind:
    """One challenge's files."""

    folders: tuple[str, ...]
    header: tuple[str, ...]
    labels: Callable[[list[str]], dict[str, Any]]
    """The cells of a line -> fields of the record; empty where the frame is not labelled."""


def read_expr(root: Path, *, annotations: str | None = None, pictures: str = "cropped_aligned",
              every: int = 1) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of the expression challenge, one a frame.

    Args:
        annotations: the ABAW Annotations folder to read, where there are several; None = the only one.
        pictures: the folder of the cropped faces.
        every: read every n-th line of a file.

    Raises:
        ConfigError: no annotations or several, only those of 2020 and 2021, or no pictures.
    """
    yield from _by_video(EXPR, _EXPR, root, annotations, pictures, every)


def read_au(root: Path, *, annotations: str | None = None, pictures: str = "cropped_aligned",
            every: int = 1) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of the AU challenge, one a frame; options and errors as `read_expr`."""
    yield from _by_video(AU, _AU, root, annotations, pictures, every)


def read_va(root: Path, *, annotations: str | None = None, pictures: str = "cropped_aligned",
            every: int = 1) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of the valence-arousal challenge, one a frame; options and errors as `read_expr`."""
    yield from _by_video(VA, _VA, root, annotations, pictures, every)


def read_mtl(root: Path, *, annotations: str | None = None, pictures: str = "cropped_aligned",
             every: int = 1) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of the multi-task challenge, all labels together; options and errors as `read_expr`."""
    folder, base = _annotations(root, _MTL, annotations), _pictures(root, pictures)
    folders = _videos(root, base)
    for path, split in _sets(folder, files=True):
        lines = _body(words(path, ","), _MTL)
        if isinstance(lines, BadRow):
            yield Drop(path.name, lines.reason, lines.detail)
            continue
        for number, row in thinned(lines, every):
            video, _, frame = row[0].partition("/")
            if video in folders and frame:
                name = f"{video}-{frame.rsplit('.', 1)[0]}"
                yield _record(MTL, _MTL, video, name, f"{folders[video]}/{frame}", split, row[1:])
            elif frame:
                yield Drop(row[0], "no pictures", f"{base.name} has no folder {video}")
            else:
                yield Drop(f"{path.name} line {number}", "bad row", f"{row[0]!r} is no picture of a video")


def _by_video(source: Source, kind: _Kind, root: Path, annotations: str | None, pictures: str,
              every: int) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    folder, base = _annotations(root, kind, annotations), _pictures(root, pictures)
    folders = _videos(root, base)
    for place, split in _sets(folder, files=False):
        for path in sorted(p for p in place.glob("*.txt") if not system_file(p.name)):
            video = path.stem
            lines = _body(words(path, ","), kind)
            if isinstance(lines, BadRow):
                yield Drop(video, lines.reason, lines.detail)
                continue
            if video not in folders:
                yield Drop(video, "no pictures", f"{base.name} has no folder {video}")
                continue
            there = numbered(root / folders[video])
            for number, row in thinned(lines, every):
                frame, name = number - 1, f"{video}-{number - 1:05d}"
                if frame in there:
                    yield _record(source, kind, video, name, f"{folders[video]}/{there[frame]}", split, row)
                else:
                    yield Drop(name, "no picture", f"{folders[video]} has none with the number {frame}")


def _record(source: Source, kind: _Kind, video: str, name: str, media: str, split: Split,
            row: list[str]) -> FaceRecord | Drop:  # fmt: skip
    try:
        labels = kind.labels(row)
    except BadRow as e:
        return Drop(name, e.reason, e.detail)
    if not labels:
        return Drop(name, "unlabelled", ",".join(row))
    return FaceRecord(id=name, source=source.name, media=media, split=split, subject=video, licence=_LICENCE, **labels)


def _body(lines: Iterator[Line], kind: _Kind) -> Iterator[Line] | BadRow:
    """The lines below the header, or what is wrong: without the right one it is open which frame a line is of."""
    _, header = next(lines, (0, []))
    if tuple(cell.lower() for cell in header) == kind.header:
        return lines
    return BadRow("bad label file", f"it begins with {','.join(header)!r}, not with {','.join(kind.header)!r}")


def _sized(row: list[str], size: int) -> list[str]:
    if len(row) != size:
        raise BadRow("bad row", f"{len(row)} cells, {size} are wanted")
    return row


def _expr_labels(row: list[str]) -> dict[str, Any]:
    emotion = cells.emotion(_sized(row, 1)[0], "affwild2", {})
    return {} if emotion is None else {"emotion": emotion, "label_set": "affwild2"}


def _au_labels(row: list[str]) -> dict[str, Any]:
    try:
        levels = [_CODES[text] for text in _sized(row, len(_AUS))]
    except KeyError as e:
        raise BadRow("bad AU value", f"{e} is neither 0 nor 1 nor -1") from e
    aus = {au: level for au, level in zip(_AUS, levels, strict=True) if level is not None}
    return {"aus": aus} if aus else {}


def _va_labels(row: list[str]) -> dict[str, Any]:
    found = {}
    for name, text in zip(("valence", "arousal"), _sized(row, 2), strict=True):
        value = cells.number(text, (-5,))
        if value is not None:
            if not -1 <= value <= 1:
                raise BadRow("bad number", f"{name} {text} is not within -1 to 1")
            found[name] = value
    return found


def _mtl_labels(row: list[str]) -> dict[str, Any]:
    _sized(row, 3 + len(_AUS))
    return _va_labels(row[:2]) | _expr_labels(row[2:3]) | _au_labels(row[3:])


def _annotations(root: Path, kind: _Kind, name: str | None) -> Path:
    """The folder of a challenge."""
    above = [f"{name}/"] if name is not None else ["", "*/", "*/*/"]
    found = sorted({p for a in above for folder in kind.folders for p in root.glob(a + folder) if p.is_dir()})
    if len(found) > 1:
        shown = ", ".join(relative(p.parent, root) for p in found)
        raise ConfigError(f"{root} holds several sets of annotations: {shown}; name one with `annotations`")
    if not found and (old := [p for a in above for o in _OLD for p in root.glob(a + o)]):
        raise ConfigError(f"{relative(old[0], root)} is of the annotations of 2020 or 2021, with 7 expressions and "
                          "other AUs; get those of the 3rd ABAW competition (2022) or later")  # fmt: skip
    return found[0] if found else find(root, *(a + folder for a in above for folder in kind.folders),
                                       what=f"Aff-Wild2's {kind.folders[0]} folder")  # fmt: skip


def _sets(folder: Path, files: bool) -> list[tuple[Path, Split]]:
    """The training and the validation part: folders, or the text files of the multi-task challenge."""
    found: list[tuple[Path, Split]] = []
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        if path.is_file() == files and not system_file(path.name) and name.startswith(("train", "valid")):
            found.append((path, "train" if name.startswith("train") else "test"))
    if not found:
        find(folder, "train_set.txt" if files else "Train_Set", what="the training set")
    return found


def _pictures(root: Path, name: str) -> Path:
    return find(root, name, f"*/{name}", what="Aff-Wild2's folder of cropped faces (`pictures`)")


def _videos(root: Path, base: Path) -> dict[str, str]:
    """The folder of each video's pictures."""
    found: dict[str, str] = {}
    for name in subfolders(base):
        inner = subfolders(base / name) if name.lower().startswith(_BATCHES) else []
        for path in [base / name / n for n in inner] or [base / name]:
            found.setdefault(path.name, relative(path, root))
    return found


_EXPR = _Kind(
    ("EXPR_Recognition_Challenge", "EXPR_Classification_Challenge"),
    ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other"),
    _expr_labels,
)
_AU = _Kind(("AU_Detection_Challenge",), tuple(f"au{au}" for au in _AUS), _au_labels)
_VA = _Kind(("VA_Estimation_Challenge",), ("valence", "arousal"), _va_labels)
_MTL = _Kind(("MTL_Challenge",), ("image", "valence", "arousal", "expression", "aus"), _mtl_labels)
EXPR = Source("affwild2-expr", "Aff-Wild2 (expression)", read_expr, ("emotion",), _LICENCE, _NEEDS)
AU = Source("affwild2-au", "Aff-Wild2 (action units)", read_au, ("au",), _LICENCE, _NEEDS)
VA = Source("affwild2-va", "Aff-Wild2 (valence, arousal)", read_va, ("va",), _LICENCE, _NEEDS)
MTL = Source("affwild2-mtl", "Aff-Wild2 (multi-task)", read_mtl, ("emotion", "va", "au"), _LICENCE, _NEEDS)
