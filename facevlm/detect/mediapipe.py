"""Faces by MediaPipe's face detector task (BlazeFace, Bazarevsky et al. 2019).

Its model file (blaze_face_short_range.tflite, Apache 2.0) is on MediaPipe's pages. The package brings an OpenCV of its
own, opencv-contrib-python, which writes over the opencv-python-headless that vLLM brings: give it its own environment.
"""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facevlm.config import ConfigError
from facevlm.detect.face import Face, by_size


class MediaPipe:
    """A `facevlm.detect.Detector` with scores and six landmarks: the eyes, the nose tip, the mouth, the ears."""

    def __init__(self, model: str, score: float = 0.5) -> None:
        """
        Args:
            model: path of the tflite file.
            score: least score of a face, 0-1.

        Raises:
            ConfigError: MediaPipe is not installed, or the file is not there or cannot be used.
        """
        try:
            import mediapipe
        except ImportError as e:
            raise ConfigError("face detector 'mediapipe' needs MediaPipe: pip install mediapipe") from e
        if not Path(model).expanduser().is_file():
            raise ConfigError(f"face detector 'mediapipe': there is no file {model!r}; give the path of a face "
                              "detector's tflite file, such as blaze_face_short_range.tflite")  # fmt: skip
        self._mediapipe: Any = mediapipe
        tasks = mediapipe.tasks
        options = tasks.vision.FaceDetectorOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(Path(model).expanduser())),
            min_detection_confidence=score,
        )
        try:
            self._task = tasks.vision.FaceDetector.create_from_options(options)
        except (ValueError, RuntimeError) as e:
            raise ConfigError(f"face detector 'mediapipe' cannot read {model!r}: {e}") from e
        self._lock = threading.Lock()  # a task is not said to be safe for several threads

    def __call__(self, picture: Image.Image, /) -> list[Face]:
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.array(picture))
        with self._lock:
            found = self._task.detect(image)
        return by_size([_face(detection, picture) for detection in found.detections])


def _face(detection: Any, picture: Image.Image) -> Face:
    box = detection.bounding_box
    points = tuple((p.x * picture.width, p.y * picture.height) for p in detection.keypoints or ())
    return Face((float(box.origin_x), float(box.origin_y), float(box.origin_x + box.width),
                 float(box.origin_y + box.height)), float(detection.categories[0].score), points or None)  # fmt: skip
