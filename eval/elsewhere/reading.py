"""How the text of an answer is read: strictly by our form, or as the authors of another model read theirs.

A `Reader` is one file below `eval/readers`. It reads text, and may know where ids and texts stand in the files of its
authors; what it knows of neither is ours. No reader asks a language model: the same text is always read alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, get_args

from facevlm.answer import Answer, Form, Kind, Part, parse
from facevlm.tasks import TASKS

Row = Mapping[str, Any]
"""One row of a file: column name -> what JSON, a spreadsheet or a text table holds there."""


class Asked(NamedTuple):
    """What a text is the answer to."""

    task: str
    """A name in `facevlm.tasks.TASKS`."""
    parts: tuple[Part, ...]
    labels: tuple[str, ...]
    """The labels, choices or words on offer; none = any."""

    @property
    def form(self) -> Form:
        return TASKS[self.task].form


def strict(text: str, asked: Asked) -> Answer:
    """The answer form and nothing else, see `facevlm.answer.parse`."""
    return parse(text, asked.parts, asked.labels or None, asked.form)


def found(asked: Asked, label: str | None, aus: Mapping[int, int | None] | None = None,
          thinking: str | None = None) -> Answer:  # fmt: skip
    """What a reader of free text found: a label counts only if it is on offer, AUs only where they were asked for."""
    if label is not None and asked.labels and label not in asked.labels:
        return Answer(thinking, aus if "au" in asked.parts else None, None, (f"{label!r} is not on offer",))
    faults = ("no emotion found",) if label is None and "answer" in asked.parts else ()
    return Answer(thinking, aus if "au" in asked.parts else None, label, faults, label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One way of reading answers."""

    doc: str
    """What it reads, for the page docs/evaluation.md."""
    source: str
    """Where its authors' reading can be looked up, and what of it is different here."""
    read: Callable[[str, Asked], Answer] = strict
    parts: tuple[Part, ...] = ("think", "au", "answer")
    """What it can read; nothing else is scored."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    """The kinds of <answer> that it can read."""
    graded: bool = True
    """Whether it reads intensities and boxes of AUs."""
    layout: bool = False
    """It says where texts stand, and reads them strictly: `name+reader` reads them otherwise."""
    ids: tuple[str, ...] = ()
    """The columns that may name a face in the files of its authors, the likeliest first; they come before ours."""
    texts: tuple[str, ...] = ()
    """The columns that may hold the answer."""
    cell: Callable[[Row, str], str | None] | None = None
    """The text of a row, given its column; None = no answer in it. Left out: what the column holds, as text."""
    columns: bool = False
    """Answers stand in columns of their own, not in one text (see `eval.elsewhere.columns`)."""
    caveat: str = ""
    """What must be known beside a number obtained with it."""

    def reading(self, other: "Reader") -> "Reader":
        """The layout of this one, the reading of another."""
        return replace(self, read=other.read, parts=other.parts, kinds=other.kinds, graded=other.graded,
                       caveat=other.caveat)  # fmt: skip


def text_of(value: object) -> str:
    """A cell as text: 3.0 of a spreadsheet is "3", a list is "a, b", nothing is ""."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case list() | tuple():
            return ", ".join(map(text_of, value))
    return str(value).strip()
