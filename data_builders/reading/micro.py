"""Micro-expression sets: a spreadsheet with onset, apex, offset, FACS codes and an emotion per clip, and folders of
frames. A record is the apex frame, with the onset frame (still neutral) as the picture before.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_builders.reading import cells, facscodes
from data_builders.reading.cells import BadRow
from data_builders.reading.files import subfolders, system_file
from data_builders.reading.frames import frame_number
from data_builders.reading.rows import Row, sheet
from data_builders.source import Note
from facevlm.config import ConfigError
from facevlm.images import SUFFIXES
from facevlm.record import Drop, FaceRecord
from facevlm.vocab import LABEL_SETS

NoApex = Literal["drop", "middle"]
"""A clip without an apex frame: left out, or the frame halfway between onset and offset."""
Unnamed = Literal["unlabelled", "absent"]
"""AUs that a clip's codes do not name: not labelled; or labelled absent, as far as the set's other codes name them."""

_COLUMNS = {
    "subject": ("subject", "sub"), "clip": ("filename", "clip"), "onset": ("onsetframe", "onset"),
    "apex": ("apexframe", "apex"), "offset": ("offsetframe", "offset"),
    "aus": ("actionunits", "actionunit", "aus", "au"), "emotion": ("estimatedemotion", "emotion"),
    "objective": ("objectiveclasses", "objectiveclass"),
}  # fmt: skip
_NEEDED = ("subject", "clip", "onset", "apex", "offset", "aus", "emotion")
_NO_FRAME = ("", "/", "\\", "?", "-")


@dataclass(frozen=True, slots=True)
class Clip:
    """Where a row's frames lie."""

    id: str
    subject: str
    folder: str
    """Relative to the root."""


@dataclass(frozen=True)
class Coding:
    """What a set's labels mean."""

    name: str
    licence: str
    label_set: str
    """All its labels."""
    asked: str
    """The label set of the records: this one, a part of it, or megc3."""
    negative: Collection[str]
    """Labels that MEGC 2019 takes together as negative; happiness is positive."""
    no_apex: NoApex
    unnamed: Unnamed
    frame: re.Pattern[str]
    """Names of the frames' files; the group is the number."""
    endings: Collection[str] = SUFFIXES

    def label(self, word: str) -> str | None:
        """The label of a cell; None where it is empty.

        Raises:
            BadRow: an unknown word, or a label that is not asked for.
        """
        label = cells.emotion(word, self.label_set, {})
        if label is not None and self.asked == "megc3":
            merged = {"happiness": "positive", "surprise": "surprise", **dict.fromkeys(self.negative, "negative")}
            label = merged.get(label, label)
        if label is not None and label not in LABEL_SETS[self.asked].labels:
            raise BadRow("outside the classes", f"{word} is none of {', '.join(LABEL_SETS[self.asked].labels)}")
        return label


def table(path: Path, name: str | None = None) -> list[Row]:
    """The rows of a coding sheet, under our names: subject, clip, onset, apex, offset, aus, emotion, objective.

    Raises:
        ConfigError: no such sheet, or a column is missing or there twice.
    """
    found = list(sheet(path, "Subject", name))
    # A row that ends early has no cells for the last columns.
    heads = list(dict.fromkeys(head for row in found for head in row))
    plain = {head: re.sub(r"[^a-z]", "", head.lower()) for head in heads}
    columns = {ours: [h for h in heads if plain[h] in theirs] for ours, theirs in _COLUMNS.items()}
    if found and (wrong := [ours for ours in _NEEDED if len(columns[ours]) != 1]):
        raise ConfigError(f"{path} needs one column each for {', '.join(_NEEDED)}; {', '.join(wrong)} is not clear "
                          f"among {', '.join(map(repr, heads))}")  # fmt: skip
    return [{ours: row.get(heads[0], "") if heads else "" for ours, heads in columns.items()} for row in found]


def holders(root: Path, pattern: str, depth: int = 2) -> list[str]:
    """The folders, the root ("") first, that hold a folder whose name is like the pattern (any case)."""
    found, level = [], [""]
    for _ in range(depth + 1):
        below = []
        for folder in level:
            names = subfolders(root / folder)
            if any(re.fullmatch(pattern, name, re.IGNORECASE) for name in names):
                found.append(folder)
            else:
                below += [f"{folder}/{name}" if folder else name for name in names]
        level = below
    return found


