"""What the engines share: a question as a conversation, and how likely the labels were from what was written."""

import base64
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from facevlm import choosing
from facevlm.answer import Part
from facevlm.generate.protocols import Choice, Reply, Request
from facevlm.reading.confidence import Step, confidence
from facevlm.reading.tokens import Choices, choices, samples

WATCHED = 128
"""Tokens that are looked at while an answer is written: as many as vLLM takes (`MAX_LOGPROB_TOKEN_IDS`)."""


def png(image: Image.Image) -> str:
    """A picture as a PNG data URL: lossless, so that an endpoint sees the pixels a local engine would."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def messages(request: Request, image_parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A question as a conversation of one turn, its pictures first, each as the part that an engine takes."""
    return [{"role": "user", "content": [*image_parts, {"type": "text", "text": request.text}]}]


def chat_texts(processor: Any, requests: Sequence[Request]) -> list[str]:
    """The prompts up to where the model answers, or goes on to, one placeholder for each picture.

    The beginning of an answer stands behind the template, not in it: templates rewrite the thinking of an answer.
    """
    return [processor.apply_chat_template(messages(r, [{"type": "image"}] * len(r.images)), tokenize=False,
                                          add_generation_prompt=True) + r.prefix for r in requests]  # fmt: skip


def answer_tokens(tokenizer: Any, labels: Sequence[str]) -> list[list[int]]:
    """The tokens of the whole answer for each label."""
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in choosing.answers(labels)]


def places(tokenizer: Any, parts: Sequence[Part], labels: Sequence[str]) -> Choices:
    """Where the answers to a question of those parts differ in their labels."""
    return choices(parts, labels, [tokenizer(text, add_special_tokens=False)["input_ids"]
                                   for text in samples(parts, labels)])  # fmt: skip


def weighed(written: Sequence[int], logits: Sequence[choosing.Logits], where: Choices) -> dict[str, float] | None:
    """How likely each label was at the place where one was written."""
    found = confidence([Step(*at) for at in zip(written, logits, strict=False)], where).labels
    return None if found is None else dict(found)


def chosen(replies: Sequence[Reply], chances: Sequence[dict[str, float] | None]) -> list[Choice]:
    """The replies with the probabilities (0-1, by label) that belong to each, in their order."""
    return [Choice(reply.text, reply.prompt_tokens, reply.completion_tokens, probabilities)
            for reply, probabilities in zip(replies, chances, strict=True)]  # fmt: skip
