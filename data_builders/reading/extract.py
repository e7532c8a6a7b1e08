"""Pictures that lie inside a label file -> files of their own, each whole or absent: a killed build leaves no half."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from data_builders.reading.cells import BadRow
from data_builders.reading.rows import columns, require
from facevlm.record import whole_file

_MAGIC = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp"}


def grey(into: Path, media: str, text: str, side: int) -> None:
    """Write the picture of `side` x `side` grey values 0-255, given as text with blanks between, as PNG; a file that
    is there already stays.

    Raises:
        BadRow: another number of values, or something else than values 0-255.
    """
    try:
        pixels = bytes(map(int, text.split()))
    except ValueError as e:
        raise BadRow("bad pixels", f"not grey values 0-255: {e}") from e
    if len(pixels) != side * side:
        raise BadRow("bad pixels", f"{len(pixels)} values, {side} x {side} are wanted")
    if not (target := into / media).exists():
        with whole_file(target) as draft:
            Image.frombytes("L", (side, side), pixels).save(draft, "PNG")


def encoded(into: Path, name: str, cell: Any) -> str:
    """Write the picture of a Parquet cell {bytes, path} as `name` and the ending of its format, and return that path
    below `into`; a file that is there already stays.

    Raises:
        BadRow: no picture, or in a format that is not known.
    """
    data = cell.get("bytes") if isinstance(cell, dict) else None
    if not isinstance(data, bytes):
        raise BadRow("bad picture", "the row holds no bytes of a picture")
    suffix = next((suffix for magic, suffix in _MAGIC.items() if data.startswith(magic)), None)
    if suffix is None:
        raise BadRow("bad picture", f"{len(data)} bytes that are no PNG, JPEG or WebP file")
    if not (target := into / f"{name}{suffix}").exists():
        with whole_file(target) as draft:
            draft.write_bytes(data)
    return f"{name}{suffix}"


def stem(cell: Any) -> str:
    """The name that a Parquet cell {bytes, path} gives its picture, without folder and ending; "" if none."""
    path = cell.get("path") if isinstance(cell, dict) else None
    return str(path).replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0] if path else ""


def parquet_rows(shards: Iterable[Path], wanted: Sequence[str],
                 optional: Collection[str] = ()) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The rows of Parquet files with pictures inside; a class index is its name, "" where it has none (-1).

    Raises:
        ConfigError: a file cannot be read, or lacks a wanted column.
    """
    for shard in shards:
        found = columns(shard)
        require(shard, wanted, found)
        chosen = [*wanted, *(name for name in optional if name in found)]
        with pq.ParquetFile(shard) as file:
            classes = _classes(file.schema_arrow)
            # Few rows at a time: they hold whole pictures.
            for batch in file.iter_batches(batch_size=64, columns=chosen):
                for row in batch.to_pylist():
                    for name in classes.keys() & row.keys():
                        row[name] = _class(classes[name], row[name])
                    yield row


def _class(names: Sequence[str], value: Any) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    return names[value] if 0 <= value < len(names) else ""


def _classes(schema: pa.Schema) -> dict[str, list[str]]:
    """Column -> the words for its indices, as the datasets library keeps them in a Parquet file."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: kind["names"] for name, kind in features.items() if "names" in kind}
    except (KeyError, TypeError, ValueError):
        return {}
