"""The truth from columns of the predictions' own file, for a quick look where no records are at hand.

    id;label;gold              id,text,gt_labels,gt_aus              id,AU6,AU12,gold_AU6,gold_AU12
    0001;happy;sad             0001,"…",anger,"AU4, AU7"             0001,1,1,0,1

Nothing checks then which faces belong to a protocol, whose they are beyond a column `subject`, or that the labels are
the owner's: the number says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eval.elsewhere.columns import ROLES, au_columns
from eval.elsewhere.label_table import read_list, read_number
from eval.elsewhere.reading import Row, text_of
from eval.frame.benchmark import Benchmark, Protocol, find_aus
from facevlm.config import ConfigError
from facevlm.record import FaceRecord
from facevlm.tasks import TASKS
from facevlm.vocab import LABEL_SETS

CAVEAT = "the truth is that of the predictions' own file, not of records: nothing checks which faces these are"
_ATTRIBUTES = {"age": "age", "gender": "gender", "pain": "pain", "real_fake": "authenticity"}
"""The tasks whose truth is one attribute, and which."""


def records(rows: Sequence[Row], names: Sequence[str], columns: Mapping[str, str], benchmark: Benchmark,
            protocol: Protocol, label_set: str | None) -> list[FaceRecord]:  # fmt: skip
    """A record for each row that has a truth; rows of one face must tell the same.

    Raises:
        ConfigError: no column of truth, a label that is not of the set, or two truths of one face.
    """
    if not {"gold", "gold_aus", "gold_valence"} & columns.keys() and not au_columns(rows[0], True):
        known = ", ".join(dict.fromkeys((*ROLES["gold"], *ROLES["gold_aus"])))
        raise ConfigError("no records are given, and the file has no column of truth: set records to the folder that "
                          f"data_builders.build made, or name columns of the file ({known}, gold_AU6 …)")  # fmt: skip
    found: dict[str, FaceRecord] = {}
    for number, (row, name) in enumerate(zip(rows, names, strict=True), 1):
        try:
            labels = _labels(row, columns, protocol, label_set or protocol.label_set)
        except ValueError as e:
            raise e if isinstance(e, ConfigError) else ConfigError(f"row {number} ({name}): {e}") from e
        source = benchmark.sources[0] if benchmark.sources else "file"
        subject = text_of(row.get(columns["subject"])) or None if "subject" in columns else None
        record = FaceRecord(id=name, source=source, media=name, split=_split(protocol), subject=subject, **labels)
        if found.setdefault(name, record) != record:
            raise ConfigError(f"{name} stands in the file with two truths; which one is right?")
    return list(found.values())


def _split(protocol: Protocol) -> Any:
    return protocol.split or ""


def unchecked(protocol: Protocol) -> Protocol:
    """The protocol without its question which records belong to it, which a file cannot answer."""
    return replace(protocol, keep=lambda record: True, faces=None)


def _labels(row: Row, columns: Mapping[str, str], protocol: Protocol, label_set: str | None) -> dict[str, Any]:
    made: dict[str, Any] = _present(row, columns, protocol)
    if "gold" in columns and (cell := text_of(row.get(columns["gold"]))):
        made |= _answer(cell, protocol, label_set)
    if {"gold_valence", "gold_arousal"} <= columns.keys():
        made |= {axis: read_number(text_of(row.get(columns[f"gold_{axis}"]))) for axis in ("valence", "arousal")}
    return made


def _answer(cell: str, protocol: Protocol, label_set: str | None) -> dict[str, Any]:
    kind = TASKS[protocol.task].form.kind if protocol.task else "label"
    if kind == "label":
        if label_set not in LABEL_SETS:
            raise ConfigError(f"label_set={label_set}: say of which set the labels are: {', '.join(LABEL_SETS)}")
        return {"emotion": LABEL_SETS[label_set].label(cell), "label_set": label_set}
    if kind == "words":
        return {"emotion_words": tuple(word.strip("[]'\" ") for word in cell.split(",") if word.strip("[]'\" "))}
    if kind == "text":
        return {"caption": cell}
    if protocol.task in _ATTRIBUTES:
        return {"attributes": {_ATTRIBUTES[protocol.task]: cell.lower()}}
    raise ConfigError(f"the truth of {TASKS[str(protocol.task)].asks} cannot be told by a column; set records")


def _present(row: Row, columns: Mapping[str, str], protocol: Protocol) -> dict[str, Any]:
    """The AUs of a row; present and absent as the protocol counts them, since a file may tell no intensity."""
    aus = find_aus(protocol.aus)
    threshold = float(aus.threshold) if aus else 1.0
    if own := au_columns(row, gold=True):
        levels = {au: read_number(text_of(row.get(name))) for au, name in own.items()}
        present = {au: level >= 1 for au, level in levels.items() if level is not None}
    elif "gold_aus" in columns and (cell := text_of(row.get(columns["gold_aus"]))):
        listed = read_list(cell)
        if listed is None:
            raise ValueError(f"{cell[:40]!r} is no list of AUs")
        if aus is None:
            raise ConfigError("a list of AUs does not say which others were looked for: set au_protocol")
        present = {au: au in listed for au in aus.aus}
    else:
        return {}
    return {"aus": {au: threshold if shown else 0.0 for au, shown in present.items()}, "au_threshold": threshold}
