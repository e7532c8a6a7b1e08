"""What a vLLM engine is asked about a face, as tokens and sampling parameters: for engines that only take requests.

One prompt serves all faces, since the question is one. Text is one step; the probabilities of labels take a step for
each place where the labels part, see `facevlm.choosing`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facevlm import choosing
from facevlm.analyze.rows import Row, chosen, said
from facevlm.analyze.settings import Job


@dataclass(frozen=True, slots=True)
class Step:
    """One request about a face."""

    tokens: list[int]
    """The prompt, with one placeholder for the picture, and the answer so far."""
    path: choosing.Path
    """The answer so far."""
    options: dict[str, Any]
    """Arguments of vLLM's SamplingParams."""


@dataclass(frozen=True, slots=True)
class Steps:
    """All that is asked about each face, and how to read the replies."""

    job: Job
    steps: Sequence[Step]
    paths: Sequence[Sequence[int]]
    """The tokens of the answer of each label; empty where text is asked for."""

    def read(self, replies: Mapping[int, Mapping[str, Any]]) -> Row:
        """The replies to the steps of one face, each a `text` or the `logprobs` of some tokens, as columns."""
        if not self.paths:
            return said(self.job, replies[0]["text"])
        at = {step.path: replies[i]["logprobs"] for i, step in enumerate(self.steps)}
        return chosen(self.job, dict(zip(self.job.labels, choosing.chances(self.paths, at), strict=True)))


def steps(job: Job) -> Steps:
    """The steps of a job; loads the processor of its model."""
    from facevlm.model import load_processor

    processor = load_processor(job.config.model)
    turn = [{"type": "image"}, {"type": "text", "text": job.text}]
    text = processor.apply_chat_template([{"role": "user", "content": turn}], tokenize=False,
                                         add_generation_prompt=True)  # fmt: skip
    tokens: list[int] = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    if job.config.mode != "label":
        return Steps(job, [Step(tokens, (), {"temperature": 0.0, "max_tokens": job.config.max_new_tokens})], ())
    paths = [processor.tokenizer(answer, add_special_tokens=False)["input_ids"]
             for answer in choosing.answers(job.labels)]  # fmt: skip
    return Steps(job, [Step([*tokens, *path], path, {"temperature": 0.0, "max_tokens": 1, "logprob_token_ids": found})
                       for path, found in choosing.forks(paths).items()], paths)  # fmt: skip
