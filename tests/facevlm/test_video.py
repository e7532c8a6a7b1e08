"""Videos whose frames carry their numbers as stripes: which one was decoded can be read off the picture."""

import builtins
import importlib.util
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facevlm import video
from facevlm.images import ImageError, Limits, decode
from facevlm.video import Frames, decode_frame, duration, frame_count, sample_times

pytestmark = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed")

FRAMES, RATE = 60, 25
LONG = {"bf": "3", "b-adapt": "0", "g": "50"}
"""H.264 with three B-frames in a row and key frames 50 apart, so that the second group begins at frame 50."""
FORMS = {
    "mp4, B-frames, long groups": ("a.mp4", "libx264", LONG),
    "mkv, B-frames, long groups": ("a.mkv", "libx264", LONG),
    "avi, B-frames: no times of showing": ("a.avi", "libx264", LONG),
    "mp4, open groups": ("b.mp4", "libx264", {"bf": "3", "b-adapt": "0", "g": "20", "x264-params": "open-gop=1"}),
    "avi, MPEG-4": ("b.avi", "mpeg4", {"g": "30"}),
    "avi, MPEG-4, B-frames": ("c.avi", "mpeg4", {"g": "30", "bf": "2"}),
    "mpg: begins late, no seeking by key frames": ("a.mpg", "mpeg2video", {"g": "15", "bf": "2"}),
    "avi, every frame a key frame": ("d.avi", "mjpeg", {}),
}


def numbered(number: int) -> np.ndarray:
    """64 x 48; eight stripes, the lowest bit on the left, white for 1: no coding loss makes one into the other."""
    bits = np.array([number >> bit & 1 for bit in range(8)], np.uint8) * 255
    return np.broadcast_to(np.repeat(bits, 8)[None, :, None], (48, 64, 3)).copy()


