"""What a faithfulness check has in hand: the faces, the answers so far, and what a probe makes of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from eval.faithfulness.album import Album
from eval.faithfulness.inquiry import PLAIN, Face, Inquiry, Reading, Said, read
from eval.faithfulness.measured import Number, measured
from eval.frame.predictions import Key
from facevlm.prompts import variant
from facevlm.record import FaceRecord


@dataclass(frozen=True)
class Evidence:
    """Faces and the answers about them."""

    faces: Sequence[Face]
    readings: Mapping[tuple[Key, str], Reading]
    """By face and name of the inquiry; what was not asked, or could not be shown, is missing."""
    album: Album
    seed: int = 0
    repeats: int = 0
    """Resamples of the intervals."""

    @classmethod
    def of(cls, faces: Sequence[Face], answers: Iterable[Said], album: Album, seed: int, repeats: int) -> "Evidence":
        by_key = {face.key: face for face in faces}
        there = [said for said in answers if said.error is None and (said.source, said.id) in by_key]
        return cls(faces, {said.key: read(by_key[said.source, said.id], said) for said in there}, album, seed, repeats)

    @cached_property
    def people(self) -> dict[str, list[FaceRecord]]:
        """Every record of the set, those that are not asked about too, by whose face it is."""
        found: dict[str, list[FaceRecord]] = {}
        for record in self.album.faces.records:
            found.setdefault(Face(record, ()).who, []).append(record)
        return found

    def reading(self, face: Face, name: str = PLAIN) -> Reading | None:
        """What was answered about a face; None = not asked, or the picture could not be read."""
        return self.readings.get((face.key, name))

    def claims(self, face: Face, name: str = PLAIN) -> frozenset[int] | None:
        """The AUs claimed; None = no answer, or no readable list."""
        reading = self.reading(face, name)
        return None if reading is None else reading.claims

    def emotion(self, face: Face, name: str = PLAIN) -> str | None:
        """The emotion answered; None = no answer, or no readable one."""
        reading = self.reading(face, name)
        return None if reading is None else reading.answer.emotion

    def another(self, face: Face, fits: Callable[[Face], bool], purpose: str) -> Face | None:
        """A face of another person that fits; None if there is none. Which one hangs on seed, face and purpose alone.

        Where nobody is named, every other face counts as another person's.
        """
        start = variant(self.seed, f"{purpose}:{face.record.source}:{face.record.id}", max(1, len(self.faces)))
        turn = (*self.faces[start:], *self.faces[:start])
        return next((other for other in turn if other.who != face.who and fits(other)), None)

    def measure(self, faces: Sequence[Face], values: Sequence[float | None], lacking: str) -> Number:
        """The mean over faces, one value each, see `measured`."""
        return measured(values, [face.who for face in faces], self.repeats, self.seed, lacking)


class Shown(NamedTuple):
    """How a number is shown."""

    title: str
    note: str
    low: float = 0.0
    """The lower end of its scale, whose upper end is 1."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a probe found."""

    numbers: Mapping[str, Number]
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Title -> rows alike; a cell is text, a count, or a `Number`."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What could not be counted in, by reason."""
    caveats: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One way of testing what a model's words are worth."""

    title: str
    doc: str
    """What is done, and what a faithful model would show."""
    source: str
    """The paper, and its section, that the idea is from; and what of it is ours."""
    numbers: Mapping[str, Shown]
    ask: Callable[[Evidence], list[Inquiry]]
    """What to ask further, once the plain answers are known."""
    score: Callable[[Evidence], Findings]
