import numpy as np
import pytest

from facevlm.config import ConfigError
from facevlm.reading import calibration
from facevlm.reading.calibration import Calibration, fit_temperature, nll, tempered


def faces(n=4000, temperature=2.5, seed=0):
    """Probabilities of a model that is `temperature` times too sure, and true labels."""
    rng = np.random.default_rng(seed)
    honest = rng.dirichlet(np.full(5, 0.7), n)
    truth = np.array([rng.choice(5, p=row) for row in honest])
    return tempered(honest, 1 / temperature), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_finds_how_much_too_sure_a_model_is(temperature):
    p, truth = faces(temperature=temperature)
    assert fit_temperature(p, truth) == pytest.approx(temperature, rel=0.08)


def test_is_the_best_of_all():
    p, truth = faces(500)
    best = fit_temperature(p, truth)
    losses = [nll(tempered(p, t), truth) for t in (best / 1.1, best, best * 1.1)]
    assert losses[1] < losses[0] and losses[1] < losses[2]


def test_labels_of_no_use_end_at_the_hottest():
    p, _ = faces(300)
    assert fit_temperature(p, p.argmin(1)) == pytest.approx(20, rel=0.01)


def test_a_sure_wrong_answer_breaks_nothing():
    p = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert 1 < fit_temperature(p, np.array([0, 1, 1])) <= 20


@pytest.mark.parametrize(("p", "truth"), [
    (np.ones((2, 2)) / 2, np.zeros(3, int)), (np.ones(2), np.zeros(2, int)), (np.ones((0, 2)), np.zeros(0, int)),
])  # fmt: skip
def test_shapes_are_checked(p, truth):
    with pytest.raises(ValueError, match="shape"):
        fit_temperature(p, truth)


def test_keeps_the_order_and_the_sum():
    scaled = Calibration(2.0, "label", ("a", "b", "c"), 100).apply({"a": 0.9, "b": 0.1, "c": 0.0})
    assert list(scaled) == ["a", "b", "c"] and sum(scaled.values()) == pytest.approx(1)
    assert scaled["a"] == pytest.approx(3 / 4, abs=1e-5) and scaled["a"] > scaled["b"] > scaled["c"]


def test_is_read_as_written(tmp_path):
    one = Calibration(1.7, "label", ("a", "b"), 120)
    calibration.write(tmp_path / calibration.FILE, one)
    assert calibration.read(str(tmp_path)) == one
    assert calibration.read(str(tmp_path / "elsewhere")) is None
    assert one.fits("label", ("b", "a")) and not one.fits("explain", ("a", "b")) and not one.fits("label", ("a",))


@pytest.mark.parametrize("text", ["{", "[]", '{"temperature": 1}',
                                  '{"temperature": 0, "mode": "label", "labels": [], "faces": 3}',
                                  '{"temperature": NaN, "mode": "label", "labels": [], "faces": 3}',
                                  '{"temperature": 1, "mode": "loud", "labels": [], "faces": 3}'])  # fmt: skip
def test_a_damaged_file_is_an_error(tmp_path, text):
    (tmp_path / calibration.FILE).write_text(text)
    with pytest.raises(ConfigError, match="eval.calibrate"):
        calibration.read(str(tmp_path))