def write(path: Path, codec: str = "libx264", options: dict[str, str] | None = None, *, frames: int = FRAMES,
          times: Sequence[int] | None = None, rotation: int | None = None,
          picture: np.ndarray | None = None) -> Path:  # fmt: skip
    """A video; frame i shows its number, at i / RATE or at `times` (milliseconds)."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options or {})
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(i) if picture is None else picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shown(picture: Image.Image) -> int:
    """The number that a frame shows."""
    assert picture.mode == "RGB"
    levels = np.asarray(picture, float)[8:40].mean((0, 2)).reshape(8, 8)[:, 2:6].mean(1)
    assert ((levels < 70) | (levels > 185)).all(), f"stripes {levels} are neither black nor white"
    return sum(1 << bit for bit, level in enumerate(levels) if level > 128)


def reason(path: Path | str, second: float | None = None, index: int | None = None,
           limits: Limits | None = None) -> str:  # fmt: skip
    with pytest.raises(ImageError) as caught:
        decode_frame(path, second, index, limits)
    return caught.value.reason


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return {form: write(folder / name, codec, options) for form, (name, codec, options) in FORMS.items()}


# -- the exact frame


@pytest.mark.parametrize("form", FORMS)
def test_every_frame_is_found_by_its_number(clips: dict[str, Path], form: str) -> None:
    wanted = [0, 1, 2, 3, 17, 29, 30, 31, 47, 48, 49, 50, 51, 58, 59]
    assert [shown(decode_frame(clips[form], index=i)) for i in wanted] == wanted


@pytest.mark.parametrize("form", FORMS)
def test_a_time_names_the_frame_shown_then(clips: dict[str, Path], form: str) -> None:
    # At its very start, just after, in its middle, and just before the next one.
    wanted = {i: (i / RATE, i / RATE + 0.005, (i + 0.5) / RATE, (i + 1) / RATE - 0.005) for i in (0, 1, 24, 49, 59)}
    found = {i: [shown(decode_frame(clips[form], t)) for t in times] for i, times in wanted.items()}
    assert found == {i: [i] * 4 for i in wanted}


@pytest.mark.parametrize("form", FORMS)
def test_length_is_counted_from_the_frames(clips: dict[str, Path], form: str) -> None:
    assert frame_count(clips[form]) == FRAMES
    assert duration(clips[form]) == pytest.approx(FRAMES / RATE, abs=0.002)


@pytest.mark.parametrize("form", FORMS)
def test_frames_in_one_pass_are_those_found_one_by_one(clips: dict[str, Path], form: str) -> None:
    with Frames(clips[form]) as frames:
        assert frames.seconds == duration(clips[form])
        assert [shown(frames.at(i / RATE)) for i in (0, 1, 1, 30, 31, 55)] == [0, 1, 1, 30, 31, 55]
        assert shown(frames.at(5 / RATE)) == 5  # back: slowly, but there
        assert shown(frames.at(59 / RATE)) == 59
        with pytest.raises(ImageError, match="no such frame"):
            frames.at(99)


def test_frames_of_uneven_lengths_are_found_by_their_own_times(tmp_path: Path) -> None:
    times = [0, 40, 80, 500, 520, 2000, 2040]
    path = write(tmp_path / "a.mkv", options=LONG, frames=7, times=times)
    assert [shown(decode_frame(path, t)) for t in (0.0, 0.05, 0.499, 0.5, 0.6, 1.999, 2.0)] == [0, 1, 2, 3, 4, 4, 5]
    assert [shown(decode_frame(path, index=i)) for i in range(7)] == list(range(7))


def test_a_seek_decodes_from_the_key_frame_only(clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_scan", lambda *_: pytest.fail("decoded from the start"))
    for form in ("mp4, B-frames, long groups", "mkv, B-frames, long groups", "mp4, open groups", "avi, MPEG-4"):
        assert [shown(decode_frame(clips[form], index=i)) for i in (0, 19, 20, 49, 55)] == [0, 19, 20, 49, 55]


def test_beyond_the_ends_there_is_no_frame(clips: dict[str, Path]) -> None:
    path = clips["mp4, B-frames, long groups"]
    assert reason(path, index=FRAMES) == reason(path, index=-1) == "no such frame"
    assert reason(path, FRAMES / RATE + 0.01) == reason(path, -0.01) == reason(path, float("nan")) == "no such frame"


@pytest.mark.parametrize(("second", "index"), [(None, None), (1.0, 3)])
def test_time_and_number_exclude_each_other(clips: dict[str, Path], second: float | None, index: int | None) -> None:
    with pytest.raises(ValueError, match="either second or index"):
        decode_frame(clips["avi, MPEG-4"], second, index)


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", frames=30)
    assert frame_count(path) == 30
    write(path, frames=10)
    assert frame_count(path) == 10


# -- upright


@pytest.mark.parametrize(("rotation", "red_at"), [(0, (4, 4)), (90, (4, 59)), (180, (59, 43)), (-90, (43, 4))])
def test_rotation_of_the_container_is_applied(tmp_path: Path, rotation: int, red_at: tuple[int, int]) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:16, :16] = (255, 0, 0)  # top left
    path = write(tmp_path / "a.mp4", frames=3, rotation=rotation, picture=picture)
    upright = decode_frame(path, index=1)
    assert upright.size == ((64, 48) if rotation in (0, 180) else (48, 64))
    red, _, blue = upright.getpixel(red_at)  # type: ignore[misc]
    assert red > 200 and blue < 60


# -- what cannot be read


def test_missing_and_empty_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert reason(tmp_path / "none.mp4", index=0) == "file missing"
    assert reason(tmp_path, index=0) == "file missing"
    assert reason(tmp_path / "empty.mp4", index=0) == "empty file"


def test_files_that_are_no_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("label,name\n" * 100)
    Image.new("RGB", (64, 48)).save(tmp_path / "picture.png")
    assert reason(tmp_path / "text.mp4", index=0) == reason(tmp_path / "picture.png", index=0) == "damaged video"


def test_a_playlist_leads_to_no_other_file(tmp_path: Path, clips: dict[str, Path]) -> None:
    inner = clips["mp4, B-frames, long groups"]
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{inner}\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile {inner}\n")
    assert reason(tmp_path / "list.mp4", index=0) == reason(tmp_path / "concat.mp4", index=0) == "damaged video"


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    assert reason(tmp_path / "a.mkv", index=0) == "not a video"


def test_a_file_cut_short_gives_what_it_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", "mjpeg")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    held = frame_count(path)
    assert 20 < held < 35
    assert duration(path) == pytest.approx(held / RATE)
    assert shown(decode_frame(path, index=held - 2)) == held - 2
    assert reason(path, index=held + 5) == "no such frame"


def test_a_file_cut_before_its_index_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:-800])
    assert reason(path, index=0) == "damaged video"
    with pytest.raises(ImageError, match="damaged video"):
        duration(path)


def test_frames_overwritten_with_rubbish_are_not_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", "mjpeg")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = b"\x00" * 3000
    path.write_bytes(bytes(data))
    reasons = set()
    for i in range(frame_count(path)):
        try:
            decode_frame(path, index=i)
        except ImageError as e:
            reasons.add(e.reason)
    assert reasons <= {"damaged video"}
    assert shown(decode_frame(path, index=2)) == 2


def test_limits_hold_before_anything_is_decoded(clips: dict[str, Path]) -> None:
    path = clips["avi, MPEG-4"]
    assert reason(path, index=0, limits=Limits(max_pixels=64 * 48 - 1)) == "too many pixels"
    assert reason(path, index=0, limits=Limits(min_side=49)) == "too small"


def test_without_pyav_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "av":
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImageError, match=r"no video reader.*facevlm\[data\]"):
        decode_frame(tmp_path / "a.mp4", index=0)


# -- as a picture's path


def test_a_picture_path_may_name_a_frame(clips: dict[str, Path]) -> None:
    path = clips["mp4, B-frames, long groups"]
    assert shown(decode(f"{path}#frame=12")) == 12
    assert shown(decode(Path(f"{path}#t=1.5"))) == 37
    assert shown(decode(f"{path}#t=0")) == 0


def test_a_file_of_that_very_name_is_a_picture(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", frames=5)
    Image.new("RGB", (20, 20), (0, 0, 255)).save(tmp_path / "a.mp4#frame=1", format="PNG")
    assert decode(tmp_path / "a.mp4#frame=1").getpixel((5, 5)) == (0, 0, 255)


@pytest.mark.parametrize("name", ["a.mp4#frame=", "a.mp4#t=-1", "a.mp4#frame=1.5", "a.mp4#x=1", "#t=1", "b.mp4#t=1"])
def test_other_names_are_missing_files(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.mp4", frames=5)
    with pytest.raises(ImageError, match="file missing"):
        decode(tmp_path / name)


def test_limits_hold_for_a_frame_of_a_video(clips: dict[str, Path]) -> None:
    with pytest.raises(ImageError, match="too small"):
        decode(f"{clips['avi, MPEG-4']}#frame=1", Limits(min_side=50))


# -- which times to look at


def test_times_are_the_middles_of_equal_parts() -> None:
    assert sample_times(8.0, 4) == (1.0, 3.0, 5.0, 7.0)
    assert sample_times(3.0, 1) == (1.5,)
    assert sample_times(60.0, 2, span=(10.0, 14.0)) == (11.0, 13.0)


def test_a_span_is_cut_to_the_video() -> None:
    assert sample_times(4.0, 2, span=(2.0, 9.0)) == (2.5, 3.5)
    assert sample_times(4.0, 2, span=(-1.0, 2.0)) == (0.5, 1.5)


@pytest.mark.parametrize(("n", "span"), [(0, None), (2, (5.0, 6.0)), (2, (3.0, 3.0)), (2, (3.0, 1.0))])
def test_no_frames_can_be_taken_of_nothing(n: int, span: tuple[float, float] | None) -> None:
    with pytest.raises(ValueError, match="cannot take"):
        sample_times(4.0, n, span)


def test_every_sampled_time_has_a_frame(clips: dict[str, Path]) -> None:
    path = clips["mpg: begins late, no seeking by key frames"]
    length = duration(path)
    assert length is not None
    assert [shown(decode_frame(path, t)) for t in sample_times(length, 6)] == [5, 15, 25, 35, 45, 55]
