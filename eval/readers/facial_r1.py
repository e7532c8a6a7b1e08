"""Facial-R1 and FEA-20K: <think>…AU numbers in prose…</think><answer>one emotion noun</answer>.

    <think>The lips part (AU25) and the cheeks rise (AU6).</think><answer>Happiness</answer>     AU6, AU25; happiness

AUs are every "AU<number>" of the first think block, of the whole text where there is none, denied or not: "no AU4"
counts as AU4 (their prompt forbids negations for it). The first answer, else the whole text, is cut at blanks, commas
and semicolons; it counts only if exactly one word is left and that is a label, as a noun: "happy" is wrong.
"""

import re

from eval.elsewhere.reading import Asked, Reader, found
from facevlm.answer import Answer
from facevlm.vocab import AUS

_THINK = re.compile("<think>(.*?)</think>", re.DOTALL)
_ANSWER = re.compile("<answer>(.*?)</answer>", re.DOTALL)


def _read(text: str, asked: Asked) -> Answer:
    think, answer = _THINK.search(text), _ANSWER.search(text)
    aus = {int(n): None for n in re.findall(r"AU(\d+)", think[1] if think else text) if int(n) in AUS}
    words = re.split(r"[,;，；\s]+", (answer[1] if answer else text).strip())
    label = words[0].lower() if len(words) == 1 and words[0] else None
    known = label if label in asked.labels or not asked.labels else None
    return found(asked, known, aus, think[1].strip() if think else None)


FACIAL_R1 = Reader(
    doc="Every `AU<number>` of the first `<think>`, denied or not; one noun in the first `<answer>`.",
    source="RobitsG/Facial-R1, `open_r1/utils/eval_utils.py` (extract_au_pred_think, extract_label_pred_answer); its "
           "labels are compared there with the case of its own data, here without",
    read=_read, kinds=("label",), graded=False,
    ids=("image", "id"), texts=("description", "response"),
    caveat="read as Facial-R1 does: an AU that the text denies counts as named",
)  # fmt: skip
