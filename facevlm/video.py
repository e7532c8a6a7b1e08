"""One frame of a video -> the picture of it, exactly: by its number or by its time.

A video is read once for the times of its frames (nothing is decoded for that); then a frame is decoded from the key
frame before it and known by its time stamp, so that B-frames, long groups and variable rates do not shift it. Files
without usable time stamps (AVI with B-frames) are decoded from the start and counted: exact too, but slow.
"""

import math
import os
import stat
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Self

from PIL import Image

from facevlm.images import ImageError, Limits

FORMATS = "avi,mov,matroska,mpeg,mpegts,mpegvideo,asf,flv"
"""What FFmpeg may open (mov is MP4 too, matroska is WebM too): never playlists, which lead to other files."""


def decode_frame(path: Path | str, second: float | None = None, index: int | None = None,
                 limits: Limits | None = None) -> Image.Image:  # fmt: skip
    """One frame as upright RGB in the pixels that are stored (no correction for pixels that are not square).

    Args:
        second: the frame that is shown at this time; the first frame is shown at 0.
        index: the frame's number in the order of showing, from 0; exactly one of the two is to be given.

    Raises:
        ImageError: missing, empty, damaged, without pictures, shorter than asked, too large or small, or no PyAV.
        ValueError: neither or both of `second` and `index` were given.
    """
    if (second is None) == (index is None):
        raise ValueError("give either second or index")
    limits, table = limits or Limits(), _table_of(path)
    number = index if index is not None else table.at(second or 0.0)
    if number is None or not 0 <= number < len(table.stamps):
        asked = f"frame {index}" if index is not None else f"second {second:g}"
        raise ImageError("no such frame", f"{asked} of {path}, which has {len(table.stamps)} frames "
                         f"({table.seconds or 0:.2f} s)")  # fmt: skip
    frame = None if table.counted else _seek(path, table, number, limits)
    # Some containers cannot be sought by key frames, and a bad index can lead astray: then from the start.
    frame = frame or _scan(path, table, number, limits)
    if frame is None or frame.is_corrupt:
        raise ImageError("damaged video", f"frame {number} of {path} cannot be decoded")
    return _upright(frame)


def _upright(frame: Any) -> Image.Image:
    picture: Image.Image = frame.to_image()
    # The matrix says by how much a player turns the frame anticlockwise, as Pillow counts; phones turn by quarters.
    turned = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    turn = turned.get(round(frame.rotation / 90) * 90 % 360)
    return picture if turn is None else picture.transpose(turn)


class Frames:
    """Frames of one video at times that ascend: what `decode_frame` gives, but nothing is decoded twice.

    Use it as a context, or call `close`.
    """

    def __init__(self, path: Path | str, limits: Limits | None = None) -> None:
        """
        Raises:
            ImageError: as `decode_frame`.
        """
        self.path, self.limits, self._table = path, limits or Limits(), _table_of(path)
        self._opened: _Opened | None = None
        self._errors: tuple[type[Exception], ...] = (ImageError,)
        self._decoded: Iterator[Any] = iter(())
        self._last: Any = None
        self._stamp: int | None = None
        self._count = 0

    @property
    def seconds(self) -> float | None:
        """As `duration`."""
        return self._table.seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.container.close()
            self._opened = None

    def at(self, second: float) -> Image.Image:
        """The frame shown at a time, not before that of the last call; earlier ones are found too, but slowly.

        Raises:
            ImageError: as `decode_frame`.
        """
        number = self._table.at(second)
        if number is not None and (frame := self._forward(self._table.stamps[number])) is not None:
            return _upright(frame)
        return decode_frame(self.path, second, limits=self.limits)

    def _forward(self, wanted: int) -> Any:
        """The frame of a stamp, reading on from where the last one was; None if it does not come."""
        try:
            if self._opened is None:
                self._opened = _Opened(self.path, self.limits)
                self._errors = (ImageError, self._opened.error)
                container, stream = self._opened.__enter__()
                self._decoded = container.decode(stream)
            while self._stamp is None or self._stamp < wanted:
                self._last = next(self._decoded, None)
                if self._last is None:
                    return None
                self._stamp = self._count if self._table.counted else self._last.pts
                self._count += 1
                if self._stamp is None:
                    return None
        except self._errors:
            return None
        return self._last if self._stamp == wanted and not self._last.is_corrupt else None


def frame_count(path: Path | str) -> int:
    """How many frames a video holds.

    Raises:
        ImageError: as `decode_frame`.
    """
    return len(_table_of(path).stamps)


def duration(path: Path | str) -> float | None:
    """Seconds from the first frame to the end of the last one; None if the video says nothing of times.

    What is there counts, not what the header claims: a file cut short is as long as its frames.

    Raises:
        ImageError: as `decode_frame`.
    """
    return _table_of(path).seconds


def sample_times(duration: float, n: int, span: tuple[float, float] | None = None) -> tuple[float, ...]:
    """The middles of `n` equal parts of a video, or of a span of it, in seconds.

    Raises:
        ValueError: n below 1, or nothing of the span lies within the video.
    """
    start, end = (0.0, duration) if span is None else (max(span[0], 0.0), min(span[1], duration))
    if n < 1 or not start < end:
        raise ValueError(f"cannot take {n} frames of seconds {start:g} to {end:g}")
    return tuple(start + (i + 0.5) * (end - start) / n for i in range(n))


