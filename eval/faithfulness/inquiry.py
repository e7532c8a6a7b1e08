"""A question of a faithfulness check: which picture is shown, what is asked, how the answer begins, what came back."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from PIL.Image import Image

from eval.faithfulness.album import Album
from eval.frame.predictions import Key
from facevlm.answer import Answer, Part, parse
from facevlm.config import ConfigError
from facevlm.prompts import question
from facevlm.record import FaceRecord, whole_file
from facevlm.tasks import TASKS

PLAIN = "plain"
"""The name of the first question about every face: its own picture, asked to think."""


class Face(NamedTuple):
    """One face to ask about."""

    record: FaceRecord
    labels: tuple[str, ...]
    """The emotions on offer; none = no emotion is asked for, since nobody says which there are."""

    @classmethod
    def of(cls, record: FaceRecord) -> "Face":
        return cls(record, tuple(TASKS["explain"].offered(record)))

    @property
    def key(self) -> Key:
        return self.record.source, self.record.id

    @property
    def who(self) -> str:
        """Whose face it is, told apart over sources; a face nobody is named for stands for itself."""
        known = self.record.subject is not None
        return f"{self.record.source}/{self.record.subject}" if known else f"{self.record.source}//{self.record.id}"

    def parts(self, thinking: bool = True) -> tuple[Part, ...]:
        """What is asked for: AUs of every face, labelled or not, for it is the model's claims that are tested."""
        asked: tuple[Part, ...] = ("think", "au", "answer") if self.labels else ("think", "au")
        return asked if thinking else asked[1:]

    def text(self, thinking: bool = True) -> str:
        """The user turn."""
        return question(self.parts(thinking), self.labels, task="explain" if thinking else "fast")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """One question about one face."""

    face: Face
    name: str
    """Unique among the questions about a face, such as "cover:mouth"."""
    picture: Callable[[Album], tuple[Image, ...]]
    """Makes the pictures to show, when they are needed; raises `facevlm.images.ImageError`."""
    thinking: bool = True
    prefix: str = ""
    """How the answer begins, see `facevlm.generate.Request`."""

    @property
    def key(self) -> tuple[Key, str]:
        return self.face.key, self.name


def plain(face: Face) -> Inquiry:
    """The face as it is, in mode explain."""
    return Inquiry(face=face, name=PLAIN, picture=lambda album: album.pictures(face.record))


@dataclass(frozen=True, slots=True)
class Said:
    """What the model answered to one inquiry; a line of `answers.jsonl`."""

    id: str
    source: str
    name: str
    thinking: bool = True
    prefix: str = ""
    text: str = ""
    """What it wrote, after the prefix."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    error: str | None = None
    """Why there is no answer (the picture cannot be read, say): asked again next time."""

    @property
    def key(self) -> tuple[Key, str]:
        return (self.source, self.id), self.name


class Reading(NamedTuple):
    """An answer as it is read, strictly by the answer form."""

    answer: Answer
    text: str
    """The whole answer, its given beginning included."""
    claims: frozenset[int] | None
    """The AUs that the list says are present, see `Prediction.named_aus`; None = no readable list."""

    @property
    def thought(self) -> str | None:
        """The thinking with its tags, as it was written; None where none can be read."""
        return self.text.partition("</think>")[0] + "</think>" if self.answer.thinking is not None else None


def read(face: Face, said: Said) -> Reading:
    """The answer to an inquiry about the face."""
    text = said.prefix + said.text
    answer = parse(text, face.parts(said.thinking), face.labels or None, TASKS["explain"].form)
    claims = None if answer.aus is None else frozenset(
        n for n, level in answer.aus.items() if level is None or level >= face.record.au_threshold)  # fmt: skip
    return Reading(answer, text, claims)


def to_line(said: Said) -> str:
    """One line of JSON."""
    return json.dumps(asdict(said)) + "\n"


def read_answers(path: Path) -> list[Said]:
    """The answers of a file; a last line without its line end (the writer was killed) is left out.

    Raises:
        ConfigError: a whole line that is no answer.
    """
    found = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            found.append(Said(**json.loads(line)))
        except (ValueError, TypeError) as e:
            raise ConfigError(f"{path} line {number} is no answer ({e}); remove it to have it asked again") from e
    return found


def write_answers(path: Path, answers: Iterable[Said]) -> None:
    """Write all answers as one whole file."""
    with whole_file(path) as draft:
        draft.write_text("".join(map(to_line, answers)), encoding="utf-8")
