"""Samples that lmms-eval logs (`--log_samples`): JSON lines with the number of the row and the model's replies.

    {"doc_id": 0, "target": "…", "resps": [["<think>…</think>…"]], "filtered_resps": ["…"], "doc_hash": "…"}

`resps` is what the model wrote. It is left out of the file where filters changed nothing; `filtered_resps` has lost
the thinking by default. `doc_id` counts the rows of the task's data file from 0: use match=row.
"""

from typing import Any

from eval.elsewhere.reading import Reader, Row
from facevlm.config import ConfigError


def _only(value: Any) -> str | None:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else None


def _cell(row: Row, column: str) -> str | None:
    value = row["resps"] if "resps" in row else row.get("filtered_resps")
    if (text := _only(value)) is None:
        raise ConfigError(f"doc_id {row.get('doc_id')} holds {str(value)[:60]!r}: one reply a row is wanted, of "
                          "output_type generate_until and without repeats")  # fmt: skip
    return text


LMMS_EVAL = Reader(
    doc="Samples of `lmms-eval --log_samples`: `resps`, or `filtered_resps` where that is all there is.",
    source="EvolvingLMMs-Lab/lmms-eval, `lmms_eval/loggers/evaluation_tracker.py`; says where texts stand, not how to "
           "read them",
    layout=True, ids=("doc_id",), texts=("resps", "filtered_resps"), cell=_cell,
)  # fmt: skip
