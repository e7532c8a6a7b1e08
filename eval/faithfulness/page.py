"""The page of a faithfulness run: the numbers of each probe, and faces as they were shown with what was said.

Self-contained and without script; text of models is untrusted and escaped. The look is that of `eval.pages.report`.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image

from eval.faithfulness.evidence import Evidence, Findings, Shown
from eval.faithfulness.inquiry import Face, Inquiry, Reading, plain
from eval.faithfulness.measured import Number
from eval.pages.drawing import bar, dots
from eval.pages.figures import decimal, signed
from eval.pages.markup import definitions, escaped, scroll
from eval.probes import PROBES
from facevlm.images import ImageError, fit
from facevlm.prompts import variant
from facevlm.record import whole_file

_STYLE = """
.shots { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.9rem; list-style: none; margin: 0; padding: 0; }
.shots .said-now { font-size: 0.875rem; margin: 0.4rem 0 0; overflow-wrap: anywhere; }
.shots .name { font-size: 0.8125rem; color: var(--soft); margin: 0.3rem 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem; margin-bottom: 1.2rem; }
.card h3 { margin-top: 0; overflow-wrap: anywhere; }
.scroll + .note, .scroll + .plain, .plain + .note { margin-top: 0.8rem; }
.number { width: 100%; max-width: 62rem; }
.number td.wide { width: 40%; min-width: 7rem; }
.number tbody th { min-width: 8rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) { .number td.wide { display: none; } .number th, .number td { padding-right: 0.6rem; } }
"""  # noqa: E501
_SHOTS = 2
"""Regions of a face that are shown covered."""
_SIDE = 160


def _interval(number: Number) -> str:
    return "" if number.low is None or number.high is None else f"[{decimal(number.low)}, {decimal(number.high)}]"


def _drawn(number: Number, shown: Shown) -> str:
    """A bar, or where it may be below 0 a dot beside a dashed line at 0."""
    if shown.low < 0:
        interval = None if number.low is None or number.high is None else (number.low, number.high)
        return dots(number.value, interval, 0, shown.low, 1)
    return bar(number.value, (number.low, number.high))


def _numbers(found: Findings, shown: Mapping[str, Shown]) -> str:
    body = ""
    for key, how in shown.items():
        number = found.numbers[key]
        value = signed(number.value) if how.low < 0 else decimal(number.value)
        about = number.why if number.value is None else " · ".join(filter(None, (how.note, number.few)))
        body += (f'<tr><th scope="row">{escaped(how.title)}<br><span class="note">{escaped(about)}</span></th>'
                 f'<td class="wide">{_drawn(number, how)}</td><td class="n">{value}</td>'
                 f'<td class="ci">{_interval(number)}</td><td class="n">{number.n}</td></tr>')  # fmt: skip
    head = '<thead><tr><td></td><td class="wide"></td><th scope="col" class="n">value</th><th scope="col">95 %</th>' \
        '<th scope="col" class="n">n</th></tr></thead>'  # fmt: skip
    return scroll("Numbers", f'<table class="number">{head}<tbody>{body}</tbody></table>')


def _cell(cell: object) -> str:
    match cell:
        case None:
            return '<td class="n">–</td>'
        case Number():
            return f'<td class="n">{decimal(cell.value)} <span class="ci">{_interval(cell)}</span></td>'
        case int():
            return f'<td class="n">{cell}</td>'
    return f"<td>{escaped(cell)}</td>"


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in rows[0])
    body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<h3>{escaped(title)}</h3>{scroll(title, table)}"


def _probe(name: str, found: Findings) -> str:
    probe = PROBES[name]
    tables = "".join(_table(title, rows) for title, rows in found.tables.items())
    said = [*found.caveats, *(f"not counted in: {n} {reason}" for reason, n in found.left_out.items())]
    notes = f'<ul class="plain">{"".join(f"<li>{escaped(text)}</li>" for text in said)}</ul>' if said else ""
    after = f'<p class="note">After: {escaped(probe.source)}.</p>'
    return (f'<section><h2>{escaped(probe.title)}</h2><p class="note">{escaped(probe.doc)}</p>'
            f"{_numbers(found, probe.numbers)}{notes}{tables}{after}</section>")


def _answer(reading: Reading | None) -> str:
    """Emotion and AU list in one line."""
    if reading is None:
        return "no answer"
    listed = "no readable list" if reading.claims is None else ", ".join(f"AU{n}" for n in sorted(reading.claims))
    return " · ".join(filter(None, (reading.answer.emotion, listed or "no AU"))) or "unreadable"


def _uri(picture: Image) -> str:
    file = io.BytesIO()
    fit(picture, _SIDE * _SIDE).save(file, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _shot(evidence: Evidence, inquiry: Inquiry, title: str) -> str:
    try:
        pictures = inquiry.picture(evidence.album)
    except ImageError as e:
        picture = f'<div class="picture none">{escaped(e.reason)}</div>'
    else:
        shown = pictures[len(pictures) // 2]
        picture = f'<div class="picture"><img src="{_uri(shown)}" alt="{escaped(title)}"></div>'
    said = _answer(evidence.reading(inquiry.face, inquiry.name))
    return f'<li>{picture}<p class="name">{escaped(title)}</p><p class="said-now">{escaped(said)}</p></li>'


def _title(name: str) -> str:
    """ "cover:mouth:elsewhere" in words."""
    kind, _, rest = name.partition(":")
    region, _, away = rest.partition(":")
    what = "covered" if kind == "cover" else "at rest" if kind == "swap" else ""
    return f"as much as {region} {what} elsewhere" if away else f"{region} {what}".strip()


def _card(evidence: Evidence, face: Face, asked: Sequence[Inquiry]) -> str:
    own = evidence.reading(face)
    regional = [one for one in asked if one.name.partition(":")[0] in ("cover", "swap")]
    regions = list(dict.fromkeys(one.name.split(":")[1] for one in regional))[:_SHOTS]
    shots = [_shot(evidence, plain(face), "as it is")]
    shots += [_shot(evidence, one, _title(one.name)) for one in regional if one.name.split(":")[1] in regions]
    words = [one for one in asked if not one.name.startswith(("cover:", "swap:", "blank:"))]
    truth = [face.record.emotion or "not labelled", ", ".join(f"AU{n}" for n in face.record.present_aus)]
    pairs: list[tuple[str, object]] = [("labels", " · ".join(filter(None, truth)))]
    if own is not None:
        pairs.append(("answer", own.text))
    for one in words:
        after = evidence.reading(face, one.name)
        pairs.append((one.name, after.text if after is not None else "no answer"))
    return (f'<div class="card"><h3>{escaped(face.record.id)}</h3><ul class="shots" role="list">{"".join(shots)}</ul>'
            f'{definitions(pairs, "provenance")}</div>')  # fmt: skip


def _gallery(evidence: Evidence, further: Mapping[str, Sequence[Inquiry]], n: int) -> str:
    """Some faces, those with the most to show first; the same for the same seed."""
    by_face: dict[object, list[Inquiry]] = {face.key: [] for face in evidence.faces}
    for inquiry in (one for some in further.values() for one in some):
        by_face[inquiry.face.key].append(inquiry)

    def rank(face: Face) -> tuple[bool, int]:
        shown = any(one.name.startswith(("cover:", "swap:")) for one in by_face[face.key])
        return not shown, variant(evidence.seed, face.record.id, 2**32)

    chosen = [face for face in sorted(evidence.faces, key=rank) if evidence.reading(face) is not None][:n]
    if not chosen:
        return ""
    cards = "".join(_card(evidence, face, by_face[face.key]) for face in chosen)
    about = "Drawn by the seed, not picked. Under each picture, what was said about it; below, whole answers, those "
    about += "that were given a beginning too: own, other and denied are what stands before the answer."
    return f'<section><h2>Faces</h2><p class="note">{about}</p>{cards}</section>'


def page(summary: Mapping[str, Any], findings: Mapping[str, Findings], evidence: Evidence,
         further: Mapping[str, Sequence[Inquiry]], gallery: int) -> str:  # fmt: skip
    """The HTML."""
    style = (Path(__file__).parents[1] / "pages/report.css").read_text() + _STYLE
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    title = f"What the words of {summary['model']} are worth"
    under = f"{summary['faces']} faces of {summary['people']} people. Intervals are 95 %, resampled by person."
    notes = "".join(f"<li>{escaped(text)}</li>" for text in summary["caveats"])
    notes = f'<h3>To know beside the numbers</h3><ul class="plain">{notes}</ul>' if notes else ""
    shown = ("model", "engine", "records", "split", "max_pixels", "max_new_tokens", "seed", "prompt")
    asked = ", ".join(f"{name} {n}" for name, n in summary["questions"].items())
    made = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    pairs = [*((key.replace("_", " "), summary[key]) for key in shown), ("questions", asked), ("versions", made)]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escaped(title)}</title><style>{style}</style></head><body><main>"
        f'<header><h1>{escaped(title)}</h1><p class="note">{escaped(under)}</p>{notes}</header>'
        f"{''.join(_probe(name, found) for name, found in findings.items())}"
        f"{_gallery(evidence, further, gallery)}"
        f"<section><h2>How this was obtained</h2>{definitions(pairs, 'provenance')}</section></main></body></html>\n"
    )


def write_page(path: Path, summary: Mapping[str, Any], findings: Mapping[str, Findings], evidence: Evidence,
               further: Mapping[str, Sequence[Inquiry]], gallery: int) -> None:  # fmt: skip
    """Write `page` as one whole file."""
    html = page(summary, findings, evidence, further, gallery)
    with whole_file(path) as draft:
        draft.write_text(html, encoding="utf-8", errors="replace")
