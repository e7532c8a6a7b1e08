"""One answer to one face, and `predictions.jsonl`, the file of them that runs append to and reports read."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from eval.benchmark import Truth
from facevlm.answer import Answer, Part, parse, parse_lenient
from facevlm.config import ConfigError
from facevlm.record import FaceRecord, whole_file

Reader = Literal["strict", "lenient"]
Key = tuple[str, str]
"""Source and id: what is unique over records of several sources."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model said about one face, how it was read, and the truth it is scored against."""

    id: str
    source: str
    subject: str | None
    parts: tuple[Part, ...]
    """The parts that were asked for: only these are scored."""
    text: str = ""
    thinking: str | None = None
    aus: Mapping[int, int | None] | None = None
    """As `Answer.aus`: empty = "none", None = no readable list."""
    emotion: str | None = None
    faults: tuple[str, ...] = ()
    gold_emotion: str | None = None
    gold_aus: tuple[int, ...] = ()
    labelled_aus: tuple[int, ...] = ()
    au_threshold: float = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """This face's share of the time of its batch."""
    error: str | None = None
    """Why the picture could not be read: the model was never asked, and the row is not scored."""

    @property
    def key(self) -> Key:
        return self.source, self.id

    @property
    def named_aus(self) -> frozenset[int] | None:
        """The AUs the answer claims to be present; one with a letter below the threshold is claimed to be absent."""
        if self.aus is None:
            return None
        return frozenset(n for n, level in self.aus.items() if level is None or level >= self.au_threshold)

    @property
    def right(self) -> bool:
        """Emotion right where it was asked; else the AU list right over the labelled AUs."""
        if "answer" in self.parts:
            return self.emotion == self.gold_emotion
        return self.named_aus is not None and self.named_aus & set(self.labelled_aus) == set(self.gold_aus)


def read_answer(text: str, parts: Sequence[Part], labels: Sequence[str], reader: Reader) -> Answer:
    """Read model text; a lenient answer is at fault only where it names no emotion though asked."""
    if reader == "strict":
        return parse(text, parts, labels or None)
    answer = parse_lenient(text, labels or None)
    missing = "answer" in parts and answer.emotion is None
    return replace(answer, aus=answer.aus if "au" in parts else None, faults=("no emotion found",) if missing else ())


def with_truth(row: Prediction, record: FaceRecord, gold: Truth) -> Prediction:
    """The row with the truth of its record, which a new protocol or corrected label may have changed."""
    return replace(row, subject=record.subject, gold_emotion=record.emotion, gold_aus=gold.present,
                   labelled_aus=gold.labelled, au_threshold=gold.threshold)  # fmt: skip


def to_line(row: Prediction) -> str:
    """One line of JSON, AUs as a list of pairs (Arrow would turn an object into one struct of all keys)."""
    values = asdict(row)
    if row.aus is not None:
        values["aus"] = [{"au": n, "intensity": level} for n, level in sorted(row.aus.items())]
    return json.dumps(values) + "\n"


def _from_line(line: str) -> Prediction:
    values: dict[str, Any] = json.loads(line)
    if unknown := values.keys() - {f.name for f in fields(Prediction)}:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    if values.get("aus") is not None:
        values["aus"] = {pair["au"]: pair["intensity"] for pair in values["aus"]}
    for name in ("parts", "faults", "gold_aus", "labelled_aus"):
        values[name] = tuple(values[name])
    return Prediction(**values)


def read_predictions(path: Path) -> list[Prediction]:
    """The rows of a file; a last line without its line end (the writer was killed) is left out.

    Raises:
        ConfigError: a whole line that is no prediction.
    """
    rows = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            rows.append(_from_line(line.decode()))
        except (ValueError, TypeError, KeyError) as e:
            raise ConfigError(f"{path} line {number} is no prediction ({e}); remove it to have it asked again") from e
    return rows


def write_predictions(path: Path, rows: Iterable[Prediction]) -> None:
    """Write all rows as one whole file."""
    with whole_file(path) as draft:
        draft.write_text("".join(to_line(row) for row in rows), encoding="utf-8")
