"""The shelf of face detectors; docs/detection.md says how well each finds faces and why `hog` is the default.

    find = detector("hog")
    for face in find(decode("group.jpg")):
        picture = load_face("group.jpg", face.box)
"""

import functools
from collections.abc import Mapping
from typing import Any

from PIL.Image import Image

from facevlm.config import ConfigError, plug
from facevlm.detect.face import Detector, Face, Maker
from facevlm.detect.hog import Hog
from facevlm.detect.mediapipe import MediaPipe
from facevlm.detect.whole import whole
from facevlm.detect.yunet import YuNet

__all__ = ["DEFAULT", "DETECTORS", "Detector", "Face", "detector", "shows_face"]

DETECTORS: dict[str, Maker] = {
    "whole": whole,          # the picture is one face: cropped before, or drawn
    "hog": Hog,              # dlib's own: no model file
    "yunet": YuNet,          # this and the next: a model file by path
    "mediapipe": MediaPipe,
}  # fmt: skip
DEFAULT = "hog"


def detector(name: str = DEFAULT, options: Mapping[str, Any] | None = None) -> Detector:
    """The detector that a config names, ready to be called from several threads.

    Args:
        name: an entry of `DETECTORS`, or `package.module:function` of the user's own, which is called with `options`
            and returns a `Detector`.
        options: its arguments, such as `model` (path of the model file).

    Raises:
        ConfigError: no such detector, arguments it does not know, or a library or file that is not there.
    """
    make = plug(DETECTORS, name, "face detector")
    try:
        return make(**(options or {}))
    except TypeError as e:
        raise ConfigError(f"face detector {name!r} cannot be made with {dict(options or {})}: {e}") from e


def shows_face(picture: Image) -> bool:
    """Whether the default detector finds a face: what `faces=hog` of `data_builders.build` asks."""
    return bool(_default()(picture))


@functools.cache
def _default() -> Detector:
    return detector()
