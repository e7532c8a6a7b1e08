"""One face through a video: boxes linked over time, and what was seen of it averaged over a window.

Linking is that of the IOU tracker (Bochinski et al. 2017, AVSS): from frame to frame, the pair of boxes that overlap
most go together, down to a least overlap. A track that is not seen for `smooth` seconds ends.

The averages are shares of the frames around, not probabilities that anybody calibrated: an emotion's is the mean of
its probability where the engine gave one, else the share of frames that name it; an AU's is the share of frames that
list it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from facevlm.analyze.rows import Row
from facevlm.images import Box
from facevlm.vocab import AUS

TRACK = pa.schema(
    [
        ("video", pa.string()), ("track", pa.int32()), ("second", pa.float64()), ("path", pa.string()),
        ("face", pa.int32()), ("box", pa.list_(pa.float64())), ("emotion", pa.string()),
        ("emotions", pa.list_(pa.struct([("label", pa.string()), ("share", pa.float64())]))),
        ("aus", pa.list_(pa.struct([("au", pa.int16()), ("name", pa.string()), ("share", pa.float64()),
                                    ("present", pa.bool_())]))),
        ("emotion_frames", pa.int32()), ("au_frames", pa.int32()),
    ]
)  # fmt: skip
"""Columns: `track` numbers the faces of a video from 0 as they appear; `path` and `face` name the row it belongs to.
`emotion_frames` and `au_frames` count the frames averaged: those whose answer could be read."""

PRESENT = 0.5
"""Share of frames from which an AU counts as present."""


def tracks(rows: Iterable[Row], smooth: float, overlap: float) -> Iterator[Row]:
    """The tracked faces of all videos, video after video, track after track, in time.

    Args:
        rows: of the output, in its order; pictures are passed over. One video at a time is held.
        smooth: seconds of the window, half before and half after a frame.
        overlap: least intersection over union, 0-1, of boxes of one face.
    """
    for video, mine in groupby(rows, key=lambda row: row["video"]):
        if video is not None:
            seen = [row for row in mine if row["face"] is not None and row["second"] is not None]
            for number, track in enumerate(_linked(seen, smooth, overlap)):
                yield from (_smoothed(number, row, _around(track, row, smooth)) for row in track)


def _linked(rows: Sequence[Row], patience: float, least: float) -> list[list[Row]]:
    """Rows of the same face, in the order of time."""
    found: list[list[Row]] = []
    for second, frame in groupby(rows, key=lambda row: row["second"]):
        new = list(frame)
        live = [track for track in found if second - track[-1]["second"] <= patience]
        pairs = sorted(((-iou(track[-1]["box"], row["box"]), t, r) for t, track in enumerate(live)
                        for r, row in enumerate(new)), key=lambda pair: pair)  # fmt: skip
        taken: tuple[set[int], set[int]] = set(), set()
        for shared, t, r in pairs:
            if -shared >= least and t not in taken[0] and r not in taken[1]:
                live[t].append(new[r])
                taken[0].add(t)
                taken[1].add(r)
        found += [[row] for r, row in enumerate(new) if r not in taken[1]]
    return found


def iou(one: Box | None, other: Box | None) -> float:
    """Intersection over union, 0-1. Without boxes, both are the whole picture."""
    if one is None or other is None:
        return float(one is other)
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return wide * high / (sum(areas) - wide * high) if sum(areas) > 0 else 0.0


def _around(track: Sequence[Row], row: Row, smooth: float) -> list[Row]:
    return [other for other in track if abs(other["second"] - row["second"]) <= smooth / 2 + 1e-9]


def _smoothed(track: int, row: Row, window: Sequence[Row]) -> Row:
    named = [_chances(other) for other in window if other["emotion"] is not None]
    listed = [{au["au"] for au in other["aus"]} for other in window if other["aus"] is not None]
    emotions = _means(named)
    counted = Counter(au for aus in listed for au in aus)
    best = max(emotions, key=lambda label: emotions[label]) if emotions else None
    return {
        "video": row["video"], "track": track, "second": row["second"], "path": row["path"], "face": row["face"],
        "box": row["box"], "emotion": best,
        "emotions": [{"label": k, "share": v} for k, v in emotions.items()] if named else None,
        "aus": [{"au": n, "name": AUS[n].name, "share": counted[n] / len(listed),
                 "present": counted[n] / len(listed) >= PRESENT} for n in sorted(counted)] if listed else None,
        "emotion_frames": len(named), "au_frames": len(listed),
    }  # fmt: skip


def _chances(row: Row) -> dict[str, float]:
    given: Sequence[Mapping[str, Any]] | None = row["probabilities"]
    return {pair["label"]: pair["p"] for pair in given} if given else {row["emotion"]: 1.0}


def _means(chances: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each label, the largest first; of equals, by the alphabet."""
    labels = {label for each in chances for label in each}
    means = {label: sum(each.get(label, 0.0) for each in chances) / len(chances) for label in labels}
    return dict(sorted(means.items(), key=lambda pair: (-pair[1], pair[0])))
