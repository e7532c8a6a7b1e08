"""Is a face crop fit to be read? Two simple measures, for refusing what no model should be asked about."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

_SIDE = 112
"""Longer side in pixels of the copy that is measured, so that thresholds do not hang on the size of a picture."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured of a face crop."""

    brightness: float
    """Mean luminance, 0 (black) to 255 (white)."""
    sharpness: float
    """Variance of the Laplacian of the luminance (Pech-Pacheco et al. 2000, ICPR 3:314): near 0 in a blur."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is refused; docs/detection.md says what they were set by. 0, 255 and 0 refuse nothing."""

    dark_below: float = 20.0
    bright_above: float = 245.0
    blurred_below: float = 5.0

    def fault(self, quality: Quality) -> str | None:
        """Why a crop is not fit, in words; None if it is."""
        if quality.brightness < self.dark_below:
            return f"too dark: mean luminance {quality.brightness:.0f} of 255, {self.dark_below:g} is the least"
        if quality.brightness > self.bright_above:
            return f"too bright: mean luminance {quality.brightness:.0f} of 255, {self.bright_above:g} is the most"
        if quality.sharpness < self.blurred_below:
            return f"too blurred: sharpness {quality.sharpness:.1f}, {self.blurred_below:g} is the least"
        return None


def measure(picture: Image.Image) -> Quality:
    """Measure an RGB or grey crop of any size; a larger one is shrunk to a longer side of 112 pixels first."""
    grey = picture.convert("L")
    grey.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    x = np.asarray(grey, dtype=np.float64)
    if min(x.shape) < 3:
        return Quality(float(x.mean()), 0.0)
    laplacian = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:] - 4 * x[1:-1, 1:-1]
    return Quality(float(x.mean()), float(laplacian.var()))
