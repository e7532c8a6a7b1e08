import io

import numpy as np
import pytest

from data_builders.sources.affectnet import CSV, NPY
from facevlm.config import ConfigError

HEADER = ("subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,"
          "arousal\r\n")  # fmt: skip
MARKS = ";".join(f"{n}.5;{n + 200}" for n in range(68))


def row(path, expression, valence="0.5", arousal="-0.25", width="30", marks=MARKS):
    return f"{path},10,20,{width},40,{marks},{expression},{valence},{arousal}\r\n"


@pytest.fixture
def first_release(tree):
    return tree({
        "Manually_Annotated_file_lists/training.csv": "\ufeff" + HEADER + row("1/a.jpg", 1) + row("1/b.JPG", 7)
        + row("1/c.png", 8) + row("1/d.jpg", 8, "-2", "-2") + row("1/e.jpg", 9, "-2", "-2")
        + row("1/f.jpg", 10, "-2", "-2") + row("1/g.jpg", 3, width="-1") + row("1/h.jpg", 11)
        + row("1/i.jpg", 0, "-2", "-2") + row("1/j.jpg", 4, marks="1;2;3") + row("1/k.jpg", 5, marks="")
        + row("1/l.jpg", 5, marks=MARKS[:-3] + "nan") + row("1/m.jpg", 2, valence="x") + row("1/n.jpg", 2, width="0")
        + "1/o.jpg,1,2\r\n",
        "Manually_Annotated_file_lists/validation.csv": row("2/z.jpeg", 6),
        "Manually_Annotated/Manually_Annotated_Images/1/a.jpg": None,
        "Automatically_Annotated_file_lists/automatically_annotated.csv": HEADER + row("9/y.jpg", 2),
        "Automatically_Annotated/Automatically_Annotated_Images/9/y.jpg": None,
    })  # fmt: skip


def test_a_row_becomes_a_record_with_box_and_landmarks(first_release, take):
    record = take(CSV, first_release).records["1/a"]
    assert record.media == "Manually_Annotated/Manually_Annotated_Images/1/a.jpg"
    assert (record.emotion, record.valence, record.arousal, record.split) == ("happiness", 0.5, -0.25, "train")
    assert record.box == (10, 20, 40, 60)
    assert record.landmarks[0] == (0.5, 200) and record.landmarks[67] == (67.5, 267)


def test_none_keeps_valence_and_arousal_and_minus_two_is_not_labelled(first_release, take):
    found = take(CSV, first_release).records
    assert (found["1/c"].emotion, found["1/c"].valence) == (None, 0.5)
    assert (found["1/i"].emotion, found["1/i"].valence, found["1/i"].arousal) == ("neutral", None, None)
    assert found["1/k"].landmarks is None and found["1/k"].emotion == "disgust"
    assert list(found) == ["1/a", "1/b", "1/c", "1/i", "1/k", "2/z"]


def test_rows_without_a_face_or_a_label_are_dropped(first_release, take):
    assert take(CSV, first_release).drops == [
        ("1/d.jpg", "unlabelled"), ("1/e.jpg", "uncertain"), ("1/f.jpg", "no face"), ("1/g.jpg", "no face"),
        ("1/h.jpg", "unknown label"), ("1/j.jpg", "bad landmarks"), ("1/l.jpg", "bad landmarks"),
        ("1/m.jpg", "bad valence"), ("1/n.jpg", "bad face box"), ("line 16", "bad row")]  # fmt: skip


def test_validation_is_the_test_set_and_may_lack_its_header(first_release, take):
    found = take(CSV, first_release)
    assert (found.records["2/z"].split, found.records["2/z"].emotion) == ("test", "anger")
    assert ["validation.csv has no header" in note for note in found.notes] == [True]


def test_seven_classes_leave_contempt_unlabelled(first_release, take):
    eight, seven = take(CSV, first_release).records, take(CSV, first_release, classes=7).records
    assert (eight["1/b"].emotion, eight["1/b"].label_set) == ("contempt", "affectnet8")
    assert (seven["1/b"].emotion, seven["1/b"].label_set, seven["1/b"].valence) == (None, "affectnet7", 0.5)
    assert seven["1/a"].emotion == "happiness"


