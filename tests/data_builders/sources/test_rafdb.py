import pytest

from data_builders.sources.rafdb import SOURCE
from facevlm.config import ConfigError

LABELS = "train_00001.jpg 5\r\ntrain_00002.jpg 7 \r\ntest_0001.jpg 4\r\nother_1.jpg 4\r\ntrain_00003.jpg 8\r\ntorn\r\n"
ATTRIBUTES = "1.5\t2\n3 4\n5 6\n7 8\n9 10\n1\n2\n3\n"


@pytest.fixture
def basic(tree):
    return tree({
        "basic/EmoLabel/list_patition_label.txt": LABELS,
        "basic/Annotation/manual/train_00001_manu_attri.txt": ATTRIBUTES,
        "basic/Annotation/manual/train_00002_manu_attri.txt": "1 2\n3 4\n5 6\n7 8\n9 10\n2\n0\n0\n",
        "basic/Image/aligned/train_00001_aligned.jpg": None,
    })  # fmt: skip


def test_ids_begin_at_one_with_surprise(basic, take):
    found = take(SOURCE, basic)
    assert {n: r.emotion for n, r in found.records.items()} == {
        "train_00001": "sadness", "train_00002": "neutral", "test_0001": "happiness"}  # fmt: skip
    assert found.records["test_0001"].split == "test"
    assert found.records["train_00001"].media == "basic/Image/aligned/train_00001_aligned.jpg"


def test_the_manual_attributes_are_read_and_unsure_is_not_labelled(basic, take):
    found = take(SOURCE, basic)
    assert found.records["train_00001"].attributes == {"gender": "female", "race": "Asian", "age_group": "40-69"}
    assert found.records["train_00002"].attributes == {"race": "Caucasian", "age_group": "0-3"}
    assert found.records["test_0001"].attributes == {}


def test_what_cannot_be_read_is_dropped_with_its_reason(basic, take):
    assert take(SOURCE, basic).drops == [("other_1.jpg", "unknown split"), ("train_00003.jpg", "unknown label"),
                                         ("torn", "bad row")]  # fmt: skip


def test_original_pictures_can_be_asked_for(basic, take):
    assert take(SOURCE, basic, pictures="original").records["test_0001"].media == "basic/Image/original/test_0001.jpg"


def test_the_mirror_with_class_folders_is_read(tree, take):
    root = tree({"DATASET/train/1/train_00007_aligned.jpg": None, "DATASET/test/7/test_0002_aligned.jpg": None,
                 "DATASET/train/9/train_00008_aligned.jpg": None,
                 "DATASET/train/1/._train_00007.jpg": b"x"})  # fmt: skip
    found = take(SOURCE, root)
    assert {n: (r.split, r.emotion) for n, r in found.records.items()} == {
        "train_00007": ("train", "surprise"), "test_0002": ("test", "neutral")}  # fmt: skip
    assert [reason for _, reason in found.drops] == ["unknown label"]
    assert "no age" in found.notes[0]


def test_another_folder_is_refused_with_what_it_holds(tree, take):
    with pytest.raises(ConfigError, match=r"list_patition_label.*the folder holds holiday\.jpg"):
        take(SOURCE, tree({"holiday.jpg": None}))


def test_attributes_without_meaning_or_cut_short_are_dropped(tree, take):
    manual = "basic/Annotation/manual/train_0000{}_manu_attri.txt"
    root = tree({"basic/EmoLabel/list_patition_label.txt": "train_00001.jpg 5\ntrain_00002.jpg 5\ntrain_00003.jpg 5\n",
                 manual.format(1): "1 2\n" * 5 + "0\n1\n7\n", manual.format(2): "1 2\n" * 5 + "0\n",
                 manual.format(3): b""})  # fmt: skip
    found = take(SOURCE, root)
    assert found.drops == [(f"train_0000{n}.jpg", "bad attributes") for n in (1, 2, 3)]


def test_the_compound_part_is_refused(tree, take):
    root = tree({"compound/EmoLabel/list_patition_label.txt": "train_0001.jpg 3\n"})
    with pytest.raises(ConfigError, match="not RAF-DB basic"):
        take(SOURCE, root / "compound")
