"""The answer form, and the only reader of model text.

    <think>…</think><au>AU6, AU12</au><answer>happiness</answer>

`parse` is strict: it serves rewards, benchmarks and the server alike, and never finds an AU in prose ("no AU4").
`parse_lenient` exists only to score models that were never told the form; nothing is trained with it.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from facevlm.vocab import AUS, INTENSITY_LETTERS, SYNONYMS, canonical_emotion

Part = Literal["think", "au", "answer"]
Mode = Literal["explain", "fast", "label"]

MODES: dict[Mode, tuple[Part, ...]] = {
    "explain": ("think", "au", "answer"),
    "fast": ("au", "answer"),
    "label": ("answer",),
}
"""Which parts each mode asks for, in their order."""

_TAG = re.compile(r"<(/?)(think|au|answer)>")
_AU_ITEM = re.compile(r"AU([1-9][0-9]?)(?::([A-E]))?")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. A part that was not asked, not given or not readable is None."""

    thinking: str | None = None
    aus: Mapping[int, int | None] | None = None
    """AU number -> intensity 1-5, or None where no letter was given. Empty = "none"; None = no readable list."""
    emotion: str | None = None
    faults: tuple[str, ...] = ()
    """Every way in which the text misses the form; empty = exactly as asked."""


def render(parts: Sequence[Part], thinking: str = "", aus: Mapping[int, int | None] | None = None,
           emotion: str = "") -> str:  # fmt: skip
    """Write an answer in the form; `parse` reads back exactly what was given."""
    items = (f"AU{n}" + (f":{INTENSITY_LETTERS[v - 1]}" if v else "") for n, v in sorted((aus or {}).items()))
    inside: dict[Part, str] = {"think": thinking.strip(), "au": ", ".join(items) or "none", "answer": emotion}
    return "".join(f"<{part}>{inside[part]}</{part}>" for part in parts)


def _sections(text: str) -> tuple[dict[str, list[str]], list[str]]:
    """The text inside each top-level tag pair, and what is wrong with the structure."""
    found: dict[str, list[str]] = {}
    faults: list[str] = []
    opened: tuple[str, int] | None = None
    end = 0
    for tag in _TAG.finditer(text):
        closing, name = bool(tag[1]), tag[2]
        if opened is None:
            if text[end : tag.start()].strip():
                faults.append("text outside the tags")
            if closing:
                faults.append(f"</{name}> without <{name}>")
            else:
                opened = (name, tag.end())
        elif closing and name == opened[0]:
            found.setdefault(name, []).append(text[opened[1] : tag.start()])
            opened = None
        else:
            # A tag inside another part hides answers in the thinking: neither part can be trusted.
            faults.append(f"<{tag[1]}{name}> inside <{opened[0]}>")
            found.setdefault(name, []).append("")
        end = tag.end()
    if opened is not None:
        faults.append(f"<{opened[0]}> is never closed")
    elif text[end:].strip():
        faults.append("text outside the tags")
    return found, faults


def _read_aus(text: str) -> Mapping[int, int | None] | str:
    if text.strip() == "none":
        return {}
    read: dict[int, int | None] = {}
    for item in text.split(","):
        match = _AU_ITEM.fullmatch(item.strip())
        if not match or int(match[1]) not in AUS:
            return f"{item.strip()[:40]!r} is not an AU"
        if int(match[1]) in read:
            return f"AU{match[1]} is listed twice"
        read[int(match[1])] = INTENSITY_LETTERS.index(match[2]) + 1 if match[2] else None
    return read


def parse(text: str, parts: Sequence[Part] = MODES["explain"], labels: Collection[str] | None = None) -> Answer:
    """Read model text strictly.

    A part counts only if its tag pair stands exactly once and outside the others. The AU list must be "none" or
    "AU6, AU12" (a letter A-E may follow: "AU12:C"), the emotion exactly one known word.

    Args:
        text: the completion alone, without the prompt.
        parts: the parts that were asked for, in order.
        labels: the emotions on offer; None = any known one.
    """
    found, faults = _sections(text)
    order = [m[2] for m in _TAG.finditer(text) if not m[1]]
    once: dict[str, str] = {}
    for name in parts:
        match found.get(name, []):
            case []:
                faults.append(f"<{name}> is missing")
            case [inside]:
                once[name] = inside
            case _:
                faults.append(f"<{name}> stands more than once")
    if extra := [name for name in found if name not in parts]:
        faults.append(f"<{extra[0]}> was not asked for")
    if not faults and order != list(parts):
        faults.append(f"the parts stand in the order {', '.join(order)}")
    thinking = once["think"].strip() if "think" in once else None
    if thinking == "":
        faults.append("<think> is empty")
    aus: Mapping[int, int | None] | None = None
    if "au" in once:
        listed = _read_aus(once["au"])
        if isinstance(listed, str):
            faults.append(listed)
        else:
            aus = listed
    emotion = None
    if "answer" in once:
        emotion = canonical_emotion(once["answer"])
        if emotion is None or (labels is not None and emotion not in labels):
            faults.append(f"{once['answer'].strip()[:40]!r} is not an emotion on offer")
            emotion = None
    return Answer(thinking, aus, emotion, tuple(faults))


_NEGATED = re.compile(r"\b(no|not|without|absent|absence|lacks?|neither|nor)\b|n't\b", re.IGNORECASE)
_WORD = re.compile("|".join(rf"\b{re.escape(w)}\b" for w in sorted(SYNONYMS, key=len, reverse=True)), re.IGNORECASE)


def parse_lenient(text: str, labels: Collection[str] | None = None) -> Answer:
    """Read the text of a model that does not know the form: only to score other people's models.

    AUs: every "AU<number>" of a clause without a negation. Emotion: the last label word inside the last <answer>,
    else the last one in the whole text. Numbers obtained with it must be reported as lenient.
    """
    aus: dict[int, int | None] = {}
    for clause in re.split(r"[.;\n]|\bbut\b", text):
        if not _NEGATED.search(clause):
            aus |= {int(n): None for n in re.findall(r"\bAU ?0?([0-9]{1,2})\b", clause) if int(n) in AUS}
    answers: list[str] = re.findall(r"<answer>(.*?)(?:</answer>|\Z)", text, re.DOTALL)
    # A word may be matched in letters that only look alike to IGNORECASE, such as a long s: then it is no label.
    words = [SYNONYMS.get(w.lower()) for w in _WORD.findall(answers[-1] if answers else text)]
    words = [w for w in words if w is not None and (labels is None or w in labels)]
    return Answer(None, aus, words[-1] if words else None, ("read leniently",))
