"""EmoLA and FABA-Bench: an emotion by itself, or read out of a description by lists of words; AUs wherever named.

`emola` is how its authors test on RAF-DB, DISFA, BP4D and GFT: the whole answer is one of seven capitalised nouns, and
every "AU<number>" counts, denied or not. `faba-bench` is how they test on FABA-Bench, where a text that names nothing
is happiness and "nose" makes a sentence a denial; `faba-bench-mended` is that without its faults (`metrics.faba`).
"""

import re

from eval.elsewhere.reading import Asked, Reader, found
from facevlm.answer import Answer
from facevlm.metrics.faba import Way, read_aus, read_emotion
from facevlm.vocab import AUS

_NOUNS = {noun.capitalize(): noun
          for noun in ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")}  # fmt: skip


def _exact(text: str, asked: Asked) -> Answer:
    aus = {int(n): None for n in re.findall(r"AU(\d+)", text) if int(n) in AUS}
    return found(asked, _NOUNS.get(text.strip()), aus)


def _described(text: str, asked: Asked, way: Way) -> Answer:
    aus = {n: None for n in sorted(read_aus(text, way)) if n in AUS}
    if asked.form.kind == "text":
        return Answer(None, aus if "au" in asked.parts else None, None, (), text.strip() or None)
    return found(asked, read_emotion(text, way) if "answer" in asked.parts else None, aus)


def _published(text: str, asked: Asked) -> Answer:
    return _described(text, asked, "published")


def _mended(text: str, asked: Asked) -> Answer:
    return _described(text, asked, "mended")


_IDS, _TEXTS = ("image_path", "id"), ("label", "text")
EMOLA = Reader(
    doc="The whole text is one of seven capitalised nouns; every `AU<number>` in it, denied or not.",
    source="JackYFL/EmoLA, `llava/eval/eval_emotion.py` (emotion2target, AU2Labels)",
    read=_exact, parts=("au", "answer"), kinds=("label",), graded=False, ids=_IDS, texts=_TEXTS,
    caveat="read as EmoLA does: an AU that the text denies counts as named",
)  # fmt: skip
FABA_BENCH = Reader(
    doc="A description: the first emotion word of its first sentence without a denial, else the commonest; every "
        "`AU<number>`.",
    source="JackYFL/EmoLA, `llava/eval/eval_FABA.py` (description2emotion, AU2Labels), its faults kept; see "
           "`facevlm.metrics.faba`",
    read=_published, parts=("au", "answer"), kinds=("label", "text"), graded=False, ids=_IDS, texts=_TEXTS,
    caveat="read as FABA-Bench does: a text without an emotion is happiness, AUs that it denies count as named",
)  # fmt: skip
FABA_BENCH_MENDED = Reader(
    doc="The same with denials as words, AUs only where the text claims them, and no emotion where it names none.",
    source="ours, after FABA-Bench; see `facevlm.metrics.faba`",
    read=_mended, parts=("au", "answer"), kinds=("label", "text"), graded=False, ids=_IDS, texts=_TEXTS,
    caveat="read from descriptions by lists of words",
)  # fmt: skip
