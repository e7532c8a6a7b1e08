"""What a detector is: an upright RGB picture in, faces out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL.Image import Image

from facevlm.images import Box


@dataclass(frozen=True, slots=True)
class Face:
    """One face in a picture."""

    box: Box
    """Left, top, right, bottom in pixels of the picture, from the brows to the chin or somewhat wider; may reach over
    the edge. `facevlm.images.crop` widens it the way the builders do."""
    score: float | None = None
    """How sure the detector is, 0-1; None where it does not say."""
    landmarks: tuple[tuple[float, float], ...] | None = None
    """Points in pixels of the picture: 68 in iBUG 300-W order, or fewer of the detector's own (eyes first); None where
    it gives none."""
    whole: bool = False
    """The picture is this face and nothing else: it is to be shown uncut. Its box is only where a face may lie."""

    @property
    def cut(self) -> Box | None:
        """The box to hand to `facevlm.images.load_face`; None = show the whole picture."""
        return None if self.whole else self.box

    @property
    def side(self) -> float:
        """Length of the shorter side of the box in pixels."""
        return min(self.box[2] - self.box[0], self.box[3] - self.box[1])


class Detector(Protocol):
    """Finds faces; may be called from several threads at once."""

    def __call__(self, picture: Image, /) -> list[Face]:
        """The faces of an upright RGB picture (see `facevlm.images.decode`), the largest first; none = empty."""
        ...


Maker = Callable[..., Detector]


def overlap(one: Box, other: Box) -> float:
    """Shared area over the area of the smaller box, 0-1."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return max(0.0, wide) * max(0.0, high) / min(areas) if min(areas) > 0 else 0.0


def by_size(faces: Sequence[Face]) -> list[Face]:
    """The largest first; faces of one size from left to right."""
    return sorted(faces, key=lambda face: (-face.side, face.box))
