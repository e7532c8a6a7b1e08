"""From a picture to the crops that are asked about, and what is refused before; work for a thread."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from facevlm.detect import DEFAULT, Detector, Face, detector
from facevlm.images import Box, ImageError, canonical_landmarks, crop, fit, region_boxes
from facevlm.reading.quality import measure
from facevlm.serve.faces.schema import Why
from facevlm.serve.faces.settings import FaceKeys
from facevlm.serve.pictures import encode
from facevlm.vocab import Region


@dataclass(frozen=True, slots=True)
class Seen:
    """One face, and its crop for the engine or why there is none."""

    face: Face
    size: tuple[int, int]
    """Width and height of the picture."""
    crop: str | None = None
    """Data URL."""
    refused: Why | None = None

    @property
    def measured(self) -> bool:
        """Whether the detector found the 68 landmarks of the face."""
        return self.face.landmarks is not None and len(self.face.landmarks) == 68

    def regions(self) -> dict[Region, list[Box]]:
        """Where each region of the face lies, within the picture; by the landmarks, else those of an average face."""
        points = np.array(self.face.landmarks) if self.measured else canonical_landmarks(self.face.box)
        return {region: [self._inside(box) for box in boxes] for region, boxes in region_boxes(points).items()}

    def _inside(self, box: Box) -> Box:
        width, height = self.size
        left, right = (min(max(x, 0.0), width) for x in box[::2])
        top, bottom = (min(max(y, 0.0), height) for y in box[1::2])
        return left, top, right, bottom


class Looker:
    """Finds, cuts and judges faces by a config; safe for several threads."""

    def __init__(self, keys: FaceKeys, drawn: bool) -> None:
        """
        Args:
            drawn: the model was made for drawn faces alone, which detectors of people do not find.

        Raises:
            ConfigError: there is no such detector.
        """
        self.name = keys.detector or ("whole" if drawn else DEFAULT)
        self._keys, self._find = keys, detector(self.name, keys.detector_options)
        self._whole: Detector = detector("whole")

    def faces(self, picture: Image, boxes: Sequence[Sequence[float]] | None, detect: bool) -> list[Face]:
        """The faces of an upright picture: those given, those found, or the picture as one."""
        if boxes is not None:
            return [Face((box[0], box[1], box[2], box[3])) for box in boxes]
        return (self._find if detect else self._whole)(picture)

    def see(self, picture: Image, face: Face, max_pixels: int) -> Seen:
        """Cut a face as in training (`facevlm.images.load_face`), unless it is unfit."""
        size = picture.size
        if not face.whole and face.side < self._keys.min_face:
            return Seen(face, size, refused=Why(reason="too small", message=f"the face is {max(face.side, 0):.0f} "
                        f"pixels wide or high, {self._keys.min_face:g} is the least"))  # fmt: skip
        try:
            shown = picture if face.cut is None else crop(picture, face.cut)
        except ImageError as e:
            return Seen(face, size, refused=Why(reason=e.reason, message=str(e)))
        if fault := self._keys.thresholds.fault(measure(shown)):
            return Seen(face, size, refused=Why(reason="low quality", message=fault))
        return Seen(face, size, crop=encode(fit(shown, max_pixels)))
