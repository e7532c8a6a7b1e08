"""What a benchmark is: a data set, and the named ways of scoring answers about it.

A benchmark is one file below `eval/benchmarks`, a protocol one entry of it. Two numbers compare only if their
protocols are one: the AUs, the threshold, the classes, the faces tested and the headline metric all stand in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from facevlm.config import ConfigError
from facevlm.folds import Folds
from facevlm.record import FaceRecord
from facevlm.vocab import LABEL_SETS, PROTOCOLS, AUProtocol

Scored = Literal["emotion", "aus", "intensity", "affect", "number", "choice", "attributes", "words", "shares", "text",
                 "age", "pain", "levels", "detection", "ratings", "sentiment", "rege_emotion",
                 "rege_au"]  # fmt: skip
"""What can be scored; each is an entry of `eval.scores.SCORES`."""
Tested = Literal["test", "val", "folds", "subjects"]
"""Which faces are the test: the owner's part of that name; every face, in folds that were each held out once; or every
face, each person held out once (leave one subject out, pooled)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A named way of scoring answers about one data set."""

    name: str
    doc: str
    """One line on what a score on it means."""
    source: str
    """The paper, and its section or table, that defines it; or that it is ours."""
    scores: tuple[Scored, ...]
    headline: str
    """The metric that papers report, a name in the metrics of what is scored."""
    task: str | None = None
    """What is asked, a name in `facevlm.tasks.TASKS`; None = the run's `mode`: explain, fast or label."""
    aus: str | None = None
    """Name in `vocab.PROTOCOLS`; None = every AU a record has labels for, from the record's own threshold."""
    label_set: str | None = None
    """Name in `vocab.LABEL_SETS` that the records' emotions must be of; None = whichever they are of."""
    classes: tuple[str, ...] = ()
    """The classes in the order of tables; empty = those of the label set, or those that occur."""
    tested: Tested = "test"
    folds: Folds = ()
    """The people tested in fold 1, 2, …; empty where the records are built for one fold and their split says it."""
    faces: int | None = None
    """How many faces the whole test has, as published: a run over another number says so."""
    keep: Callable[[FaceRecord], bool] = lambda record: True
    """Whether a record belongs to it; the others are counted and left out."""
    view: Callable[[FaceRecord], FaceRecord] = lambda record: record
    """The record as the protocol sees it: with classes merged, say, or attributes left out."""
    questions: Callable[[FaceRecord], Sequence[FaceRecord]] = lambda record: (record,)
    """What is asked about a face: one question, or several, each a record of `aspect`."""
    caveats: tuple[str, ...] = ()
    """What a reader of the number must know; printed with it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in their order; empty = those that occur."""
        return self.classes or (LABEL_SETS[self.label_set].labels if self.label_set else ())

    @property
    def split(self) -> str | None:
        """The split of the records that holds the test; None = all of them."""
        if self.tested in ("test", "val"):
            return self.tested
        return None if self.folds or self.tested == "subjects" else "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A data set and its protocols. A user's own is `package.module:attribute` in the config."""

    name: str
    title: str
    """The name people know it by."""
    sources: tuple[str, ...]
    """The `source` of the records it is about, as data_builders.build writes it; empty = any."""
    by_table: tuple[str, ...] = ()
    """Those among them that no reader has: built with `source=table` and `options.name` set to this."""
    protocols: tuple[Protocol, ...]
    """The first is the usual one."""


_ASPECT = "::"


def aspect(record: FaceRecord, name: str, **labels: Any) -> FaceRecord:
    """One of several questions about a face: the record with some of its labels, under an id of its own.

    Where nobody is named, the face itself is the subject, so that its questions are resampled together.
    """
    return replace(record, id=f"{record.id}{_ASPECT}{name}", subject=record.subject or record.id, **labels)


def face_of(name: str) -> str:
    """The id of the face that a question is about, by the question's id."""
    return name.partition(_ASPECT)[0]


def pick(benchmark: Benchmark, name: str | None) -> Protocol:
    """The protocol of that name; None = the usual one.

    Raises:
        ConfigError: the benchmark has none of that name.
    """
    known = {protocol.name: protocol for protocol in benchmark.protocols}
    if name is None:
        return benchmark.protocols[0]
    if name not in known:
        raise ConfigError(f"benchmark {benchmark.name} has no protocol {name!r}; it has {', '.join(known)}")
    return known[name]


def held_to(protocol: Protocol, aus: str | None) -> Protocol:
    """The protocol with the AUs and the threshold of another; as it is for None.

    Raises:
        ConfigError: no AU protocol is called so.
    """
    if aus is None:
        return protocol
    find_aus(aus)
    return replace(protocol, aus=aus)


class Truth(NamedTuple):
    """What an answer about one face is scored against."""

    present: tuple[int, ...]
    labelled: tuple[int, ...]
    """AUs outside `labelled` are neither right nor wrong."""
    threshold: float
    """FACS intensity (0-5) from which an AU counts as present, in the truth and in the answer."""


def find_aus(name: str | None) -> AUProtocol | None:
    """The AUs and the threshold of that name; None for None.

    Raises:
        ConfigError: no AU protocol is called so.
    """
    if name is None:
        return None
    if name not in PROTOCOLS:
        raise ConfigError(f"unknown AU protocol {name!r}; known: {', '.join(PROTOCOLS)}, or null for the records' own")
    return PROTOCOLS[name]


def truth(record: FaceRecord, aus: AUProtocol | None) -> Truth:
    """The AUs of a record as a protocol sees them: its AUs only, its threshold in place of the record's."""
    if aus is None:
        return Truth(record.present_aus, record.labelled_aus, record.au_threshold)
    labelled = tuple(n for n in record.labelled_aus if n in aus.aus)
    present = tuple(n for n in labelled if record.aus[n] >= aus.threshold)
    return Truth(present, labelled, aus.threshold)
