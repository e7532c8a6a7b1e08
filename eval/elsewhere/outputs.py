"""Files of predictions that somebody else made -> rows: JSON lines, JSON, CSV, TSV, xlsx, npz.

Nothing is guessed silently: a line that was cut off at the end of the file is left out and told, any other line that
cannot be read ends it with its number. Nothing is unpickled.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.elsewhere.reading import Row
from facevlm.config import ConfigError

LONGEST_CELL = 2**24
"""Characters of a cell; Python's own limit of 131,072 is below what a model can write."""


class Outputs(NamedTuple):
    """The rows of a file."""

    rows: list[Row]
    columns: list[str]
    """Every column that any row has, in order."""
    notes: list[str]
    """What was left out, and why."""


def read_outputs(path: Path, sheet: str | None = None) -> Outputs:
    """The rows of a file of predictions, by its ending.

    Args:
        sheet: of an xlsx file; None = the only one that holds anything.

    Raises:
        ConfigError: no such file, of no known form, empty, or broken otherwise than at its end.
    """
    forms: dict[str, Callable[[Path], tuple[list[Row], list[str]]]] = {
        ".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json, ".csv": _table, ".tsv": _table, ".tab": _table,
        ".txt": _table, ".npz": _arrays, ".xlsx": lambda path: _sheet(path, sheet),
    }  # fmt: skip
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    if path.suffix.lower() not in forms:
        raise ConfigError(f"{path} is of no form that is known ({', '.join(forms)}); convert it to one of them")
    rows, notes = forms[path.suffix.lower()](path)
    columns = list(dict.fromkeys(str(name) for row in rows for name in row))
    if not rows:
        also = f" ({'; '.join(notes)})" if notes else ""
        raise ConfigError(f"{path} holds no prediction{also}; check that what wrote it has ended well")
    return Outputs(rows, columns, notes)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as e:
        line = raw[: e.start].count(b"\n") + 1
        raise ConfigError(f"{path} line {line} is not text in UTF-8; save it as UTF-8 (Excel: «CSV UTF-8»)") from e


def _json_lines(path: Path) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    notes: list[str] = []
    lines = _text(path).split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as e:
            if number == len(lines) and rows:  # no line end after it: whatever wrote it was stopped
                notes.append(f"the last line ({number}) was cut off and is left out")
                continue
            raise ConfigError(f"{path} line {number} is not JSON ({e})") from e
        if not isinstance(row, dict):
            raise ConfigError(f"{path} line {number} holds {str(row)[:40]!r}, an object with named values is wanted")
        rows.append(row)
    return rows, notes


def _json(path: Path) -> tuple[list[Row], list[str]]:
    try:
        value = json.loads(_text(path) or "[]")
    except json.JSONDecodeError as e:
        raise ConfigError(f"{path} is not JSON ({e}); is it whole? For one object a line name it .jsonl") from e
    return _objects(path, value), []


def _objects(path: Path, value: Any) -> list[Row]:
    """A list of objects; the one list of them in an object; or an object of answers by id."""
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return value
    if isinstance(value, dict):
        lists = [some for some in value.values()
                 if isinstance(some, list) and some and all(isinstance(row, dict) for row in some)]  # fmt: skip
        if len(lists) == 1:
            return list(lists[0])
        if value and all(isinstance(answer, str) for answer in value.values()):
            return [{"id": name, "text": answer} for name, answer in value.items()]
        if value and all(isinstance(row, dict) for row in value.values()):
            return [{"id": name, **row} for name, row in value.items()]
    raise ConfigError(f"{path} is neither a list of objects, nor an object with one such list in it, nor an object of "
                      "answers by id")  # fmt: skip


def _delimiter(path: Path, head: str) -> str:
    """What stands between the cells of a text table, by its first line."""
    counts = {sign: len(next(csv.reader([head], delimiter=sign), [])) for sign in (",", ";", "\t")}
    usual = "," if path.suffix.lower() == ".csv" else "\t"
    return max(counts, key=lambda sign: (counts[sign], sign == usual))


def _table(path: Path) -> tuple[list[Row], list[str]]:
    text, notes = _text(path), list[str]()
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(path, text.partition("\n")[0]))
    found: list[tuple[int, list[str]]] = []
    try:
        found += [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as e:
        raise ConfigError(f"{path} line {reader.line_num} is no row of a table ({e})") from e
    if not found:
        return [], notes
    head = _head(path, found[0][1])
    rows: list[Row] = []
    for i, (line, cells) in enumerate(found[1:], 1):
        if len(cells) == len(head):
            rows.append(dict(zip(head, cells, strict=True)))
        elif i == len(found) - 1 and len(cells) < len(head) and not text.endswith("\n"):
            notes.append(f"the last line ({line}) was cut off and is left out")
        else:
            raise ConfigError(f"{path} line {line} has {len(cells)} cells, the header has {len(head)}: a cell that "
                              "holds the delimiter or a line break must stand in quotes")  # fmt: skip
    return rows, notes


def _head(path: Path, cells: Sequence[Any]) -> list[str]:
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{path} has more than one column named {', '.join(map(repr, twice))}")
    return names


def _sheet(path: Path, name: str | None) -> tuple[list[Row], list[str]]:
    try:
        import openpyxl
    except ImportError as e:
        raise ConfigError(f"reading {path} takes openpyxl: install facevlm[data], or save the sheet as CSV") from e
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as e:  # whatever a broken archive makes of it
        raise ConfigError(f"{path} cannot be read as xlsx ({e})") from e
    sheets = {one.title: [row for row in one.iter_rows(values_only=True) if any(cell is not None for cell in row)]
              for one in book.worksheets if name in (None, one.title)}  # fmt: skip
    filled = {title: cells for title, cells in sheets.items() if cells}
    if name is not None and name not in sheets:
        raise ConfigError(f"{path} has no sheet {name!r}; it has {', '.join(map(repr, book.sheetnames))}")
    if len(filled) > 1:
        raise ConfigError(f"{path} has several sheets: {', '.join(map(repr, filled))}; set sheet to one of them")
    cells = next(iter(filled.values()), [])
    if not cells:
        return [], []
    head = _head(path, [cell for cell in cells[0] if cell is not None])
    return [dict(zip(head, row, strict=False)) for row in cells[1:]], []


def _arrays(path: Path) -> tuple[list[Row], list[str]]:
    """Two or more arrays of one length, as AffectGPT stores `filenames` and `fileitems`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: Mapping[str, list[Any]] = {name: file[name].tolist() for name in file.files}
    except (ValueError, OSError) as e:
        raise ConfigError(f"{path} cannot be read without running code that it may hold ({e}); write it as JSON or "
                          "CSV where it was made") from e  # fmt: skip
    if not all(isinstance(values, list) for values in arrays.values()) or len({*map(len, arrays.values())}) > 1:
        raise ConfigError(f"{path} holds {', '.join(arrays)}, which are not lists of one length")
    return [dict(zip(arrays, row, strict=True)) for row in zip(*arrays.values(), strict=True)], []
