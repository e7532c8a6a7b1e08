import numpy as np
import pytest
from PIL import Image, ImageFilter

from facevlm.reading.quality import Thresholds, measure
from facevlm.tiny.population import draw, emotional_aus


@pytest.fixture(scope="module")
def face():
    rng = np.random.default_rng(0)
    return draw(1, emotional_aus("fear", rng), rng, 224, occluded=0.0).face.image


def test_a_face_passes(face):
    assert Thresholds().fault(measure(face)) is None


@pytest.mark.parametrize(("spoil", "word"), [
    (lambda face: face.filter(ImageFilter.GaussianBlur(15)), "blurred"),
    (lambda face: face.point(lambda v: v * 0.08), "dark"),
    (lambda face: face.point(lambda v: 250 + v * 0.02), "bright"),
])  # fmt: skip
def test_a_spoilt_face_does_not(face, spoil, word):
    assert word in Thresholds().fault(measure(spoil(face)))


def test_size_does_not_matter_much(face):
    large = face.resize((896, 896), Image.Resampling.BICUBIC)
    assert measure(large).brightness == pytest.approx(measure(face).brightness, abs=1)
    assert measure(large).sharpness == pytest.approx(measure(face).sharpness, rel=0.3)


def test_flat_and_tiny_pictures():
    assert measure(Image.new("RGB", (50, 50), (128, 128, 128))).sharpness == 0
    assert measure(Image.new("L", (2, 40), 90)).sharpness == 0


def test_zeros_refuse_nothing():
    assert Thresholds(0, 255, 0).fault(measure(Image.new("L", (20, 20)))) is None
