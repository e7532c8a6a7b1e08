"""Table: any CSV, TSV, JSONL or Parquet file of picture paths and labels, with the columns named in the config.

Paper: none, this is the way in for a set that has no reader here. Licence: whatever the set's owner grants; say it in
`licence`. Tree: <root>/<labels>, and the pictures anywhere under <root>. Every key: configs/data/table.yaml.
Known faults of such files, all handled: blanks around column names, a byte order mark, macOS "._" files, Windows
slashes, numbers as ids ("007"), codes for "not labelled" (9, -1, 999).

One row:  file,person,emo,AU06,AU12,AU15     with emotion_map {joy: happiness} and au_missing [9]
          a\\1.jpg,007,joy,2,4,9
    -> FaceRecord(id="a/1.jpg", media="a/1.jpg", subject="007", emotion="happiness", aus={6: 2, 12: 4})
       AU15 is not in `aus`: 9 says that it was not labelled. An empty cell says the same, and is never 0.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from data_builders.reading import cells
from data_builders.reading.cells import BadRow, BoxForm, Code
from data_builders.reading.rows import Row, columns, require, rows
from data_builders.source import Source
from facevlm.config import ConfigError, build
from facevlm.record import Drop, FaceRecord, Split
from facevlm.vocab import LABEL_SETS


@dataclass(frozen=True)
class Columns:
    """Our fields -> their columns."""

    media: str
    id: str | None = None
    subject: str | None = None
    split: str | None = None
    emotion: str | None = None
    valence: str | None = None
    arousal: str | None = None
    caption: str | None = None
    licence: str | None = None
    box: list[str] = field(default_factory=list)
    landmarks: list[str] | None = None
    aus: dict[str | int, str] | str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """The keys of `options`, as configs/data/table.yaml explains them."""

    labels: str
    columns: dict[str, Any]
    name: str = "table"
    delimiter: str | None = None
    media_pattern: str = "{}"
    box_form: BoxForm = "ltrb"
    label_set: str | None = None
    emotion_map: dict[Code, str | int] = field(default_factory=dict)
    emotion_missing: list[Code] = field(default_factory=list)
    au_threshold: float = 1
    au_missing: list[Code] = field(default_factory=list)
    va_missing: list[Code] = field(default_factory=list)
    split_map: dict[Code, Split] = field(default_factory=dict)
    where: dict[str, str | int | list[str | int]] = field(default_factory=dict)
    licence: str = "unknown"


def read(root: Path, **options: Any) -> Iterator[FaceRecord | Drop]:
    """The records of a label file, one by one; a row that cannot be read is a Drop.

    Args:
        root: the folder that the label file's path and the pictures' paths start from.
        options: see `Options` and configs/data/table.yaml.

    Raises:
        ConfigError: an unknown option, a label file that cannot be read, columns that it does not have, a label set or
            an AU that is not known.
    """
    return _Table(root, build(Options, options)).records()


class _Table:
    def __init__(self, root: Path, options: Options) -> None:
        self.root, self.options, self.path = root, options, root / options.labels
        self.columns = build(Columns, options.columns)
        _check_labels(options, self.columns)
        found = columns(self.path, options.delimiter)
        self.aus = cells.au_columns(self.columns.aus, found)
        self.points = cells.point_columns(self.columns.landmarks, found)
        self.where = {name: set(map(str, want if isinstance(want, list) else [want]))
                      for name, want in options.where.items()}  # fmt: skip
        self.words = {str(word): str(label) for word, label in options.emotion_map.items()}
        self.splits = {str(word): split for word, split in options.split_map.items()}
        # A million rows hold few different cells: reading each one once makes the reader twice as fast.
        self._level = lru_cache(10_000)(lambda n, text: cells.intensity(n, text, options.au_missing))
        self._emotion = lru_cache(10_000)(
            lambda text: cells.emotion(text, options.label_set, self.words, options.emotion_missing))  # fmt: skip
        self.wanted = self._wanted()
        require(self.path, self.wanted, found)

    def _wanted(self) -> list[str]:
        c = self.columns
        single = (c.media, c.id, c.subject, c.split, c.emotion, c.valence, c.arousal, c.caption, c.licence)
        points = (name for pair in self.points for name in pair)
        every = (*single, *c.box, *c.attributes.values(), *self.aus.values(), *points, *self.where)
        return list(dict.fromkeys(name for name in every if name is not None))

    def records(self) -> Iterator[FaceRecord | Drop]:
        for number, row in enumerate(rows(self.path, self.wanted, self.options.delimiter), 1):
            if isinstance(row, Drop):
                yield row
            elif all(row[name] in values for name, values in self.where.items()):
                try:
                    yield self._record(row)
                except BadRow as e:
                    name = _cell(row, self.columns.id) or row[self.columns.media] or f"row {number}"
                    yield Drop(name, e.reason, e.detail)

    def _record(self, row: Row) -> FaceRecord:
        c, o = self.columns, self.options
        media = self._media(row[c.media])
        levels = {n: self._level(n, row[name]) for n, name in self.aus.items()}
        return FaceRecord(
            id=_cell(row, c.id) or media, source=o.name, media=media, subject=_cell(row, c.subject) or None,
            split=cells.split(_cell(row, c.split), self.splits), label_set=o.label_set,
            emotion=self._emotion(_cell(row, c.emotion)),
            box=cells.box([row[name] for name in c.box], o.box_form),
            landmarks=cells.landmarks([(row[x], row[y]) for x, y in self.points]),
            valence=cells.number(_cell(row, c.valence), o.va_missing),
            arousal=cells.number(_cell(row, c.arousal), o.va_missing),
            aus={n: level for n, level in levels.items() if level is not None}, au_threshold=o.au_threshold,
            attributes={name: row[column] for name, column in c.attributes.items() if row[column]},
            caption=_cell(row, c.caption) or None, licence=_cell(row, c.licence) or o.licence,
        )  # fmt: skip

    def _media(self, text: str) -> str:
        if not text:
            raise BadRow("no media", "the row names no picture")
        path = posixpath.normpath(self.options.media_pattern.replace("{}", text.replace("\\", "/")))
        if path.rpartition("/")[2].startswith("._"):
            raise BadRow("system file", f"{text} is what macOS leaves beside a file, not a picture")
        return path.removeprefix(f"{self.root.as_posix()}/")


def _cell(row: Row, column: str | None) -> str:
    return row[column] if column is not None else ""


def _check_labels(options: Options, given: Columns) -> None:
    """Refuse label words and sets that no row could ever satisfy."""
    faults = []
    if given.emotion is not None and options.label_set is None:
        faults.append(f"columns.emotion needs label_set, one of {', '.join(LABEL_SETS)}")
    if given.box and len(given.box) != 4:
        faults.append(f"columns.box names {len(given.box)} columns, four are wanted")
    if options.label_set is not None and options.label_set not in LABEL_SETS:
        faults.append(f"label_set {options.label_set!r} is unknown; known: {', '.join(LABEL_SETS)}")
    elif options.label_set is not None:
        for word, label in options.emotion_map.items():
            try:
                LABEL_SETS[options.label_set].label(label)
            except ValueError as e:
                faults.append(f"emotion_map.{word}: {e}")
    if faults:
        raise ConfigError("the options of source table have faults:\n  " + "\n  ".join(faults))


SOURCE = Source(
    name="table",
    title="Any table of paths and labels",
    read=read,
    tasks=("emotion", "va", "au", "au intensity", "attributes", "caption"),
    licence="as its options say",
    needs="one CSV, TSV, JSONL or Parquet file; its columns are named in the config",
    layout="real",
)
