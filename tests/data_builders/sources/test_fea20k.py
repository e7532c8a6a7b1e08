import json

import pytest

from data_builders.sources.fea20k import SOURCE
from facevlm.config import ConfigError


def line(number, dataset, image, aus, labels, **more):
    return json.dumps({"id": number, "dataset": dataset, "image": image, "question": "?", "AUs": aus, "labels": labels,
                       "description": "The inner brows are raised.", "meta_info": {}} | more)  # fmt: skip


TRAIN = "\n".join([
    line(1, "DISFA", "SN001/12.jpg", ["AU4", "AU1"], ["Sadness"]),
    line(2, "BP4D", "BP4D/F001/T1/2440.jpg", [], ["Happiness", "surprise"], description=""),
    line(3, "RAF_AU", "0001_aligned.jpg", ["AU25"], ["Bewildered"]),
    line(4, "FER2013", "fer0001.png", ["AU12"], ["joy"]),
    line(5, "AffectNet", "a.jpg", ["AU12"], ["happiness"]),
    line(6, "RAF-DB", "train_1.jpg", ["AU99"], ["happiness"]),
    line(7, "RAF-DB", "train_2.jpg", "AU1", ["happiness"]),
    line(8, "RAF-DB", "train_3.jpg", [], [], description=None),
    line(9, "RAF-DB", "", ["AU1"], ["Fear"]),
    '{"id": 10, "dataset": "torn',
])  # fmt: skip


@pytest.fixture
def root(tree):
    return tree({
        "fea/train_stage1.jsonl": TRAIN, "fea/train_stage2.jsonl": line(1, "DISFA", "SN001/12.jpg", ["AU1"], []),
        "fea/FEA_test.jsonl": line(1, "FABA", "x.jpg", ["AU6"], ["Contempt"]), "other.jsonl": '{"id": 1}\n',
        "DISFA/": "", "BP4D/": "", "FER2013/": "", "RAF-DB/": "", "FABAInstruct/": "",
    })  # fmt: skip


def test_aus_labels_and_descriptions(root, take):
    found = take(SOURCE, root, images={"raf-au": "sets/RAFAU/aligned/"})
    one = found.records["fea/train_stage1/1"]
    assert (one.media, one.split, one.subject) == ("DISFA/SN001/12.jpg", "train", "DISFA-SN001")
    assert one.aus == {1: 1, 4: 1} and one.aus_by is None and (one.emotion, one.label_set) == ("sadness", "basic8")
    assert (one.rationale, one.rationale_by, one.caption) == ("The inner brows are raised.", "fea-20k", None)
    two = found.records["fea/train_stage1/2"]
    assert (two.media, two.subject) == ("BP4D/F001/T1/2440.jpg", "BP4D-F001"), "the set's name is not doubled"
    assert (two.emotion, two.label_set, two.emotion_words) == (None, None, ("happiness", "surprise"))
    assert (two.aus, two.rationale, two.rationale_by) == ({}, None, None)
    three = found.records["fea/train_stage1/3"]
    assert three.media == "sets/RAFAU/aligned/0001_aligned.jpg" and three.emotion_words == ("bewildered",)
    four = found.records["fea/train_stage1/4"]
    assert (four.emotion, four.aus_by, four.subject) == ("happiness", "fea-20k", None)
    test = found.records["fea/FEA_test/1"]
    assert (test.split, test.media, test.emotion) == ("test", "FABAInstruct/x.jpg", "contempt")


def test_what_cannot_be_read_is_dropped_with_its_reason(root, take):
    assert take(SOURCE, root, images={"RAF-AU": "x"}).drops == [
        ("fea/train_stage1/5", "pictures not given"), ("fea/train_stage1/6", "bad AU code"),
        ("fea/train_stage1/7", "bad row"), ("fea/train_stage1/8", "unlabelled"), ("fea/train_stage1/9", "no media"),
        ("train_stage1.jsonl object 10", "bad row"),
    ]  # fmt: skip


def test_one_stage_and_captions(root, take):
    found = take(SOURCE, root, stage="2", text="caption")
    assert list(found.records) == ["fea/FEA_test/1", "fea/train_stage2/1"]
    assert found.records["fea/train_stage2/1"].caption == "The inner brows are raised."
    assert found.records["fea/train_stage2/1"].rationale is found.records["fea/train_stage2/1"].rationale_by is None
    assert "fea/train_stage2.jsonl" in found.notes[0] and "other.jsonl" not in found.notes[0]


def test_another_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match=r"no \.jsonl file whose objects have dataset, image, AUs, labels"):
        take(SOURCE, tree({"other.jsonl": '{"id": 1}\n', "empty.jsonl": "", "torn.jsonl": "{",
                           "latin.jsonl": b"\xff"}))
