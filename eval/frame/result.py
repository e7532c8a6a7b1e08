"""The files of a scored run, alike for models that were asked here and for predictions from elsewhere."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.frame.predictions import Prediction, write_predictions
from eval.frame.samples import write_samples
from eval.pages.figures import Run
from eval.pages.report import write_report
from facevlm.record import RecordSet, whole_file


def write_result(out: Path, summary: Mapping[str, Any], rows: Sequence[Prediction], faces: RecordSet | None,
                 gallery: int, seed: int) -> None:  # fmt: skip
    """Write predictions.jsonl, predictions.parquet, summary.json and report.html, each whole or not at all.

    Args:
        faces: for the pictures of the report; None = it has none.
        gallery: how many faces the report shows.
    """
    write_predictions(out / "predictions.jsonl", rows)
    write_samples(out / "predictions.parquet", rows)
    with whole_file(out / "summary.json") as draft:
        draft.write_text(json.dumps(summary, indent=2) + "\n")
    write_report(out / "report.html", [Run(out.name, summary, rows)], faces, gallery=gallery, seed=seed)
