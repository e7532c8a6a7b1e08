"""The report: one self-contained HTML page about one run, or several over the same faces.

No outside resources: style and script stand in the page (`report.css`, `report.js` beside this file), pictures are
data URIs. Model text is untrusted: every value is escaped, and the page's policy runs no script but ours.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from eval.drawing import MEANING, SIGN, bar, marks, overlay, say, show
from eval.predictions import Prediction
from facevlm.images import ImageError
from facevlm.prompts import variant
from facevlm.record import FaceRecord, RecordSet, whole_file
from facevlm.vocab import AUS

TITLES = {
    "emotion_accuracy": "Emotion accuracy",
    "emotion_uar": "Emotion UAR",
    "emotion_macro_f1": "Emotion macro-F1",
    "au_macro_f1": "AU macro-F1",
    "au_micro_f1": "AU micro-F1",
    "au_set_f1": "AU F1 per face",
}
NOTES = {
    "emotion_accuracy": "share of faces with the right emotion",
    "emotion_uar": "mean recall over the emotions that occur",
    "emotion_macro_f1": "mean F1 over the emotions that occur",
    "au_macro_f1": "mean F1 over the AUs that occur",
    "au_micro_f1": "F1 of all AU decisions pooled",
    "au_set_f1": "F1 of each face's AU list, averaged",
}


class Run(NamedTuple):
    """One evaluated model: its name on the page, what summary.json holds, its answers."""

    name: str
    summary: Mapping[str, Any]
    rows: Sequence[Prediction]


def _text(value: object) -> str:
    return escape(str(value), quote=True)


def _pairs(pairs: Sequence[tuple[str, object]], kind: str = "said") -> str:
    lines = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="{kind}">{lines}</dl>'


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _signed(value: float | None) -> str:
    return _number(value) if value is None or value < 0 else f"+{_number(value)}"


def _interval(summary: Mapping[str, Any], metric: str) -> str:
    low, high = summary["ci95"].get(metric, (None, None))
    return "" if low is None or high is None else f"[{_number(low)}, {_number(high)}]"


def headline(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """The few numbers that matter as a plain text table, one line a run."""
    metrics = [m for m in ("emotion_accuracy", "emotion_uar", "au_macro_f1") if any(s[m] is not None for _, s in runs)]
    table = [["", "faces", *(TITLES[m] for m in metrics), "at fault", "images/s"]]
    for name, summary in runs:
        numbers = [f"{_number(summary[m])} {_interval(summary, m)}".strip() for m in metrics]
        failed, speed = summary["parse_failure_rate"], summary["images_per_second"]
        table.append([name, str(summary["n"]), *numbers, _number(failed), _number(speed, 1)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(f"{x:<{w}}" for x, w in zip(line, widths, strict=True)).rstrip() for line in table)


def difference_in_words(difference: Mapping[str, Any]) -> str:
    """ "grpo − sft, AU macro-F1: +0.041 [0.012, 0.069]: clearly higher"."""
    value, (low, high) = difference["value"], difference["ci95"]
    start = f"{difference['b']} − {difference['a']}, {TITLES[difference['metric']]}: "
    start += _signed(value)
    if low is None or high is None:
        return start
    verdict = "clearly higher" if low > 0 else "clearly lower" if high < 0 else "no clear difference"
    return f"{start} [{_number(low)}, {_number(high)}]: {verdict}"


def verdict(runs: Sequence[Run], differences: Sequence[Mapping[str, Any]] = ()) -> str:
    """What the last run does, in one sentence."""
    run = runs[-1]
    claims = []
    if (share := run.summary["emotion_accuracy"]) is not None:
        claims.append(f"names the emotion of {100 * share:.1f} % of {run.summary['n']} faces")
    if (f1 := run.summary["au_macro_f1"]) is not None:
        claims.append(f"finds action units with a macro-F1 of {_number(f1)}")
    text = f"{run.name} {' and '.join(claims) or 'was given nothing that can be scored'}"
    whole = [d for d in differences if d["a"] == runs[0].name and d["b"] == run.name and d["value"] is not None]
    steps = [f"{_signed(d['value'])} in {TITLES[d['metric']].removeprefix('Emotion ')}" for d in whole]
    return text + (f"; against {runs[0].name}, {' and '.join(steps)}." if steps else ".")


def _headline_tiles(run: Run) -> str:
    tiles = []
    for metric, title in TITLES.items():
        value, interval = run.summary[metric], run.summary["ci95"].get(metric, ())
        if value is not None:
            tiles.append(
                f'<div class="tile"><dt>{title}</dt><dd><span class="big">{_number(value)}</span> '
                f'<span class="ci">{_interval(run.summary, metric)}</span>{bar(value, interval)}'
                f'<span class="note">{NOTES[metric]}</span></dd></div>'
            )
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _headline_tables(runs: Sequence[Run]) -> str:
    tables = []
    for metric in (m for m in TITLES if any(run.summary[m] is not None for run in runs)):
        lines = "".join(
            f'<tr><th scope="row">{_text(run.name)}</th>'
            f'<td class="wide">{bar(run.summary[metric], run.summary["ci95"].get(metric, ()))}</td>'
            f'<td class="n">{_number(run.summary[metric])}</td>'
            f'<td class="ci">{_interval(run.summary, metric)}</td></tr>'
            for run in runs
        )
        caption = f"<caption>{TITLES[metric]} <span class='note'>{NOTES[metric]}</span></caption>"
        tables.append(f'<table class="metric">{caption}<tbody>{lines}</tbody></table>')
    return f'<div class="metrics">{"".join(tables)}</div>'


def _differences(differences: Sequence[Mapping[str, Any]]) -> str:
    if not differences:
        return ""
    items = "".join(f"<li>{_text(difference_in_words(d))}</li>" for d in differences)
    return f'<h3>Paired differences</h3><ul class="plain">{items}</ul>'


def _facts(runs: Sequence[Run]) -> str:
    rows = {
        "Faces scored": [str(run.summary["n"]) for run in runs],
        "Subjects": [str(run.summary["n_subjects"] or "–") for run in runs],
        "Answers that miss the form": [_number(run.summary["parse_failure_rate"]) for run in runs],
        "Pictures that cannot be read": [str(run.summary["unreadable_images"]) for run in runs],
        "Images per second": [_number(run.summary["images_per_second"], 1) for run in runs],
        "Tokens per answer": [_number(run.summary["tokens_per_image"], 1) for run in runs],
    }
    head = "".join(f'<th scope="col" class="n">{_text(run.name)}</th>' for run in runs)
    body = "".join(
        f'<tr><th scope="row">{title}</th>{"".join(f"<td class=n>{_text(v)}</td>" for v in values)}</tr>'
        for title, values in rows.items()
    )
    table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    return _scroll("Facts about the runs", table)


def _scroll(label: str, table: str) -> str:
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{_text(label)}">{table}</div>'


def _confusion(run: Run) -> str:
    confusion = run.summary["confusion"]
    if confusion is None:
        return ""
    recalls = {score["label"]: score["recall"] for score in run.summary["per_class"]}
    head = "".join(f'<th scope="col"><span>{_text(label)}</span></th>' for label in (*confusion["columns"], "recall"))
    body = ""
    for label, counts in zip(confusion["rows"], confusion["counts"], strict=True):
        total = sum(counts)
        cells = ""
        for column, count in zip(confusion["columns"], counts, strict=True):
            share = count / total if total else 0.0
            kind = "right" if column == label else "wrong"
            cells += f'<td class="{kind}" style="--v:{share:.3f}">{count or "<i>0</i>"}</td>'
        body += f'<tr><th scope="row">{_text(label)}</th>{cells}<td class="n">{_number(recalls[label], 2)}</td></tr>'
    about = '<p class="note">Rows: the truth. Columns: the answer. Shade: share of the row.</p>'
    table = f'<table class="confusion"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'
    return about + _scroll(f"Confusion matrix of {run.name}", table)


def _per_au(run: Run) -> str:
    if not run.summary["per_au"]:
        return ""
    body = "".join(
        f'<tr><th scope="row">AU{score["au"]}</th><td>{_text(score["name"])}</td>'
        f'<td class="n">{_number(score["f1"])}</td><td class="wide">{bar(score["f1"])}</td>'
        f'<td class="n">{_number(score["precision"])}</td><td class="n">{_number(score["recall"])}</td>'
        f'<td class="n">{score["support"]}</td><td class="n">{score["labelled"]}</td></tr>'
        for score in run.summary["per_au"]
    )
    names = ("AU", "Name", "F1", "", "Precision", "Recall", "Present", "Labelled")
    kinds = ("", "", "n", "wide", "n", "n", "n", "n")
    head = "".join(
        f'<th scope="col" class="{kind}">{name}</th>' if name else f'<td class="{kind}"></td>'
        for name, kind in zip(names, kinds, strict=True)
    )
    table = f'<table class="aus"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return _scroll(f"Action units of {run.name}", table)


def _per_run(runs: Sequence[Run], part: str, draw: Any) -> str:
    """A section for a run, or one that opens per run where there are several: the last one is open."""
    drawn = [(run.name, draw(run)) for run in runs]
    if not any(text for _, text in drawn):
        return ""
    if len(drawn) == 1:
        return f"<section><h2>{part}</h2>{drawn[0][1]}</section>"
    folds = "".join(
        f"<details{' open' if i == len(drawn) - 1 else ''}><summary>{_text(name)}</summary>{text}</details>"
        for i, (name, text) in enumerate(drawn)
    )
    return f"<section><h2>{part}</h2>{folds}</section>"


def choose(rows: Sequence[Prediction], n: int, seed: int = 0) -> list[Prediction]:
    """At most n rows to show: half right and half wrong as far as there are, spread evenly over the emotions."""
    piles: dict[bool, list[Prediction]] = {True: [], False: []}
    for row in rows:
        if row.error is None:
            piles[row.right].append(row)
    right, wrong = (_spread(piles[kind], seed) for kind in (True, False))
    take = min(len(wrong), max(n // 2, n - len(right)))
    chosen = wrong[:take] + right[: n - take]
    return sorted(chosen, key=lambda row: variant(seed, row.id, 2**32))


def _spread(rows: Sequence[Prediction], seed: int) -> list[Prediction]:
    seen: Counter[str | None] = Counter()
    ranked = []
    for row in sorted(rows, key=lambda row: variant(seed, row.id, 2**32)):
        ranked.append((seen[row.gold_emotion], row))
        seen[row.gold_emotion] += 1
    return [row for _, row in sorted(ranked, key=lambda pair: pair[0])]


def _picture(row: Prediction, record: FaceRecord | None, faces: RecordSet | None) -> str:
    if record is None or faces is None:
        return '<div class="picture none">records not found</div>'
    try:
        paths = faces.paths(record)
        shown = show(paths[len(paths) // 2], record)  # of a clip, the frame in the middle
    except ImageError as e:
        return f'<div class="picture none">{_text(e.reason)}</div>'
    alt = f"Face {row.id}"
    size = f'width="{shown.width}" height="{shown.height}"'
    average = '<p class="average">No landmarks: the regions are those of an average face.</p>'
    return (
        f'<div class="picture"><img src="{shown.uri}" alt="{_text(alt)}" {size}>{overlay(shown, marks(row))}'
        f'<p class="hint"></p></div>{"" if record.landmarks else average}'
    )


def _said(row: Prediction) -> str:
    listed = "no readable list" if row.aus is None else ", ".join(f"AU{n}" for n in sorted(row.aus)) or "no AU"
    parts = [row.emotion or "unreadable"] if "answer" in row.parts else []
    return " · ".join([*parts, listed] if "au" in row.parts else parts)


def _chips(row: Prediction) -> str:
    if "au" not in row.parts:
        return ""
    chips = "".join(
        f'<li><button type="button" class="chip {mark}" data-au="{n}" data-name="AU{n} {_text(AUS[n].name)}" '
        f'aria-label="{_text(say(n, mark))}"><span aria-hidden="true">{SIGN[mark]}</span> AU{n}</button></li>'
        for n, mark in marks(row).items()
    )
    empty = "no readable AU list" if row.aus is None else "no AU named, none present"
    chips = chips or f'<li class="note">{empty}</li>'
    return f'<ul class="chips" role="list">{chips}</ul>'


def _face(row: Prediction, others: Sequence[tuple[str, Prediction]], record: FaceRecord | None,
          faces: RecordSet | None) -> str:  # fmt: skip
    kind = "right" if row.right else "wrong"
    truth = row.gold_emotion or "not labelled"
    answer = (row.emotion or "unreadable") if "answer" in row.parts else "not asked"
    pairs = _pairs([("Truth", truth), ("Answer", answer)])
    thought = f'<p class="thought">{_text(row.thinking)}</p>' if row.thinking else ""
    if row.faults:
        fault = f"At fault: {'; '.join(row.faults)}"
        thought += f'<p class="fault">{_text(fault)}</p><pre>{_text(row.text)}</pre>'
    said = _pairs([(name, _said(other)) for name, other in others], "others") if others else ""
    return (
        f'<li class="face" data-kind="{kind}">'
        f'<p class="kind {kind}">{kind.capitalize()} <span>{_text(row.id)}</span></p>'
        f"{_picture(row, record, faces)}{pairs}{_chips(row)}{thought}{said}</li>"
    )


def _gallery(runs: Sequence[Run], faces: RecordSet | None, n: int, seed: int) -> str:
    chosen = choose(runs[-1].rows, n, seed)
    if not chosen:
        return ""
    records = {(r.source, r.id): r for r in faces.records} if faces else {}
    before = [(run.name, {row.key: row for row in run.rows}) for run in runs[:-1]]
    cards = "".join(
        _face(row, [(name, rows[row.key]) for name, rows in before if row.key in rows], records.get(row.key), faces)
        for row in chosen
    )
    counts = Counter("right" if row.right else "wrong" for row in chosen)
    counts["all"] = len(chosen)
    buttons = "".join(
        f'<button type="button" data-show="{kind}" aria-pressed="{str(kind == "all").lower()}">'
        f"{kind.capitalize()} <span>{counts[kind]}</span></button>"
        for kind in ("all", "right", "wrong")
    )
    signs = "".join(f'<li><span class="chip {m}">{SIGN[m]}</span> {_text(text)}</li>' for m, text in MEANING.items())
    of = f" of {_text(runs[-1].name)}" if len(runs) > 1 else ""
    about = "As many right as wrong answers where there are enough: the shares here say nothing about accuracy. "
    about += "A face is right if its emotion is, or its AU list where no emotion was asked. "
    about += "Point at an AU, or tap it, to see where it shows."
    return (
        f'<section><h2>Faces{of}</h2><p class="note">{about}</p><ul class="legend" role="list">{signs}</ul>'
        f'<div class="filter" role="group" aria-label="Which faces to show">{buttons}</div>'
        f'<ul class="faces" role="list">{cards}</ul></section>'
    )


def _provenance(run: Run) -> str:
    shown = ("benchmark", "protocol", "model", "engine", "mode", "reader", "split", "max_pixels", "max_new_tokens",
             "skipped", "seconds", "prompt")  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in run.summary.get("versions", {}).items())
    pairs = [(key.replace("_", " "), run.summary[key]) for key in shown if run.summary.get(key) is not None]
    return _pairs([*pairs, ("versions", versions)], "provenance")


def page(runs: Sequence[Run], faces: RecordSet | None, differences: Sequence[Mapping[str, Any]] = (),
         gallery: int = 24, seed: int = 0) -> str:  # fmt: skip
    """The HTML of the report. `faces` None = the pictures are not at hand; the last run is the one that is shown."""
    here = Path(__file__).parent
    style, script = (here / "report.css").read_text(), (here / "report.js").read_text()
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    title = f"{' → '.join(run.name for run in runs)} on {runs[-1].summary['benchmark']}"
    numbers = _headline_tiles(runs[0]) if len(runs) == 1 else _headline_tables(runs)
    n, subjects = runs[-1].summary["n"], runs[-1].summary["n_subjects"]
    under = f"{n} faces" + (f" of {subjects} subjects" if subjects else "") + f". {runs[-1].summary['doc']} "
    under += f"Intervals are 95 %, resampled by {runs[-1].summary['ci95_by']}." if runs[-1].summary["ci95"] else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{_text(title)}</title><style>{style}</style></head><body><main>"
        f'<header><h1>{_text(title)}</h1><p class="verdict">{_text(verdict(runs, differences))}</p>'
        f'<p class="note">{_text(under)}</p></header>'
        f"<section><h2>Scores</h2>{numbers}{_differences(differences)}{_facts(runs)}</section>"
        f"{_per_run(runs, 'Emotions', _confusion)}{_per_run(runs, 'Action units', _per_au)}"
        f"{_gallery(runs, faces, gallery, seed)}{_per_run(runs, 'How this was obtained', _provenance)}"
        f"</main><script>{script}</script></body></html>\n"
    )


def write_report(path: Path, runs: Sequence[Run], faces: RecordSet | None,
                 differences: Sequence[Mapping[str, Any]] = (), gallery: int = 24, seed: int = 0) -> None:  # fmt: skip
    """Write `page` as one whole file."""
    html = page(runs, faces, differences, gallery, seed)
    with whole_file(path) as draft:
        draft.write_text(html, encoding="utf-8", errors="replace")
