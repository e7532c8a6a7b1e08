"""What an engine is asked and answers, and what else some engines can tell."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

from facevlm.answer import Part
from facevlm.prompts import variant


@dataclass(frozen=True, slots=True)
class Request:
    """One question about one face."""

    images: tuple[Image.Image, ...]
    """One picture, or several in the order to look at; RGB, as `images.load_face` gives it."""
    text: str
    """The user turn, as `prompts.question` writes it."""
    prefix: str = ""
    """How the answer begins: put into the model's mouth, which goes on from there. The reply is what follows it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote, without the prompt and without special tokens."""

    text: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Choice(Reply):
    """A reply to a question with a few answers, and how likely each of them was."""

    probabilities: dict[str, float] | None
    """0-1, summing to 1, by label; see `LabelProbs`. None: what was written does not tell, see `Weigher`."""


def own_seed(seed: int, request: Request) -> int:
    """A request's own seed, from that of its batch: it depends on the request, not on those beside it.

    With one seed for all, every request would draw the same random numbers, and all answers begin alike.
    """
    digest = hashlib.blake2b((request.text + request.prefix).encode(), digest_size=16)
    for image in request.images:
        digest.update(image.tobytes())
    return variant(seed, digest.hexdigest(), 2**31)


class Generator(Protocol):
    """Anything that answers questions about faces."""

    engine: str
    """Which engine it is, for provenance."""

    def generate(self, requests: Sequence[Request], max_new_tokens: int = 512, temperature: float = 0.0,
                 seed: int | None = None) -> list[Reply]:  # fmt: skip
        """Answer all requests, in their order. Temperature 0 is greedy and repeatable."""
        ...


@runtime_checkable
class LabelProbs(Protocol):
    """A generator that can also tell how likely each of some labels is; an endpoint cannot."""

    engine: str

    def label_probs(self, requests: Sequence[Request], labels: Sequence[str]) -> list[dict[str, float]]:
        """For each request, the probability (0-1, summing to 1) of each label as the whole <answer>, if the model may
        write nothing else; see `facevlm.choosing`.

        Raises:
            ValueError: fewer than two labels, or two that the tokenizer writes alike.
        """
        ...


@runtime_checkable
class Chooser(Protocol):
    """A generator that answers and tells how likely each label is in one go."""

    engine: str

    def choose(self, requests: Sequence[Request], labels: Sequence[str], max_new_tokens: int = 512) -> list[Choice]:
        """The replies of `generate` at temperature 0 with the probabilities of `label_probs`, to rounding.

        What the model finds likely while it writes tells most or all of the probabilities; only what lies off its way
        is asked for afterwards.

        Raises:
            ValueError: as `label_probs`.
        """
        ...


@runtime_checkable
class Weigher(Protocol):
    """A generator that tells how likely each label was where it wrote its answer, behind its reasons or AUs."""

    engine: str

    def weigh(self, requests: Sequence[Request], parts: Sequence[Part], labels: Sequence[str],
              max_new_tokens: int = 512) -> list[Choice]:  # fmt: skip
        """The replies of `generate` at temperature 0, with probabilities out of the same writing: nothing further is
        asked. None where no label was written, or where labels part again on a way that was not taken; see
        `facevlm.reading.confidence`.

        Args:
            parts: what the questions ask for, <answer> last.

        Raises:
            ValueError: fewer than two labels, or two that the tokenizer writes alike.
        """
        ...


class Scripted:
    """Answers with `script(request)`; for tests and for trying out a pipeline without a model."""

    engine = "scripted"

    def __init__(self, script: Callable[[Request], str]) -> None:
        self.script = script

    def generate(self, requests: Sequence[Request], max_new_tokens: int = 512, temperature: float = 0.0,
                 seed: int | None = None) -> list[Reply]:  # fmt: skip
        texts = [self.script(request) for request in requests]
        return [Reply(t, len(r.text.split()), len(t.split())) for r, t in zip(requests, texts, strict=True)]
