"""Texts of models that were never told a form: every AU of a clause without a "no", the last emotion word.

    "The brows are lowered (AU4), no AU12. The face looks angry."        AU4; anger

It reads more than was asked for and so flatters: a number obtained with it is no number of the strict reader.
"""

from dataclasses import replace

from eval.elsewhere.reading import Asked, Reader
from facevlm.answer import Answer, parse_lenient


def _read(text: str, asked: Asked) -> Answer:
    answer = parse_lenient(text, asked.labels or None)
    missing = "answer" in asked.parts and answer.emotion is None
    aus = answer.aus if "au" in asked.parts else None
    return replace(answer, aus=aus, faults=("no emotion found",) if missing else ())


LENIENT = Reader(
    doc="Every `AU<number>` of a clause without a negation; the last emotion word inside the last `<answer>`, else in "
        "the whole text.",
    source="`facevlm.answer.parse_lenient`; ours",
    read=_read, parts=("au", "answer"), kinds=("label",), graded=False,
    caveat="answers were read leniently: not comparable with numbers of the strict reader",
)  # fmt: skip
