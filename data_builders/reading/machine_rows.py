"""Where the rows of OpenFace, py-feat and LibreFace csv files lie: names -> rows, for `machine_aus`.

The files are read once, for an index of 48 bytes a row; a row itself is read when it is wanted. OpenFace writes some
700 columns: a million rows would not fit into memory.
"""

import csv
import functools
import glob
import hashlib
import math
import os
import re
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from data_builders.reading.cells import BadRow
from data_builders.reading.files import VIDEO_SUFFIXES, system_file, walk
from data_builders.reading.frames import frame_number
from facevlm.config import ConfigError
from facevlm.images import SUFFIXES
from facevlm.vocab import AUS

Tool = Literal["openface", "pyfeat", "libreface"]
SCORE: Mapping[Tool, str] = {"openface": "confidence", "pyfeat": "FaceScore"}
"""The column of each tool's confidence, where it has one."""
_INTENSITY = {"openface": r"AU(\d+)_r", "pyfeat": "(?!)", "libreface": r"au_(\d+)_intensity"}
_PRESENCE = {"openface": r"AU(\d+)_c", "pyfeat": r"AU(\d+)", "libreface": r"au_(\d+)"}
# Column of the frame, and the number of its first frame; column of the time, and its unit in seconds.
_FRAME: Mapping[Tool, tuple[str, int]] = {"openface": ("frame", 1), "pyfeat": ("frame", 0),
                                          "libreface": ("frame_idx", 0)}  # fmt: skip
_TIME: Mapping[Tool, tuple[str, float]] = {"openface": ("timestamp", 1), "pyfeat": ("timestamp", 1),
                                           "libreface": ("frame_time_in_ms", 1e-3)}  # fmt: skip
_RECT = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")
_NAMES = ("input", "file", "filename", "file_name", "image", "image_path", "path", "name")
_KNOWN = SUFFIXES | VIDEO_SUFFIXES


@dataclass(frozen=True, slots=True)
class Columns:
    """Where things stand in a row."""

    width: int
    intensity: Mapping[int, int]
    """AU -> place."""
    presence: Mapping[int, int]
    points: tuple[tuple[int, int], ...]
    """x and y of the 68 landmarks; empty where there are none, or a mesh in another order."""
    rect: tuple[int, ...]
    name: int | None
    frame: int | None
    time: int | None
    success: int | None
    score: int | None


