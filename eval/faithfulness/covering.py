"""Parts of a face covered: where a region lies, where an equal area elsewhere lies, and what is laid over it."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from eval.faithfulness.album import Placed, Points
from facevlm.images import Box, region_boxes
from facevlm.prompts import variant
from facevlm.vocab import Region

_STEPS = 16
"""Places looked at across and down the face."""
_SHAPES = (1.0, 2.0, 0.5, 4.0, 0.25, 8.0)
"""Width over height of a single box, tried in turn where boxes of the region's own shape find no room."""
_FOREHEAD = 0.25
"""Of the height from brows to chin: landmarks end at the brows, the face does not."""
_FIRM = (27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45)
"""Landmarks that no action unit moves much: nose bridge and base, corners of the eyes."""


def covered_region(landmarks: Points, region: Region, part: Box) -> list[Box]:
    """The boxes of a region, in pixels of the whole picture, as far as they lie within the part that is shown."""
    left, top, width, height = part
    found = []
    for x0, y0, x1, y1 in region_boxes(landmarks)[region]:
        box = max(x0, left), max(y0, top), min(x1, left + width), min(y1, top + height)
        if box[0] < box[2] and box[1] < box[3]:
            found.append(box)
    return found


def face_area(landmarks: Points, part: Box) -> Box:
    """The face from forehead to chin, as far as it is shown."""
    (x0, y0), (x1, y1) = landmarks.min(0).tolist(), landmarks.max(0).tolist()
    left, top, width, height = part
    y0 -= _FOREHEAD * (y1 - y0)
    return max(x0, left), max(y0, top), min(x1, left + width), min(y1, top + height)


def _apart(box: Box, others: Sequence[Box]) -> bool:
    return all(box[2] <= o[0] or o[2] <= box[0] or box[3] <= o[1] or o[3] <= box[1] for o in others)


def _off_the_face(box: Box, face: Box) -> int:
    """How many corners lie outside the oval of the face: hair and background are no fair exchange for skin."""
    x, y, a, b = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2, (face[2] - face[0]) / 2, (face[3] - face[1]) / 2
    return sum(((corner - x) / a) ** 2 + ((edge - y) / b) ** 2 > 1 for corner in box[::2] for edge in box[1::2])


def _free(width: float, height: float, face: Box, taken: Sequence[Box], key: str, seed: int) -> list[Box]:
    """Every place on a grid where a box of that size touches nothing taken: those on the face first, then drawn."""
    left, top = face[2] - width, face[3] - height
    if left < face[0] or top < face[1]:
        return []
    spots = [(x, y, x + width, y + height) for x in np.linspace(face[0], left, _STEPS).tolist()
             for y in np.linspace(face[1], top, _STEPS).tolist()]  # fmt: skip
    free = [i for i, spot in enumerate(spots) if _apart(spot, taken)]
    ranked = sorted(free, key=lambda i: (_off_the_face(spots[i], face), variant(seed, f"{key}:{i}", 2**32)))
    return [spots[i] for i in ranked]


def elsewhere(boxes: Sequence[Box], face: Box, key: str, seed: int) -> list[Box] | None:
    """Boxes of the same area that touch none of the given ones; None if there is no room for them within the face.

    They keep the shape of the given ones where they can; else one box of the whole area stands for all.

    Args:
        boxes: the region, at most two boxes.
        face: where to look.
        key: what the place hangs on, beside the seed.
    """
    sizes = [(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes]
    for first in _free(*sizes[0], face, boxes, key, seed)[:_STEPS]:
        if len(sizes) == 1:
            return [first]
        if second := _free(*sizes[1], face, [*boxes, first], f"{key}:2", seed):
            return [first, second[0]]
    area = sum(width * height for width, height in sizes)
    for shape in _SHAPES:
        width = (area * shape) ** 0.5
        if spots := _free(width, area / width, face, boxes, key, seed):
            return [spots[0]]
    return None


def mean_colour(placed: Placed, landmarks: Points) -> tuple[int, int, int]:
    """The mean colour of the face as it is shown."""
    left, top, right, bottom = placed.boxes([face_area(landmarks, placed.part)])[0]
    pixels = np.asarray(placed.image)[max(0, top) : bottom, max(0, left) : right].reshape(-1, 3)
    red, green, blue = np.rint(pixels.mean(0)).astype(int).tolist()
    return red, green, blue


def painted(placed: Placed, boxes: Sequence[Box], colour: tuple[int, int, int]) -> Image.Image:
    """The picture with the boxes filled."""
    image = placed.image.copy()
    for left, top, right, bottom in placed.boxes(boxes):
        ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), fill=colour)
    return image


def pasted(placed: Placed, boxes: Sequence[Box], other: Image.Image) -> Image.Image:
    """The picture with the boxes taken from another of the same size that lies upon it, as far as that one reaches."""
    image = placed.image.copy()
    for left, top, right, bottom in placed.boxes(boxes):
        patch = other.convert("RGBA").crop((left, top, right, bottom))
        image.paste(patch, (left, top), patch)
    return image


def toned(image: Image.Image, its: tuple[int, int, int], wanted: tuple[int, int, int]) -> Image.Image:
    """A picture in another light: each channel scaled so that one colour of it becomes the one wanted."""
    gain = np.array(wanted) / np.maximum(its, 1)
    return Image.fromarray(np.rint(np.asarray(image) * gain).clip(0, 255).astype(np.uint8))


def laid_upon(other: Image.Image, its: Points, size: tuple[int, int], points: Points) -> Image.Image:
    """Another picture moved, turned, scaled and sheared so that its face lies upon this one's; transparent beyond it.

    The affine map is fitted by least squares to landmarks that expressions leave in place.

    Args:
        its: landmarks of the other picture, in its own pixels.
        size: width and height of the result.
        points: landmarks of this picture, in the pixels of the result.
    """
    firm = list(_FIRM)
    here = np.column_stack([points[firm], np.ones(len(firm))])
    across, down = np.linalg.lstsq(here, its[firm], rcond=None)[0].T.tolist()
    return other.convert("RGBA").transform(size, Image.Transform.AFFINE, (*across, *down), Image.Resampling.BICUBIC)
