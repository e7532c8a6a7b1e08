"""HTML of a report page: text is untrusted, and every value is escaped here."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote


def escaped(value: object) -> str:
    """A value as text of the page."""
    return escape(str(value), quote=True)


def link(text: str, to: str) -> str:
    """A link to another page that lies near this one."""
    return f'<a href="{escaped(quote(to))}">{escaped(text)}</a>'


def definitions(pairs: Sequence[tuple[str, object]], kind: str = "said") -> str:
    """Names with their values."""
    lines = "".join(f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="{kind}">{lines}</dl>'


def listed(items: Sequence[str]) -> str:
    """Lines of text."""
    return f'<ul class="plain">{"".join(f"<li>{escaped(item)}</li>" for item in items)}</ul>' if items else ""


def scroll(label: str, table: str) -> str:
    """A table that scrolls sideways where the page is narrow; `label` says what it is."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escaped(label)}">{table}</div>'
