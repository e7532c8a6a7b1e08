"""Records of one folder, or of several laid together: a benchmark that mixes data sets is asked in one run."""

from collections.abc import Sequence
from dataclasses import replace
from os.path import commonpath, relpath
from pathlib import Path

from facevlm.record import FaceRecord, RecordSet, read


def folders(records: str) -> list[Path]:
    """The folders that `records` names: one, or several with commas between."""
    return [Path(records)] if Path(records).is_dir() else [Path(name.strip()) for name in records.split(",")]


def read_together(records: str) -> RecordSet:
    """The records of all folders, in the order given, their pictures' paths from the root that all have in common.

    Raises:
        FileNotFoundError: a folder or its files are not there.
        ValueError: the files hold columns that records do not have, or two folders hold the same record.
    """
    sets = [read(path) for path in folders(records)]
    if len(sets) == 1:
        return sets[0]
    root = commonpath([one.root.resolve() for one in sets])
    found = [_moved(record, relpath(one.root.resolve(), root)) for one in sets for record in one.records]
    if both := _twice(found):
        raise ValueError(f"{records} hold record {both[1]} of {both[0]} twice; name folders of different faces")
    return RecordSet(found, Path(root))


def _moved(record: FaceRecord, place: str) -> FaceRecord:
    """The record with its paths from the common root."""
    if place == ".":
        return record
    before = None if record.before is None else f"{place}/{record.before}"
    return replace(record, media=f"{place}/{record.media}", before=before,
                   frames=tuple(f"{place}/{name}" for name in record.frames))  # fmt: skip


def _twice(records: Sequence[FaceRecord]) -> tuple[str, str] | None:
    seen: set[tuple[str, str]] = set()
    for record in records:
        if (key := (record.source, record.id)) in seen:
            return key
        seen.add(key)
    return None
