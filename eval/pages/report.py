"""The report: one self-contained HTML page about one run, or several over the same faces.

No outside resources: style and script stand in the page (`report.css`, `report.js` beside this file), pictures are
data URIs. Model text is untrusted: every value is escaped, and the page's policy runs no script but ours.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.pages.calibration import calibration_section, is_confidence
from eval.pages.figures import Run, verdict
from eval.pages.flips import flipped_section
from eval.pages.gallery import gallery_section
from eval.pages.markup import definitions, escaped
from eval.pages.subgroups import subgroups_section
from eval.pages.tables import (
    au_table,
    caveats,
    confusion_matrix,
    facts,
    other_tables,
    paired_differences,
    score_tables,
    score_tiles,
)
from eval.pages.worth import worth_section
from facevlm.record import RecordSet, whole_file


def _per_run(runs: Sequence[Run], part: str, draw: Any) -> str:
    """A section for a run, or one that opens per run where there are several: the last one is open."""
    drawn = [(run.name, draw(run)) for run in runs]
    if not any(text for _, text in drawn):
        return ""
    if len(drawn) == 1:
        return f"<section><h2>{part}</h2>{drawn[0][1]}</section>"
    folds = "".join(
        f"<details{' open' if i == len(drawn) - 1 else ''}><summary>{escaped(name)}</summary>{text}</details>"
        for i, (name, text) in enumerate(drawn)
    )
    return f"<section><h2>{part}</h2>{folds}</section>"


def _is_score(metric: str) -> bool:
    """Those of confidence stand in a section of their own."""
    return not is_confidence(metric)


def _classes(runs: Sequence[Run]) -> str:
    return "Emotions" if any(run.summary.get("emotion_accuracy") is not None for run in runs) else "Choices"


def _provenance(run: Run) -> str:
    shown = ("benchmark", "protocol", "source", "au_protocol", "task", "model", "engine", "mode", "reader", "split",
             "fold", "max_pixels", "max_new_tokens", "skipped", "seconds", "cost", "prompt")  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in run.summary.get("versions", {}).items())
    pairs = [(key.replace("_", " "), run.summary[key]) for key in shown if run.summary.get(key) is not None]
    return definitions([*pairs, ("versions", versions)], "provenance")


def page(runs: Sequence[Run], faces: RecordSet | None, differences: Sequence[Mapping[str, Any]] = (),
         gallery: int = 24, seed: int = 0) -> str:  # fmt: skip
    """The HTML of the report. `faces` None = the pictures are not at hand; the last run is the one that is shown."""
    here = Path(__file__).parent
    style, script = (here / "report.css").read_text(), (here / "report.js").read_text()
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    title = f"{' → '.join(run.name for run in runs)} on {runs[-1].summary['protocol']}"
    numbers = score_tiles(runs[0], _is_score) if len(runs) == 1 else score_tables(runs, _is_score)
    n, subjects = runs[-1].summary["n"], runs[-1].summary["n_subjects"]
    under = f"{n} faces" + (f" of {subjects} subjects" if subjects else "") + f". {runs[-1].summary['doc']} "
    under += f"Intervals are 95 %, resampled by {runs[-1].summary['ci95_by']}." if runs[-1].summary["ci95"] else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escaped(title)}</title><style>{style}</style></head><body><main>"
        f'<header><h1>{escaped(title)}</h1><p class="verdict">{escaped(verdict(runs, differences))}</p>'
        f'<p class="note">{escaped(under)}</p></header>'
        f"<section><h2>Scores</h2>{numbers}{caveats(runs)}{paired_differences(differences)}{facts(runs)}</section>"
        f"{calibration_section(runs)}{subgroups_section(runs)}{worth_section(runs)}"
        f"{_per_run(runs, _classes(runs), confusion_matrix)}{_per_run(runs, 'Action units', au_table)}"
        f"{_per_run(runs, 'More tables', other_tables)}"
        f"{flipped_section(runs, faces, gallery, seed)}{gallery_section(runs, faces, gallery, seed)}"
        f"{_per_run(runs, 'How this was obtained', _provenance)}"
        f"</main><script>{script}</script></body></html>\n"
    )


def write_report(path: Path, runs: Sequence[Run], faces: RecordSet | None,
                 differences: Sequence[Mapping[str, Any]] = (), gallery: int = 24, seed: int = 0) -> None:  # fmt: skip
    """Write `page` as one whole file."""
    html = page(runs, faces, differences, gallery, seed)
    with whole_file(path) as draft:
        draft.write_text(html, encoding="utf-8", errors="replace")
