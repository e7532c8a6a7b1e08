"""format: 1 if the completion is exactly the form that was asked for, else 0."""

from typing import Any

from facevlm.answer import parse


def answer_format(completions: list[list[dict[str, str]]], parts: list[list[Any]], labels: list[list[str]],
                  **_: Any) -> list[float | None]:  # fmt: skip
    """1.0 where `answer.parse` finds no fault, 0.0 elsewhere. Applies to every record."""
    return [float(not parse(completion[0]["content"], asked, offered or None).faults)
            for completion, asked, offered in zip(completions, parts, labels, strict=True)]  # fmt: skip
