"""The faces of a set without their labels: ids, people, files and hashes, to hold one set against another."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eval.frame.benchmark import face_of
from eval.frame.folders import folders
from eval.leaks.hashes import HASHES
from eval.leaks.lineage import Stage
from facevlm.config import ConfigError
from facevlm.record import RecordSet


class Faces(NamedTuple):
    """What of records is compared: lists alike."""

    keys: list[tuple[str, str]]
    people: list[tuple[str, str] | None]
    files: list[str]
    where: list[int]
    """Number of the folder that each is of."""
    folders: list[Path]


def faces_of(records: str, split: str | None, limit: int | None = None) -> Faces:
    """The records of some folders without their labels: a few columns, so that a million take seconds.

    Raises:
        ConfigError: a folder holds no records.
    """
    found = Faces([], [], [], [], folders(records))
    for number, path in enumerate(found.folders):
        shards = sorted(path.expanduser().glob("records-*.parquet"))
        if not shards or not (path.expanduser() / "dataset.json").is_file():
            raise ConfigError(f"{path} holds no records (any more)")
        root = path.expanduser() / json.loads((path.expanduser() / "dataset.json").read_text())["root"]
        for shard in shards:
            table = pq.read_table(shard, columns=["id", "source", "subject", "split", "media"]).to_pylist()
            for row in table:
                if split in (None, row["split"]):
                    found.keys.append((row["source"], row["id"]))
                    found.people.append(None if row["subject"] is None else (row["source"], row["subject"]))
                    found.files.append(f"{root.resolve()}/{row['media']}")
                    found.where.append(number)
    return Faces(found.keys[:limit], found.people[:limit], found.files[:limit], found.where[:limit], found.folders)


def faces_in(faces: RecordSet) -> Faces:
    """The faces of records that are read already; several questions about one face are that face."""
    root, some = faces.root.resolve(), faces.records
    return Faces([(r.source, face_of(r.id)) for r in some],
                 [None if r.subject is None else (r.source, r.subject) for r in some],
                 [f"{root}/{r.media}" for r in some], [0] * len(some), [])  # fmt: skip


def learned(stage: Stage) -> Faces:
    """The records that a stage learned from.

    Raises:
        ConfigError: they are no longer there.
    """
    if stage.pairs is None:
        return faces_of(str(stage.records), stage.split, stage.limit)
    whole, taken = faces_of(str(stage.records), stage.split), _paired(stage)
    kept = [i for i, (_, name) in enumerate(whole.keys) if name in taken]
    return Faces([whole.keys[i] for i in kept], [whole.people[i] for i in kept], [whole.files[i] for i in kept],
                 [whole.where[i] for i in kept], whole.folders)  # fmt: skip


def _paired(stage: Stage) -> set[str]:
    """The ids of the records that the pairs are about."""
    file = Path(str(stage.pairs)).expanduser() / "pairs.parquet"
    if not file.is_file():
        raise ConfigError(f"{file} is not there (any more)")
    return set(pq.read_table(file, columns=["record_id"])["record_id"].to_pylist()[: stage.limit])


Codes = tuple[list[str], NDArray[np.uint8]]


def codes(faces: Faces) -> Codes:
    """Ids and hashes of faces.

    Raises:
        ConfigError: a folder has no hashes, or some faces have none.
    """
    names: list[str] = []
    codes: list[bytes] = []
    for number, path in enumerate(faces.folders):
        file = path.expanduser() / HASHES
        if not file.is_file():
            raise ConfigError(f"{path} has no {HASHES}: built with check_images off, or before builds hashed pictures")
        mine = {key[1] for key, where in zip(faces.keys, faces.where, strict=True) if where == number}
        table = pq.read_table(file, columns=["id", "hash"])
        for name, code in zip(table["id"].to_pylist(), table["hash"].to_pylist(), strict=True):
            if name in mine:
                names.append(name)
                codes.append(code)
    return names, np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32)
