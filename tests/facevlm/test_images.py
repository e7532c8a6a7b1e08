import io
import struct
import zlib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from facevlm.images import (
    FORMATS,
    ImageError,
    Limits,
    canonical_landmarks,
    crop,
    decode,
    find_images,
    fit,
    load_face,
    region_boxes,
    sketch,
    square_origin,
)
from facevlm.tiny.faces import look, render
from facevlm.vocab import Region

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def halves(mode: str = "RGB") -> Image.Image:
    """40 wide, 20 high; the left half red, the right one blue."""
    picture = Image.new("RGB", (40, 20), RED)
    picture.paste(BLUE, (20, 0, 40, 20))
    return picture.convert(mode)


def bomb(side: int) -> bytes:
    """A PNG that claims side x side pixels and holds next to none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def reason(source: Path | bytes, limits: Limits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        decode(source, limits)
    return caught.value.reason


# -- what is decoded


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_lossless_formats_keep_every_pixel(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    assert decode(encoded(halves(), form, **options)).tobytes() == halves().tobytes()


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_on_the_list_is_decoded_to_rgb(form: str) -> None:
    picture = decode(encoded(halves(), form))
    assert (picture.mode, picture.size) == ("RGB", (40, 20))
    assert np.abs(np.asarray(picture, float)[10, 5] - RED).max() < 30


def test_two_picture_files_of_phones_are_decoded() -> None:
    data = encoded(halves(), "MPO", save_all=True, append_images=[halves()])
    assert decode(data).size == (40, 20)


def test_path_text_and_bytes_give_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(halves()))
    assert decode(path).tobytes() == decode(str(path)).tobytes() == decode(path.read_bytes()).tobytes()


@pytest.mark.parametrize(
    ("orientation", "size", "top_left"),
    [(1, (40, 20), RED), (2, (40, 20), BLUE), (3, (40, 20), BLUE), (6, (20, 40), RED), (8, (20, 40), BLUE)],
)
def test_exif_orientation_is_applied(orientation: int, size: tuple[int, int], top_left: tuple[int, int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(encoded(halves(), exif=exif))
    assert picture.size == size
    assert picture.getpixel((2, 2)) == top_left


def test_damaged_exif_does_not_cost_the_picture() -> None:
    data = encoded(halves(), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff")
    assert decode(data).size == (40, 20)


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert decode(encoded(clear)).getpixel((5, 5)) == WHITE
    half = Image.new("RGBA", (20, 20), (0, 0, 0, 128))
    assert decode(encoded(half)).getpixel((5, 5)) == pytest.approx((127, 127, 127), abs=1)


def test_transparent_palette_colour_is_laid_on_white() -> None:
    picture = halves("P")
    data = encoded(picture, transparency=picture.getpixel((2, 2)))
    assert [decode(data).getpixel((x, 10)) for x in (2, 38)] == [WHITE, BLUE]


def test_grey_with_transparency_is_laid_on_white() -> None:
    assert decode(encoded(Image.new("LA", (20, 20), (0, 0)))).getpixel((5, 5)) == WHITE


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_other_modes_become_rgb(mode: str) -> None:
    data = encoded(Image.new("RGB", (20, 20), WHITE).convert(mode), "TIFF" if mode == "CMYK" else "PNG")
    picture = decode(data)
    assert picture.mode == "RGB" and picture.getpixel((5, 5)) == WHITE


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    values = np.full((20, 20), 32768, dtype=np.uint16)
    values[:, 10:] = 65535
    picture = decode(encoded(Image.fromarray(values)))
    assert [picture.getpixel((x, 5)) for x in (2, 18)] == [(127,) * 3, WHITE]


def test_first_frame_of_an_animation_is_taken() -> None:
    data = encoded(halves(), "GIF", save_all=True, append_images=[Image.new("RGB", (40, 20), WHITE)])
    assert decode(data).getpixel((2, 2)) == RED


# -- what is refused


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="file missing: .*gone.jpg"):
        decode(tmp_path / "gone.jpg")


def test_folder_is_no_file(tmp_path: Path) -> None:
    assert reason(tmp_path) == "file missing"


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert reason(tmp_path / "a.jpg") == reason(b"") == "empty file"


@pytest.mark.parametrize(
    "data", [b"<html>404</html>", b"\x00" * 500, b"%PDF-1.7", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    assert reason(data) == "not an image"


def test_formats_off_the_list_stay_shut() -> None:
    assert reason(encoded(halves(), "TGA")) == reason(encoded(halves(), "ICO")) == "not an image"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_truncated_picture_is_refused(form: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, form)
    assert reason(data[: len(data) * 2 // 3]) in ("damaged image", "not an image")


def test_corrupt_picture_raises_nothing_but_image_errors() -> None:
    rng = np.random.default_rng(0)
    sources = [np.frombuffer(encoded(halves(), form), np.uint8) for form in FORMATS if form != "TIFF"]
    refused = 0
    for _ in range(300):
        data = sources[rng.integers(len(sources))].copy()
        data[rng.integers(len(data), size=3)] = rng.integers(256, size=3)
        try:
            decode(data.tobytes())
        except ImageError:
            refused += 1
    assert 50 < refused < 300


@pytest.mark.parametrize("side", [8_001, 12_000, 30_000])
def test_decompression_bomb_is_refused_before_decoding(side: int) -> None:
    assert reason(bomb(side)) == "too many pixels"


def test_pixel_limit_is_the_callers() -> None:
    assert reason(encoded(halves()), Limits(max_pixels=799)) == "too many pixels"
    assert decode(encoded(halves()), Limits(max_pixels=800)).size == (40, 20)


def test_file_over_the_byte_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(halves()))
    assert reason(tmp_path / "a.png", Limits(max_bytes=10)) == reason(encoded(halves()), Limits(max_bytes=10))
    assert reason(encoded(halves()), Limits(max_bytes=10)) == "file too large"


@pytest.mark.parametrize("size", [(15, 200), (200, 15), (1, 1)])
def test_picture_too_small_for_a_face_is_refused(size: tuple[int, int]) -> None:
    assert reason(encoded(Image.new("RGB", size))) == "too small"


# -- crop and fit


def test_crop_is_a_square_with_margin() -> None:
    picture = Image.new("RGB", (200, 200))
    assert crop(picture, (80, 80, 120, 100), margin=0.25).size == (60, 60)
    assert square_origin((80, 80, 120, 100), 0.25) == (70, 60)


def test_crop_holds_the_pixels_around_the_box() -> None:
    values = np.arange(100 * 100 * 3, dtype=np.uint8).reshape(100, 100, 3)
    cut = crop(Image.fromarray(values), (40, 40, 60, 60), margin=0.5)
    np.testing.assert_array_equal(np.asarray(cut), values[30:70, 30:70])


def test_crop_over_the_border_is_padded_with_black() -> None:
    cut = crop(Image.new("RGB", (100, 100), WHITE), (0, 0, 40, 40), margin=0.25)
    assert cut.size == (60, 60)
    assert cut.getpixel((9, 30)) == (0, 0, 0) and cut.getpixel((10, 30)) == WHITE


@pytest.mark.parametrize(
    "box",
    [(50, 50, 50, 80), (80, 50, 60, 80), (-30, 0, 0, 40), (100, 0, 140, 40), (0, 200, 40, 240),
     (float("nan"), 0, 40, 40), (0, 0, 1e6, 1e6), (0, 0, float("inf"), 40)],
)  # fmt: skip
def test_box_that_cannot_be_cut_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ImageError, match="bad face box.* 100 x 100") as caught:
        crop(Image.new("RGB", (100, 100)), box)
    assert caught.value.reason == "bad face box"


@pytest.mark.parametrize("size", [(4000, 3000), (513, 512), (10_000, 20), (300, 3000)])
def test_fit_stays_within_the_budget_and_keeps_the_shape(size: tuple[int, int]) -> None:
    small = fit(Image.new("RGB", size), 512 * 512)
    assert small.width * small.height <= 512 * 512
    assert small.width / small.height == pytest.approx(size[0] / size[1], rel=0.2)


def test_fit_never_enlarges() -> None:
    picture = Image.new("RGB", (20, 20))
    assert fit(picture, 512 * 512) is picture


def test_load_face_crops_before_it_shrinks() -> None:
    picture = Image.new("RGB", (400, 400))
    picture.paste(RED, (100, 100, 300, 300))
    face = load_face(encoded(picture), (100, 100, 300, 300), max_pixels=100 * 100, margin=0)
    assert face.size == (100, 100)
    assert np.asarray(face)[5:95, 5:95].reshape(-1, 3).min(0).tolist() == [255, 0, 0]


# -- where things are


@pytest.mark.parametrize("subject", range(5))
def test_regions_of_a_drawn_face_lie_where_they_belong(subject: int) -> None:
    face = render({}, look(subject), size=112)
    boxes = region_boxes(face.landmarks)
    assert set(boxes) == set(get_args(Region))

    def middle(region: Region) -> float:
        return float(np.mean([(top + bottom) / 2 for _, top, _, bottom in boxes[region]]))

    downwards: tuple[Region, ...] = ("brow", "eyes", "cheeks", "upper lip", "lower lip", "chin")
    assert sorted(downwards, key=middle) == list(downwards)
    for pair in (found for found in boxes.values() if len(found) == 2):
        assert pair[0][2] <= pair[1][0] + 12 and pair[0][0] < 56 < pair[1][2]
    for left, top, right, bottom in (box for found in boxes.values() for box in found):
        assert left < right and top < bottom and left > -5 and right < 117 and top > -5 and bottom < 117


def test_regions_scale_and_move_with_the_landmarks() -> None:
    points = canonical_landmarks((0, 0, 100, 120))
    there, here = region_boxes(points * 2 + 10)["mouth"][0], region_boxes(points)["mouth"][0]
    assert there == pytest.approx([v * 2 + 10 for v in here])


def test_canonical_landmarks_lie_in_their_box() -> None:
    points = canonical_landmarks((50, 60, 150, 200))
    assert points.shape == (68, 2)
    assert (points >= (50, 60)).all() and (points <= (150, 200)).all()


def test_canonical_landmarks_are_near_those_of_drawn_faces() -> None:
    drawn = np.mean([render({}, look(i), size=100).landmarks for i in range(20)], 0)
    (left, top), (right, bottom) = drawn.min(0), drawn.max(0)
    face_box = (left, top - 0.22 * (bottom - top), right, bottom)
    apart = np.linalg.norm(canonical_landmarks(face_box) - drawn, axis=1) / (right - left)
    assert apart.mean() < 0.15


# -- find_images


def test_folders_are_searched_in_order_and_droppings_skipped(tmp_path: Path) -> None:
    names = ["b.JPG", "a.png", "deep/c.webp", "._a.png", "notes.txt", ".DS_Store"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_images([tmp_path]) == [tmp_path / "a.png", tmp_path / "b.JPG", tmp_path / "deep/c.webp"]


def test_named_file_is_taken_whatever_its_ending_and_only_once(tmp_path: Path) -> None:
    path = tmp_path / "scan.dat"
    path.touch()
    assert find_images([path, str(path)]) == [path]


def test_missing_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        find_images([tmp_path / "gone"])


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures"):
        find_images([tmp_path])


def _saved(tmp_path: Path, picture: Image.Image, name: str, **options: object) -> Path:
    picture.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize(("name", "mode", "options"), [
    ("a.jpg", "RGB", {"quality": 90}), ("b.jpg", "L", {}), ("c.jpg", "CMYK", {}), ("d.png", "RGB", {}),
    ("e.png", "RGBA", {}), ("f.png", "P", {}), ("g.png", "I;16", {}), ("h.webp", "RGB", {"lossless": True}),
])  # fmt: skip
def test_grey_is_the_luminance_of_what_training_sees(tmp_path, name, mode, options):
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(noise).convert(mode)
    path = _saved(tmp_path, picture, name, **options)
    grey, colour = decode(path, grey=True), decode(path)
    assert grey.mode == "L" and grey.size == colour.size
    difference = np.abs(np.asarray(grey, int) - np.asarray(colour.convert("L"), int))
    # A JPEG's own luminance misses what clipping its colours to 0-255 changes: much in noise, little in a photograph.
    assert np.median(difference) <= 2 and (name.endswith("jpg") or difference.max() <= 1)


def test_grey_finds_a_file_cut_short_and_turns_what_lies_on_its_side(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = _saved(tmp_path, Image.effect_noise((64, 48), 60).convert("RGB"), "a.jpg", exif=exif)
    assert decode(path, grey=True).size == decode(path).size == (48, 64)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="damaged image"):
        decode(path, grey=True)
    with pytest.raises(ImageError, match="damaged image"):
        sketch(path, 16)
