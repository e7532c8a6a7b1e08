"""The picture is one face: for faces cropped before, and for drawn ones."""

from PIL.Image import Image

from facevlm.detect.face import Detector, Face

_MARGIN = 1 / 6
"""Around the face, as a share of the picture: what `facevlm.images.crop` leaves around a box by default."""


def whole() -> Detector:
    """A detector that takes the whole picture for one face, and shows all of it."""
    return _whole


def _whole(picture: Image) -> list[Face]:
    x, y = picture.width * _MARGIN, picture.height * _MARGIN
    return [Face((x, y, picture.width - x, picture.height - y), whole=True)]
