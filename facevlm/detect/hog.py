"""Faces by dlib's frontal face detector, which comes inside the library: no model file, nothing to download.

Five linear classifiers (frontal, half profile left and right, tilted left and right) slide a window over histograms of
oriented gradients (Felzenszwalb et al. 2010, PAMI 32:1627), trained by max-margin object detection (King 2015,
arXiv:1502.00046).
"""

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facevlm.config import ConfigError
from facevlm.detect.face import Face, by_size

_WINDOW = 80
"""Side of dlib's window in pixels: no smaller face can be found in what is searched."""
_ENLARGED = 2.0
"""Beyond this, enlarging shows nothing new."""
_WIDER, _HIGHER = 1.14, 0.083
"""Width of our box in widths of dlib's, and how far up its centre moves, in the same. dlib's box goes from the brows
to the chin; so moved, an average face (`facevlm.images.canonical_landmarks`) lies on the mean of 40 portraits
(docs/detection.md)."""
_POINTS = 68


class Hog:
    """A `facevlm.detect.Detector` with scores, and with 68 landmarks where a shape predictor is given.

    A score is the logistic function of dlib's margin: 0.5 where dlib draws the line, higher further from it. It orders
    faces; it is no measured probability.
    """

    def __init__(self, side: int = 1200, threshold: float = 0.0, landmarks: str | None = None) -> None:
        """
        Args:
            side: longer side in pixels of the copy that is searched: faces from 80 / `side` of the picture's longer
                side are found. A small picture is enlarged to it, at most twice. Time grows with its square.
            threshold: least margin of a face; above 0 finds fewer, below 0 more, and more that is none.
            landmarks: path of a dlib shape predictor of the 68 points of iBUG 300-W, trained on dlib's own boxes.

        Raises:
            ConfigError: dlib is not installed, a number that cannot work, or no such predictor.
        """
        try:
            import dlib
        except ImportError as e:
            raise ConfigError("face detector 'hog' needs dlib: pip install facevlm[serve]") from e
        if side < _WINDOW or not math.isfinite(threshold):
            raise ConfigError(f"side={side}, threshold={threshold} given; side is at least {_WINDOW} pixels, "
                              "threshold a number, 0 being dlib's own")  # fmt: skip
        self.side, self.threshold, self._dlib = side, threshold, dlib
        self._predict = None if landmarks is None else _predictor(dlib, landmarks)
        # A search changes the detector and lets other threads run meanwhile.
        self._own = threading.local()

    def __call__(self, picture: Image.Image, /) -> list[Face]:
        grey = picture.convert("L")
        copy, scale = _sized(grey, self.side)
        found = zip(*self._detector().run(np.asarray(copy), 0, self.threshold)[:2], strict=True)
        pixels = None if self._predict is None else np.asarray(grey)
        return by_size([self._face(window, margin, scale, pixels) for window, margin in found])

    def _face(self, window: Any, margin: float, scale: float, pixels: Any) -> Face:
        """A window of the copy, which is `scale` times the picture, as a face of the picture."""
        # dlib's right and bottom are the last pixels within.
        left, top, right, bottom = (v / scale for v in (window.left(), window.top(), window.right() + 1,
                                                        window.bottom() + 1))  # fmt: skip
        x, y = (left + right) / 2, (top + bottom) / 2 - _HIGHER * (right - left)
        half = _WIDER * (right - left) / 2
        points = None
        if self._predict is not None:
            box = self._dlib.rectangle(round(left), round(top), round(right) - 1, round(bottom) - 1)
            points = tuple((float(p.x), float(p.y)) for p in self._predict(pixels, box).parts())
        return Face((x - half, y - half, x + half, y + half), 1 / (1 + math.exp(-margin)), points)

    def _detector(self) -> Any:
        if not hasattr(self._own, "detector"):
            self._own.detector = self._dlib.get_frontal_face_detector()
        return self._own.detector


def _sized(grey: Image.Image, side: int) -> tuple[Image.Image, float]:
    """A copy of a given longer side, enlarged at most `_ENLARGED` times, and how many times larger it is."""
    scale = min(_ENLARGED, side / max(grey.size))
    size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
    if size == grey.size:
        return grey, 1.0
    return grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0), scale


def _predictor(dlib: Any, path: str) -> Any:
    """The shape predictor in a file; safe for several threads."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError(f"face detector 'hog': there is no file {path!r}; landmarks is the path of a dlib shape "
                          "predictor of 68 points, or left out")  # fmt: skip
    try:
        predict = dlib.shape_predictor(str(file))
    except RuntimeError as e:
        raise ConfigError(f"face detector 'hog' cannot read {path!r}: {e}") from e
    blank = np.zeros((_WINDOW, _WINDOW), np.uint8)
    given = predict(blank, dlib.rectangle(0, 0, _WINDOW - 1, _WINDOW - 1)).num_parts
    if given != _POINTS:
        raise ConfigError(f"face detector 'hog': {path!r} gives {given} landmarks; AU regions need the {_POINTS} of "
                          "iBUG 300-W")  # fmt: skip
    return predict
