"""Labels given frame by frame: one file per AU or one table with a column per AU, and the pictures they belong to.

Frames are matched by number and never by position: files miss frames, and names are padded in several ways.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from data_builders.reading import cells
from data_builders.reading.cells import BadRow
from data_builders.reading.files import walk
from data_builders.reading.rows import words
from data_builders.source import Note
from facevlm.config import ConfigError
from facevlm.images import SUFFIXES
from facevlm.record import Drop

T = TypeVar("T")
K = TypeVar("K", int, str)
Line = tuple[int, list[str]]
Frame = tuple[int, dict[int, float]]
"""A frame's number in the label file, and its AUs as far as they are labelled."""


def thinned(items: Iterable[T], every: int) -> Iterator[T]:
    """Every n-th item, the first one included.

    Raises:
        ConfigError: `every` is below 1.
    """
    if every < 1:
        raise ConfigError(f"every is {every}; it must be 1 or more")
    return islice(items, 0, None, every)


def frame_number(text: str) -> int:
    """A frame's number, written as 12 or 12.0.

    Raises:
        ValueError: not a whole number.
    """
    try:
        return int(text)
    except ValueError:
        value = float(text)
        if not value.is_integer():
            raise
        return int(value)


def numbered(folder: Path) -> dict[int, str]:
    """The pictures of a folder whose names are numbers, padded or not; of two with one number the first in order."""
    found: dict[int, str] = {}
    if folder.is_dir():
        for name in sorted(os.listdir(folder)):
            stem, ending = os.path.splitext(name)
            if stem.isascii() and stem.isdigit() and ending.lower() in SUFFIXES:
                found.setdefault(int(stem), name)
    return found


def check_pattern(pattern: str) -> None:
    """Refuse a pattern of picture paths that cannot name one picture per frame.

    Raises:
        ConfigError: it has other fields than {subject} and {frame}, or no {frame}.
    """
    try:
        whole = pattern.format(subject="S", frame=1) != pattern.format(subject="S", frame=2)
    except (KeyError, IndexError, ValueError, AttributeError) as e:
        raise ConfigError(f"pictures {pattern!r} is no pattern of {{subject}} and {{frame}} ({e!r})") from e
    if not whole:
        raise ConfigError(f"pictures {pattern!r} does not say where the frame's number stands, as {{frame:05d}} does")


@dataclass
class Merged(Generic[K]):
    """What several files, each of one AU, say of the same frames."""

    frames: dict[K, dict[int, float]] = field(default_factory=dict)
    drops: list[Drop] = field(default_factory=list)
    missing: Counter[int] = field(default_factory=Counter)
    """By AU, the frames that only other AUs' files label."""


def merge(tracks: Mapping[int, Iterable[Line]], key: Callable[[str], K], where: str, *,
          codes: Iterable[cells.Code] = (), header: int = 0) -> Merged[K]:  # fmt: skip
    """Join files of lines "frame level" by frame. An AU without a line for a frame is not labelled there.

    Args:
        tracks: the lines of each AU's file.
        key: the frame of a first cell; ValueError where it is none.
        where: names the sequence in drops.
        codes: levels that mean "not labelled".
        header: lines at the top that may be something else.
    """
    found: Merged[K] = Merged()
    frames: defaultdict[K, dict[int, float]] = defaultdict(dict)
    for au, lines in tracks.items():
        levels = _track(lines, au, key, f"{where} AU{au}", tuple(codes), header, found.drops)
        for frame, level in levels.items():
            aus = frames[frame]
            if level is not None:
                aus[au] = level
    found.frames = dict(sorted(frames.items()))
    for au in tracks:
        if lacking := sum(au not in aus for aus in frames.values()):
            found.missing[au] = lacking
    return found


