"""The pictures of a record set as a model sees them, with the landmarks in the pixels of what is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from facevlm.images import Box, decode, load_face
from facevlm.record import FaceRecord, RecordSet
from facevlm.regions import shown_part

Points = NDArray[np.float64]
"""(68, 2) landmarks, x and y."""


class Placed(NamedTuple):
    """A still face as it is shown."""

    image: Image
    part: Box
    """Left, top, width, height of what is shown, in pixels of the upright whole picture."""

    def place(self, points: Points) -> Points:
        """(n, 2) points of the whole picture, in pixels of what is shown."""
        left, top, width, height = self.part
        return (points - (left, top)) * (self.image.width / width, self.image.height / height)

    def boxes(self, boxes: Sequence[Box]) -> list[tuple[int, int, int, int]]:
        """Boxes of the whole picture in whole pixels of what is shown; right and bottom are one past the last."""
        corners = self.place(np.array(boxes, dtype=np.float64).reshape(-1, 2)).reshape(-1, 4)
        return [(left, top, max(right, left + 1), max(bottom, top + 1))
                for left, top, right, bottom in np.rint(corners).astype(int).tolist()]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Album:
    """Pictures of records, all through the one image path."""

    faces: RecordSet
    max_pixels: int

    def pictures(self, record: FaceRecord) -> tuple[Image, ...]:
        """The pictures to look at.

        Raises:
            facevlm.images.ImageError: one cannot be read.
        """
        return tuple(load_face(path, record.still_box, self.max_pixels) for path in self.faces.paths(record))

    def part(self, record: FaceRecord) -> Box:
        """Left, top, width, height of what is shown of a still, in pixels of the upright whole picture.

        Raises:
            facevlm.images.ImageError: the picture cannot be read, where it must be to know its size.
        """
        return shown_part(record) or (0, 0, *decode(self.faces.path(record)).size)

    def placed(self, record: FaceRecord) -> Placed:
        """A still, and which part of its picture is shown.

        Raises:
            facevlm.images.ImageError: it cannot be read.
        """
        return Placed(self.pictures(record)[0], self.part(record))

    def before(self, record: FaceRecord) -> Image:
        """The picture from before the expression, cut as the record's own.

        Raises:
            facevlm.images.ImageError: it cannot be read.
        """
        first = self.faces.paths(record, before=True)[0]
        return load_face(first, record.still_box, self.max_pixels)
