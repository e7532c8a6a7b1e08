"""The question about a face: its text, the form its answer is held to, and the tokens whose chances are wanted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from facevlm.answer import MODES, Form, Mode, Part
from facevlm.checkpoint import read_facts
from facevlm.prompts import question
from facevlm.reading import calibration
from facevlm.reading.calibration import Calibration
from facevlm.reading.form import answer_grammar
from facevlm.reading.tokens import Choices, choices, samples
from facevlm.serve.engines.launch import ServedModel
from facevlm.serve.faces.tokenizer import Tokenize, tokenizer
from facevlm.tasks import TASKS

_LONGEST: dict[Mode, int] = {"fast": 512, "label": 64}
"""Tokens, where the thinking does not set the length: 52 AUs in a tokenizer that needs six for each are 420."""

AFFECT = "valence_arousal"
"""The task that a model must have been taught for valence and arousal to be asked."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one crop."""

    text: str
    parts: tuple[Part, ...]
    labels: tuple[str, ...]
    form: Form
    grammar: str
    longest: int
    """Tokens."""
    choices: Choices | None = None
    """None: the probabilities of this model's answers cannot be told."""
    calibration: Calibration | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def body(self, picture: str, hold: bool, aus: bool) -> dict[str, Any]:
        """The chat completion request, in the terms of vLLM.

        Args:
            picture: data URL of the crop.
            hold: hold the answer to the form.
            aus: ask for the chances of AUs too.
        """
        content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": self.text}]
        body: dict[str, Any] = {"messages": [{"role": "user", "content": content}], "max_tokens": self.longest,
                                "temperature": 0.0}  # fmt: skip
        if hold:
            body["structured_outputs"] = {"grammar": self.grammar}
        if self.choices is not None:
            # vLLM lays the grammar on before it takes them, which changes no ratio between tokens that it lets pass.
            body |= {"logprobs": True, "logprob_token_ids": self.choices.wanted(aus),
                     "return_tokens_as_token_ids": True}  # fmt: skip
        return body


@dataclass
class Asker:
    """The questions for one model, made once."""

    model: ServedModel
    longest: int
    """Tokens of an answer with thinking."""
    taught: tuple[str, ...] = ()
    """Tasks that the model was tuned on, where its facts say."""
    _tokenize: Tokenize | None = None
    _calibration: Calibration | None = None
    _made: dict[Mode, Question] = field(default_factory=dict)

    @classmethod
    def of(cls, model: ServedModel, longest: int) -> "Asker":
        """Read what lies beside the model; a blocking call.

        Args:
            longest: tokens of an answer; no more than half of what the model can hold, since the question and its
                picture need room too.

        Raises:
            ConfigError: its calibration cannot be read.
        """
        if model.max_model_len is not None:
            longest = min(longest, model.max_model_len // 2)
        return cls(model, longest, tuple(read_facts(model.root).get("tasks") or ()), tokenizer(model.root),
                   calibration.read(model.root))  # fmt: skip

    def question(self, mode: Mode) -> Question:
        """What is asked in a mode."""
        if mode not in self._made:
            self._made[mode] = self._make(mode)
        return self._made[mode]

    def _make(self, mode: Mode) -> Question:
        parts, labels = MODES[mode], self.model.labels
        fits = self._calibration if self._calibration and self._calibration.fits(mode, labels) else None
        tokens = self._choices(parts, labels)
        return Question(question(parts, labels), parts, labels, Form(), answer_grammar(parts, labels, tokens=tokens),
                        min(self.longest, _LONGEST.get(mode, self.longest)), tokens, fits)  # fmt: skip

    def _choices(self, parts: Sequence[Part], labels: Sequence[str]) -> Choices | None:
        if self._tokenize is None or len(labels) < 2:
            return None
        try:
            return choices(parts, labels, [self._tokenize(text) for text in samples(parts, labels)])
        except ValueError:  # two labels of the same tokens: none can be told from the other
            return None

    @property
    def affect(self) -> Question | None:
        """The question for valence and arousal; None where the model was not taught it."""
        if AFFECT not in self.taught:
            return None
        task = TASKS[AFFECT]
        return Question(question(task.parts, (), task=AFFECT), task.parts, (), task.form,
                        answer_grammar(task.parts, (), task.form), _LONGEST["label"])  # fmt: skip
