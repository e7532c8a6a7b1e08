"""What the embedded model is taught beside seeing: plain words about AUs, without the answer form or emotions' AUs.

A lesson is a conversation: (question, answer) pairs about one face, or about FACS alone.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from facevlm.prompts import WORDINGS, question
from facevlm.tiny.population import EMOTIONS, THRESHOLD
from facevlm.vocab import AUS, BASIC_EMOTIONS, INTENSITY_WORDS, LABEL_SETS, PROTOCOLS, describe_au

Turn = tuple[str, str]

# The words that rationales are built of, and what a prompt's answer form holds.
_RATIONALE_WORDS = """Observations: Visible here: nothing stands out, a quiet face, no clear action unit. AU1, AU2 and
AU4 fit fits the pattern of {0}. are is typical of {0}. Together point points to {0}. may be incidental. adds little.
stands apart. The expression as a whole reads as {0}. Overall the impression is of {0}. Taken together this is read as
{0}. Conclusion: {0}. So the emotion is {0}. This is {0}.
{0}
reasons
emotion
numbers"""

LIST_QUESTION = "List the action units."
"""The question the base model's own AU score is measured with."""

_LIST = (LIST_QUESTION, "Which action units are visible?", "Name the AUs of this face.")
_DESCRIBE = ("Describe the face.", "What do the muscles of this face do?", "Say what you see.")
_SINGLE = ("Is AU{} visible?", "Does this face show AU{}?", "AU{}: yes or no?")
_STRONG = ("How strong is AU{}?", "What is the intensity of AU{}?")


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def list_answer(present: list[int]) -> str:
    """ "AU1, AU4", or "none"."""
    return ", ".join(f"AU{n}" for n in present) or "none"


def about_face(levels: Mapping[int, int], rng: np.random.Generator) -> list[Turn]:
    """Turns about a drawn face whose labelled AU intensities (0-5) are `levels`."""
    present = [n for n, level in sorted(levels.items()) if level >= THRESHOLD]
    seen = ", ".join(describe_au(n) for n in present) or "nothing stands out"
    # What is said first has to be seen; a second list could be copied from it.
    turns = [(_pick(_LIST, rng), list_answer(present)) if rng.random() < 0.6 else (_pick(_DESCRIBE, rng), f"{seen}.")]
    # Half of the single questions are about present AUs, else "no" would nearly always be right.
    asked = [int(n) for n in rng.permutation(present)[:1]] + [int(n) for n in rng.permutation(list(levels))[:1]]
    turns += [(_pick(_SINGLE, rng).format(n), "yes" if levels[n] >= THRESHOLD else "no") for n in dict.fromkeys(asked)]
    if present:
        n = int(rng.choice(present))
        turns.append((_pick(_STRONG, rng).format(n), INTENSITY_WORDS[levels[n] - 1]))
    return turns


def about_words(rng: np.random.Generator) -> list[Turn]:
    """Turns without a face: what an AU is called, where it shows, and repeating words (emotion words among them)."""
    turns = []
    for n in rng.permutation(list(AUS))[:3].tolist():
        au = AUS[n]
        turns.append([(f"What is AU{n}?", f"{au.name}: {au.seen_as}."), (f"Where does AU{n} show?", f"{au.region}."),
                      (f"What number has the {au.name}?", f"AU{n}")][int(rng.integers(3))])  # fmt: skip
    words = [*BASIC_EMOTIONS, *(describe_au(n) for n in PROTOCOLS["synthetic-18"].aus)]
    said = ", ".join(str(w) for w in rng.permutation(words)[: int(rng.integers(1, 5))])
    return [*turns, (f"Repeat: {said}.", f"{said}.")]


def vocabulary() -> Iterator[str]:
    """Texts whose words should become tokens: prompts, FACS terms, and how rationales are built."""
    for labels in (EMOTIONS, *(s.labels for s in LABEL_SETS.values())):
        for wording in range(WORDINGS):
            yield from (question(parts, labels, wording) for parts in (("think", "au", "answer"), ("au", "answer"),
                                                                       ("think", "au"), ("answer",)))  # fmt: skip
    for au in AUS.values():
        yield f"{au.name}: {au.seen_as}. {au.muscle}. {au.region}. The face shows {au.name} (AU{au.number})."
    rng = np.random.default_rng(0)
    for _ in range(400):
        levels = {n: int(rng.integers(0, 6)) for n in PROTOCOLS["synthetic-18"].aus}
        for asked, answer in (*about_face(levels, rng), *about_words(rng)):
            yield f"{asked} {answer}"
        emotion = EMOTIONS[int(rng.integers(len(EMOTIONS)))]
        yield _RATIONALE_WORDS.format(emotion)
