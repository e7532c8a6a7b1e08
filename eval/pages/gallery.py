"""The faces of a report page: what was said about each, and where the AUs show."""

from collections import Counter
from collections.abc import Sequence

from eval.frame.benchmark import face_of
from eval.frame.predictions import Prediction
from eval.pages.drawing import MEANING, SIGN, marks, overlay, say, show
from eval.pages.figures import Run
from eval.pages.markup import definitions, escaped
from facevlm.answer import Value, write
from facevlm.images import ImageError
from facevlm.prompts import variant
from facevlm.record import FaceRecord, RecordSet
from facevlm.vocab import AUS


def choose(rows: Sequence[Prediction], n: int, seed: int = 0) -> list[Prediction]:
    """At most n rows to show: half right and half wrong as far as there are, spread evenly over the true labels."""
    piles: dict[bool, list[Prediction]] = {True: [], False: []}
    for row in rows:
        if row.error is None:
            piles[row.right].append(row)
    right, wrong = (spread(piles[kind], seed) for kind in (True, False))
    take = min(len(wrong), max(n // 2, n - len(right)))
    chosen = wrong[:take] + right[: n - take]
    return sorted(chosen, key=lambda row: variant(seed, row.id, 2**32))


def spread(rows: Sequence[Prediction], seed: int) -> list[Prediction]:
    """The rows in an order by chance, but the true labels in turns."""
    seen: Counter[str] = Counter()
    ranked = []
    for row in sorted(rows, key=lambda row: variant(seed, row.id, 2**32)):
        gold = _value(row.gold, "")
        ranked.append((seen[gold], row))
        seen[gold] += 1
    return [row for _, row in sorted(ranked, key=lambda pair: pair[0])]


def _picture(row: Prediction, record: FaceRecord | None, faces: RecordSet | None) -> str:
    if record is None or faces is None:
        return '<div class="picture none">records not found</div>'
    try:
        paths = faces.paths(record)
        shown = show(paths[len(paths) // 2], record)  # of a clip, the frame in the middle
    except ImageError as e:
        return f'<div class="picture none">{escaped(e.reason)}</div>'
    alt = f"Face {row.id}"
    size = f'width="{shown.width}" height="{shown.height}"'
    average = '<p class="average">No landmarks: the regions are those of an average face.</p>'
    return (
        f'<div class="picture"><img src="{shown.uri}" alt="{escaped(alt)}" {size}>{overlay(shown, marks(row))}'
        f'<p class="hint"></p></div>{"" if record.landmarks else average}'
    )


def _value(value: Value | None, missing: str) -> str:
    return missing if value is None else write(value)


def _said(row: Prediction) -> str:
    listed = "no readable list" if row.aus is None else ", ".join(f"AU{n}" for n in sorted(row.aus)) or "no AU"
    parts = [_value(row.value, "unreadable")] if "answer" in row.parts else []
    return " · ".join([*parts, listed] if "au" in row.parts else parts)


def _chips(row: Prediction) -> str:
    if "au" not in row.parts:
        return ""
    chips = "".join(
        f'<li><button type="button" class="chip {mark}" data-au="{n}" data-name="AU{n} {escaped(AUS[n].name)}" '
        f'aria-label="{escaped(say(n, mark))}"><span aria-hidden="true">{SIGN[mark]}</span> AU{n}</button></li>'
        for n, mark in marks(row).items()
    )
    empty = "no readable AU list" if row.aus is None else "no AU named, none present"
    chips = chips or f'<li class="note">{empty}</li>'
    return f'<ul class="chips" role="list">{chips}</ul>'


def _face(row: Prediction, others: Sequence[tuple[str, Prediction]], record: FaceRecord | None,
          faces: RecordSet | None, kind: str) -> str:  # fmt: skip
    verdict = "right" if row.right else "wrong"
    answer = _value(row.value, "unreadable") if "answer" in row.parts else "not asked"
    said = (row.probabilities or {}).get(str(row.value))
    answer += f" ({100 * said:.0f} %)" if said is not None else ""
    pairs = definitions([("Truth", _value(row.gold, "not labelled")), ("Answer", answer)])
    thought = f'<p class="thought">{escaped(row.thinking)}</p>' if row.thinking else ""
    if row.faults:
        fault = f"At fault: {'; '.join(row.faults)}"
        thought += f'<p class="fault">{escaped(fault)}</p><pre>{escaped(row.text)}</pre>'
    before = definitions([(name, _said(other)) for name, other in others], "others") if others else ""
    return (
        f'<li class="face" data-kind="{kind}">'
        f'<p class="kind {verdict}">{escaped(kind.capitalize())} <span>{escaped(row.id)}</span></p>'
        f"{_picture(row, record, faces)}{pairs}{_chips(row)}{thought}{before}</li>"
    )


def cards(runs: Sequence[Run], faces: RecordSet | None, chosen: Sequence[tuple[str, Prediction]],
          kinds: Sequence[str]) -> str:  # fmt: skip
    """Faces of the last run with what the runs before said, and buttons to see only those of a kind.

    Args:
        chosen: what is shown, each with its kind.
    """
    records = {(r.source, r.id): r for r in faces.records} if faces else {}
    before = [(run.name, {row.key: row for row in run.rows}) for run in runs[:-1]]
    shown = "".join(
        _face(row, [(name, rows[row.key]) for name, rows in before if row.key in rows],
              records.get(row.key) or records.get((row.source, face_of(row.id))), faces, kind)
        for kind, row in chosen
    )  # fmt: skip
    counts = Counter(kind for kind, _ in chosen)
    counts["all"] = len(chosen)
    buttons = "".join(
        f'<button type="button" data-show="{kind}" aria-pressed="{str(kind == "all").lower()}">'
        f"{kind.capitalize()} <span>{counts[kind]}</span></button>"
        for kind in ("all", *kinds)
    )
    return (f'<div class="filter" role="group" aria-label="Which faces to show">{buttons}</div>'
            f'<ul class="faces" role="list">{shown}</ul>')  # fmt: skip


def gallery_section(runs: Sequence[Run], faces: RecordSet | None, n: int, seed: int) -> str:
    """Some faces of the last run with what the runs before said; nothing where no face can be shown."""
    chosen = choose(runs[-1].rows, n, seed)
    if not chosen:
        return ""
    shown = [("right" if row.right else "wrong", row) for row in chosen]
    signs = "".join(f'<li><span class="chip {mark}">{SIGN[mark]}</span> {escaped(meaning)}</li>'
                    for mark, meaning in MEANING.items())  # fmt: skip
    of = f" of {escaped(runs[-1].name)}" if len(runs) > 1 else ""
    about = "As many right as wrong answers where there are enough: the shares here say nothing about accuracy. "
    about += "A face is right if its answer is, or its AU list where nothing else was asked. "
    about += "Point at an AU, or tap it, to see where it shows."
    return (
        f'<section><h2>Faces{of}</h2><p class="note">{about}</p><ul class="legend" role="list">{signs}</ul>'
        f"{cards(runs, faces, shown, ('right', 'wrong'))}</section>"
    )
