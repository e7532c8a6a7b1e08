"""Parts -> the file that was asked for, and the file of tracks beside it."""

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facevlm.analyze.rows import Row
from facevlm.analyze.settings import Config
from facevlm.analyze.store import Store
from facevlm.analyze.tracks import TRACK, tracks
from facevlm.record import whole_file

_ROWS = 4096


def finish(config: Config, store: Store) -> Path | None:
    """Write what follows from all parts; returns the file of tracks, None where there were no videos."""
    beside = _tracks(config, store)
    if config.in_one_file:
        out = Path(config.out)
        if out.suffix == ".parquet":
            _parquet(store.tables(), store.schema, out)
        else:
            _lines(({**row, "provenance": json.loads(row["provenance"])} for row in store.rows()), out)
        store.clear()
    return beside


def _tracks(config: Config, store: Store) -> Path | None:
    rows = tracks(store.rows(), config.smooth, config.overlap)
    first = next(rows, None)
    if first is None:
        return None
    out = Path(config.out)
    kind = out.suffix if config.in_one_file else ".parquet"
    target = out.with_name(f"{out.name.removesuffix(kind)}.tracks{kind}")
    found = itertools.chain((first,), rows)
    if kind == ".parquet":
        _parquet(_tables(found), TRACK, target)
    else:
        _lines(found, target)
    return target


def _tables(rows: Iterator[Row]) -> Iterator[pa.Table]:
    while some := list(itertools.islice(rows, _ROWS)):
        yield pa.Table.from_pylist(some, schema=TRACK)


def _parquet(tables: Iterable[pa.Table], schema: pa.Schema, out: Path) -> None:
    with whole_file(out) as draft, pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def _lines(rows: Iterable[Row], out: Path) -> None:
    with whole_file(out) as draft, draft.open("w", encoding="utf-8") as lines:
        for row in rows:
            # default=str: what a table carries along may be a date.
            lines.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
