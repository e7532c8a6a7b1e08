import csv
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facevlm.config import ConfigError
from facevlm.detect import DETECTORS, Face, detector, shows_face
from facevlm.detect.face import by_size, overlap
from facevlm.images import canonical_landmarks, crop, decode
from facevlm.tiny.population import draw, emotional_aus

REAL = Path(__file__).parents[4] / "shared" / "realdata" / "london_faces"


@pytest.fixture(scope="module")
def portraits():
    """Two photographs of faces, and the pupils in each."""
    file = REAL / "landmarks.csv"
    if not file.is_file():
        pytest.skip("no portraits here")
    pytest.importorskip("dlib")
    with file.open(newline="") as rows:
        some = [row for row, _ in zip(csv.DictReader(rows), range(2), strict=False)]
    return [(decode(REAL / row["file"]), [(float(row[f"x{k}"]), float(row[f"y{k}"])) for k in (0, 1)])
            for row in some]  # fmt: skip


def holds(box, eyes):
    return all(box[0] < x < box[2] and box[1] < y < box[3] for x, y in eyes)


def test_finds_one_face_where_it_is(portraits):
    for picture, eyes in portraits:
        (face,) = detector("hog")(picture)
        assert holds(face.box, eyes) and 0.5 < face.score < 1 and face.cut == face.box
        # The box is such that the eyes of an average face in it lie near the true ones: AU regions hang on that.
        guessed = canonical_landmarks(face.box)
        apart = np.linalg.norm(np.subtract(*eyes))
        for group, eye in ((range(36, 42), eyes[0]), (range(42, 48), eyes[1])):
            assert np.linalg.norm(guessed[list(group)].mean(0) - eye) < 0.25 * apart


@pytest.mark.parametrize("degrees", [-28, 20])
def test_finds_a_tilted_face_where_it_is(portraits, degrees):
    picture, eyes = portraits[0]
    turned = picture.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=(160, 160, 160))
    angle, centre = np.deg2rad(degrees), np.array(picture.size) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = [tuple(centre + turn @ (np.array(eye) - centre)) for eye in eyes]
    assert any(holds(face.box, moved) for face in detector("hog")(turned))


def test_finds_a_small_face_beside_a_large_one_the_large_one_first(portraits):
    canvas = Image.new("RGB", (800, 512), (160, 160, 160))
    canvas.paste(portraits[0][0], (0, 0))
    canvas.paste(portraits[1][0].resize((128, 128), Image.Resampling.BICUBIC), (600, 300))
    faces = detector("hog")(canvas)
    small = [(600 + x / 4, 300 + y / 4) for x, y in portraits[1][1]]
    assert holds(faces[0].box, portraits[0][1])
    assert any(holds(face.box, small) and face.side < 90 for face in faces[1:])


def test_finds_nothing_where_there_is_nothing():
    pytest.importorskip("dlib")
    for picture in (Image.new("RGB", (300, 200), "white"), Image.new("RGB", (23, 23)), Image.new("RGB", (900, 20))):
        assert detector("hog")(picture) == []
    assert not shows_face(Image.new("RGB", (64, 64)))


def test_whole_shows_a_drawn_face_uncut():
    rng = np.random.default_rng(0)
    picture = draw(3, emotional_aus("fear", rng), rng, 112).face.image
    (face,) = detector("whole")(picture)
    assert face.cut is None and face.whole
    # Cut by its box with the builders' margin, a square picture is itself again.
    assert crop(picture, face.box).tobytes() == picture.tobytes()


def test_the_same_faces_from_many_threads(portraits):
    from concurrent.futures import ThreadPoolExecutor

    find, picture = detector("hog", {"side": 240}), portraits[0][0]
    alone = find(picture)
    with ThreadPoolExecutor(4) as pool:
        assert all(faces == alone for faces in pool.map(find, [picture] * 8))


def mine(side=3):
    return lambda picture: [Face((0, 0, side, side))]


def test_a_users_own():
    (face,) = detector(f"{__name__}:mine", {"side": 5})(Image.new("RGB", (9, 9)))
    assert face.side == 5


@pytest.mark.parametrize(("name", "options", "says"), [
    ("nobody", {}, "known: whole, hog, yunet"),
    ("hog", {"speed": 3}, "speed"),
    ("hog", {"side": 10}, "80"),
    ("hog", {"threshold": math.nan}, "threshold"),
    ("hog", {"landmarks": "nowhere.dat"}, "68 points"),
    ("yunet", {}, "model"),
    ("yunet", {"model": "nowhere.onnx"}, "OpenCV Zoo"),
    ("whole", {"model": "x"}, "model"),
])  # fmt: skip
def test_what_cannot_be_made_says_why(name, options, says):
    if library := {"yunet": "cv2", "hog": "dlib"}.get(name):
        pytest.importorskip(library)
    with pytest.raises(ConfigError, match=says):
        detector(name, options)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    pytest.importorskip("cv2")
    (tmp_path / "face.onnx").write_bytes(b"no model")
    with pytest.raises(ConfigError, match="cannot read"):
        detector("yunet", {"model": str(tmp_path / "face.onnx")})


def test_yunet_reads_the_rows_of_opencv(tmp_path, monkeypatch):
    """OpenCV's own documentation of FaceDetectorYN.detect: x, y, w, h, five points, score."""
    cv2 = pytest.importorskip("cv2")

    class Net:
        def setInputSize(self, size):  # noqa: N802
            self.size = size

        def detect(self, picture):
            assert picture.shape == (self.size[1], self.size[0], 3) and tuple(picture[0, 0]) == (30, 20, 10)
            row = [10, 20, 30, 40, 15, 30, 30, 30, 22, 40, 16, 50, 30, 50, 0.9]
            return 1, np.array([row, [v / 2 for v in row[:14]] + [0.8]], dtype=np.float32)

    (tmp_path / "face.onnx").write_bytes(b"model")
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *args: Net())
    find = detector("yunet", {"model": str(tmp_path / "face.onnx")})
    first, second = find(Image.new("RGB", (1280, 960), (10, 20, 30)))
    assert first.box == (20, 40, 80, 120) and first.score == pytest.approx(0.9)
    assert first.landmarks[0] == (30, 60) and second.box == (10, 20, 40, 60)


def test_every_maker_says_what_it_is():
    assert all(make.__doc__ or make.__init__.__doc__ for make in DETECTORS.values())


def test_overlap_and_order():
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == 0.5
    assert overlap((0, 0, 10, 10), (2, 2, 4, 4)) == 1
    assert overlap((0, 0, 1, 1), (1, 1, 2, 2)) == overlap((0, 0, 0, 0), (0, 0, 1, 1)) == 0
    small, large = Face((0, 0, 2, 2)), Face((0, 0, 9, 9))
    assert by_size([small, large]) == [large, small]
