"""Faces and videos: boxes, frames at regular times, and tracks through them."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facevlm.analyze import Config, run
from facevlm.analyze.rows import Row
from facevlm.analyze.tracks import TRACK, iou, tracks
from facevlm.config import ConfigError
from facevlm.detect import DETECTORS, Face
from facevlm.generate import Request, Scripted

Ask = Callable[..., list[Row]]


def row(second: float, left: float = 0, emotion: str | None = "fear", aus: list[int] | None = None, face: int = 0,
        video: str | None = "a.mp4", **more: Any) -> Row:  # fmt: skip
    box = [left, 0, left + 10, 10]
    listed = [{"au": n} for n in aus or []] if emotion else None
    return {"video": video, "second": second, "path": f"{video}#t={second:g}", "face": face, "box": box,
            "emotion": emotion, "aus": listed, "probabilities": None} | more  # fmt: skip


def told(rows: list[Row], smooth: float = 2.0) -> list[Row]:
    return list(tracks(rows, smooth, 0.3))


def test_overlap_is_intersection_over_union() -> None:
    assert iou([0, 0, 10, 10], [5, 0, 15, 10]) == pytest.approx(50 / 150)
    assert iou([0, 0, 10, 10], [20, 0, 30, 10]) == 0
    assert iou(None, None) == 1 and iou(None, [0, 0, 1, 1]) == 0


def test_faces_keep_their_tracks_when_their_order_changes() -> None:
    found = told([row(0, 0, face=0), row(0, 50, face=1), row(0.5, 52, face=0), row(0.5, 2, face=1)])
    assert [(r["track"], r["second"], r["face"]) for r in found] == [(0, 0, 0), (0, 0.5, 1), (1, 0, 1), (1, 0.5, 0)]


def test_track_ends_when_the_face_is_away_too_long() -> None:
    assert [r["track"] for r in told([row(0), row(2), row(4.5)])] == [0, 0, 1]


def test_videos_and_pictures_do_not_mix() -> None:
    found = told([row(0, video="a.mp4"), row(0, video=None), row(0, video="b.mp4"), row(0.5, video="b.mp4")])
    assert [(r["video"], r["track"]) for r in found] == [("a.mp4", 0), ("b.mp4", 0), ("b.mp4", 0)]


def test_emotion_and_aus_are_averaged_over_the_window() -> None:
    found = told([row(0, emotion="fear", aus=[1, 4]), row(1, emotion="anger", aus=[4]), row(2, emotion="fear"),
                  row(3, emotion=None)])  # fmt: skip
    middle = found[1]
    assert [(e["label"], e["share"]) for e in middle["emotions"]] == [("fear", 2 / 3), ("anger", 1 / 3)]
    assert [(a["au"], a["share"], a["present"]) for a in middle["aus"]] == [(1, 1 / 3, False), (4, 2 / 3, True)]
    assert (middle["emotion"], middle["emotion_frames"]) == ("fear", 3)
    assert found[3]["emotion_frames"] == found[3]["au_frames"] == 1  # its own answer could not be read


def test_frames_that_nobody_could_read_have_no_average() -> None:
    only = told([row(0, emotion=None)])[0]
    assert only["emotion"] is only["emotions"] is only["aus"] is None and only["au_frames"] == 0


def test_probabilities_count_where_there_are_any() -> None:
    pairs = [{"label": "fear", "p": 0.6}, {"label": "anger", "p": 0.4}]
    sure = [{"label": "fear", "p": 0.0}, {"label": "anger", "p": 1.0}]
    found = told([row(0, probabilities=pairs), row(0.5, emotion="anger", probabilities=sure)])
    assert [(e["label"], e["share"]) for e in found[0]["emotions"]] == [("anger", 0.7), ("fear", 0.3)]


# -- the command


def bright(picture: Image.Image) -> list[Face]:
    """A detector: the white squares on black, of 8 pixels, on a grid of 8."""
    shades = np.asarray(picture.convert("L"), float)
    height, width = shades.shape
    cells = shades[: height // 8 * 8, : width // 8 * 8].reshape(height // 8, 8, width // 8, 8).mean((1, 3))
    return [Face((x * 8.0, y * 8.0, x * 8.0 + 8, y * 8.0 + 8), 0.9) for y, x in np.argwhere(cells > 128).tolist()]


@pytest.fixture
def squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts `bright` on the shelf."""
    monkeypatch.setitem(DETECTORS, "squares", lambda: bright)


def drawn(*at: int) -> Image.Image:
    picture = Image.new("RGB", (64, 48))
    for x in at:
        picture.paste((255, 255, 255), (x, 16, x + 8, 24))
    return picture


def sizes(request: Request) -> str:
    return f"<think>size {request.images[0].size}</think><au>AU4</au><answer>fear</answer>"