def test_the_automatic_set_is_read_only_if_asked_for(first_release, take):
    assert "9/y" not in take(CSV, first_release).records
    record = take(CSV, first_release, automatic=True).records["9/y"]
    assert (record.split, record.emotion) == ("train", "sadness")
    assert record.media == "Automatically_Annotated/Automatically_Annotated_Images/9/y.jpg"


def test_columns_may_stand_in_another_order_and_case(first_release, take):
    (first_release / "Manually_Annotated_file_lists/training.csv").write_text(
        "extra,Expression,valence,arousal,face_x,face_y,face_width,face_height,facial_landmarks,"
        "subDirectory_filePath\nq,1,0.5,0.5,1,2,3,4,,5\\w.jpg\n")  # fmt: skip
    record = take(CSV, first_release).records["5/w"]
    assert (record.emotion, record.box) == ("happiness", (1, 2, 4, 6))


def test_lists_that_are_empty_lack_columns_or_are_not_there_are_refused(first_release, take):
    training = first_release / "Manually_Annotated_file_lists/training.csv"
    for text, message in (("", "is empty"), (HEADER.replace("face_width,", ""), "no columns 'face_width'"),
                          ("1/a.jpg,1,0.5\n", "no columns")):  # fmt: skip
        training.write_text(text)
        with pytest.raises(ConfigError, match=message):
            take(CSV, first_release)
    training.unlink()
    with pytest.raises(ConfigError, match=r"list training\.csv is not in"):
        take(CSV, first_release)


def npy(value):
    out = io.BytesIO()
    np.save(out, np.array(value), allow_pickle=True)
    return out.getvalue()


@pytest.fixture
def later_release(tree):
    marks = np.arange(136.0)
    at = "train_set/annotations/"
    return tree({
        **{f"train_set/images/{n}.jpg": None for n in (1, 2, 3, 4, 5, 6, 7)},
        f"{at}1_exp.npy": npy("3"), f"{at}1_val.npy": npy("0.25"), f"{at}1_aro.npy": npy("-2"),
        f"{at}1_lnd.npy": npy(marks),
        f"{at}2_exp.npy": npy(7), f"{at}2_val.npy": npy(0.5), f"{at}2_aro.npy": npy(0.75),
        f"{at}3_exp.npy": npy({"not": "a number"}), f"{at}4_exp.npy": b"", f"{at}5_exp.npy": npy([1, 2]),
        f"{at}6_exp.npy": npy(0), f"{at}6_lnd.npy": npy(marks[:10]),
        f"{at}8_exp.npy": npy(1), f"{at}._1_exp.npy": b"x",
        "val_set/images/1.JPG": None, "val_set/annotations/1_exp.npy": npy(b"6"),
        "val_set/annotations/1_lnd.npy": npy(marks.reshape(68, 2).astype(str)),
    })  # fmt: skip


def test_numbers_stored_as_text_are_read(later_release, take):
    found = take(NPY, later_release).records
    record = found["train_set/1"]
    assert (record.emotion, record.valence, record.arousal, record.split) == ("surprise", 0.25, None, "train")
    assert record.landmarks[1] == (2, 3) and record.box is None
    assert (found["train_set/2"].emotion, found["train_set/2"].landmarks) == ("contempt", None)
    assert found["train_set/2"].arousal == 0.75


def test_val_set_is_the_test_set_and_its_numbers_do_not_collide(later_release, take):
    found = take(NPY, later_release).records
    assert list(found) == ["train_set/1", "train_set/2", "val_set/1"]
    record = found["val_set/1"]
    assert (record.media, record.split, record.emotion) == ("val_set/images/1.JPG", "test", "anger")
    assert record.landmarks[67] == (134, 135)


def test_what_is_torn_pickled_or_alone_is_dropped(later_release, take):
    assert take(NPY, later_release).drops == [
        ("train_set/3", "bad annotation"), ("train_set/4", "bad annotation"), ("train_set/5", "bad annotation"),
        ("train_set/6", "bad landmarks"), ("train_set/8", "file missing"),
        ("train_set/7.jpg", "unlabelled")]  # fmt: skip


def test_a_release_without_val_set_is_refused(tree, take):
    root = tree({"train_set/images/": None, "train_set/annotations/": None})
    with pytest.raises(ConfigError, match="val_set is not in"):
        take(NPY, root)
