"""UniFER and FERBench: <answer>label</answer>, and if that fails any label word anywhere in the text.

The first answer on one line: the first label on offer that it is or contains. Else the first label on offer that
stands in the whole text, the thinking included, be it inside another word. Else words such as "joy" or "blank". A
text that weighs fear against surprise before it breaks off is thus read as whichever of both is listed first.
"""

import re

from eval.elsewhere.reading import Asked, Reader, Row, found, text_of
from facevlm.answer import Answer

_ANSWER = re.compile(r"<answer>\s*(.*?)\s*</answer>", re.IGNORECASE)
_OTHER_WORDS = {
    "anger": ("angry",), "disgust": ("revulsion", "repulsion"), "fear": ("terror", "fright"),
    "happiness": ("joy", "happy"), "sadness": ("sad",), "neutral": ("normal", "calm", "blank"),
    "surprise": ("shock", "astonishment"),
}  # fmt: skip


def _label(text: str, labels: tuple[str, ...]) -> str | None:
    low, answer = text.lower(), _ANSWER.search(text)
    inside = answer[1].strip().lower() if answer else ""
    others = (label for label, words in _OTHER_WORDS.items() if any(word in low for word in words))
    for label in (*(x for x in labels if x in inside), *(x for x in labels if x in low), *others):
        return label
    return None


def _read(text: str, asked: Asked) -> Answer:
    return found(asked, _label(text, asked.labels or tuple(_OTHER_WORDS)))


def _cell(row: Row, column: str) -> str | None:
    return None if row.get("error") else text_of(row.get(column))


UNIFER = Reader(
    doc="The first label on offer inside the first `<answer>`, else anywhere in the text, else a word that stands for "
        "one; substrings count.",
    source="zfkarl/UniFER, `eval_rafdb/code/eval_unifer.py` (extract_label). Labels are tried in the order of our "
           "label set, there in that of each row's `candidate_labels`; rows with an `error` are left out there, and "
           "are missing here",
    read=_read, parts=("answer",), kinds=("label",), graded=False,
    ids=("image_path",), texts=("model_response",), cell=_cell,
    caveat="read as UniFER does: any label word anywhere in the text is taken for the answer",
)  # fmt: skip
