import json

import pytest

from data_builders.sources.faceinstruct import SOURCE
from facevlm.config import ConfigError


def item(number, text, **media):
    turns = [{"from": "human", "value": "<image>\nWhat is the emotion?"}, {"from": "gpt", "value": text}]
    return {"id": number, "conversations": turns} | media


@pytest.fixture
def root(tree):
    return tree({
        "json_files/rafdb.json": json.dumps([item("3", "The brows are raised.", image="rafdb/train_00003.jpg"),
                                             item("4", "Angry.", image=""), item("5", "", image="a.jpg")]),
        "json_files/dfew_test.json": json.dumps([item("3", "Happy.", video="dfew/00001.mp4")], indent=1),
        "json_files/._rafdb.json": b"x", "json_files/more/bp4d_val.json": json.dumps([item(1, "AU4.", image="1.jpg")]),
    })  # fmt: skip


def test_answers_are_captions(root, take):
    found = take(SOURCE, root, media={"rafdb": "sets/raf/"})
    assert {n: (r.media, r.split, r.caption, r.attributes["task"]) for n, r in found.records.items()} == {
        "dfew_test/3": ("dfew/00001.mp4", "test", "Happy.", "dfew_test"),
        "more/bp4d_val/1": ("1.jpg", "val", "AU4.", "more/bp4d_val"),
        "rafdb/3": ("sets/raf/rafdb/train_00003.jpg", "train", "The brows are raised.", "rafdb"),
    }
    assert all(r.emotion is None and not r.aus for r in found.all), "no label is read out of the text"
    assert found.drops == [("rafdb/4", "no media"), ("rafdb/5", "no answer")]
    assert "recalled" in found.notes[0]


def test_some_tasks(root, take):
    assert list(take(SOURCE, root, tasks=["rafdb"]).records) == ["rafdb/3"]
    with pytest.raises(ConfigError, match="no file for raf; it has dfew_test, more/bp4d_val, rafdb"):
        take(SOURCE, root, tasks=["raf"])


def test_other_folders_are_refused(tree, take):
    with pytest.raises(ConfigError, match=r"json_files.*the folder holds holiday\.jpg"):
        take(SOURCE, tree({"holiday.jpg": None}))
    with pytest.raises(ConfigError, match="an object that has `conversations`"):
        take(SOURCE, tree({"json_files/a.json": '[{"id": 1}]', "json_files/b.json": ""}))
