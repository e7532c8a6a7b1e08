import pytest
from PIL import Image

from data_builders.sources.fer2013 import CSV, FOLDERS
from facevlm.config import ConfigError

GREY = " ".join(str(i % 256) for i in range(48 * 48))
SHORT = " ".join(["7"] * 2303)


def csv(*rows: str, head: str = "emotion,pixels,Usage") -> str:
    return "\n".join([head, *rows, ""])


def test_ids_usages_and_row_numbers(tree, take, tmp_path):
    root = tree({"fer2013.csv": csv(f"0,{GREY},Training", f"6,{GREY},PublicTest", f"4,{GREY},PrivateTest")})
    found = take(CSV, root, into=tmp_path / "into")
    assert {n: (r.emotion, r.split, r.media) for n, r in found.records.items()} == {
        "00000": ("anger", "train", "images/Training/00000.png"),
        "00001": ("neutral", "val", "images/PublicTest/00001.png"),
        "00002": ("sadness", "test", "images/PrivateTest/00002.png"),
    }
    assert found.drops == [] and found.all[0].label_set == "fer2013"


def test_the_pixels_become_grey_pictures_in_the_order_of_the_row(tree, take, tmp_path):
    found = take(CSV, tree({"fer2013.csv": csv(f"3,{GREY},Training")}), into=tmp_path / "into")
    with Image.open(tmp_path / "into" / found.all[0].media) as picture:
        assert (picture.mode, picture.size, picture.format) == ("L", (48, 48), "PNG")
        assert [picture.getpixel(p) for p in ((0, 0), (47, 0), (0, 1), (47, 47))] == [0, 47, 48, 255]
    assert [p.name for p in (tmp_path / "into/images/Training").iterdir()] == ["00000.png"], "a draft is left"


def test_a_picture_that_is_there_is_not_written_again(tree, take, tmp_path):
    there = tmp_path / "into/images/Training/00000.png"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"kept")
    take(CSV, tree({"fer2013.csv": csv(f"3,{GREY},Training")}), into=tmp_path / "into")
    assert there.read_bytes() == b"kept"


def test_what_is_no_picture_or_label_is_dropped_and_keeps_its_row_number(tree, take, tmp_path):
    root = tree({"fer2013.csv": csv(
        f"3,{SHORT},Training", f"3,{GREY.replace('255', 'x')},Training", f"3,{GREY.replace('255', '256')},Training",
        f"7,{GREY},Training", f",{GREY},Training", f"3,{GREY},Holiday", "3,torn", f"3,{GREY},Training")})  # fmt: skip
    found = take(CSV, root, into=tmp_path / "into")
    assert found.drops == [
        ("00000", "bad pixels"), ("00001", "bad pixels"), ("00002", "bad pixels"), ("00003", "unknown label"),
        ("00004", "unlabelled"), ("00005", "unknown split"), ("line 8", "bad row")]  # fmt: skip
    assert list(found.records) == ["00007"]
    assert [p.name for p in (tmp_path / "into/images/Training").iterdir()] == ["00007.png"]


def test_icml_face_data_has_blanks_before_its_names_and_another_order(tree, take, tmp_path):
    rows = csv(f"5,PrivateTest,{GREY}", head="\ufeffemotion, Usage, pixels").replace("\n", "\r\n")
    found = take(CSV, tree({"challenge/icml_face_data.csv": rows}), into=tmp_path / "into")
    assert [(r.id, r.emotion, r.split) for r in found.all] == [("00000", "surprise", "test")]


def test_kaggles_train_csv_has_no_usage_and_test_csv_no_labels(tree, take, tmp_path):
    root = tree({"train.csv": csv(f"1,{GREY}", head="emotion,pixels"), "test.csv": csv(GREY, GREY, head="pixels")})
    found = take(CSV, root, into=tmp_path / "into")
    assert [(r.id, r.emotion, r.split) for r in found.all] == [("00000", "disgust", "train")]
    assert found.drops == [("test.csv 00000", "unlabelled"), ("test.csv 00001", "unlabelled")]
    assert "official val and test are not there" in found.notes[0]


def test_a_csv_without_pixels_or_usage_is_refused(tree, take, tmp_path):
    root = tree({"fer2013.csv": csv("3", head="emotion")})
    with pytest.raises(ConfigError, match="no columns 'pixels', 'Usage'"):
        take(CSV, root, into=tmp_path)


def test_class_folders_take_the_split_from_the_name_for_test_holds_the_val_too(tree, take):
    root = tree({"train/angry/Training_3908.jpg": None, "test/happy/PublicTest_1.JPG": b"x",
                 "test/happy/PrivateTest_2.jpg": None, "test/sad/im0.png": None, "train/sad/im0.png": None,
                 "train/sad/._im0.png": b"x", "train/notes.txt": "x", "train/stray.jpg": None})  # fmt: skip
    found = take(FOLDERS, root)
    assert {n: (r.split, r.emotion) for n, r in found.records.items()} == {
        "test/happy/PrivateTest_2.jpg": ("test", "happiness"), "test/happy/PublicTest_1.JPG": ("val", "happiness"),
        "test/sad/im0.png": ("test", "sadness"), "train/angry/Training_3908.jpg": ("train", "anger"),
        "train/sad/im0.png": ("train", "sadness")}  # fmt: skip
    assert found.drops == [("train/stray.jpg", "unlabelled")]


def test_each_source_points_to_the_other(tree, take, tmp_path):
    with pytest.raises(ConfigError, match="fer2013-folders"):
        take(CSV, tree({"train/angry/Training_1.jpg": None}), into=tmp_path)
    with pytest.raises(ConfigError, match="the csv is source fer2013"):
        take(FOLDERS, tree({"photos/": None}) / "photos")