@functools.lru_cache(maxsize=64)
def columns(head: str, tool: Tool) -> Columns:
    """Where things stand under a header."""
    # OpenFace writes a blank before each name but the first.
    names = [name.strip() for name in _cut(head)]
    at = {name: i for i, name in reversed(list(enumerate(names)))}
    found = [{int(m[1]): i for i, name in enumerate(names) if (m := re.fullmatch(pattern[tool], name))}
             for pattern in (_INTENSITY, _PRESENCE)]  # fmt: skip
    intensity, presence = ({n: i for n, i in aus.items() if n in AUS} for aus in found)
    points = tuple((at[f"x_{i}"], at[f"y_{i}"]) for i in range(68) if f"x_{i}" in at and f"y_{i}" in at)
    return Columns(
        width=len(names), intensity=intensity, presence=presence,
        points=points if len(points) == 68 and "x_68" not in at else (),
        rect=tuple(at[name] for name in _RECT) if set(_RECT) <= at.keys() else (),
        name=next((at[name] for name in _NAMES if name in at), None), frame=at.get(_FRAME[tool][0]),
        time=at.get(_TIME[tool][0]), success=at.get("success"), score=at.get(SCORE.get(tool, "")),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rows:
    """Where some rows lie."""

    key: npt.NDArray[np.uint64]
    """Hash of the name that they are looked up by."""
    name: npt.NDArray[np.uint64]
    """Hash of the name that the file gives."""
    file: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64]
    """From 0; -1 where the file has no frames."""
    time: npt.NDArray[np.float64]
    """Seconds; not a number where the file has no times."""
    offset: npt.NDArray[np.int64]
    """Of the row's first byte."""

    def take(self, which: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> "Rows":
        """Some of the rows."""
        return Rows(self.key[which], self.name[which], self.file[which], self.frame[which], self.time[which],
                    self.offset[which])  # fmt: skip

    def of_frame(self, frame: int) -> "Rows":
        """The rows of one frame, counted from 0."""
        return self.take(self.frame == frame)

    def of_time(self, seconds: float) -> "Rows":
        """The rows of the frame that is shown at a time: none where the nearest is more than half a frame away."""
        away = np.abs(self.time - seconds)
        if not np.isfinite(away).any():
            return self.take(slice(0))
        times = np.unique(self.time[np.isfinite(self.time)])
        half = float(np.median(np.diff(times))) / 2 if len(times) > 1 else 0.0
        # Times are written in full milliseconds.
        nearest = float(np.nanmin(away))
        return self.take((away <= half + 1e-3) & (away <= nearest + 1e-9))


class Index:
    """Names of pictures and videos -> their rows.

    Raises:
        ConfigError: no files, or files without the tool's columns.
    """

    def __init__(self, root: Path, tool: Tool, files: str, key: Literal["stem", "path"], prefix: str) -> None:
        self.root, self.tool, self.key, self.prefix = root, tool, key, prefix
        self.torn = 0
        """Rows that could not be read."""
        self.files, fixed = _files(root, files)
        # Rows that name their picture, or files that do.
        self.rows: Rows | None = None
        if self._names_rows():
            rows = self._scan(range(len(self.files)))
            self.rows = rows.take(np.argsort(rows.key, kind="stable"))
            self.keys = self.rows.key
        else:
            keys = np.array([_hash(self._looked_up(_bare(path[fixed:-4]))) for path in self.files], dtype=np.uint64)
            self.order = np.argsort(keys, kind="stable")
            self.keys = keys[self.order]
            self.recent: OrderedDict[int, Rows] = OrderedDict()
        self.owner = np.zeros(len(self.keys), dtype=np.uint64)
        self.folder: tuple[str, list[str]] = ("", [])

    def find(self, path: str) -> tuple[Rows, int | None]:
        """The rows of a picture or video; where they are those of a whole folder of frames, also the picture's place
        among them.

        Raises:
            BadRow: there are none, or it is not certain that they are this picture's.
        """
        if (rows := self._lookup(path)) is not None:
            return rows, None
        folder, _, name = path.rpartition("/")
        if self.rows is not None or not folder or (rows := self._lookup(folder)) is None:
            raise BadRow("no row", f"the files name nothing like {path}")
        if self.folder[0] != folder:
            self.folder = folder, _pictures(self.root / folder)
        listed, frames = self.folder[1], len(np.unique(rows.frame))
        if name not in listed or frames != len(listed):
            raise BadRow("other number of frames", f"{folder} holds {len(listed)} pictures, its csv {frames} frames; "
                         "which is which is not known")  # fmt: skip
        return rows, listed.index(name)

    def read(self, rows: Rows) -> Iterator[tuple[list[str], Columns]]:
        """The cells of rows, and where things stand in them."""
        for file, offset in zip(rows.file.tolist(), rows.offset.tolist(), strict=True):
            with open(self.files[file], "rb") as stream:
                head = self._head(self.files[file], stream.readline())
                stream.seek(offset)
                yield _cut(_text(stream.readline())), head

    def _lookup(self, path: str) -> Rows | None:
        mine = _hash(path)
        for name in self._tails(_bare(path)):
            key = np.uint64(_hash(name))
            first, last = (int(np.searchsorted(self.keys, key, side)) for side in ("left", "right"))
            if first == last:
                continue
            if self.rows is not None:
                rows = self.rows.take(slice(first, last))
                several = bool((rows.name != rows.name[0]).any())
            else:
                several = last - first > 1
            if several:
                raise BadRow("one name, two rows", f"the files name several pictures {name!r}; set machine_aus.key to "
                             "path")  # fmt: skip
            # The tool saw one picture of this name: of two records' pictures that share it, which one is not known.
            if self.owner[first] not in (0, mine):
                raise BadRow("one name, two pictures", f"{name!r} is the name of an earlier picture as well as of "
                             f"{path}; set machine_aus.key to path")  # fmt: skip
            self.owner[first] = mine
            return rows if self.rows is not None else self._of_file(int(self.order[first]))
        return None

    def _tails(self, name: str) -> Iterator[str]:
        if self.key == "stem":
            yield name.rpartition("/")[2]
            return
        while name:
            yield name
            name = name.partition("/")[2]

    def _looked_up(self, name: str) -> str:
        """A name of the files as it is looked up."""
        return name.rpartition("/")[2] if self.key == "stem" else name.removeprefix(self.prefix).lstrip("/")

    def _names_rows(self) -> bool:
        for path in self.files:
            with open(path, "rb") as stream:
                if head := stream.readline():
                    return self._head(path, head).name is not None
        raise ConfigError(f"machine_aus.files: all {len(self.files)} files are empty, {self.files[0]} first")

    def _head(self, path: str, head: bytes) -> Columns:
        found = columns(_text(head.removeprefix(b"\xef\xbb\xbf")), self.tool)
        if not found.intensity and not found.presence:
            raise ConfigError(f"{path} has no AU columns of {self.tool}; it begins with {_text(head)[:80].strip()!r}")
        if self.rows is not None and found.name is None:
            raise ConfigError(f"{path} has no column that names pictures, others have; give them as two sets of files")
        return found

    def _of_file(self, file: int) -> Rows:
        if file not in self.recent:
            self.recent[file] = self._scan([file])
            if len(self.recent) > 4:
                self.recent.popitem(last=False)
        return self.recent[file]

    def _scan(self, files: Iterable[int]) -> Rows:
        """Where the rows of files lie; a torn row is left out and counted."""
        keys, names, where, frames, offsets = (array(kind) for kind in "QQqqq")
        times = array("d")
        for file in files:
            for offset, (key, name), frame, seconds in self._read(self.files[file]):
                keys.append(key)
                names.append(name)
                where.append(file)
                frames.append(frame)
                times.append(seconds)
                offsets.append(offset)
        return Rows(np.array(keys, np.uint64), np.array(names, np.uint64), np.array(where, np.int64),
                    np.array(frames, np.int64), np.array(times, np.float64), np.array(offsets, np.int64))  # fmt: skip

    def _read(self, path: str) -> Iterator[tuple[int, tuple[int, int], int, float]]:
        """Of each row: its offset, the hashes of its name, its frame and its time."""
        first, unit = _FRAME[self.tool][1], _TIME[self.tool][1]
        named, hashes = "", (0, 0)
        with open(path, "rb") as stream:
            offset = len(line := stream.readline())
            if not line:
                return
            at = self._head(path, line)
            for line in stream:
                here, offset = offset, offset + len(line)
                cells = _cut(_text(line))
                try:
                    if len(cells) != at.width:
                        raise ValueError
                    frame = frame_number(cells[at.frame]) - first if at.frame is not None else -1
                    seconds = float(cells[at.time]) * unit if at.time is not None else math.nan
                except ValueError:
                    self.torn += bool(line.strip())
                    continue
                if at.name is not None and cells[at.name] != named:
                    named = cells[at.name]
                    hashes = self._hashes(named)
                yield here, hashes, frame, seconds

    def _hashes(self, name: str) -> tuple[int, int]:
        name = _bare(name.strip().replace("\\", "/").removeprefix(f"{os.path.abspath(self.root)}/"))
        return _hash(self._looked_up(name)), _hash(name)


def _files(root: Path, files: str) -> tuple[list[str], int]:
    """The csv files, sorted, and the length of the part of their paths that names nothing."""
    files = os.path.expanduser(files)
    if (root / files).is_dir():
        fixed = f"{files.rstrip('/')}/"
        found = [fixed + path for path in walk(root / files, "", (".csv",))]
    else:
        magic = glob.has_magic(files)
        fixed = re.split(r"[^/]*[*?\[]", files)[0] if magic else files.rpartition("/")[0]
        named = glob.iglob(files, root_dir=root, recursive=True) if magic else [files]
        found = sorted(p for p in named if p.lower().endswith(".csv") and not system_file(os.path.basename(p))
                       and os.path.isfile(root / p))  # fmt: skip
    if not found:
        raise ConfigError(f"machine_aus.files: {files} is no csv file, folder of csv files or pattern of them (looked "
                          f"for in {root})")  # fmt: skip
    whole = [os.path.join(root, path).replace(os.sep, "/") for path in found]
    return whole, len(whole[0]) - len(found[0]) + len(fixed)


def _pictures(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(n for n in os.listdir(folder) if not system_file(n) and os.path.splitext(n)[1].lower() in SUFFIXES)


def _cut(line: str) -> list[str]:
    line = line.rstrip("\r\n")
    return next(csv.reader([line])) if '"' in line else line.split(",")


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _bare(path: str) -> str:
    """A path without the endings of pictures and videos."""
    stem, suffix = os.path.splitext(path)
    return _bare(stem) if suffix.lower() in _KNOWN else path


def _hash(name: str) -> int:
    # 64 bits: that two of a million names share one has odds of 1 in 10^7. Never 0, which means nobody.
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big") | 1
