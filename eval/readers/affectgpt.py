"""AffectGPT and the MER challenges: a list of free words, as their pipeline prints it after its own extraction.

    name,openset                        0001,"[happy, excited]"        0002,"['sad']"        0003,[]

Only the list is read. The authors get it out of a description with a language model at temperature 0.7, which gives
another list each time; a description without a list in it is therefore unreadable here, not guessed at.
"""

import re

from eval.elsewhere.reading import Asked, Reader, found
from facevlm.answer import Answer, fold, read
from facevlm.vocab import canonical_emotion

_LIST = re.compile(r"\[([^\[\]]*)\]")
_QUOTES = "\"'‘’“” "


def _words(text: str) -> tuple[str, ...] | None:
    lists = _LIST.findall(text)
    if len(lists) != 1:
        return None
    items = (fold(item.strip(_QUOTES)) for item in re.split(r"[,，、;；]", lists[0]))
    return tuple(dict.fromkeys(item for item in items if item))


def _read(text: str, asked: Asked) -> Answer:
    words = _words(text)
    if asked.form.kind == "label":
        return found(asked, canonical_emotion(words[0]) if words and len(words) == 1 else None)
    value = None if words is None else read(", ".join(words) or "none", asked.form, asked.labels or None)
    fault = "no list of words" if words is None else "a word of the list is none"
    return Answer(None, None, None, () if value is not None else (fault,), value)


AFFECTGPT = Reader(
    doc="One list of words in square brackets; where one label is wanted, a list of exactly one.",
    source="zeroQiaoba/AffectGPT, `my_affectgpt/evaluation/ew_metric.py`: what its extraction stores. Its own word "
           "lists and wheels are not used (see Wheel F1)",
    read=_read, parts=("answer",), kinds=("words", "label"), graded=False,
    ids=("name", "filenames"), texts=("openset", "fileitems"),
    caveat="words as AffectGPT's extraction by a language model printed them, which is not repeatable; grouped by our "
           "wheel, not by its five",
)  # fmt: skip
