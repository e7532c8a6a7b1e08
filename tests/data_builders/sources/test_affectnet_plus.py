import json

import pytest

from data_builders.sources.affectnet_plus import SOURCE
from facevlm.config import ConfigError

SOFT = [0.2, 0.8, 0, 0, 0, 0, 0, 1.0]
MARKS = [[n, n + 1] for n in range(68)]


def face(label=1, **keys):
    return json.dumps({"Human-Label": label, **keys})


WHOLE = face(1, **{"Soft-Label": SOFT, "Subset": 1, "Metadata": {
    "Age": 31, "Gender": "Female", "Race": "white", "Pose": [1, 2, 3], "Landmarks": MARKS, "Valence": 0.5,
    "Arousal": -0.25}})  # fmt: skip


def test_a_file_becomes_a_record_with_shares_and_attributes(tree, take):
    record = take(SOURCE, tree({"train/12.json": WHOLE, "train/12.jpg": None})).records["train/12"]
    assert (record.media, record.split, record.emotion) == ("train/12.jpg", "train", "happiness")
    assert record.emotion_probs == pytest.approx({"neutral": 0.1, "happiness": 0.4, "sadness": 0, "surprise": 0,
                                                  "fear": 0, "disgust": 0, "anger": 0, "contempt": 0.5})  # fmt: skip
    assert (record.valence, record.arousal, record.landmarks[67]) == (0.5, -0.25, (67, 68))
    assert record.attributes == {"difficulty": "challenging", "age": "31", "gender": "female", "race": "white"}


def test_seven_classes_take_contempt_out_of_the_shares(tree, take):
    root = tree({"train/12.json": WHOLE, "train/12.jpg": None})
    record = take(SOURCE, root, classes=7).records["train/12"]
    assert record.emotion_probs["happiness"] == pytest.approx(0.8) and "contempt" not in record.emotion_probs


def test_case_dashes_and_blanks_in_keys_do_not_matter(tree, take):
    text = json.dumps({"human_label": "6", "SOFT LABEL": SOFT, "metadata": {"AGE": "20.5", "gender": "m",
                                                                            "VALENCE": "-2"}})  # fmt: skip
    root = tree({"validation/1.json": "\ufeff" + text, "validation/1.PNG": None})
    record = take(SOURCE, root).records["validation/1"]
    assert (record.emotion, record.valence, record.split) == ("anger", None, "test")
    assert record.attributes == {"age": "20.5", "gender": "male"} and len(record.emotion_probs) == 8


def test_annotations_may_lie_in_a_folder_of_their_own(tree, take):
    root = tree({"annotations/train/1.json": face(0), "images/train/1.jpg": None,
                 "annotations/Validation/1.json": face(2), "images/Validation/1.jpg": None,
                 "annotations/train/2.json": face(3), "images/2.jpg": None,
                 "annotations/3.json": face(4), "images/Validation/3.jpg": None})  # fmt: skip
    assert {r.media: (r.split, r.emotion) for r in take(SOURCE, root).all} == {
        "images/train/1.jpg": ("train", "neutral"), "images/Validation/1.jpg": ("test", "sadness"),
        "images/2.jpg": ("train", "surprise"), "images/Validation/3.jpg": ("test", "fear")}  # fmt: skip


def test_none_is_kept_for_its_valence_and_the_others_are_dropped(tree, take):
    root = tree({f"train/{n}.jpg": None for n in range(9)} | {
        "train/0.json": face(8, Metadata={"valence": 0.5, "arousal": 0.1}), "train/1.json": face(8),
        "train/2.json": face(9), "train/3.json": face(10), "train/4.json": face(1, **{"Soft-Label": [1, 2]}),
        "train/5.json": face(1, **{"Soft-Label": [-1, 2, 0, 0, 0, 0, 0, 0]}), "train/6.json": "{torn",
        "train/7.json": "[1]", "train/8.json": face(12), "train/9.json": face(1), "train/._0.json": b"\x00",
    })  # fmt: skip
    found = take(SOURCE, root)
    assert [(r.id, r.emotion, r.valence) for r in found.all] == [("train/0", None, 0.5)]
    assert [(name.removeprefix("train/"), reason) for name, reason in found.drops] == [
        ("1.json", "unlabelled"), ("2.json", "uncertain"), ("3.json", "no face"), ("4.json", "bad soft label"),
        ("5.json", "bad soft label"), ("6.json", "bad row"), ("7.json", "unlabelled"), ("8.json", "unknown label"),
        ("9.json", "file missing")]  # fmt: skip


def test_pictures_that_cannot_be_told_apart_are_not_guessed(tree, take):
    root = tree({"train/1.json": face(1), "train/1.jpg": None, "train/1.png": None,
                 "annotations/2.json": face(1), "train/2.jpg": None, "validation/2.jpg": None,
                 "3.json": face(1), "3.jpg": None, "train/4.jpg": None})  # fmt: skip
    assert take(SOURCE, root).drops == [
        ("3.json", "file missing"), ("annotations/2.json", "ambiguous picture"),
        ("train/1.json", "ambiguous picture"), ("3.jpg", "unlabelled"), ("train/2.jpg", "unlabelled"),
        ("train/4.jpg", "unlabelled"), ("validation/2.jpg", "unlabelled")]  # fmt: skip


def test_a_picture_goes_to_the_first_of_two_files(tree, take):
    root = tree({"annotations/train/1.json": face(1), "train/1.json": face(2), "train/1.jpg": None})
    found = take(SOURCE, root)
    assert found.records["train/1"].emotion == "happiness" and found.drops == [("train/1.json", "file missing")]


def test_metadata_that_is_not_understood_is_left_out_and_counted(tree, take):
    about = {"age": "(20-29)", "gender": 1, "race": {"white": 0.9}, "landmarks": [1, 2]}
    root = tree({"train/1.json": face(1, Subset=4, Metadata=about), "train/1.jpg": None,
                 "train/2.json": face(1, Metadata="none"), "train/2.jpg": None})  # fmt: skip
    found = take(SOURCE, root)
    assert found.records["train/1"].attributes == {} and found.records["train/1"].landmarks is None
    assert found.notes == ["values not understood, and left out: age (1), difficulty (1), gender (1), landmarks (1), "
                           "race (1)"]  # fmt: skip
    assert found.records["train/2"].emotion == "happiness"


def test_a_folder_without_json_is_refused(tree, take):
    with pytest.raises(ConfigError, match="one JSON file for each picture"):
        take(SOURCE, tree({"train/1.jpg": None}))
