"""A small page without script, in the look of the report."""

from pathlib import Path

from eval.pages.markup import escaped
from facevlm.record import whole_file

_STYLE = """
.compared .dots { min-width: 8rem; }
.compared { width: 100%; min-width: 34rem; }
.compared td.wide { width: 38%; }
.compared tbody tr { border-top: 1px solid var(--line); }
@media (max-width: 40rem) {
  .compared { min-width: 0; }
  .compared .people, .compared thead .ci, .compared tr:not(.small) .ci { display: none; }
  .compared .dots { min-width: 5rem; }
}
.compared tr.small th, .compared tr.small td { color: var(--soft); }
"""


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
