"""A small page without script, in the look of the report, and dots with whiskers to compare values at a glance."""

from collections.abc import Sequence
from pathlib import Path

from eval.pages.markup import escaped
from facevlm.record import whole_file

_STYLE = """
.dots { display: block; width: 100%; height: 1rem; min-width: 8rem; }
.dots .rail { stroke: var(--track); stroke-width: 6; vector-effect: non-scaling-stroke; }
.dots .all { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 3 2; vector-effect: non-scaling-stroke; }
.dots .dot { stroke: var(--accent); stroke-width: 9; stroke-linecap: round; vector-effect: non-scaling-stroke; }
.compared { width: 100%; min-width: 34rem; }
.compared td.wide { width: 38%; }
.compared tbody tr { border-top: 1px solid var(--line); }
.compared tr.small th, .compared tr.small td { color: var(--soft); }
"""


def dots(value: float | None, interval: Sequence[float] | None, middle: float | None, low: float, high: float) -> str:
    """A dot with its interval on a scale from `low` to `high`; the dashed line is the value over all, `middle`."""

    def at(x: float) -> str:
        return f"{100 * min(max((x - low) / (high - low), 0), 1):.2f}"

    drawn = '<path class="rail" d="M0 7H100"/>'
    if middle is not None:
        drawn += f'<path class="all" d="M{at(middle)} 0V14"/>'
    if interval is not None:
        a, b = (at(x) for x in interval)
        drawn += f'<path class="whisker" d="M{a} 7H{b}M{a} 3.5V10.5M{b} 3.5V10.5"/>'
    if value is not None:
        # A line of no length with round ends: a circle would be stretched with the drawing.
        drawn += f'<path class="dot" d="M{at(value)} 7h0"/>'
    return f'<svg class="dots" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'


def listed(items: Sequence[str]) -> str:
    """Lines of text."""
    return f'<ul class="plain">{"".join(f"<li>{escaped(item)}</li>" for item in items)}</ul>' if items else ""


def section(heading: str, *parts: str) -> str:
    """A part of a page; nothing where it holds nothing."""
    inside = "".join(parts)
    return f"<section><h2>{escaped(heading)}</h2>{inside}</section>" if inside else ""


def sheet(title: str, verdict: str, note: str, *sections: str) -> str:
    """The HTML of the page; `sections` are HTML, the rest is text."""
    style = (Path(__file__).parent / "report.css").read_text() + _STYLE
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escaped(title)}</title><style>{style}</style></head><body><main>"
        f'<header><h1>{escaped(title)}</h1><p class="verdict">{escaped(verdict)}</p>'
        f'<p class="note">{escaped(note)}</p></header>{"".join(sections)}</main></body></html>\n'
    )


def write_sheet(path: Path, html: str) -> None:
    """Write a page as one whole file."""
    with whole_file(path) as draft:
        draft.write_text(html, encoding="utf-8", errors="replace")
