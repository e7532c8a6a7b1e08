"""What a teacher is asked: it hangs on the labels of the record, on whether they are shown, and on the plan."""

from collections.abc import Sequence
from typing import Literal

from data_builders.rationale_checks import Fault
from facevlm.answer import Part, render
from facevlm.prompts import variant
from facevlm.record import FaceRecord
from facevlm.vocab import AUS, LABEL_SETS, describe_au

_ROLE = "You are an expert in the Facial Action Coding System (FACS)."
_PLANS = (
    "First say what you observe, then how the signs work together, then what they mean as a whole.",
    "Go over the face from the brows down to the chin, then say what the signs mean together.",
    "Begin with the most telling sign, add what supports it, and end with what they mean together.",
)
"""Three ways to reason, so that what is learnt is not one turn of phrase; `rationale_by` counts them from 1."""
_PLAIN = "Write plain English sentences, {low} to {high} words, without lists, headings or tags."
_UNTOLD = ("Write as an observer who has nothing but the picture: never say or hint that a result was known, given, "
           "coded or labelled.")  # fmt: skip
_SEEN = "Say where in this picture each sign shows. Describe only what can be seen."


def plan_of(record: FaceRecord, seed: int) -> int:
    """Which of the plans a record is asked with."""
    return variant(seed, f"teacher:{record.source}/{record.id}", len(_PLANS))


def _told(record: FaceRecord, parts: Sequence[Part]) -> list[str]:
    """What a label-conditioned teacher is told."""
    lines = [_ROLE, "This face has been studied, and the result below is certain."]
    if "au" in parts:
        absent = [n for n in record.labelled_aus if n not in record.present_aus]
        seen = [f"{describe_au(n)}: {AUS[n].seen_as}" for n in record.present_aus]
        lines.append(f"Action units present: {'; '.join(seen) or 'none'}.")
        if absent:
            lines.append(f"Action units absent: {', '.join(map(describe_au, absent))}.")
    if "answer" in parts:
        lines.append(f"Emotion: {record.emotion}.")
    lines.append("Explain how the picture alone leads to exactly this result.")
    return lines


def _untold(record: FaceRecord, parts: Sequence[Part]) -> list[str]:
    """What a blind teacher is told."""
    lines = [_ROLE, "Study this face and find the result yourself."]
    if "au" in parts:
        choice = "; ".join(f"{describe_au(n)}: {AUS[n].seen_as}" for n in record.labelled_aus)
        lines.append(f"Decide which of these action units are present: {choice}.")
    if "answer" in parts and record.label_set is not None:
        lines.append(f"Decide on one emotion: {', '.join(LABEL_SETS[record.label_set].labels)}.")
    lines.append("Explain how the picture leads you to it.")
    return lines


def _shape(record: FaceRecord, parts: Sequence[Part], told: bool) -> str:
    if told:
        return render(parts, "your explanation", dict.fromkeys(record.present_aus), record.emotion or "")
    blank: dict[Part, str] = {"think": "your explanation", "au": "such as AU6, AU12, or the word none",
                              "answer": "the emotion"}  # fmt: skip
    return "".join(f"<{part}>{blank[part]}</{part}>" for part in parts)


def prompt(record: FaceRecord, parts: Sequence[Part], condition: Literal["labels", "blind"], plan: int, low: int,
           high: int) -> str:  # fmt: skip
    """The question to a teacher.

    Args:
        parts: what the record's labels can answer: AUs and emotion, one of them alone, and the thinking.
        condition: whether the labels are shown.
        plan: which way of reasoning to ask for.
        low, high: bounds on the words of the explanation.
    """
    told = condition == "labels"
    lines = (_told if told else _untold)(record, parts)
    lines += [_PLANS[plan], _SEEN]
    if "au" in parts:
        lines.append("Give each action unit that is present its number, and mention no other action unit.")
    else:
        lines.append("Describe brows, eyes, nose and mouth in plain words, without action unit numbers.")
    lines.append("End by naming the emotion." if "answer" in parts else "Name no emotion.")
    if told:
        lines.append(_UNTOLD)
    lines.append(_PLAIN.format(low=low, high=high))
    lines.append(f"Reply in exactly this form and with nothing else: {_shape(record, parts, told)}")
    return "\n".join(lines)


def again(faults: Sequence[Fault], told: bool) -> str:
    """What is added when a reply was of no use; who was not shown the labels learns nothing about them here."""
    named = dict.fromkeys(fault.text for fault in faults if told or fault.of == "form")
    if not named:
        return ""
    return "\n".join(["\nAn earlier reply could not be used:", *(f"- {text}" for text in named), "Avoid this."])