@dataclass(frozen=True, slots=True)
class _Table:
    """When each frame is shown."""

    stamps: Sequence[int]
    """In ticks, in the order of showing."""
    keys: Sequence[int]
    """Stamps of the frames that decoding can start from."""
    counted: bool
    """Whether the stamps are only the frames' numbers, so that frames must be counted from the start."""
    tick: float | None
    """Seconds in a tick; None = unknown."""
    gap: float
    """Mean ticks between frames."""

    @property
    def seconds(self) -> float | None:
        return None if self.tick is None else (self.stamps[-1] - self.stamps[0] + self.gap) * self.tick

    def at(self, second: float) -> int | None:
        """The frame shown at a time; None = before the first, after the last, or nothing is known of times."""
        if self.tick is None or self.seconds is None:
            return None
        # 0.04 as text, 1/25 as a fraction and a container that counts milliseconds must name the same frame.
        slack = min(self.tick / 2, 1e-3)
        if not (math.isfinite(second) and -slack <= second < self.seconds + slack):
            return None
        return max(0, bisect_right(self.stamps, self.stamps[0] + (second + slack) / self.tick) - 1)


def _table_of(path: Path | str) -> _Table:
    try:
        facts = os.stat(path)
    except OSError as e:
        raise ImageError("file missing", str(path)) from e
    if not stat.S_ISREG(facts.st_mode):
        raise ImageError("file missing", f"{path} is no file")
    if facts.st_size == 0:
        raise ImageError("empty file", str(path))
    return _table(os.fspath(path), facts.st_mtime_ns, facts.st_size)


# A set asks for many frames of one video; the time and size in the key notice a file that was replaced.
@lru_cache(maxsize=32)
def _table(path: str, _mtime: int, _size: int) -> _Table:
    with _Opened(path) as (container, stream):
        packets = [(p.pts, p.is_keyframe) for p in container.demux(stream)
                   if p.size and not p.is_corrupt and not p.is_discard]  # fmt: skip
        if not packets:
            raise ImageError("damaged video", f"{path} holds no frames")
        # AVI stores no time of showing; where the order of decoding is another, what FFmpeg makes up is wrong.
        reordered_avi = container.format.name == "avi" and stream.codec_context.has_b_frames
        known = {pts for pts, _ in packets if pts is not None}
        if reordered_avi or len(known) < len(packets):
            rate = stream.average_rate or stream.guessed_rate
            return _Table(range(len(packets)), (), True, float(1 / rate) if rate else None, 1.0)
        stamps = array("q", sorted(known))
        tick = float(stream.time_base)
        rate = stream.average_rate
        alone = float(1 / rate) / tick if rate else 0.0
        gap = (stamps[-1] - stamps[0]) / (len(stamps) - 1) if len(stamps) > 1 else alone
        return _Table(stamps, array("q", sorted(pts for pts, key in packets if key)), False, tick, gap)


class _Opened:
    """A video's container and its pictures' stream; FFmpeg's errors leave as ImageError."""

    def __init__(self, path: Path | str, limits: Limits | None = None) -> None:
        try:
            import av
        except ImportError as e:
            raise ImageError("no video reader", f"{path} is a video; reading it needs PyAV: "
                             "pip install facevlm[data]") from e  # fmt: skip
        self.path, self.limits, self.error = path, limits, av.error.FFmpegError
        try:
            # "file:" so that no name can be taken for another protocol.
            only = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
            self.container: Any = av.open(f"file:{path}", options=only, metadata_errors="ignore")
        except self.error as e:
            raise ImageError("damaged video", f"{path} cannot be opened: damaged, cut short, or no video ({e})") from e

    def __enter__(self) -> tuple[Any, Any]:
        if not self.container.streams.video:
            self.container.close()
            raise ImageError("not a video", f"{self.path} holds no pictures")
        stream = self.container.streams.video[0]
        width, height = stream.codec_context.width, stream.codec_context.height
        fault = None
        if self.limits and width * height > self.limits.max_pixels:
            fault = "too many pixels", f"limit {self.limits.max_pixels} pixels"
        elif self.limits and min(width, height) < self.limits.min_side:
            fault = "too small", f"limit {self.limits.min_side} a side"
        if fault:
            self.container.close()
            raise ImageError(fault[0], f"{self.path} is {width} x {height}, {fault[1]}")
        return self.container, stream

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.container.close()
        if isinstance(error, self.error):
            raise ImageError("damaged video", f"{self.path}: {error}") from error


def _seek(path: Path | str, table: _Table, number: int, limits: Limits) -> Any:
    """The frame, decoded from the key frame before it; None if that does not lead to it."""
    wanted = table.stamps[number]
    start = bisect_right(table.keys, wanted) - 1
    if start < 0:
        return None
    try:
        with _Opened(path, limits) as (container, stream):
            container.seek(table.keys[start], stream=stream)
            packets = container.demux(stream)
            first = next(packets, None)
            if first is None or not first.is_keyframe or first.pts is None or first.pts > wanted:
                return None
            for frame in (frame for packet in chain((first,), packets) for frame in packet.decode()):
                if frame.pts == wanted:
                    return None if frame.is_corrupt else frame
                if frame.pts is None or frame.pts > wanted:
                    return None
    except ImageError as e:
        if e.reason != "damaged video":
            raise
    return None


def _scan(path: Path | str, table: _Table, number: int, limits: Limits) -> Any:
    """The frame, decoded from the start; None if the video ends before."""
    with _Opened(path, limits) as (container, stream):
        for count, frame in enumerate(container.decode(stream)):
            if (count if table.counted else frame.pts) == table.stamps[number]:
                return frame
    return None
