"""What each row of somebody's file says about a face: the columns found, the text of an answer taken out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from eval.elsewhere.columns import find_columns, lacking
from eval.elsewhere.label_table import LabelTable
from eval.elsewhere.outputs import Outputs, read_outputs
from eval.elsewhere.reading import Asked, Reader, Row, text_of
from eval.frame.benchmark import face_of
from eval.frame.question import Question
from facevlm.answer import Part
from facevlm.config import ConfigError


class Given(NamedTuple):
    """What a row says about a face."""

    text: str
    probabilities: dict[str, float] | None = None


@dataclass(frozen=True)
class Source:
    """A file of predictions, and how it is to be taken."""

    outputs: Outputs
    reader: Reader
    columns: Mapping[str, str]
    """Column of the file by what it holds, see `columns.ROLES`."""
    names: Sequence[str]
    """What each row calls its face."""
    table: LabelTable | None

    def parts(self, question: Question) -> tuple[Part, ...]:
        """The parts of an answer that are asked for and can be read from the file."""
        able = self.reader.parts if self.table is None else self.table.parts(_asked(question), aspect_of(question))
        return tuple(part for part in question.parts if part in able)

    def given(self, row: Row, question: Question) -> Given:
        """The answer of a row to a question."""
        if self.table is not None:
            asked, aspect = _asked(question), aspect_of(question)
            return Given(self.table.text(row, asked, aspect), self.table.chances(row, asked))
        return Given(_text(row, self.reader, self.columns["text"]) or "")

    def says(self, row: Row) -> object:
        """All that a row answers, to tell whether two say the same."""
        if self.table is None:
            return _text(row, self.reader, self.columns["text"])
        return {name: text_of(value) for name, value in row.items() if name != self.columns.get("id")}


def _text(row: Row, reader: Reader, column: str) -> str | None:
    if reader.cell is not None:
        return reader.cell(row, column)
    return text_of(row[column]) if row.get(column) is not None else None


def _answered(outputs: Outputs, reader: Reader, column: str) -> Outputs:
    """Without the rows that hold no answer: their faces have no prediction."""
    kept = [row for row in outputs.rows if _text(row, reader, column) is not None]
    if lost := len(outputs.rows) - len(kept):
        return outputs._replace(rows=kept, notes=[*outputs.notes, f"{lost} rows without an answer are left out"])
    return outputs


def aspect_of(question: Question) -> str:
    """Which of several questions about its face it is; "" = the only one."""
    return question.record.id.removeprefix(face_of(question.record.id)).lstrip(":")


def _asked(question: Question) -> Asked:
    return Asked(question.task, question.parts, question.labels)


def open_source(path: Path, reader: Reader, given: Mapping[str, str], *, sheet: str | None = None,
                label_ids: str | None = None, intensities: bool = False, named: bool = True) -> Source:  # fmt: skip
    """The file with its columns found.

    Args:
        given: column of the file by what it holds; what it does not name is found by name.
        named: every row must name its face.

    Raises:
        ConfigError: the file cannot be read, or lacks a column that is wanted.
    """
    outputs = read_outputs(path, sheet)
    columns = find_columns(outputs.columns, reader, given)
    table = LabelTable(columns, outputs.columns, label_ids, intensities) if reader.columns else None
    if table is None and "text" not in columns:
        raise lacking("text", outputs.columns, reader)
    if named and "id" not in columns:
        raise lacking("id", outputs.columns, reader)
    if table is None:
        outputs = _answered(outputs, reader, columns["text"])
    names = [text_of(row.get(columns["id"])) if "id" in columns else "" for row in outputs.rows]
    if named and (empty := names.count("")):
        raise ConfigError(f"column {columns['id']!r} is empty in {empty} of {len(names)} rows; every prediction needs "
                          "its face")  # fmt: skip
    return Source(outputs, reader, columns, names, table)
