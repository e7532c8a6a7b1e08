"""How sure a model was of what it wrote, from the log-probabilities of the same answer.

The emotion: `facevlm.choosing`'s probabilities, renormalised over the labels on offer, at the place where the label
was written. After free thinking they are those of a model that has made up its mind, much nearer to 0 and 1 than in
mode `label`.

An action unit: the probability that it stands in a list that begins as this one does. In an ascending list the AU n is
in or out once all smaller ones are settled, so with c the probability that the list goes on and q(m) that of m as its
next AU,

    p(n) = c q(n) / (c sum of q(m) over m >= n  +  1 - c)

which is the discrete-time hazard of survival analysis. It needs a tokenizer that writes each AU as one token.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facevlm import choosing
from facevlm.reading.tokens import AUTokens, Choices


@dataclass(frozen=True, slots=True)
class Step:
    """One token that was written."""

    token: int
    logprobs: Mapping[int, float]
    """Token -> log-probability, of the tokens that were asked for and the one that was written."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """What the log-probabilities say; None where they do not say it."""

    labels: Mapping[str, float] | None = None
    """Label -> probability, summing to 1."""
    aus: Mapping[int, float] | None = None
    """AU of the list -> probability, 0-1."""


def steps(choice: Mapping[str, Any]) -> list[Step]:
    """The tokens of one choice of a chat completion, as vLLM writes them with `return_tokens_as_token_ids`.

    Empty where there are none, or another server wrote them.
    """
    content = (choice.get("logprobs") or {}).get("content") or []
    try:
        return [_step(entry) for entry in content]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _step(entry: Mapping[str, Any]) -> Step:
    tops = entry.get("top_logprobs") or [entry]
    return Step(_number(entry["token"]), {_number(top["token"]): float(top["logprob"]) for top in tops})


def _number(token: str) -> int:
    name, _, number = token.partition(":")
    if name != "token_id":
        raise ValueError(f"{token!r} is no token number")
    return int(number)


def confidence(written: Sequence[Step], choices: Choices) -> Confidence:
    """How sure the model was; a None where the answer is not written by the tokens that were foreseen.

    The label itself may be written in other tokens, which a grammar lets pass: the model still chose at that place.
    """
    at = _place(written, choices)
    if at is None:
        return Confidence()
    return Confidence(_labels(written, at, choices), _aus(written, at, choices))


def _place(written: Sequence[Step], choices: Choices) -> int | None:
    """Where the label begins: after the last beginning of <answer>."""
    tokens, before = tuple(step.token for step in written), choices.before
    places = range(len(tokens) - 1, len(before) - 1, -1)
    return next((at for at in places if before and tokens[at - len(before) : at] == before), None)


def _labels(written: Sequence[Step], at: int, choices: Choices) -> Mapping[str, float] | None:
    tokens = [step.token for step in written]
    found: dict[choosing.Path, dict[int, float]] = {}
    for path, options in choices.forks.items():
        here = written[at + len(path)].logprobs if at + len(path) < len(written) else {}
        # Where labels part again on a way that was not taken, this answer says nothing about them.
        if tuple(tokens[at : at + len(path)]) != path or any(token not in here for token in options):
            return None
        found[path] = {token: here[token] for token in options}
    shares = choosing.chances(list(choices.labels.values()), found)
    return dict(zip(choices.labels, shares, strict=True))


def _aus(written: Sequence[Step], at: int, choices: Choices) -> Mapping[int, float] | None:
    known = choices.aus
    tokens = tuple(step.token for step in written)
    if known is None:
        return None
    end = at - len(choices.before)
    places = _listed(tokens, end, known)
    if not places:
        # An empty list is "none"; anything else is not of the form.
        return {} if known.none in tokens[:end] and tokens[end - 1] not in known.numbers else None
    if tokens[: places[0]][-len(known.before) :] != known.before:
        return None
    found: dict[int, float] = {}
    for place in places:
        chance = _hazard(written, place, place == places[0], known)
        if chance is None:
            return None
        found[known.numbers[tokens[place]]] = chance
    return found


def _listed(tokens: Sequence[int], end: int, known: AUTokens) -> list[int]:
    """Where the AUs of the list that ends before `end` stand, in order."""
    places: list[int] = []
    place, step = end - 1, len(known.between) + 1
    while place >= 0 and tokens[place] in known.numbers:
        places.insert(0, place)
        if tuple(tokens[place - step + 1 : place]) != known.between:
            break
        place -= step
    return places


def _hazard(written: Sequence[Step], place: int, first: bool, known: AUTokens) -> float | None:
    """The probability of the AU at `place`; None where a log-probability is missing."""
    here = written[place].logprobs
    # Before the first AU the choice is between the AUs and "none"; after one, between going on and ending.
    turn = here if first else written[place - len(known.between)].logprobs
    ways = {*known.numbers, known.none} if first else {known.between[0], known.end}
    if not ways <= turn.keys() or not known.numbers.keys() <= here.keys():
        return None
    weights = {number: math.exp(here[token]) for token, number in known.numbers.items()}
    whole = sum(weights.values())
    stop = math.exp(turn[known.none if first else known.end])
    on = whole if first else math.exp(turn[known.between[0]])
    if not (whole > 0 and on + stop > 0):
        return None
    number, going = known.numbers[written[place].token], on / (on + stop)
    larger = sum(weight for n, weight in weights.items() if n >= number) / whole
    return going * weights[number] / whole / (going * larger + 1 - going)
