"""Faces by YuNet (Wu et al. 2023, Machine Intelligence Research 20:656), through OpenCV's FaceDetectorYN.

Its model file (face_detection_yunet_2023mar.onnx, MIT licence) is in the OpenCV Zoo.
"""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facevlm.config import ConfigError
from facevlm.detect.face import Face, by_size

_LARGEST = 1280
"""Longer side in pixels of what is searched: YuNet finds faces of 10 to 300 pixels (its authors' range)."""


class YuNet:
    """A `facevlm.detect.Detector` with scores and five landmarks: the eyes, the nose tip, the corners of the mouth."""

    def __init__(self, model: str, score: float = 0.7, side: int = 640) -> None:
        """
        Args:
            model: path of the ONNX file.
            score: least score of a face, 0-1.
            side: longer side in pixels to which larger pictures are shrunk before they are searched.

        Raises:
            ConfigError: OpenCV is not installed, the file is not there or cannot be used, or a number cannot work.
        """
        try:
            import cv2
        except ImportError as e:
            raise ConfigError("face detector 'yunet' needs OpenCV: pip install opencv-python-headless") from e
        if not Path(model).expanduser().is_file():
            raise ConfigError(f"face detector 'yunet': there is no file {model!r}; give the path of "
                              "face_detection_yunet_2023mar.onnx of the OpenCV Zoo")  # fmt: skip
        if not (0 < score < 1 and 32 <= side <= _LARGEST):
            raise ConfigError(f"score={score}, side={side} given; score lies within 0-1, side within 32-{_LARGEST}")
        try:
            self._net: Any = cv2.FaceDetectorYN.create(str(Path(model).expanduser()), "", (side, side), score)
        except cv2.error as e:
            raise ConfigError(f"face detector 'yunet' cannot read {model!r}: {e}") from e
        self.side, self._lock = side, threading.Lock()

    def __call__(self, picture: Image.Image, /) -> list[Face]:
        scale = min(1.0, self.side / max(picture.size))
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        rgb = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
        bgr = np.ascontiguousarray(rgb[..., ::-1])
        with self._lock:  # the size is a state of the net
            self._net.setInputSize(size)
            _, rows = self._net.detect(bgr)
        return by_size([_face(row / scale, float(row[14])) for row in (() if rows is None else rows)])


def _face(row: Any, score: float) -> Face:
    """A face of left, top, width, height and five points."""
    left, top, width, height, *points = (float(v) for v in row[:14])
    # The first eye is the person's right one, which is the left one in the picture: the order of iBUG.
    return Face((left, top, left + width, top + height), min(1.0, score),
                tuple(zip(points[::2], points[1::2], strict=True)))  # fmt: skip
