"""Rationales: why a face's labels fit together, in words.

`template` writes one from the labels and the codebooks alone: key observations, interpretation, conclusion (the
order of ExpLLM's Exp-CoT, Lan et al. 2025, IEEE TMM). It says only what was labelled, and never names an absent AU.
A face with neither AUs nor an emotion, but known to be real or fake, gets the evidence for that.
"""

from facevlm.prompts import variant
from facevlm.record import FaceRecord
from facevlm.vocab import AUS, DU2014, EMFACS, describe_au

NAME = "template-1"
"""What `rationale_by` says of records whose rationale `template` wrote."""

_OBSERVE = ("Observations: {}.", "The face shows {}.", "Visible here: {}.")
# Also said of a face whose moving parts are hidden, so it must not claim that the face is at rest.
_REST = ("Observations: nothing stands out.", "The face shows no clear action unit.", "Visible here: a quiet face.")
_FIT = ("{aus} fit the pattern of {emotion}.", "{aus} are typical of {emotion}.", "Together {aus} point to {emotion}.")
_FIT_ONE = ("{aus} fits the pattern of {emotion}.", "{aus} is typical of {emotion}.", "{aus} points to {emotion}.")
_FIT_ALL = ("This fits the pattern of {emotion}.", "This is typical of {emotion}.", "This points to {emotion}.")
_BESIDE = ("{} may be incidental.", "{} adds little.", "{} stands apart.")
_LOOSE = (
    "The expression as a whole reads as {}.",
    "Overall the impression is of {}.",
    "Taken together this is read as {}.",
)
_TRACES = ("Observations: traces of {}.", "The face shows traces of {}.", "Visible here: signs of {}.")
_NO_TRACES = ("Observations: no trace of manipulation.", "The face shows no sign of manipulation.",
              "Visible here: a face without traces of manipulation.")  # fmt: skip
_JUDGE = ("Conclusion: {}.", "So the face is {}.", "This face is {}.")
_CONCLUDE = ("Conclusion: {}.", "So the emotion is {}.", "This is {}.")


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _book(emotion: str) -> set[int]:
    """Every AU that either codebook links with the emotion."""
    found = set(EMFACS.get(emotion, ()))
    if emotion in DU2014:
        found |= DU2014[emotion].main | DU2014[emotion].more.keys()
    return found


def _interpret(record: FaceRecord, emotion: str, pick: int) -> list[str]:
    fitting = [f"AU{n}" for n in record.present_aus if n in _book(emotion)]
    beside = [f"AU{n}" for n in record.present_aus if n not in _book(emotion)]
    if not fitting:
        return [_LOOSE[pick].format(emotion)]
    if not beside:
        return [_FIT_ALL[pick].format(emotion=emotion)]
    text = (_FIT if len(fitting) > 1 else _FIT_ONE)[pick].format(aus=_list(fitting), emotion=emotion)
    return [text, _BESIDE[pick].format(_list(beside))]


def _judge(record: FaceRecord, pick: int) -> list[str]:
    verdict, method = record.attributes["authenticity"], record.attributes.get("manipulation", "manipulation")
    seen = _NO_TRACES[pick] if verdict == "real" else _TRACES[pick].format(method)
    return [seen, _JUDGE[pick].format(verdict)]


def explainable(record: FaceRecord) -> bool:
    """Whether a record has labels that `template` can reason from."""
    return bool(record.aus) or record.emotion is not None or "authenticity" in record.attributes


def template(record: FaceRecord, seed: int) -> str:
    """A rationale for a record from its labels; the wording depends on the seed and the record's id alone.

    Raises:
        ValueError: the record has neither AUs nor an emotion, nor is it known to be real or fake.
    """
    if not explainable(record):
        raise ValueError(f"record {record.id} has no labels to reason from")
    pick = variant(seed, f"rationale:{record.id}", len(_OBSERVE))
    if not record.aus and record.emotion is None:
        return " ".join(_judge(record, pick))
    lines = []
    if record.aus:
        seen = [describe_au(n) for n in record.present_aus if n in AUS]
        lines.append(_OBSERVE[pick].format(_list(seen)) if seen else _REST[pick])
    if record.emotion is not None:
        lines += _interpret(record, record.emotion, pick)
        lines.append(_CONCLUDE[pick].format(record.emotion))
    return " ".join(lines)
