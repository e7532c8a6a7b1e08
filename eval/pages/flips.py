"""What flipped between two runs over the same faces: wrong before and right after, or right before and wrong after.

Two models of one accuracy may be right about different faces; which ones says more than the difference.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from eval.frame.predictions import Prediction
from eval.pages.figures import Run
from eval.pages.gallery import cards, spread
from eval.pages.markup import escaped
from facevlm.record import RecordSet

GAINED, LOST = "gained", "lost"


class Flips(NamedTuple):
    """The answers of the later run that differ in being right."""

    gained: list[Prediction]
    """Wrong before, right after."""
    lost: list[Prediction]
    n: int
    """Faces that both runs answered."""


def flips(a: Run, b: Run) -> Flips:
    """What flipped from run a to run b; see `Prediction.right` for what is right."""
    before = {row.key: row for row in a.rows if row.error is None}
    after = [row for row in b.rows if row.error is None and row.key in before]
    gained = [row for row in after if row.right and not before[row.key].right]
    lost = [row for row in after if not row.right and before[row.key].right]
    return Flips(gained, lost, len(after))


def pairs(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Which runs are compared: each with the one before it, and the last with the first."""
    return [*pairwise(runs), *([(runs[0], runs[-1])] if len(runs) > 2 else [])]


def counts(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """How many faces flipped between each two runs, as summary.json holds it."""
    found = []
    for a, b in pairs(runs):
        flipped = flips(a, b)
        found.append({"a": a.name, "b": b.name, GAINED: len(flipped.gained), LOST: len(flipped.lost), "n": flipped.n})
    return found


def in_words(one: Mapping[str, Any]) -> str:
    """ "sft to grpo: 31 of 400 faces flipped, 22 to right and 9 to wrong"."""
    return (f"{one['a']} to {one['b']}: {one[GAINED] + one[LOST]} of {one['n']} faces flipped, {one[GAINED]} to right "
            f"and {one[LOST]} to wrong")  # fmt: skip


def flipped_section(runs: Sequence[Run], faces: RecordSet | None, n: int, seed: int) -> str:
    """The section of a page: how many flipped between each two runs, and some of them up to the last run."""
    if len(runs) < 2:
        return ""
    lines = "".join(f"<li>{escaped(in_words(one))}</li>" for one in counts(runs))
    # From a run that has nothing right, all that is right later has flipped: that shows nothing.
    first = next((run for run in runs[:-1] if any(row.right for row in run.rows)), runs[0])
    flipped = flips(first, runs[-1])
    gained, lost = spread(flipped.gained, seed), spread(flipped.lost, seed)
    take = min(len(lost), max(n // 2, n - len(gained)))
    chosen = [*((LOST, row) for row in lost[:take]), *((GAINED, row) for row in gained[: n - take])]
    shown = cards(runs, faces, chosen, (GAINED, LOST)) if chosen else ""
    about = f"Faces that {runs[-1].name} has right and {first.name} had wrong, or the other way round. "
    about = f'<p class="note">{escaped(about)}As many of both as there are.</p>' if chosen else ""
    return f'<section><h2>What flipped</h2><ul class="plain">{lines}</ul>{about}{shown}</section>'