def _track(lines: Iterable[Line], au: int, key: Callable[[str], K], where: str, codes: tuple[cells.Code, ...],
           header: int, drops: list[Drop]) -> dict[K, float | None]:  # fmt: skip
    levels: dict[K, float | None] = {}
    known: dict[str, float | None] = {}
    for number, row in lines:
        try:
            if len(row) != 2:
                raise BadRow("bad row", f"{len(row)} cells, a frame and a level are wanted")
            frame, text = key(row[0]), row[1]
            if text not in known:
                known[text] = cells.intensity(au, text, codes)
            if levels.setdefault(frame, known[text]) != known[text]:
                levels[frame] = None
                raise BadRow("two labels", f"frame {frame} has a second level, {text}")
        except ValueError:
            if number > header:
                drops.append(Drop(f"{where} line {number}", "bad row", f"{row[0]!r} is no frame"))
        except BadRow as e:
            if number > header:
                drops.append(Drop(f"{where} line {number}", e.reason, e.detail))
    return levels


def missing_note(missing: Mapping[str, int]) -> Iterator[Note]:
    """What to say of labels that one AU lacks where others have them; nothing where none does.

    Args:
        missing: frames by "sequence AU".
    """
    if missing:
        some = ", ".join(f"{name} ({n})" for name, n in list(missing.items())[:10])
        yield Note(f"{sum(missing.values())} AU labels are missing in frames that other AUs' files label; these AUs "
                   f"are not labelled there: {some}{', …' if len(missing) > 10 else ''}")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Head:
    """Where things stand in a table with a column per AU."""

    frame: int
    aus: tuple[tuple[int, int], ...]
    """AU, column."""
    width: int


def wide(path: Path, name: str, head_of: Callable[[list[str]], Head | None], level: Callable[[int, str], float | None],
         every: int = 1) -> Iterator[Frame | Drop]:  # fmt: skip
    """The frames of a comma-separated table with a header, a frame column and a column per AU, in the file's order.

    Columns go by place: BP4D's headers name two of them "1".

    Args:
        name: of the sequence, in drops.
        head_of: where things stand, from the header's cells; None where that is no such table.
        level: an AU's level from a cell, None where it is not labelled; BadRow where it cannot be read.
    """
    lines = words(path, ",")
    head = head_of(first[1]) if (first := next(lines, None)) else None
    if head is None:
        begins = "is empty" if first is None else f"begins with {','.join(first[1])[:80]!r}"
        yield Drop(name, "bad label file", f"{path.name} {begins}; a header with a frame column and AUs is wanted")
        return
    known: dict[str, float | None] = {}
    seen: set[int] = set()
    for number, row in thinned(lines, every):
        try:
            yield _row(row, name, head, level, known, seen)
        except BadRow as e:
            yield Drop(f"{name} line {number}", e.reason, e.detail)


def _row(row: list[str], name: str, head: Head, level: Callable[[int, str], float | None],
         known: dict[str, float | None], seen: set[int]) -> Frame | Drop:  # fmt: skip
    if len(row) != head.width:
        raise BadRow("bad row", f"{len(row)} cells under {head.width} columns")
    try:
        frame = frame_number(row[head.frame])
    except ValueError as e:
        raise BadRow("bad row", f"{row[head.frame]!r} is no frame number") from e
    aus = {}
    for au, place in head.aus:
        text = row[place]
        if text not in known:
            known[text] = level(au, text)
        if (value := known[text]) is not None:
            aus[au] = value
    if frame in seen:
        raise BadRow("two labels", f"frame {frame} was labelled before; the first line stands")
    seen.add(frame)
    return (frame, aus) if aus else Drop(f"{name}-{frame}", "unlabelled", "no AU is coded")


def tables(root: Path, below: str, head_of: Callable[[list[str]], Head | None]) -> tuple[list[str], list[str]]:
    """The csv files below a folder that are such tables, and those that are not, each relative to the root."""
    fit: list[str] = []
    other: list[str] = []
    for path in walk(root, below, (".csv",)):
        try:
            first = next(words(root / path, ","), None)
            (fit if first is not None and head_of(first[1]) is not None else other).append(path)
        except ConfigError:  # not text: some other file of the set
            other.append(path)
    return fit, other


def tables_note(fit: Sequence[str], other: Sequence[str]) -> Note:
    """What `tables` found, for a set whose layout nobody has checked."""
    rest = f": {', '.join(other[:3])}" if other else ""
    return Note(f"the layout was never checked against the owners' files: {len(fit)} tables such as {fit[0]} were "
                f"taken for labels, {len(other)} other csv files were left out{rest}")  # fmt: skip
