import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.frame.benchmark import truth
from eval.frame.job import prepare
from eval.frame.predictions import Prediction, read_predictions
from eval.pages.drawing import bar, marks, overlay, show
from eval.pages.figures import difference_in_words, headline
from eval.pages.gallery import choose
from eval.run import evaluate
from facevlm.images import ImageError, canonical_landmarks
from facevlm.record import FaceRecord, read
from facevlm.vocab import PROTOCOLS

VOID = {"meta", "img", "rect", "path", "br"}


class Page(HTMLParser):
    """Collects tags and text, and checks that every tag is closed by its own end."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(html)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def html(config, oracle):
    evaluate(config(), oracle())
    return Path(config().out, "report.html").read_text()


def test_the_page_is_well_formed_and_needs_nothing_from_outside(html):
    page = Page(html)
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "data"):
            assert (attrs.get(name) or "data:").startswith("data:"), (tag, attrs)
    assert "http" not in re.sub(r"http-equiv", "", html) and "@import" not in html and "url(" not in html


def test_every_picture_has_words_and_every_table_cell_a_head(html):
    page = Page(html)
    assert len(page.all("img")) == 4 and all(img["alt"] for img in page.all("img"))
    assert all(head["scope"] in ("row", "col") for head in page.all("th"))
    assert page.all("html")[0]["lang"] == "en" and page.all("h1") and page.all("main")


def test_phones_dark_mode_and_the_keyboard_are_thought_of(html):
    assert "width=device-width" in html and "prefers-color-scheme: dark" in html and ":focus-visible" in html
    assert all(box.get("tabindex") == "0" for box in Page(html).all("div") if box.get("role") == "region")


def test_model_text_cannot_become_markup(config, parrot):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)> \"'&"
    evaluate(config(mode="explain"), parrot(f"<think>{evil}</think><au>{evil}</au><answer>{evil}</answer>"))
    html = Path(config().out, "report.html").read_text()
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html
    assert len(Page(html).all("script")) == 1
    assert not any("onerror" in attrs for attrs in Page(html).all("img"))


def test_names_and_ids_cannot_become_markup(config, oracle, tmp_path):
    out = tmp_path / "<b>run"
    evaluate(config(out=str(out), model="<i>model"), oracle())
    html = (out / "report.html").read_text()
    assert "<b>run" not in html and "<i>model" not in html and "&lt;b&gt;run" in html


def test_the_policy_allows_the_script_of_the_page_and_no_other(html):
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html


def test_without_a_gallery_no_pixel_is_copied(config, oracle):
    evaluate(config(gallery=0), oracle())
    assert "data:image" not in Path(config().out, "report.html").read_text()


def _rows(right, wrong):
    plain = Prediction("", "set", None, ("answer",), gold="anger")
    made = [replace(plain, id=f"r{i}", value="anger") for i in range(right)]
    return made + [replace(plain, id=f"w{i}", gold="fear" if i < 3 else "anger") for i in range(wrong)]


@pytest.mark.parametrize(
    ("right", "wrong", "shown"), [(50, 50, (4, 4)), (50, 2, (6, 2)), (1, 50, (1, 7)), (2, 3, (2, 3))]
)
def test_the_gallery_is_half_right_and_half_wrong_as_far_as_it_can_be(right, wrong, shown):
    chosen = choose(_rows(right, wrong), 8)
    assert (sum(row.right for row in chosen), sum(not row.right for row in chosen)) == shown


def test_rare_emotions_get_into_the_gallery():
    wrong = [row for row in choose(_rows(50, 50), 8) if not row.right]
    assert sum(row.gold == "fear" for row in wrong) == 2


def test_marks_tell_hits_extras_misses_and_unlabelled_apart():
    said = {12: None, 4: None, 43: None}
    row = Prediction("0", "s", None, ("au",), aus=said, gold_aus=(6, 12), labelled_aus=(4, 6, 12))
    assert marks(row) == {4: "extra", 6: "missed", 12: "hit", 43: "unlabelled"}


def _dot(picture):
    """Where the red dot of a picture ends up when it is shown."""
    shown_picture = Image.open(io.BytesIO(base64.b64decode(picture.uri.split(",")[1])))
    pixels = np.asarray(shown_picture, dtype=float)
    red = pixels[..., 0] - pixels[..., 1:].mean(-1) > 60
    ys, xs = np.nonzero(red)
    return xs.mean() + 0.5, ys.mean() + 0.5


@pytest.mark.parametrize("box", [None, (60.0, 80.0, 260.0, 320.0), (-30.0, 10.0, 200.0, 250.0)])
@pytest.mark.parametrize("side", [64, 512], ids=["shrunk", "native"])
def test_regions_follow_the_face_through_crop_and_resize(tmp_path, box, side):
    # A red dot sits in the middle of the nose's landmarks: it must stay in the middle of the nose's region.
    points = canonical_landmarks(box or (50.0, 40.0, 350.0, 380.0))
    nose = points[27:36]
    x, y = (nose.min(0) + nose.max(0)) / 2
    picture = Image.new("RGB", (400, 420), (128, 128, 128))
    picture.paste((255, 0, 0), (round(x) - 8, round(y) - 8, round(x) + 8, round(y) + 8))
    picture.save(tmp_path / "face.png")
    record = FaceRecord("1", "s", "face.png", box=box, landmarks=tuple(map(tuple, points.tolist())))
    shown = show(tmp_path / "face.png", record, side)
    left, top, right, bottom = shown.regions["nose"][0]
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(_dot(shown), abs=1.5)


def test_turned_pictures_are_shown_upright(tmp_path):
    picture = Image.new("RGB", (300, 200), (128, 128, 128))
    exif = picture.getexif()
    exif[0x0112] = 6  # turn a quarter clockwise
    picture.save(tmp_path / "face.jpg", exif=exif)
    shown = show(tmp_path / "face.jpg", FaceRecord("1", "s", "face.jpg"))
    assert shown.width < shown.height


def test_without_landmarks_an_average_face_fills_the_box(tmp_path):
    Image.new("RGB", (200, 200), (128, 128, 128)).save(tmp_path / "face.png")
    left, top, right, bottom = show(tmp_path / "face.png", FaceRecord("1", "s", "face.png")).regions["mouth"][0]
    assert 0 < left < 100 < right < 200 and 120 < top < bottom < 200


def test_a_picture_that_is_gone_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match="file missing"):
        show(tmp_path / "gone.png", FaceRecord("1", "s", "gone.png"))


def test_boxes_of_one_region_nest_and_stay_inside(tmp_path):
    Image.new("RGB", (100, 100), (128, 128, 128)).save(tmp_path / "face.png")
    shown = show(tmp_path / "face.png", FaceRecord("1", "s", "face.png"))
    svg = overlay(shown, {23: "hit", 24: "extra", 18: "missed"})  # all of them on the lips
    boxes = [tuple(map(float, m)) for m in re.findall(
        r'class="line" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', svg)]  # fmt: skip
    assert len(set(boxes)) == 3
    assert all(x >= 0 and y >= 0 and x + w <= 100 and y + h <= 100 for x, y, w, h in boxes)
    assert [m for m in re.findall(r'<g class="(\w+)"', svg)] == ["hit", "extra", "missed"]


def test_a_bar_of_nothing_is_only_its_track():
    assert "value" not in bar(None) and "whisker" not in bar(0.5, [None, None])
    assert 'width="50.00"' in bar(0.5, [0.4, 0.6]) and "M40.00 7H60.00" in bar(0.5, [0.4, 0.6])


@pytest.mark.parametrize(("low", "high", "words"), [(0.012, 0.069, "clearly higher"), (-0.2, -0.1, "clearly lower"),
                                                    (-0.01, 0.05, "no clear difference")])  # fmt: skip
def test_differences_are_put_in_words(low, high, words):
    one = {"a": "sft", "b": "grpo", "metric": "au_macro_f1", "value": 0.041, "ci95": [low, high], "n": 9}
    assert difference_in_words(one).startswith("grpo − sft, AU macro-F1: +0.041 [")
    assert difference_in_words(one).endswith(words)


def test_the_text_table_leaves_out_what_no_run_has(config, parrot):
    table = headline([("one", evaluate(config(mode="label"), parrot("<answer>neutral</answer>")))])
    assert "Emotion accuracy" in table and "AU" not in table and "one" in table


def test_pictures_and_truth_of_the_gallery_belong_together(config, oracle, records):
    # The truth of a row is the truth of the record whose picture is shown.
    evaluate(config(), oracle())
    rows = read_predictions(Path(config().out, "predictions.jsonl"))
    faces = {r.id: r for r in read(config().records).records}
    for row in rows:
        assert row.gold_aus == truth(faces[row.id], PROTOCOLS["synthetic-18"]).present
    assert len(prepare(config()).questions) == len(records)