@pytest.mark.usefixtures("squares")
def test_each_face_is_a_row_with_its_box_and_none_is_said(ask: Ask, tmp_path: Path) -> None:
    drawn(8, 40).save(tmp_path / "two.png")
    drawn().save(tmp_path / "none.png")
    config = Config([str(tmp_path / "two.png"), str(tmp_path / "none.png")], "tiny", str(tmp_path / "o.parquet"),
                    detector="squares", min_face=8)  # fmt: skip
    rows = ask(config, Scripted(sizes))
    assert [(r["face"], r["box"], r["score"]) for r in rows] == [(0, [8, 16, 16, 24], 0.9), (1, [40, 16, 48, 24], 0.9),
                                                                 (None, None, None)]  # fmt: skip
    assert rows[0]["thinking"] == "size (12, 12)"  # the box and a quarter of it around, as in training
    assert rows[2]["error"] == "no face: squares found none in 64 x 48 pixels"
    assert rows[0]["aus"][0]["au"] == 4 and rows[2]["text"] is None


@pytest.mark.usefixtures("squares")
def test_face_below_the_least_size_is_not_asked_about(ask: Ask, tmp_path: Path) -> None:
    drawn(8).save(tmp_path / "a.png")
    config = Config([str(tmp_path / "a.png")], "tiny", str(tmp_path / "o.jsonl"), detector="squares", min_face=9)
    assert ask(config, Scripted(lambda r: pytest.fail("asked")))[0]["error"] == "face too small: 8 pixels, min_face 9"


def test_unknown_detector_is_refused(tmp_path: Path) -> None:
    drawn().save(tmp_path / "a.png")
    with pytest.raises(ConfigError, match="unknown face detector 'eye'"):
        run(Config([str(tmp_path / "a.png")], "tiny", str(tmp_path / "o.jsonl"), detector="eye"), Scripted(sizes))


needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed")


def film(path: Path, seconds: float = 3.0, rate: int = 10) -> Path:
    """Two squares; the left one walks to the right."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"bf": "2", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(round(seconds * rate)):
            left = 0 if i < seconds * rate / 2 else 8
            container.mux(stream.encode(av.VideoFrame.from_image(drawn(left, 40))))
        container.mux(stream.encode())
    return path


@needs_av
@pytest.mark.usefixtures("squares")
@pytest.mark.parametrize("kind", [".parquet", ".jsonl"])
def test_video_gives_a_row_per_face_and_frame_and_a_file_of_tracks(ask: Ask, tmp_path: Path, kind: str) -> None:
    clip = film(tmp_path / "a.mp4")
    out = tmp_path / f"faces{kind}"
    config = Config([str(clip)], "tiny", str(out), detector="squares", min_face=8, overlap=0.01, part=2)
    rows = ask(config, Scripted(sizes))
    assert [(r["path"], r["video"], r["second"], r["face"]) for r in rows] == [
        (f"{clip}#t={i * 0.5:g}", str(clip), i * 0.5, face) for i in range(6) for face in (0, 1)]  # fmt: skip
    if kind == ".parquet":
        table = pq.read_table(tmp_path / "faces.tracks.parquet")
        assert table.schema.equals(TRACK) and table.num_rows == 12
        assert set(table.column("track").to_pylist()) == {0, 1, 2}  # the one that jumps by its own width is lost
    else:
        assert len((tmp_path / "faces.tracks.jsonl").read_text().splitlines()) == 12


@needs_av
def test_video_that_cannot_be_read_is_a_row(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    film(tmp_path / "good.mp4", 1.0)
    rows = ask(Config([str(tmp_path)], "tiny", str(tmp_path / "out/o.jsonl"), every=0.4), Scripted(sizes))
    assert [(Path(r["path"]).name, r["error"] is None) for r in rows] == [
        ("bad.mp4", False), ("good.mp4#t=0", True), ("good.mp4#t=0.4", True), ("good.mp4#t=0.8", True)]  # fmt: skip
    assert rows[0]["error"].startswith("damaged video: ")


def test_pictures_alone_make_no_file_of_tracks(ask: Ask, tmp_path: Path) -> None:
    drawn().save(tmp_path / "a.png")
    ask(Config([str(tmp_path / "a.png")], "tiny", str(tmp_path / "o.parquet")), Scripted(sizes))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "o.parquet"]


def test_columns_of_a_table_are_carried_along(ask: Ask, tmp_path: Path) -> None:
    import pyarrow as pa

    drawn().save(tmp_path / "a.png")
    table = pa.table({"image": ["a.png", "gone.png"], "emotion": ["joy", None], "age": [31, 32]})
    pq.write_table(table, tmp_path / "t.parquet")
    inputs = [str(tmp_path / "t.parquet"), str(tmp_path / "a.png")]
    config = Config(inputs, "tiny", str(tmp_path / "o.parquet"), carry=["emotion", "age"])
    found = [(r["given_emotion"], r["given_age"], r["error"] is None) for r in ask(config, Scripted(sizes))]
    assert found == [("joy", 31, True), (None, 32, False), (None, None, True)]
    assert pq.read_schema(tmp_path / "o.parquet").field("given_age").type == pa.int64()
