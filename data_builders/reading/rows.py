"""Label files -> rows of text: CSV, TSV, JSONL, Parquet or xlsx, read row by row so that any size fits into memory.

Every cell is text without surrounding blanks and "" where nothing was given: a subject "007" stays "007", and an empty
cell is never mistaken for 0.
"""

import csv
import json
import warnings
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facevlm.config import ConfigError
from facevlm.record import Drop

Row = dict[str, str]

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_JSON = (".jsonl", ".ndjson")


def columns(path: Path, delimiter: str | None = None, encoding: str = "utf-8-sig") -> list[str]:
    """The column names of a label file, in order and without surrounding blanks; for JSONL those of all its lines.

    Raises:
        ConfigError: no such file, not text in UTF-8, empty, or in a format that is not known.
    """
    if path.suffix.lower() == ".parquet":
        names = list(_parquet(path).schema_arrow.names)
    elif path.suffix.lower() in _JSON:
        names = list(dict.fromkeys(name for row in rows(path) if isinstance(row, dict) for name in row))
    else:
        names = _header(path, delimiter, encoding)
    if not names:
        raise ConfigError(f"label file {path} is empty; it needs named columns")
    return names


def rows(path: Path, wanted: Collection[str] | None = None, delimiter: str | None = None,
         names: Sequence[str] | None = None, encoding: str = "utf-8-sig") -> Iterator[Row | Drop]:  # fmt: skip
    """The rows of a label file, `wanted` columns only (None = all); a row that cannot be read is a Drop.

    Args:
        delimiter: between the cells of a text table; None = by the file's ending, see `DELIMITERS`.
        names: the columns of a text table without a header row.
        encoding: of a text table; "cp1252" reads any bytes that Windows tools write.

    Raises:
        ConfigError: as `columns`.
    """
    if path.suffix.lower() == ".parquet":
        found: Iterator[Row | Drop] = _parquet_rows(path, wanted)
    elif path.suffix.lower() in _JSON:
        found = _json_rows(path)
    else:
        found = _text_rows(path, delimiter, names, encoding)
    for row in found:
        yield row if wanted is None or isinstance(row, Drop) else {name: row.get(name, "") for name in wanted}


def require(path: Path, wanted: Collection[str], found: Sequence[str]) -> None:
    """Refuse a label file that lacks a wanted column, or has it more than once.

    Raises:
        ConfigError: names them all, and the columns that there are.
    """
    lines = []
    if missing := [name for name in wanted if name not in found]:
        lines.append(f"no columns {', '.join(map(repr, missing))}")
    if twice := [name for name in wanted if found.count(name) > 1]:
        lines.append(f"more than one column named {', '.join(map(repr, twice))}")
    if lines:
        raise ConfigError(f"{path} has {' and '.join(lines)}; it has {', '.join(map(repr, found))} "
                          "(all in one name: set `delimiter`)")  # fmt: skip


