"""One answer to one face, and `predictions.jsonl`, the file of them that runs append to and reports read."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from eval.frame.benchmark import Truth
from facevlm.answer import Kind, Part, Value
from facevlm.config import ConfigError
from facevlm.record import FaceRecord, whole_file
from facevlm.tasks import TASKS, levels

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
    task: str = "fast"
    """What was asked, a name in `facevlm.tasks.TASKS`."""
    offered: tuple[str, ...] = ()
    """The labels, choices or words on offer."""
    text: str = ""
    thinking: str | None = None
    aus: Mapping[int, int | None] | None = None
    """As `Answer.aus`: empty = "none", None = no readable list."""
    value: Value | None = None
    """What <answer> holds, by the kind of the task; None = not readable."""
    faults: tuple[str, ...] = ()
    probabilities: Mapping[str, float] | None = None
    """How likely the model finds each label on offer, summing to 1; None = not asked, or the engine cannot tell."""
    gold: Value | None = None
    """What <answer> should hold; None = not labelled."""
    gold_aus: tuple[int, ...] = ()
    labelled_aus: tuple[int, ...] = ()
    gold_levels: Mapping[int, float] = field(default_factory=dict)
    """Intensity 0-5 of each labelled AU; empty where intensity was not coded."""
    au_threshold: float = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """This face's share of the time of its batch."""
    error: str | None = None
    """Why there is no answer (the picture cannot be read, say): the row is not scored, and asked again next time."""

    @property
    def key(self) -> Key:
        return self.source, self.id

    @property
    def kind(self) -> Kind:
        """What <answer> holds."""
        return TASKS[self.task].form.kind

    @property
    def judged(self) -> bool:
        """Whether <answer> was asked for and its truth is known."""
        return "answer" in self.parts and self.gold is not None

    @property
    def named_aus(self) -> frozenset[int] | None:
        """The AUs the answer claims to be present; one with a letter below the threshold is claimed to be absent."""
        if self.aus is None:
            return None
        return frozenset(n for n, level in self.aus.items() if level is None or level >= self.au_threshold)

    @property
    def right(self) -> bool:
        """What <answer> holds is right where it was asked (see `agrees`); else the AU list, over the labelled AUs."""
        if self.judged:
            return agrees(self)
        return self.named_aus is not None and self.named_aus & set(self.labelled_aus) == set(self.gold_aus)


_NAMES = tuple(f.name for f in fields(Prediction))


def agrees(row: Prediction) -> bool:
    """Whether <answer> is right: the same label, choice or words; a number within half a class (`Task.step`);
    valence and arousal on their side of 0 each; shares with the same label first. A text is right if there is one."""
    said, gold = row.value, row.gold
    match row.kind:
        case "number" if isinstance(said, float) and isinstance(gold, float):
            return abs(said - gold) <= TASKS[row.task].step / 2
        case "pair" if isinstance(said, tuple) and isinstance(gold, tuple):
            return all((float(str(a)) >= 0) == (float(str(b)) >= 0) for a, b in zip(said, gold, strict=True))
        case "words" if isinstance(said, tuple) and isinstance(gold, tuple):
            return set(said) == set(gold)
        case "shares" if isinstance(said, Mapping) and isinstance(gold, Mapping):
            return max(said, key=lambda label: said[label]) == max(gold, key=lambda label: gold[label])
        case "text":
            return said is not None
    return said is not None and said == gold


def with_truth(row: Prediction, record: FaceRecord, gold: Truth) -> Prediction:
    """The row with the truth of its record, which a new protocol or corrected label may have changed."""
    coded = {n: record.aus[n] for n in gold.labelled} if levels(record) is not None else {}
    value = TASKS[row.task].value(record) if "answer" in row.parts else None
    return replace(row, subject=record.subject, gold=value, gold_aus=gold.present, labelled_aus=gold.labelled,
                   gold_levels=coded, au_threshold=gold.threshold)  # fmt: skip


def _pairs(values: Mapping[int, Any]) -> list[dict[str, Any]]:
    return [{"au": n, "intensity": level} for n, level in sorted(values.items())]


def to_line(row: Prediction) -> str:
    """One line of JSON, AUs as a list of pairs (Arrow would turn an object into one struct of all keys)."""
    # Not `asdict`, whose deep copies would be half of what evaluation does beside the engine.
    values = {name: getattr(row, name) for name in _NAMES} | {"gold_levels": _pairs(row.gold_levels)}
    if row.aus is not None:
        values["aus"] = _pairs(row.aus)
    return json.dumps(values) + "\n"


def _from_line(line: str) -> Prediction:
    values: dict[str, Any] = json.loads(line)
    if unknown := values.keys() - set(_NAMES):
        raise ValueError(f"unknown keys {sorted(unknown)}")
    if values.get("task", "fast") not in TASKS:
        raise ValueError(f"unknown task {values['task']!r}")
    for name in ("aus", "gold_levels"):
        if values.get(name) is not None:
            values[name] = {pair["au"]: pair["intensity"] for pair in values[name]}
    for name in ("parts", "offered", "faults", "gold_aus", "labelled_aus"):
        values[name] = tuple(values.get(name, ()))
    for name in ("value", "gold"):
        if isinstance(values.get(name), list):
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
        except (ValueError, TypeError, KeyError, AttributeError) as e:
            raise ConfigError(f"{path} line {number} is no prediction ({e}); remove it to have it asked again") from e
    return rows


def write_predictions(path: Path, rows: Iterable[Prediction]) -> None:
    """Write all rows as one whole file."""
    with whole_file(path) as draft:
        draft.write_text("".join(to_line(row) for row in rows), encoding="utf-8")
