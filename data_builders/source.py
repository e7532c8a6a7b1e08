"""What a data set's reader says of itself, beside the records that it reads."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from facevlm.record import Drop, FaceRecord


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user should know about the files: printed, and kept in report.json."""

    text: str


Read = Callable[..., Iterator[FaceRecord | Drop | Note]]
"""`read(root, *, option=…)`: the records of a data set's folder, in an order that is always the same."""


@dataclass(frozen=True)
class Source:
    """One data set: how to read it, and what a user must know before."""

    name: str
    title: str
    """Its name in papers."""
    read: Read
    tasks: tuple[str, ...]
    """Out of `TASKS`."""
    licence: str
    """As each record carries it: an SPDX name, or the owner's terms in a few words."""
    needs: str
    """What the root must hold, in one line."""
    share: bool = False
    """Whether the licence lets pixels be passed on. False: they are never embedded, and a push is refused."""
    layout: Literal["checked", "recalled", "labels", "real"] = "checked"
    """checked: the files' layout is known from public loaders; recalled: from memory, so that the reader is tolerant,
    says what it found, and refuses rather than guess; labels: the owners' own label files were read whole; real: the
    reader was run on the data itself."""
    published: Mapping[str, int] = field(default_factory=dict)
    """Rows that the owners state, by split ("train", "val", "test") or "" for all: printed beside what was read."""
    extracts: bool = False
    """The labels hold the pixels (FER2013's csv): the reader writes pictures into `into`, a folder it is given."""


TASKS = ("emotion", "compound", "votes", "words", "va", "au", "au intensity", "pain", "engagement", "age", "gender",
         "race", "attributes", "beauty", "real or fake", "caption", "change")  # fmt: skip
"""What can be labelled, in the words of `Source.tasks` and of docs/datasets.md."""
