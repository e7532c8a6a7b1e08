"""The rows of the output: one a face, and one for each picture that shows none or cannot be used."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from facevlm.analyze.settings import Job
from facevlm.answer import parse, render
from facevlm.images import Box
from facevlm.vocab import AUS

ROW = pa.schema(
    [
        ("path", pa.string()), ("video", pa.string()), ("second", pa.float64()), ("face", pa.int32()),
        ("box", pa.list_(pa.float64())), ("score", pa.float64()), ("emotion", pa.string()),
        ("probabilities", pa.list_(pa.struct([("label", pa.string()), ("p", pa.float64())]))),
        ("aus", pa.list_(pa.struct([("au", pa.int16()), ("name", pa.string()), ("region", pa.string()),
                                    ("intensity", pa.int16())]))),
        ("thinking", pa.string()), ("text", pa.string()), ("faults", pa.list_(pa.string())), ("error", pa.string()),
        ("provenance", pa.string()),
    ]
)  # fmt: skip
"""Columns, see docs/analyze.md. `aus` and `emotion` are null where the answer could not be read; `faults`
say why, and `error` says why a picture was not shown to the model at all. `provenance` is JSON."""

Row = dict[str, Any]


def schema(given: Mapping[str, pa.DataType]) -> pa.Schema:
    """`ROW` with the columns carried along, as given_<name>."""
    return pa.schema([*ROW, *((f"given_{name}", kind) for name, kind in given.items())])


def blank(path: str, video: str | None = None, second: float | None = None, given: Mapping[str, Any] | None = None,
          error: str | None = None) -> Row:  # fmt: skip
    """The row of a picture before anything is known of its faces."""
    carried = {f"given_{name}": value for name, value in (given or {}).items()}
    return dict.fromkeys(ROW.names) | {"path": path, "video": video, "second": second, "error": error} | carried


def located(row: Row, face: int, box: Box | None, score: float | None) -> Row:
    """The row of the picture's n-th face; no box where the whole picture is shown."""
    return row | {"face": face, "box": None if box is None else list(map(float, box)), "score": score}


def said(job: Job, text: str) -> Row:
    """What an answer says, as columns."""
    answer = parse(text, job.asked, job.labels)
    aus = None if answer.aus is None else [
        {"au": n, "name": AUS[n].name, "region": AUS[n].region, "intensity": level}
        for n, level in sorted(answer.aus.items())
    ]  # fmt: skip
    return {"text": text, "thinking": answer.thinking, "aus": aus, "emotion": answer.emotion,
            "faults": list(answer.faults)}  # fmt: skip


def chosen(job: Job, probabilities: Mapping[str, float]) -> Row:
    """What the likeliest of some labels says, as columns; of equals, the one offered first."""
    best = max(job.labels, key=lambda label: probabilities[label])
    pairs = [{"label": label, "p": probabilities[label]} for label in job.labels]
    return said(job, render(job.asked, emotion=best)) | {"probabilities": pairs}


def plain(row: Row, names: Sequence[str]) -> Row:
    """The row in the order of the columns."""
    return {name: row.get(name) for name in names}
