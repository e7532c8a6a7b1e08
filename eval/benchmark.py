"""What a benchmark is: which records it scores, and what counts as the truth about one of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from facevlm.config import ConfigError
from facevlm.record import FaceRecord
from facevlm.vocab import PROTOCOLS, AUProtocol


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A named way of scoring answers about faces. A user's own is `package.module:attribute` in the config."""

    name: str
    doc: str
    """One line on what a score on it means, shown in the report."""
    keep: Callable[[FaceRecord], bool]
    """Whether a record belongs to it; the others are counted and left out."""
    protocol: str | None = None
    """Name in `vocab.PROTOCOLS`; None = every AU a record has labels for, from the record's own threshold."""
    label_set: str | None = None
    """Name in `vocab.LABEL_SETS` that gives the classes and their order; None = the labels that occur."""


class Truth(NamedTuple):
    """What an answer about one face is scored against."""

    present: tuple[int, ...]
    labelled: tuple[int, ...]
    """AUs outside `labelled` are neither right nor wrong."""
    threshold: float
    """FACS intensity (0-5) from which an AU counts as present, in the truth and in the answer."""


def find_protocol(name: str | None) -> AUProtocol | None:
    """The AU protocol of that name; None for None.

    Raises:
        ConfigError: no protocol is called so.
    """
    if name is None:
        return None
    if name not in PROTOCOLS:
        raise ConfigError(f"unknown AU protocol {name!r}; known: {', '.join(PROTOCOLS)}, or null for the records' own")
    return PROTOCOLS[name]


def truth(record: FaceRecord, protocol: AUProtocol | None) -> Truth:
    """The AUs of a record as a protocol sees them: its AUs only, its threshold in place of the record's."""
    if protocol is None:
        return Truth(record.present_aus, record.labelled_aus, record.au_threshold)
    labelled = tuple(n for n in record.labelled_aus if n in protocol.aus)
    present = tuple(n for n in labelled if record.aus[n] >= protocol.threshold)
    return Truth(present, labelled, protocol.threshold)
