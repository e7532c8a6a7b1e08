"""FABA-Bench's REGE as published, and with its faults mended, so that numbers of both kinds can be compared.

REGE is recognition (accuracy of the emotion, or F1 of twelve AUs) plus generation (ROUGE-L); papers give it times 100
(Li et al. 2024, "Facial Affective Behavior Analysis with Instruction Tuning", ECCV). "Published" is what the authors'
evaluation does, as can be read in JackYFL/EmoLA, emollava/eval/eval_FABA.py (MIT licence); it is told here in words of
our own, with their word lists:

| | published | mended |
|---|---|---|
| denial | a sentence with "no", "not", "nor" … anywhere, even in "nose" or "know", is dropped | only as words |
| every sentence denies | reads them all the same | None: wrong |
| nothing recognised | happiness | None: wrong |
| AUs | every "AU12" in the text, denied or not | `facevlm.prose.claimed_aus` |
| ROUGE-L | sets of words, sentence by sentence; empty texts left out | `words.rouge_l`; empty texts have 0 |

Where their evaluation ends in an error (a text without a full stop), the whole text is read as one sentence.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from facevlm.metrics.faba_text import Way, read_aus, read_emotion
from facevlm.metrics.inputs import Floats, mean_where, ratio, same_length
from facevlm.metrics.sums import SumStatistic
from facevlm.metrics.words import rouge_l

__all__ = ["FABA_AUS", "Generation", "Rege", "Way", "generation", "published_au_f1", "published_au_f1_of",
           "read_aus", "read_emotion", "rege", "rouge_l_of_sentences"]  # fmt: skip

FABA_AUS = (1, 2, 4, 5, 6, 10, 12, 17, 24, 25, 26, 43)
"""The AUs whose F1 FABA-Bench averages."""


def rouge_l_of_sentences(predicted: str, reference: str) -> float | None:
    """ROUGE-L as the package `rouge` 1.0 counts it: shared different words over the different words of both, 0-1.

    Sentences end at every full stop, words at blanks, commas stay on words. A word is shared if it is on the longest
    common subsequence (of several, the one that keeps the latest words of the reference) of any two sentences.

    Returns:
        F1; None where either text has no sentence, which the package refuses.
    """
    said, gold = ([" ".join(part.split()).split(" ") for part in text.split(".") if part]
                  for text in (predicted, reference))  # fmt: skip
    if not said or not gold:
        return None
    shared = {word for one in gold for other in said for word in _on_common_subsequence(one, other)}
    recall, precision = (len(shared) / len({word for part in parts for word in part}) for parts in (gold, said))
    return 2 * precision * recall / (precision + recall + 1e-8)


def _on_common_subsequence(a: Sequence[str], b: Sequence[str]) -> set[str]:
    lengths = np.zeros((len(a) + 1, len(b) + 1), dtype=np.int64)
    for i, word in enumerate(a, 1):
        for j, other in enumerate(b, 1):
            lengths[i, j] = lengths[i - 1, j - 1] + 1 if word == other else max(lengths[i - 1, j], lengths[i, j - 1])
    i, j, found = len(a), len(b), set()
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            found.add(a[i])
        elif lengths[i - 1, j] > lengths[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return found


class Generation(NamedTuple):
    """Mean ROUGE-L of descriptions, 0-1."""

    rouge_l: float
    n: int
    left_out: int
    """Pairs without a number: a reference without words; published: either text without a sentence."""


def generation(predicted: Sequence[str | None], references: Sequence[str], way: Way = "mended") -> Generation:
    """The second half of REGE; an unreadable text is an empty one.

    Raises:
        ValueError: unequal or empty input, or no pair with a number.
    """
    same_length(predicted, references)
    found: list[float | None] = []
    for said, gold in zip(predicted, references, strict=True):
        score = rouge_l_of_sentences(said or "", gold) if way == "published" else rouge_l(said, gold).f1
        found.append(None if score is None or score != score else score)
    scores = [score for score in found if score is not None]
    if not scores:
        raise ValueError("no pair of texts can be scored; the references, or all predictions, are empty")
    return Generation(sum(scores) / len(scores), len(scores), len(found) - len(scores))


def published_au_f1(predicted: Sequence[Collection[int]], present: Sequence[Collection[int]],
                    aus: Sequence[int] = FABA_AUS) -> float:  # fmt: skip
    """Mean F1 over AUs as FABA-Bench takes it, 0-1; nan if every AU is left out.

    An AU that nobody shows but the model names has 0, where `AUTable.macro_f1` leaves it out; one that is the same for
    all faces, in truth and prediction alike, is left out, even where it is always there and always found.
    """
    return published_au_f1_of(predicted, present, aus)()


def published_au_f1_of(predicted: Sequence[Collection[int]], present: Sequence[Collection[int]],
                       aus: Sequence[int] = FABA_AUS) -> SumStatistic:  # fmt: skip
    """`published_au_f1` as a metric that is resampled at once."""
    same_length(predicted, present)
    named, shown = (np.array([[au in some for au in aus] for some in side]) for side in (predicted, present))
    marks = np.hstack([named & shown, named, shown, np.ones((len(named), 1), dtype=bool)]).astype(np.float64)

    def finish(sums: Floats) -> Floats:
        n = sums[..., -1:]
        hits, said, there = np.moveaxis(sums[..., :-1].reshape(*sums.shape[:-1], 3, len(aus)), -2, 0)
        one_for_all = (said + there == 0) | (said + there == 2 * n)
        return mean_where(ratio(2 * hits, said + there), ~one_for_all)

    return SumStatistic(marks, finish)


class Rege(NamedTuple):
    """Recognition plus generation, 0-2; papers give it times 100."""

    rege: float
    recognition: float
    """Accuracy of the emotion, or F1 of the AUs, 0-1."""
    rouge_l: float
    n: int
    left_out: int
    """Texts without a ROUGE-L."""


def rege(recognition: float, predicted: Sequence[str | None], references: Sequence[str], way: Way = "mended") -> Rege:
    """REGE of a recognition score (0-1) and the texts it was read from; see `generation`."""
    words = generation(predicted, references, way)
    return Rege(recognition + words.rouge_l, recognition, words.rouge_l, len(predicted), words.left_out)
