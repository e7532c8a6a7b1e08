"""R1-Omni: <think>…</think><answer>angry</answer>, the answer compared letter by letter.

The first <answer> without a line break in it, else the whole text, must be one of the words that its data sets use
(DFEW, MAFW), in lower case: "Angry" and "anger" are wrong.
"""

import re

from eval.elsewhere.reading import Asked, Reader, found
from facevlm.answer import Answer

_ANSWER = re.compile("<answer>(.*?)</answer>")
_WORDS = {
    "happy": "happiness", "surprise": "surprise", "neutral": "neutral", "angry": "anger", "disgust": "disgust",
    "sad": "sadness", "fear": "fear", "contemptuous": "contempt", "disappointed": "disappointment",
    "helpless": "helplessness", "anxious": "anxiety",
}  # fmt: skip
"""The words of DFEW and MAFW as the authors write them."""


def _read(text: str, asked: Asked) -> Answer:
    answer = _ANSWER.search(text)
    return found(asked, _WORDS.get((answer[1] if answer else text).strip()))


R1_OMNI = Reader(
    doc="The first `<answer>` on one line, else the whole text: exactly one of the words that DFEW and MAFW use.",
    source="HumanMLLM/R1-Omni, `src/r1-v/src/open_r1/grpo.py` (accuracy_reward, its comparison of strings). The "
           "script behind the published numbers is not out: the released one compares the whole text, tags included",
    read=_read, parts=("answer",), kinds=("label",), graded=False,
    ids=("video_path", "video"), texts=("response",),
    caveat="read as R1-Omni's reward does; how its published numbers were read is not stated",
)  # fmt: skip
