"""What can be read, and what a folder holds: `--list` and `--inspect`. Nothing is written."""

import inspect as signatures
import shutil
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from data_builders import checks, pictures, report
from data_builders.source import Note, Source
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord, to_row

if TYPE_CHECKING:
    from data_builders.build import Config

_PICTURES = 200
"""Pictures that an inspection opens: enough to see a wrong root or odd files, in a second or two."""


def table(sources: Mapping[str, Source]) -> str:
    """Every data set that can be read: name, what it labels, options, licence, needs."""
    width = max(60, shutil.get_terminal_size((110, 24)).columns)
    wrap = textwrap.TextWrapper(width, initial_indent="      ", subsequent_indent="        ")
    lines = []
    for source in sources.values():
        lines.append(f"{source.name}: {source.title}")
        lines += wrap.wrap(f"labels: {', '.join(source.tasks)}")
        lines += wrap.wrap(f"needs: {source.needs}" + (" (layout recalled)" if source.layout == "recalled" else ""))
        if options := option_names(source):
            lines += wrap.wrap(f"options: {', '.join(options)}")
        lines += wrap.wrap(f"licence: {source.licence}")
        if source.published:
            counts = ", ".join(f"{name or 'all'} {n:,}" for name, n in source.published.items())
            lines += wrap.wrap(f"published: {counts}")
    return "\n".join(lines)


_HEAD = """\
# Data sets that can be read

Made by `python -m data_builders.look`; do not edit. `python -m data_builders.build --list` prints the same, and
`--inspect source=… root=…` says what a folder holds before anything is written. What a reader expects, which faults of
the files it knows, and one row with its record stand at the head of its file in `data_builders/sources/`.

No data set comes with facevlm: ask its owners, and keep to their terms. "No" under "share" means that pixels may not
be passed on: exports never hold them, and a push is refused.

Tested on: **files** are hand-made files of a few pixels in the owners' layout, as public loaders show it, with each
known fault; **recalled** is the same in a layout that is known from memory only, so that the reader accepts variants,
says what it found and refuses rather than guess. **Its label files** were read whole, and gave the counts that the
owners state; their pictures were not at hand.

"""


def document(sources: Mapping[str, Source]) -> str:
    """docs/datasets.md: every data set with its labels, licence, options and published counts."""
    head = ["source", "data set", "labels", "licence", "share", "tested on"]
    tested = {"checked": "files", "recalled": "recalled", "labels": "its label files", "real": "the data itself"}
    body = [[f"`{s.name}`", s.title, ", ".join(s.tasks), s.licence, "yes" if s.share else "no", tested[s.layout]]
            for s in sources.values()]  # fmt: skip
    parts = [_HEAD + report.grid(head, body)]
    for s in sources.values():
        lines = [f"- needs: {s.needs}"]
        if options := option_names(s):
            lines.append(f"- options: {', '.join(f'`{option}`' for option in options)}")
        if s.published:
            counts = (f"{name or 'all'} {n:,}" for name, n in s.published.items())
            lines.append(f"- rows its owners state: {', '.join(counts)}")
        parts.append(f"## {s.name}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def option_names(source: Source) -> list[str]:
    """The options of a source with their defaults, as "name=default"; one without a default stands alone."""
    known = signatures.signature(source.read).parameters.values()
    return [p.name if p.default is p.empty else f"{p.name}={p.default}" for p in known
            if p.name not in ("root", "into") and p.kind is not p.VAR_KEYWORD]  # fmt: skip


def inspect(config: "Config", sources: Mapping[str, Source]) -> str:
    """What a build would read: rows beside published counts, drops by reason, the first records, the first pictures.

    Without a source: which readers accept the folder.

    Raises:
        ConfigError: as a build would; or no reader accepts the folder.
    """
    from data_builders import build  # the command imports this module

    root = build._root(config)
    if not config.source:
        return _guess(root, sources)
    source = build._source(config)
    with tempfile.TemporaryDirectory() as into:
        items = build.limited(build.opened(source, root or Path(into), Path(into), config.options), config.limit)
        pictured = Path(into) if root is None or source.extracts else root
        return _shown(source, items, pictured, config)


def _shown(source: Source, items: Iterator[FaceRecord | Drop | Note], root: Path, config: "Config") -> str:
    tally, unique = report.Tally(source), checks.Unique()
    first: list[FaceRecord] = []
    some: list[FaceRecord] = []
    drops: dict[str, list[Drop]] = {}
    for item in items:
        if isinstance(item, Note):
            tally.note(item.text)
            continue
        tally.read(item)
        for step in (checks.well_formed, unique, lambda record: checks.answerable(record, config.modes)):
            item = step(item) if isinstance(item, FaceRecord) else item
        if isinstance(item, Drop):
            drops.setdefault(item.reason, []).append(item)
            continue
        first += [item] if len(first) < 3 else []
        some += [item] if len(some) < _PICTURES else []
    lines = [f"read: {report.found(tally) or 'nothing'}", *(f"note: {text}" for text in tally.notes)]
    for reason, found in sorted(drops.items(), key=lambda pair: -len(pair[1])):
        lines.append(f"would drop {len(found)}: {reason}, e.g. {found[0].id}: {found[0].detail}")
    for record in first:
        shown = {k: v for k, v in to_row(record).items() if v not in (None, "", [], ())}
        lines.append(f"record {record.id}:\n" + "\n".join(f"    {k}: {textwrap.shorten(str(v), 110)}"
                                                           for k, v in shown.items()))  # fmt: skip
    lines.append(_opened(some, root, config.frames))
    return "\n".join(lines)


def _opened(records: list[FaceRecord], root: Path, frames: int) -> str:
    found = [pictures.look(root, to_row(record), frames, decoding=True) for record in records]
    reasons = Counter(f["reason"] for f in found if f["reason"])
    example = next((f["detail"] for f in found if f["reason"]), None)
    bad = f"; {', '.join(f'{reason} {n}' for reason, n in reasons.most_common())}, e.g. {example}" if reasons else ""
    return f"pictures of the first {len(records)} records: {len(found) - reasons.total()} open{bad}"


def _guess(root: Path | None, sources: Mapping[str, Source]) -> str:
    if root is None:
        raise ConfigError("--inspect needs root=…, and source=… unless it shall say which readers accept the folder")
    fitting = [source.name for source in sources.values() if _accepts(source, root)]
    if not fitting:
        raise ConfigError(f"no reader accepts {root} as it is; --list says what each needs, and source=table reads "
                          "any label file whose columns you name")  # fmt: skip
    return f"readers that accept {root}: {', '.join(fitting)}\ninspect one: --inspect source={fitting[0]} root={root}"


def _accepts(source: Source, root: Path) -> bool:
    """Whether a reader finds a record among the first rows, with its default options."""
    if source.name == "synthetic" or any("=" not in name for name in option_names(source)):
        return False
    with tempfile.TemporaryDirectory() as into:
        given = {"into": Path(into)} if source.extracts else {}
        try:
            return any(isinstance(item, FaceRecord) for item in islice(source.read(root, **given), 200))
        except Exception:  # a reader that stumbles over files it was not made for does not accept them
            return False


if __name__ == "__main__":
    from data_builders.sources import SOURCES

    print(document(SOURCES), end="")
