"""The keys of `python -m facevlm.serve` that are about faces: finding them, refusing some, answering for many."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from facevlm.config import doc
from facevlm.reading.quality import Thresholds


@dataclass(frozen=True)
class FaceKeys:
    """A part of `facevlm.serve.settings.Config`."""

    detector: str | None = doc("who finds faces: whole, hog, yunet, mediapipe or package.module:function; null = "
                               "whole for the embedded model's drawn faces, else hog", default=None)  # fmt: skip
    detector_options: dict[str, Any] = doc("its arguments: {model: models/face_detection_yunet_2023mar.onnx}",
                                           default_factory=dict)  # fmt: skip
    max_faces: int = doc("most faces of one picture that are asked about, the largest first", default=32)
    max_pictures: int = doc("most pictures of one face analysis; more go into a batch", default=64)
    min_face: float = doc("shorter side of a face box in pixels below which nothing is said: too small", default=32.0)
    dark_below: float = doc("mean luminance (0-255) of a face below which nothing is said", default=20.0)
    bright_above: float = doc("mean luminance (0-255) of a face above which nothing is said", default=245.0)
    blurred_below: float = doc("variance of the Laplacian of a face, at 112 pixels, below which nothing is said",
                               default=5.0)  # fmt: skip
    unsure_below: float = doc("probability (0-1) of the likeliest emotion below which none is named", default=0.0)
    hold_to_form: bool = doc("hold answers to the form by a grammar; false leaves the model free, as in evaluation",
                             default=True)  # fmt: skip
    batch_jobs: int = doc("batches of one key that are kept at once, finished ones included", default=8)
    batch_pictures: int = doc("most pictures of one batch", default=10_000)
    batch_mb: float = doc("pictures and results of all batches together, held in memory, MiB", default=512.0)
    batch_seconds: float = doc("how long a batch is kept from its start", default=86_400.0)
    batch_parallel: int = doc("pictures of batches under way at once", default=16)

    def face_faults(self) -> Iterator[str]:
        """What is wrong with these keys, one a line."""
        positive = ("max_faces", "max_pictures", "batch_jobs", "batch_pictures", "batch_mb", "batch_seconds",
                    "batch_parallel")  # fmt: skip
        for name in positive:
            if getattr(self, name) <= 0:
                yield f"{name}: must be above 0, got {getattr(self, name)}"
        for name in ("min_face", "dark_below", "blurred_below"):
            if getattr(self, name) < 0:
                yield f"{name}: must be 0 or more, got {getattr(self, name)}"
        if not 0 <= self.unsure_below <= 1:
            yield f"unsure_below: must be 0 to 1, got {self.unsure_below}"

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds(self.dark_below, self.bright_above, self.blurred_below)
