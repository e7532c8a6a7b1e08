"""emotion: 1 if the answer is the labelled emotion (after the fixed synonym table, never by substring), else 0."""

from typing import Any

from facevlm.answer import parse


def emotion(completions: list[list[dict[str, str]]], emotion: list[str | None], parts: list[list[Any]],
            labels: list[list[str]], **_: Any) -> list[float | None]:  # fmt: skip
    """1.0 right, 0.0 wrong or unreadable, None where the record has no emotion label or none was asked for."""
    return [
        float(parse(completion[0]["content"], asked, offered or None).emotion == gold)
        if gold is not None and "answer" in asked else None
        for completion, gold, asked, offered in zip(completions, emotion, parts, labels, strict=True)
    ]  # fmt: skip
