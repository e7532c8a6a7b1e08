"""The pictures in a column of a Parquet table: bytes, {bytes, path} as `datasets` writes them, or paths."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facevlm.analyze.items import Item, Seen, broken
from facevlm.config import ConfigError
from facevlm.images import ImageError

_ROWS = 64
"""Rows decoded at a time."""


def columns(paths: Sequence[Path], column: str, carry: Sequence[str]) -> dict[str, pa.DataType]:
    """The type of each column to carry along, the same in all tables that have it.

    Raises:
        ConfigError: a table has no such picture column, or it holds something else; a column to carry along is in no
            table, or of several types, or bytes. A file that is no table is left for its row to report.
    """
    kinds: dict[str, pa.DataType] = {}
    for path in paths:
        try:
            found = pq.read_schema(path)
        except (pa.ArrowException, OSError):
            continue
        if column not in found.names:
            raise ConfigError(f"{path} has no column {column!r}, name one as `column`: {', '.join(found.names)}")
        if not _holds_pictures(found.field(column).type):
            raise ConfigError(f"column {column!r} of {path} is {found.field(column).type}; wanted are bytes, a struct "
                              "of bytes and path, or paths")  # fmt: skip
        for name in carry:
            if name in found.names and kinds.setdefault(name, kind := found.field(name).type) != kind:
                raise ConfigError(f"column {name!r} is {kinds[name]} in one table and {kind} in {path}")
    if binary := [name for name, kind in kinds.items() if pa.types.is_binary(kind) or pa.types.is_large_binary(kind)]:
        raise ConfigError(f"carry: column {', '.join(map(repr, binary))} holds bytes, which JSON lines cannot")
    if missing := [name for name in carry if name not in kinds]:
        raise ConfigError(f"carry: no table among the inputs has column {', '.join(map(repr, missing))}")
    return kinds


def _holds_pictures(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return bool({f.name for f in kind} & {"bytes", "path"})
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_string, pa.types.is_large_string)
    return any(test(kind) for test in tests)


def items(path: Path, column: str, carry: Sequence[str], root: str | None) -> Iterator[Item]:
    """The pictures of a table, in its own order. A row group of which nothing is wanted is never read."""
    try:
        table = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as e:
        yield broken(str(path), "damaged table", f"{path}: {e}")
        return
    with table:
        names = [name for name in (column, *carry) if name in table.schema_arrow.names]
        start = Path(root).expanduser() if root else path.parent
        row = 0
        for number in range(table.num_row_groups):
            group = _Group(table, number, names)
            for i in range(table.metadata.row_group(number).num_rows):
                yield Item(f"{path}#row={row}", _Reader(group, i, column, start))
                row += 1


class _Group:
    """The rows of one row group, read in their order; none is read before one is asked for."""

    def __init__(self, table: pq.ParquetFile, number: int, names: list[str]) -> None:
        self._batches = table.iter_batches(_ROWS, row_groups=[number], columns=names)
        self._rows: list[dict[str, Any]] = []
        self._start = 0
        self._fault: str | None = None

    def row(self, i: int) -> dict[str, Any]:
        while self._fault is None and i >= self._start + len(self._rows):
            self._start += len(self._rows)
            try:
                self._rows = next(self._batches).to_pylist()
            except (pa.ArrowException, OSError, StopIteration) as e:
                self._fault = str(e) or "it ends before its rows do"
        if self._fault is not None:
            raise ImageError("damaged table", self._fault)
        return self._rows[i - self._start]


class _Reader:
    """Fetches the picture of one row."""

    def __init__(self, group: _Group, i: int, column: str, start: Path) -> None:
        self.group, self.i, self.column, self.start = group, i, column, start

    def __call__(self) -> Seen:
        row = self.group.row(self.i)
        value = row.pop(self.column)
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if value is None:
            raise ImageError("no picture", f"column {self.column!r} is null")
        return Seen(value if isinstance(value, bytes) else self.start / value, row)
