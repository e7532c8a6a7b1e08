"""Pictures for a report page: thumbnails as data URIs, AU regions drawn over them, bars with intervals."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from eval.frame.predictions import Prediction
from facevlm.images import Box, canonical_landmarks, crop, decode, fit, region_boxes, square_origin
from facevlm.record import FaceRecord
from facevlm.vocab import AUS, Region

Mark = Literal["hit", "extra", "missed", "unlabelled"]

MEANING: dict[Mark, str] = {
    "hit": "named, and present",
    "extra": "named, but absent",
    "missed": "present, but not named",
    "unlabelled": "named, but nobody labelled it",
}
SIGN: dict[Mark, str] = {"hit": "✓", "extra": "✗", "missed": "○", "unlabelled": "?"}
"""What tells the marks apart without colour."""


class Shown(NamedTuple):
    """A face as a report shows it: the picture, and where its regions lie in the pixels of that picture."""

    uri: str
    width: int
    height: int
    regions: dict[Region, list[Box]]


def show(path: Path, record: FaceRecord, side: int = 256) -> Shown:
    """The record's face, cropped as the model saw it, at most `side` x `side` pixels in area.

    Landmarks live in the upright whole picture; they follow the face through the crop and the resize. Without any,
    those of an average face in the box stand in.

    Raises:
        facevlm.images.ImageError: the picture cannot be read.
    """
    whole, box = decode(path), record.still_box
    cut = whole if box is None else crop(whole, box)
    origin = (0, 0) if box is None else square_origin(box)
    small = fit(cut, side * side)
    points = canonical_landmarks(box or (0, 0, whole.width, whole.height))
    if record.landmarks is not None:
        points = np.asarray(record.landmarks, dtype=np.float64)
    scale = small.width / cut.width, small.height / cut.height
    file = io.BytesIO()
    small.save(file, "JPEG", quality=82)
    uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return Shown(uri, small.width, small.height, region_boxes((points - origin) * scale))


def marks(row: Prediction) -> dict[int, Mark]:
    """What to say about each AU that an answer names or misses, ascending."""
    named, gold = row.named_aus or frozenset(), set(row.gold_aus)
    found: dict[int, Mark] = {n: "missed" for n in gold - named}
    for n in named:
        found[n] = "hit" if n in gold else "extra" if n in row.labelled_aus else "unlabelled"
    return dict(sorted(found.items()))


def say(au: int, mark: Mark) -> str:
    """ "AU12 lip corner puller: named, and present"."""
    return f"AU{au} {AUS[au].name}: {MEANING[mark]}"


def _inside(box: Box, width: int, height: int, inset: float) -> Box:
    left, top, right, bottom = box
    left, right = np.clip([left + inset, right - inset], 1, width - 1).tolist()
    top, bottom = np.clip([top + inset, bottom - inset], 1, height - 1).tolist()
    return left, top, max(left, right), max(top, bottom)


def _rect(box: Box) -> str:
    left, top, right, bottom = box
    at = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" rx="2"'
    return f'<rect class="halo" {at}/><rect class="line" {at}/>'


def overlay(shown: Shown, found: Mapping[int, Mark]) -> str:
    """The SVG that lies over the picture: the region boxes of each AU, the largest at the back.

    AUs of one region nest inside one another, or the last drawn would hide the rest.
    """
    step = 0.016 * min(shown.width, shown.height)
    depth: dict[Region, int] = {}
    groups: list[tuple[float, str]] = []
    for au, mark in found.items():
        region = AUS[au].region
        inset = step * depth.setdefault(region, 0)
        depth[region] += 1
        boxes = [_inside(box, shown.width, shown.height, inset) for box in shown.regions[region]]
        area = max((b[2] - b[0]) * (b[3] - b[1]) for b in boxes)
        title = f"<title>{escape(say(au, mark))}</title>"
        groups.append((area, f'<g class="{mark}" data-au="{au}">{title}{"".join(map(_rect, boxes))}</g>'))
    inside = "".join(text for _, text in sorted(groups, key=lambda group: -group[0]))
    return f'<svg viewBox="0 0 {shown.width} {shown.height}" aria-hidden="true">{inside}</svg>'


def bar(value: float | None, interval: Sequence[float | None] = (), beside: float | None = None) -> str:
    """A bar from 0 to 1 with a whisker for the interval; only the track where the value is undefined.

    Args:
        beside: a value to hold it against, drawn as a dashed line.
    """
    fill = "" if value is None else f'<rect class="value" width="{100 * value:.2f}" y="3" height="8"/>'
    whisker = ""
    if len(interval) == 2 and interval[0] is not None and interval[1] is not None:
        low, high = 100 * interval[0], 100 * interval[1]
        whisker = f'<path class="whisker" d="M{low:.2f} 7H{high:.2f}M{low:.2f} 3.5V10.5M{high:.2f} 3.5V10.5"/>'
    line = "" if beside is None else f'<path class="beside" d="M{100 * beside:.2f} 0V14"/>'
    return (
        '<svg class="bar" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" y="3" height="8"/>{fill}{whisker}{line}</svg>'
    )


def dots(value: float | None, interval: Sequence[float] | None, middle: float | None, low: float, high: float) -> str:
    """A dot with its interval on a scale from `low` to `high`; the dashed line, `middle`, is to hold it against."""

    def at(x: float) -> str:
        return f"{100 * min(max((x - low) / (high - low), 0), 1):.2f}"

    drawn = '<path class="rail" d="M0 7H100"/>'
    if middle is not None:
        drawn += f'<path class="all" d="M{at(middle)} 0V14"/>'
    if interval is not None:
        a, b = (at(x) for x in interval)
        drawn += f'<path class="whisker" d="M{a} 7H{b}M{a} 3.5V10.5M{b} 3.5V10.5"/>'
    if value is not None:
        # A line of no length with round ends: a circle would be stretched with the drawing.
        drawn += f'<path class="dot" d="M{at(value)} 7h0"/>'
    return f'<svg class="dots" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'
