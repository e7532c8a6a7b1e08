"""dlib's detector on drawn faces, whose 68 landmarks are known. How it does on photographs: test_detect.py."""

import numpy as np
import pytest
from PIL import Image

from facevlm.config import ConfigError
from facevlm.detect import detector
from facevlm.images import canonical_landmarks
from facevlm.tiny.population import draw, emotional_aus

dlib = pytest.importorskip("dlib")
LOW = -0.6
"""dlib is made for photographs: at its own threshold it takes half the drawn faces for none."""
SURE = 4
"""A drawn face that it finds at every size."""


def drawn(subjects):
    """Drawn faces of 224 pixels."""
    for subject in subjects:
        rng = np.random.default_rng(subject)
        yield draw(subject, emotional_aus("happiness", rng), rng, 224, occluded=0.0).face


@pytest.fixture(scope="module")
def find():
    """dlib's own detector."""
    return dlib.get_frontal_face_detector()


def trained(path, find, subjects, points=68):
    """A small predictor of the first `points` landmarks, trained on dlib's boxes, in a file."""
    pictures, truths = [], []
    for face in drawn(subjects):
        grey = np.asarray(face.image.convert("L"))
        for box in find.run(grey, 1, LOW)[0][:1]:
            pictures.append(grey)
            parts = [dlib.point(round(x), round(y)) for x, y in face.landmarks[:points]]
            truths.append([dlib.full_object_detection(box, parts)])
    how = dlib.shape_predictor_training_options()
    how.cascade_depth, how.num_trees_per_cascade_level, how.oversampling_amount = 6, 60, 10
    how.feature_pool_size, how.num_test_splits, how.num_threads, how.nu = 200, 10, 1, 0.2
    dlib.train_shape_predictor(pictures, truths, how).save(str(path))
    return str(path)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory, find):
    return trained(tmp_path_factory.mktemp("predictor") / "68.dat", find, range(40))


def test_landmarks_lie_nearer_to_the_truth_than_those_of_an_average_face(predictor):
    find = detector("hog", {"threshold": LOW, "landmarks": predictor})
    learnt, average = [], []
    for face in drawn(range(500, 520)):
        for found in find(face.image)[:1]:
            apart = np.linalg.norm(face.landmarks[36:42].mean(0) - face.landmarks[42:48].mean(0))
            assert len(found.landmarks) == 68
            for points, errors in ((found.landmarks, learnt), (canonical_landmarks(found.box), average)):
                errors.append(np.linalg.norm(np.asarray(points) - face.landmarks, axis=1).mean() / apart)
    assert len(learnt) >= 15
    assert np.mean(learnt) < 0.8 * np.mean(average)


@pytest.mark.parametrize("side", [224, 448, 896])
def test_landmarks_are_in_pixels_of_the_picture_whatever_was_searched(predictor, side):
    (face,) = drawn([SURE])
    large = face.image.resize((448, 448), Image.Resampling.BICUBIC)
    (found,) = detector("hog", {"threshold": LOW, "landmarks": predictor, "side": side})(large)
    truth = 2 * face.landmarks
    apart = np.linalg.norm(truth[36:42].mean(0) - truth[42:48].mean(0))
    assert np.linalg.norm(np.asarray(found.landmarks) - truth, axis=1).mean() < 0.15 * apart


def test_scores_rise_with_the_margin_and_the_threshold_cuts_them():
    pictures = [face.image for face in drawn(range(30))]
    scores = {}
    for threshold in (LOW, 0.0):
        search = detector("hog", {"threshold": threshold})
        scores[threshold] = sorted(found.score for picture in pictures for found in search(picture))
        assert all(1 / (1 + np.exp(-threshold)) <= score < 1 for score in scores[threshold])
    # What is found above dlib's own line is the upper end of what is found below it too.
    assert scores[0.0] and scores[0.0] == [score for score in scores[LOW] if score >= 0.5] != scores[LOW]


def test_a_predictor_of_other_points_is_refused(tmp_path, find):
    with pytest.raises(ConfigError, match="5 landmarks"):
        detector("hog", {"landmarks": trained(tmp_path / "5.dat", find, range(3), 5)})


def test_a_file_that_is_no_predictor_is_refused(tmp_path):
    (tmp_path / "shape.dat").write_bytes(b"no predictor")
    with pytest.raises(ConfigError, match="cannot read"):
        detector("hog", {"landmarks": str(tmp_path / "shape.dat")})
