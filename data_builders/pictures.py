"""Every picture of a chunk decoded and hashed, every clip turned into frames; one file of findings per chunk of rows.

The hash is pHash (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions") with 16 x 16 low
frequencies: 256 bits that stay almost the same when a picture is scaled, compressed again or brightened.
"""

import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from data_builders.files import VIDEO_SUFFIXES, system_file
from facevlm.images import SUFFIXES, ImageError, crop, decode
from facevlm.record import whole_file

HASH_BYTES = 32
FINDINGS = pa.schema([("reason", pa.string()), ("detail", pa.string()), ("frames", pa.list_(pa.string())),
                      ("hash", pa.binary(HASH_BYTES))])  # fmt: skip
"""Why a record's pictures cannot be used (null: they can), the frames of a clip, the hash of what is looked at."""

_SIDE, _LOW = 64, 16


@cache
def _cosines() -> NDArray[np.float32]:
    """The first 16 rows of the type-2 discrete cosine transform of 64 values."""
    n, k = np.arange(_SIDE), np.arange(_LOW)[:, None]
    return (2 * np.cos(math.pi * k * (2 * n + 1) / (2 * _SIDE))).astype(np.float32)


def perceptual_hash(picture: Image.Image) -> bytes:
    """32 bytes that near-identical pictures share up to a few bits."""
    # reducing_gap: first smaller by whole factors, which is several times faster than resampling a large picture.
    small = picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.HAMMING, reducing_gap=2.0)
    low = _cosines() @ np.asarray(small, np.float32) @ _cosines().T
    return np.packbits(low > np.partition(low, low.size // 2, axis=None)[low.size // 2 - 1]).tobytes()


def is_clip(media: str) -> bool:
    """Whether a path is a whole video or a folder of frames, rather than a picture; judged by its name."""
    ending = os.path.splitext(media)[1].lower()
    return ending in VIDEO_SUFFIXES or (ending not in SUFFIXES and "#" not in media)


def frames_of(root: Path, media: str, span: Sequence[float] | None, n: int) -> tuple[str, ...]:
    """Up to `n` pictures of a clip, evenly spaced in time: the middles of n equal parts.

    Args:
        media: a video, or a folder of pictures whose names sort in order of time, relative to the root.
        span: start and end in seconds, for a video.

    Raises:
        ImageError: neither is there, the folder holds no picture, or the video cannot be opened.
    """
    path = root / media
    if path.is_dir():
        names = sorted((e.name for e in os.scandir(path) if os.path.splitext(e.name)[1].lower() in SUFFIXES
                        and not system_file(e.name)), key=_natural)  # fmt: skip
        if not names:
            raise ImageError("empty clip", f"folder {path} holds no picture")
        count = min(n, len(names))
        return tuple(f"{media}/{names[int((i + 0.5) * len(names) / count)]}" for i in range(count))
    if not path.is_file():
        raise ImageError("file missing", str(path))
    from facevlm.video import duration, sample_times

    length = duration(path)
    if length is None and span is None:
        raise ImageError("no duration", f"{path} does not say how long it is, and no span is given")
    part = (span[0], span[1]) if span else None
    return tuple(f"{media}#t={t:.3f}" for t in sample_times(length or span[1], n, part))


def _natural(name: str) -> tuple[int, str]:
    """Frames in order of their number, whether or not it is padded with zeros: 9.jpg before 10.jpg."""
    digits = "".join(c for c in os.path.splitext(name)[0] if c.isdigit())
    return (int(digits[-12:]) if digits else 0, name)


def look(root: Path, row: dict[str, Any], n_frames: int, decoding: bool) -> dict[str, Any]:
    """The findings on one record.

    Args:
        row: its media, span, frames, before, box.
        n_frames: pictures to take of a clip.
        decoding: False only turns clips into frames, and trusts the files.
    """
    frames, box = row["frames"] or [], row["box"]
    try:
        if not frames and is_clip(row["media"]):
            frames = list(frames_of(root, row["media"], row["span"], n_frames))
        shown = frames or [row["media"]]
        found = None
        if decoding:
            if row["before"] is not None:
                decode(root / row["before"])
            for i, name in enumerate(shown):
                picture = decode(root / name)
                if i == len(shown) // 2:
                    found = perceptual_hash(crop(picture, (box[0], box[1], box[2], box[3])) if box else picture)
    except ImageError as e:
        return {"reason": e.reason, "detail": str(e), "frames": [], "hash": None}
    return {"reason": None, "detail": None, "frames": frames, "hash": found}


def examine(chunk: Path, findings: Path, root: Path, n_frames: int, decoding: bool) -> None:
    """Look at the pictures of a chunk's records and write what was found, row for row."""
    rows = pq.read_table(chunk, columns=["media", "span", "frames", "before", "box"]).to_pylist()
    found = [look(root, row, n_frames, decoding) for row in rows]
    with whole_file(findings) as draft:
        pq.write_table(pa.Table.from_pylist(found, schema=FINDINGS), draft)
