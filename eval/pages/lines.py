"""One number of several runs: a line each, with a drawing, the value, its interval, and what else to know."""

from collections.abc import Sequence
from typing import NamedTuple

from eval.pages.markup import escaped


class Line(NamedTuple):
    """One run in a figure."""

    name: str
    drawing: str = ""
    """HTML of a bar or dot."""
    value: str = "–"
    interval: str = ""
    under: str = ""
    """What else to know, on a line of its own."""
    why: str = ""
    """Why there is no value; it stands in its place."""


class Figure(NamedTuple):
    """One number."""

    title: str
    note: str
    lines: Sequence[Line]


def _line(line: Line) -> str:
    head = f'<tr><th scope="row">{escaped(line.name)}</th>'
    if line.why:
        return f'{head}<td class="why" colspan="3">{escaped(line.why)}</td></tr>'
    under = f'<tr class="under"><td></td><td colspan="3">{escaped(line.under)}</td></tr>' if line.under else ""
    return (f'{head}<td class="wide">{line.drawing}</td><td class="n">{escaped(line.value)}</td>'
            f'<td class="ci">{escaped(line.interval)}</td></tr>{under}')  # fmt: skip


def figures(some: Sequence[Figure]) -> str:
    """The figures side by side as far as there is room; nothing of none."""
    tables = "".join(
        f'<table class="metric"><caption>{escaped(one.title)} <span class="note">{escaped(one.note)}</span></caption>'
        f"<tbody>{''.join(map(_line, one.lines))}</tbody></table>"
        for one in some
    )
    return f'<div class="metrics">{tables}</div>' if tables else ""
