"""Plain tables of labels: one column an answer, no text around it.

`eval.elsewhere.label_table` says how cells are read, `eval.elsewhere.columns` what columns may be called.
"""

from eval.elsewhere.reading import Reader

LABELS = Reader(
    doc="Columns of labels: `emotion` (or `label`, `prediction` …), `aus` (`6 12`, `AU6+AU12`) or one column an AU "
        "(`AU06`, `AU6_c`), `valence` and `arousal`, or the name of the task; `p_<label>` is a probability.",
    source="ours",
    columns=True,
)  # fmt: skip
