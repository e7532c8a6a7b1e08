"""How likely a model finds each label on offer: the arithmetic, whatever the engine.

The model is held to `<answer>label</answer>`, as guided decoding would hold it. Where the tokens of the labels part,
its next-token probabilities are renormalised over those that lead to a label; a label's probability is the product
over the forks on its way. So they sum to one, the length of a word costs nothing, and tokens that all labels share
cost no step: where each label begins with a token of its own, one step tells all. A model that writes its answer
passes forks on the way: what it finds likely there comes for free, and only the others have to be asked.
"""

import math
from collections.abc import Callable, Mapping, Sequence

Path = tuple[int, ...]
"""Tokens of an answer from its beginning."""
Logits = Mapping[int, float]
"""Of some tokens at one place: the logit or log-probability of each."""
Step = Callable[[list[int], Path, list[int]], Sequence[Logits]]
"""Numbers of the requests, tokens of an answer so far, tokens that may follow -> for each request how likely each."""


def answers(labels: Sequence[str]) -> list[str]:
    """The whole answer for each label.

    Raises:
        ValueError: fewer than two labels, or one twice.
    """
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(f"labels {list(labels)} are fewer than two or hold one twice: there is nothing to choose")
    return [f"<answer>{label}</answer>" for label in labels]


def forks(paths: Sequence[Sequence[int]]) -> dict[Path, list[int]]:
    """Where the answers part: the tokens up to there -> the tokens that may follow, ascending; the shortest first.

    Raises:
        ValueError: an answer is another's beginning, so that the tokens do not tell them apart.
    """
    after: dict[Path, set[int]] = {}
    for path in paths:
        for i in range(len(path)):
            after.setdefault(tuple(path[:i]), set()).add(path[i])
    if any(tuple(path) in after for path in paths) or len({tuple(path) for path in paths}) < len(paths):
        raise ValueError("the tokenizer writes two labels alike; give labels that differ")
    parting = {at: sorted(tokens) for at, tokens in after.items() if len(tokens) > 1}
    return dict(sorted(parting.items(), key=lambda pair: (len(pair[0]), pair[0])))


def watched(parting: Mapping[Path, list[int]], most: int) -> list[int]:
    """The tokens to look at while an answer is written: those of the first `forks`, at most `most`."""
    found: list[int] = []
    for tokens in parting.values():
        more = [token for token in tokens if token not in found]
        if len(found) + len(more) > most:
            break
        found += more
    return found


def passed(parting: Mapping[Path, list[int]], written: Sequence[int],
           logits: Sequence[Logits]) -> dict[Path, Logits]:  # fmt: skip
    """What the writing of an answer tells about the `forks` on its way.

    Args:
        written: the tokens that were written.
        logits: at each place of them, of the tokens of `watched` at least.
    """
    found: dict[Path, Logits] = {}
    for at, tokens in parting.items():
        here = logits[len(at)] if len(at) < len(logits) and tuple(written[: len(at)]) == at else {}
        if all(token in here for token in tokens):
            found[at] = {token: here[token] for token in tokens}
    return found


def chances(paths: Sequence[Sequence[int]], logprobs: Mapping[Path, Logits]) -> list[float]:
    """The probability of each answer, 0-1, summing to 1.

    Args:
        paths: the tokens of each answer.
        logprobs: at each of `forks(paths)`, the log-probability (or any logit) of each token that may follow.
    """
    shares = {at: _softmax(tokens) for at, tokens in logprobs.items()}
    return [math.prod(shares[at][path[len(at)]] for at in shares if tuple(path[: len(at)]) == at) for path in paths]


def label_probs(labels: Sequence[str], paths: Sequence[Sequence[int]], known: Sequence[Mapping[Path, Logits]],
                step: Step) -> list[dict[str, float]]:  # fmt: skip
    """For each request, the probability of each label.

    Args:
        paths: the tokens of the answer for each label.
        known: the forks that each request is known at, see `passed`; `step` is asked about the others only.
    """
    found = [dict(some) for some in known]
    for at, tokens in forks(paths).items():
        if missing := [i for i, some in enumerate(found) if at not in some]:
            for i, logits in zip(missing, step(missing, at, tokens), strict=True):
                found[i][at] = {token: logits[token] for token in tokens}
    return [dict(zip(labels, chances(paths, some), strict=True)) for some in found]


def _softmax(logits: Logits) -> dict[int, float]:
    most = max(logits.values())
    weights = {token: math.exp(logit - most) for token, logit in logits.items()}
    whole = sum(weights.values())
    return {token: weight / whole for token, weight in weights.items()}
