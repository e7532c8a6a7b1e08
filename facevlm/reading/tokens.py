"""At which tokens of an answer a model chooses the emotion and the action units, whatever its tokenizer.

An engine is asked for the log-probabilities of a few tokens only, by their numbers, so these must be known before it
answers. They are found by tokenizing answers that differ in one choice alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facevlm import choosing
from facevlm.answer import Part, render
from facevlm.vocab import AUS

MOST_TOKENS = 128
"""Tokens whose log-probabilities vLLM 0.31 gives for one request at most (MAX_LOGPROB_TOKEN_IDS)."""

_ALL = sorted(AUS)


@dataclass(frozen=True, slots=True)
class AUTokens:
    """Tokens of the AU list, where every AU is one token."""

    numbers: Mapping[int, int]
    """Token -> AU number."""
    between: tuple[int, ...]
    """What stands between two AUs; its first token goes on with the list."""
    end: int
    """The token that ends the list after an AU."""
    none: int
    """The token that begins "none"."""
    before: tuple[int, ...]
    """What stands before the first AU, as far as all lists share it."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Where the tokens of an answer part."""

    labels: Mapping[str, tuple[int, ...]]
    """Label -> the tokens of the answer from the first place where two labels differ to its end."""
    forks: Mapping[choosing.Path, Sequence[int]]
    """See `choosing.forks`, of the tokens of `labels`."""
    before: tuple[int, ...]
    """What stands before those tokens: the end of the AU list, if any, and the beginning of <answer>."""
    apart: bool
    """Whether those tokens begin where the label does, not within what stands before it or in its middle."""
    aus: AUTokens | None
    """None: no AUs are asked for, or an AU takes several tokens."""

    def wanted(self, aus: bool = True) -> list[int]:
        """The tokens whose log-probabilities are to be asked for; those of AUs only with `aus`."""
        tokens = {token for choices in self.forks.values() for token in choices}
        if aus and self.aus is not None:
            tokens |= {*self.aus.numbers, self.aus.between[0], self.aus.end, self.aus.none}
        return sorted(tokens)[:MOST_TOKENS]


def samples(parts: Sequence[Part], labels: Sequence[str]) -> list[str]:
    """The answers to tokenize, in the order that `choices` wants them: one a label, one with every AU, and the
    beginnings of the first up to the end of its AU list, and up to the label.
    """
    named = [render(parts, "a", {}, label) for label in labels]
    return [*named, render(parts, "a", dict.fromkeys(_ALL), labels[0]), named[0].partition("</au>")[0],
            named[0].removesuffix(f"{labels[0]}</answer>")]  # fmt: skip


def choices(parts: Sequence[Part], labels: Sequence[str], tokens: Sequence[Sequence[int]]) -> Choices:
    """
    Args:
        parts: parts of the answer, the last of which is <answer>.
        labels: labels on offer, two or more.
        tokens: of each of `samples(parts, labels)`, without special tokens.

    Raises:
        ValueError: the tokenizer writes two labels alike, or answers are of another form.
    """
    if parts[-1] != "answer" or len(labels) < 2:
        raise ValueError(f"parts {list(parts)} and {len(labels)} labels given; <answer> must come last, with a choice")
    *named, full, listing, opening = [tuple(row) for row in tokens]
    shared = _shared(named)
    tails = {label: row[shared:] for label, row in zip(labels, named, strict=True)}
    forks = choosing.forks(list(tails.values()))
    if "au" in parts:
        listed, before = _au_tokens(named[0], full, shared)
        if listing + before != named[0][:shared]:  # a token runs over the end of the list
            listed, before = None, ()
    else:
        listed, before = None, opening if len(parts) == 1 else ()  # with thinking it would hold that of the sample
    return Choices(tails, forks, before, opening == named[0][:shared], listed)


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all begin with."""
    return next((i for i, column in enumerate(zip(*rows, strict=False)) if len(set(column)) > 1),
                min(map(len, rows)))  # fmt: skip


def _au_tokens(none: tuple[int, ...], full: tuple[int, ...], answer: int) -> tuple[AUTokens | None, tuple[int, ...]]:
    """From the tokens of an answer with no AU and of one with all: those of the list, and those up to the label.

    Args:
        answer: where the label begins in `none`.
    """
    start = _shared([none, full])
    after = _shared([none[::-1], full[::-1]])
    items, between = full[start : len(full) - after], none[len(none) - after : answer]
    apart, odd = divmod(len(items) - len(_ALL), len(_ALL) - 1)
    numbers = dict(zip(items[:: apart + 1], _ALL, strict=False))
    gaps = {items[i + 1 : i + 1 + apart] for i in range(0, len(items) - 1, apart + 1)}
    if odd or apart < 1 or len(numbers) != len(_ALL) or len(gaps) != 1 or not between or none[start] in numbers:
        return None, between
    (gap,) = gaps
    if gap[0] == between[0]:  # the list goes on and ends by one token: the two cannot be told apart
        return None, between
    return AUTokens(numbers, gap, between[0], none[start], none[:start][-1:]), between