def words(path: Path, delimiter: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """The lines of a text file that hold anything, as line number (from 1) and cells cut at blanks or `delimiter`.

    Raises:
        ConfigError: no such file, or not text in UTF-8.
    """
    for number, line in enumerate(_lines(path), 1):
        if cells := [cell.strip() for cell in line.strip().split(delimiter)] if line.strip() else []:
            yield number, cells


def sheet(path: Path, first: str, name: str | None = None) -> Iterator[Row]:
    """The rows of an xlsx sheet below the row whose first cell is `first`: notes often stand above the header.

    Args:
        first: name of the first column, any case.
        name: of the sheet; None = the first one.

    Raises:
        ConfigError: openpyxl is missing, no such file or sheet, or no such header.
    """
    cells = grid(path, name)
    head = next((row for row in cells if row and row[0].lower() == first.lower()), None)
    if head is None:
        raise ConfigError(f"{path} has no header row that begins with {first!r}")
    for row in cells:
        if any(row):
            yield {key: value for key, value in zip(head, row, strict=False) if key}


def grid(path: Path, name: str | None = None) -> Iterator[list[str]]:
    """All rows of an xlsx sheet as they stand: for sheets without a header.

    Raises:
        ConfigError: openpyxl is missing, or no such file or sheet.
    """
    try:
        import openpyxl
    except ImportError as e:
        raise ConfigError(f"{path.name} is a spreadsheet; reading it needs openpyxl: pip install facevlm[data]") from e
    try:
        # xlsx parts that Excel writes and openpyxl does not know (data validation) are of no interest here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as e:
        raise ConfigError(f"cannot read spreadsheet {path}: {e}") from e
    if name is not None and name not in book.sheetnames:
        raise ConfigError(f"{path} has no sheet {name!r}; it has {', '.join(book.sheetnames)}")
    for row in book[name or book.sheetnames[0]].iter_rows(values_only=True):
        yield [_text(value) for value in row]


def _lines(path: Path, encoding: str = "utf-8-sig") -> Iterator[str]:
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        with path.open(encoding=encoding, newline="") as file:
            yield from file
    except OSError as e:
        raise ConfigError(f"cannot read label file {path}: {e.strerror}. It is looked for in `root`") from e
    except UnicodeDecodeError as e:
        raise ConfigError(f"label file {path} is not UTF-8 text ({e.reason}); save it as UTF-8") from e


def _table(path: Path, delimiter: str | None, encoding: str = "utf-8-sig") -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, with the number of their last line."""
    cut = delimiter or DELIMITERS.get(path.suffix.lower())
    if cut is None:
        raise ConfigError(f"do not know how the columns of {path.name} are separated: set `delimiter`, or name the "
                          "file *.csv, *.tsv, *.jsonl or *.parquet")  # fmt: skip
    if len(cut) != 1:
        raise ConfigError(f"delimiter {cut!r} is not one character")
    reader = csv.reader(_lines(path, encoding), delimiter=cut, skipinitialspace=True)
    try:
        for cells in reader:
            if any(cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as e:
        raise ConfigError(f"{path}, line {reader.line_num}: {e}") from e


def _header(path: Path, delimiter: str | None, encoding: str = "utf-8-sig") -> list[str]:
    return next((names for _, names in _table(path, delimiter, encoding)), [])


def _text_rows(path: Path, delimiter: str | None, names: Sequence[str] | None = None,
               encoding: str = "utf-8-sig") -> Iterator[Row | Drop]:  # fmt: skip
    table = _table(path, delimiter, encoding)
    if names is None:
        names = next((names for _, names in table), [])
    for number, cells in table:
        if len(cells) == len(names):
            yield dict(zip(names, cells, strict=True))
        else:
            # Filling up would turn a torn line into labels that were never given.
            yield Drop(f"line {number}", "bad row", f"{len(cells)} cells under {len(names)} columns")


def _json_rows(path: Path) -> Iterator[Row | Drop]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as e:
            yield Drop(f"line {number}", "bad row", f"not JSON: {e}")
            continue
        if isinstance(row, dict):
            yield {name.strip(): _text(value) for name, value in row.items()}
        else:
            yield Drop(f"line {number}", "bad row", f"a {type(row).__name__}, not an object")


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError as e:
        raise ConfigError(f"cannot read label file {path}: {e.strerror}. It is looked for in `root`") from e
    except (OSError, pa.ArrowException) as e:
        raise ConfigError(f"label file {path} is not a Parquet file: {e}") from e


def _parquet_rows(path: Path, wanted: Collection[str] | None) -> Iterator[Row | Drop]:
    with _parquet(path) as file:
        # Only what is asked for: tables with pictures inside are large.
        for batch in file.iter_batches(columns=None if wanted is None else list(wanted)):
            yield from ({name: _text(value) for name, value in row.items()} for row in batch.to_pylist())


def _text(value: Any) -> str:
    # NaN is how pandas writes a missing number.
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return value.strip() if isinstance(value, str) else str(value)
