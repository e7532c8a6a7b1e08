"""An engine's reply about one face -> what the face API says of it."""

from collections.abc import Mapping
from typing import Any

from facevlm.answer import Answer, parse
from facevlm.reading.confidence import confidence, steps
from facevlm.reading.evidence import said_about
from facevlm.serve.faces.asking import Question
from facevlm.serve.faces.looking import Seen
from facevlm.serve.faces.schema import AU, FaceAnswer, Letter, Why
from facevlm.vocab import AUS

_LETTERS: tuple[Letter, ...] = ("A", "B", "C", "D", "E")


def blank(seen: Seen) -> FaceAnswer:
    """A face of which only the place is known, and why nothing was asked."""
    points = None if seen.face.landmarks is None else [[x, y] for x, y in seen.face.landmarks]
    return FaceAnswer(box=list(seen.face.box), score=seen.face.score, landmarks=points, abstained=seen.refused,
                      regions_from="landmarks" if seen.measured else "average face")  # fmt: skip


def answered(seen: Seen, question: Question, reply: Mapping[str, Any], unsure_below: float) -> FaceAnswer:
    """A face as the model reads it; where it cannot be relied on, `abstained` says why.

    Args:
        reply: a chat completion.
        unsure_below: probability of the likeliest emotion below which none is named.
    """
    choice = reply["choices"][0]
    text = choice["message"].get("content") or ""
    said = parse(text, question.parts, question.labels, question.form)
    sure = confidence(steps(choice), question.choices) if question.choices is not None and not said.faults else None
    chances = sure.labels if sure is not None else None
    if chances is not None and chances.get(said.emotion or "", 0.0) < max(chances.values()):
        chances = None  # written in other tokens, or not by the likeliest way: not the chances of this answer
    if chances is not None and question.calibration is not None:
        chances = question.calibration.apply(chances)
    face = blank(seen)
    face.text, face.faults, face.reasoning = text, list(said.faults), said.thinking
    face.emotion, face.probabilities = said.emotion, None if chances is None else _within(chances)
    face.calibrated = chances is not None and question.calibration is not None
    face.aus = _aus(seen, said, dict(sure.aus) if sure is not None and sure.aus is not None else {})
    if said.faults:
        face.abstained = Why(reason="unreadable answer", message=_misses(said.faults, choice))
    elif chances is not None and max(chances.values()) < unsure_below:
        face.emotion = None
        face.abstained = Why(reason="unsure", message=f"the likeliest emotion has a probability of "
                             f"{max(chances.values()):.2f}, {unsure_below:g} is the least")  # fmt: skip
    return face


def affect(question: Question, reply: Mapping[str, Any]) -> tuple[float, float] | None:
    """Valence and arousal; None where the answer is not of the form."""
    text = reply["choices"][0]["message"].get("content") or ""
    match parse(text, question.parts, None, question.form).value:
        case (float() as valence, float() as arousal):
            return valence, arousal
    return None


def _misses(faults: tuple[str, ...], choice: Mapping[str, Any]) -> str:
    cut = "; it was cut off at its longest length" if choice.get("finish_reason") == "length" else ""
    return f"the answer misses the form: {'; '.join(faults)}{cut}"


def _within(chances: Mapping[str, float]) -> dict[str, float]:
    # Sums of floats may pass 1 by a rounding error, which the schema would refuse.
    return {label: min(1.0, max(0.0, chance)) for label, chance in chances.items()}


def _aus(seen: Seen, said: Answer, sure: Mapping[int, float]) -> list[AU] | None:
    if said.aus is None:
        return None
    regions, evidence = seen.regions(), said_about(said.thinking)
    return [
        AU(au=n, name=AUS[n].name, muscle=AUS[n].muscle, region=AUS[n].region,
           boxes=[list(box) for box in regions[AUS[n].region]],
           confidence=None if n not in sure else min(1.0, max(0.0, sure[n])),
           intensity=_LETTERS[level - 1] if level else None, said=evidence.get(n))
        for n, level in sorted(said.aus.items())
    ]  # fmt: skip
