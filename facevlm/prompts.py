"""Record -> question and gold answer. The only writer of prompts."""

import hashlib
from collections.abc import Sequence
from typing import Any

from facevlm.answer import MODES, Mode, Part, render
from facevlm.record import FaceRecord
from facevlm.vocab import LABEL_SETS

_ASK: dict[tuple[bool, bool], tuple[str, ...]] = {
    (True, True): (
        "Which facial action units and which emotion does this face show?",
        "Name the action units of this face and its emotion.",
        "Read this face: which action units are present, and what emotion do they show?",
    ),
    (True, False): (
        "Which facial action units does this face show?",
        "Name the action units of this face.",
        "Read this face: which action units are present?",
    ),
    (False, True): (
        "Which emotion does this face show?",
        "Name the emotion of this face.",
        "Read this face: what emotion does it show?",
    ),
}
"""Wordings by (AUs asked, emotion asked). The first of each is the one that evaluation and serving use."""

_THINK = ("Think first.", "Explain first.", "Give your reasons first.")
_SHAPE: dict[Part, str] = {
    "think": "<think>reasons</think>",
    "au": "<au>AU numbers</au>",
    "answer": "<answer>emotion</answer>",
}


def variant(seed: int, key: str, n: int) -> int:
    """A number in 0..n-1 that depends on the seed and the key alone, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest(), "big") % n


def asked_parts(mode: Mode, record: FaceRecord | None = None) -> tuple[Part, ...]:
    """The parts of a mode; for a record, only those its labels can answer."""
    parts = MODES[mode]
    if record is None:
        return parts
    has = {"think": True, "au": bool(record.aus), "answer": record.emotion is not None}
    return tuple(part for part in parts if has[part])


def question(parts: Sequence[Part], labels: Sequence[str], wording: int = 0, aus: Sequence[int] = ()) -> str:
    """The text of the user turn.

    Args:
        parts: what the answer must hold.
        labels: the emotions on offer, in the order to show them.
        wording: which of the wordings to use, see `wordings`.
        aus: where given, the action units to choose from.
    """
    pool = _ASK["au" in parts, "answer" in parts]
    lines = [pool[wording % len(pool)]]
    if "think" in parts:
        lines.append(_THINK[wording % len(_THINK)])
    if "au" in parts and aus:
        lines.append(f"Consider {', '.join(f'AU{n}' for n in aus)}.")
    if "answer" in parts:
        lines.append(f"Emotions: {', '.join(labels)}.")
    lines.append(f"Reply as {''.join(_SHAPE[part] for part in parts)}.")
    return " ".join(lines)


WORDINGS = len(_THINK)
"""How many wordings `question` has."""


def gold(record: FaceRecord, parts: Sequence[Part]) -> str:
    """The right answer to a record in the answer form.

    Raises:
        ValueError: thinking is asked for but the record carries no rationale.
    """
    if "think" in parts and not record.rationale:
        raise ValueError(f"record {record.id} has no rationale to explain with: build with `rationale: template`, "
                         "or train with mode fast or label")  # fmt: skip
    return render(parts, record.rationale or "", dict.fromkeys(record.present_aus), record.emotion or "")


def to_example(record: FaceRecord, image: str, mode: Mode = "explain", seed: int | None = None) -> dict[str, Any]:
    """One training row as TRL reads it: `prompt`, `completion`, `images`, and the label columns for rewards.

    Args:
        image: path of the picture.
        seed: chooses the wording per record; None = always the first one, as in evaluation.

    Raises:
        ValueError: the record has no label that this mode asks for, or no rationale to explain with.
    """
    parts = asked_parts(mode, record)
    if not {"au", "answer"} & set(parts):
        raise ValueError(f"record {record.id} has no label that mode {mode!r} asks for")
    labels = LABEL_SETS[record.label_set].labels if record.label_set else ()
    wording = 0 if seed is None else variant(seed, record.id, WORDINGS)
    return {
        "prompt": [{"role": "user", "content": question(parts, labels, wording)}],
        "completion": [{"role": "assistant", "content": gold(record, parts)}],
        "images": [image],
        "record_id": record.id,
        "source": record.source,
        "parts": list(parts),
        "labels": list(labels),
        "emotion": record.emotion,
        "aus": list(record.present_aus),
        "labelled_aus": list(record.labelled_aus),
    }