def records(root: Path, rows: Sequence[Row], coding: Coding,
            clip_of: Callable[[Row], Clip]) -> Iterator[FaceRecord | Drop | Note]:  # fmt: skip
    """The records of a coding sheet, in its order; `clip_of` raises BadRow where a row's clip is not to be found."""
    known = _named(rows) if coding.unnamed == "absent" else frozenset()
    lacking: Counter[str] = Counter()
    for number, row in enumerate(rows, 1):
        name = f"{row['subject']}/{row['clip']}" if row["subject"] and row["clip"] else f"row {number}"
        try:
            clip = clip_of(row)
            name = clip.id
            yield _record(root, row, coding, clip, known, lacking)
        except BadRow as e:
            yield Drop(name, e.reason, e.detail)
    if lacking["before"]:
        yield Note(f"{lacking['before']} clips have no onset frame before the apex: no picture before in the record")


def _record(root: Path, row: Row, coding: Coding, clip: Clip, known: Collection[int],
            lacking: Counter[str]) -> FaceRecord:  # fmt: skip
    emotion, codes = coding.label(row["emotion"]), facscodes.parse(row["aus"])
    if emotion is None and not codes.aus:
        raise BadRow("unlabelled", "neither an emotion nor an AU is named")
    aus = facscodes.levels(codes.aus)
    if codes.complete and coding.unnamed == "absent":
        aus = dict.fromkeys((n for n in known if n not in codes.doubtful), 0.0) | aus
    onset, apex = _onset_apex(row, coding.no_apex)
    listed = _frames(root / clip.folder, coding)
    if apex not in listed:
        raise BadRow("file missing", f"{clip.folder} holds no frame {apex}")
    before = f"{clip.folder}/{listed[onset]}" if onset is not None and onset in listed and onset != apex else None
    lacking["before"] += before is None
    sided = {"sided_aus": "+".join(f"{side}{n}" for n, sides in sorted(codes.sides.items()) for side in sides)}
    objective = {"objective_class": row["objective"]} if row["objective"] else {}
    return FaceRecord(
        id=clip.id, source=coding.name, media=f"{clip.folder}/{listed[apex]}", before=before, subject=clip.subject,
        emotion=emotion, label_set=coding.asked, aus=dict(sorted(aus.items())),
        attributes=(sided if codes.sides else {}) | objective, licence=coding.licence,
    )  # fmt: skip


def _onset_apex(row: Row, no_apex: NoApex) -> tuple[int | None, int]:
    onset, apex, offset = (_number(row[name]) for name in ("onset", "apex", "offset"))
    if apex is None and no_apex == "middle" and onset is not None and offset is not None:
        apex = (onset + offset) // 2
    if apex is None:
        raise BadRow("no apex frame", f"its apex is {row['apex']!r}, its onset {row['onset']!r}")
    if onset is not None and onset > apex:
        raise BadRow("frames out of order", f"onset {onset} comes after apex {apex}")
    return onset, apex


def _number(text: str) -> int | None:
    if text in _NO_FRAME:
        return None
    try:
        return frame_number(text)
    except ValueError as e:
        raise BadRow("bad frame", f"{text!r} is no frame number") from e


def _named(rows: Sequence[Row]) -> frozenset[int]:
    named: set[int] = set()
    for row in rows:
        try:
            named |= facscodes.parse(row["aus"]).aus.keys()
        except BadRow:  # dropped where its record is made
            continue
    return frozenset(named)


def _frames(folder: Path, coding: Coding) -> Mapping[int, str]:
    """The frames of a folder by number; of two with one number the first in order."""
    found: dict[int, str] = {}
    if folder.is_dir():
        for file in sorted(os.listdir(folder)):
            stem, ending = os.path.splitext(file)
            if not system_file(file) and ending.lower() in coding.endings and (match := coding.frame.fullmatch(stem)):
                found.setdefault(int(match[1]), file)
    return found
