import pytest

from data_builders.sources.expw import SOURCE
from facevlm.config import ConfigError

ROWS = (
    "angry_actor_104.jpg 0 28 113 226 141 22.9362 0",
    "party.jpg 0 10 20 40 60 9.5 3",
    "party.jpg 1 10 80 99.5 60 9.5 6 ",
    "flat.jpg 0 28 226 113 141 22.9 0",
    "word.jpg 0 28 x 226 141 22.9 0",
    "seven.jpg 0 28 113 226 141 22.9 7",
    "torn.jpg 0 28",
)


@pytest.fixture
def found(tree, take):
    lines = "\ufeff" + "\r\n".join([*ROWS, ""])
    return take(SOURCE, tree({"label/label.lst": lines, "image/origin/party.jpg": None}))


def test_the_box_is_top_left_right_bottom(found):
    first = found.records["angry_actor_104.jpg-0"]
    assert first.box == (113, 28, 226, 141)
    assert first.media == "image/origin/angry_actor_104.jpg"


def test_every_face_of_a_picture_is_a_record(found):
    assert {n: (r.media, r.emotion, r.box) for n, r in found.records.items() if n.startswith("party")} == {
        "party.jpg-0": ("image/origin/party.jpg", "happiness", (20, 10, 40, 60)),
        "party.jpg-1": ("image/origin/party.jpg", "neutral", (80, 10, 99.5, 60)),
    }


def test_there_is_no_official_split(found):
    assert {r.split for r in found.all} == {""}


def test_bad_rows_are_dropped(found):
    assert found.drops == [("flat.jpg-0", "bad face box"), ("word.jpg-0", "bad face box"),
                           ("seven.jpg-0", "unknown label"), ("line 7", "bad row")]  # fmt: skip


def test_a_copied_header_is_no_face(tree, take):
    head = "image_name face_id_in_image face_box_top face_box_left face_box_right face_box_bottom x expression_label\n"
    found = take(SOURCE, tree({"label.lst": head + ROWS[0], "origin/": None}))
    assert [r.media for r in found.all] == ["origin/angry_actor_104.jpg"]
    assert found.drops == []


def test_labels_without_pictures_are_refused(tree, take):
    with pytest.raises(ConfigError, match=r"ExpW's image/origin is not in .*; the folder holds label/"):
        take(SOURCE, tree({"label/label.lst": ROWS[0]}))
