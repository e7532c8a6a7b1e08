"""`predictions.parquet`: the answers of a finished run, one row a face, for pandas, DuckDB and the like.

Values are written as <answer> holds them ("31", "valence 0.35, arousal -0.20"), so that one column takes every task.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eval.frame.predictions import Prediction
from facevlm.answer import Value, write
from facevlm.record import whole_file

_AUS = pa.list_(pa.struct([("au", pa.int16()), ("intensity", pa.float64())]))
SCHEMA = pa.schema(
    [
        ("id", pa.string()), ("source", pa.string()), ("subject", pa.string()), ("task", pa.string()),
        ("parts", pa.list_(pa.string())), ("offered", pa.list_(pa.string())), ("text", pa.string()),
        ("thinking", pa.string()), ("value", pa.string()), ("gold", pa.string()), ("right", pa.bool_()),
        ("aus", _AUS), ("gold_aus", pa.list_(pa.int16())), ("labelled_aus", pa.list_(pa.int16())),
        ("gold_levels", _AUS), ("au_threshold", pa.float64()),
        ("probabilities", pa.list_(pa.struct([("label", pa.string()), ("p", pa.float64())]))),
        ("faults", pa.list_(pa.string())), ("prompt_tokens", pa.int32()), ("completion_tokens", pa.int32()),
        ("seconds", pa.float64()), ("error", pa.string()),
    ]
)  # fmt: skip
"""The columns. `right` is null where there is no answer to judge; an intensity is null where none was told."""
_SAME = ("subject", "task", "au_threshold", "prompt_tokens", "completion_tokens", "seconds")
_LISTS = ("parts", "gold_aus", "labelled_aus")


def _text(text: str | None) -> str | None:
    # A model may write half a surrogate pair, which JSON can hold and UTF-8 cannot.
    return None if text is None else text.encode("utf-8", "replace").decode()


def _value(value: Value | None) -> str | None:
    return None if value is None else _text(write(value))


def _aus(aus: Mapping[int, Any] | None) -> list[dict[str, Any]] | None:
    return None if aus is None else [{"au": n, "intensity": level} for n, level in sorted(aus.items())]


def to_row(row: Prediction) -> dict[str, Any]:
    """The row in the columns of `SCHEMA`."""
    shares = row.probabilities
    return {
        **{name: getattr(row, name) for name in _SAME},
        **{name: list(getattr(row, name)) for name in _LISTS},
        **{name: _text(getattr(row, name)) for name in ("id", "source", "text", "thinking", "error")},
        **{name: [_text(item) for item in getattr(row, name)] for name in ("offered", "faults")},
        "value": _value(row.value), "gold": _value(row.gold), "right": None if row.error else row.right,
        "aus": _aus(row.aus), "gold_levels": _aus(row.gold_levels),
        "probabilities": None if shares is None else [{"label": k, "p": p} for k, p in shares.items()],
    }  # fmt: skip


def write_samples(path: Path, rows: Sequence[Prediction]) -> None:
    """Write all rows as one whole Parquet file."""
    table = pa.Table.from_pylist([to_row(row) for row in rows], schema=SCHEMA)
    with whole_file(path) as draft:
        pq.write_table(table, draft, compression="zstd")
