"""au_f1: F1 of the named AUs against the present ones, over the labelled AUs. The function that evaluation calls."""

from typing import Any

from facevlm.answer import parse
from facevlm.metrics import set_f1


def au_f1(completions: list[list[dict[str, str]]], aus: list[list[int]], labelled_aus: list[list[int]],
          parts: list[list[Any]], labels: list[list[str]], **_: Any) -> list[float | None]:  # fmt: skip
    """0-1; 0.0 where the AU list cannot be read, None where the record has no AU labels or none were asked for."""
    scores: list[float | None] = []
    for completion, present, labelled, asked, offered in zip(
        completions, aus, labelled_aus, parts, labels, strict=True
    ):
        if not labelled or "au" not in asked:
            scores.append(None)
            continue
        said = parse(completion[0]["content"], asked, offered or None).aus
        scores.append(0.0 if said is None else set_f1(said, present, labelled))
    return scores
