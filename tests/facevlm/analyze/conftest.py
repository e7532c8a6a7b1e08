import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from facevlm.analyze import Config, run
from facevlm.generate import Generator

COLOURS = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
GOOD = "<think>Lip corners up.</think><au>AU6, AU12:C</au><answer>happiness</answer>"


def bomb() -> bytes:
    """A PNG of a few bytes that claims 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four readable pictures, one of them transparent, and four files that are none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("red", "green", "blue"):
        Image.new("RGB", (40, 40), COLOURS[name]).save(folder / f"{name}.png")
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(folder / "clear.png")
    (folder / "empty.jpg").touch()
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "words.png").write_text("no picture")
    (folder / "damaged.png").write_bytes((folder / "red.png").read_bytes()[:60])
    return folder


@pytest.fixture
def config(photos: Path, tmp_path: Path) -> Callable[..., Config]:
    """A config over the photos; keys may be overridden."""

    def make(**keys: Any) -> Config:
        return Config(**{"inputs": [str(photos)], "model": "tiny", "out": str(tmp_path / "out.jsonl"), "workers": 2,
                         **keys})  # fmt: skip

    return make


def written(out: Path | str) -> list[dict[str, Any]]:
    """The rows of an output: a file of either kind, or a folder of parts."""
    path = Path(out)
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    files = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


@pytest.fixture
def ask() -> Callable[[Config, Generator | None], list[dict[str, Any]]]:
    """Runs a config and reads what it wrote."""

    def make(config: Config, generator: Generator | None = None) -> list[dict[str, Any]]:
        run(config, generator)
        return written(config.out)

    return make
