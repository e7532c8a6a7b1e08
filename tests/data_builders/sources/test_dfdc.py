import json

import pytest

from data_builders.sources.dfdc import SOURCE
from facevlm.config import ConfigError

FAKE = {"label": "FAKE", "split": "train", "original": "real.mp4"}
REAL = {"label": "REAL", "split": "train"}


def part(**videos):
    return json.dumps({f"{name}.mp4": facts for name, facts in videos.items()})


@pytest.fixture
def challenge(tree):
    return tree({
        "dfdc_train_part_0/metadata.json": part(fake=FAKE, real=REAL, odd=REAL | {"label": "MAYBE"},
                                                strange=REAL | {"split": "later"}),
        "train/dfdc_train_part_1/metadata.json": part(fake=FAKE | {"original": None}),
        "test/labels.csv": "filename,label\r\na.mp4,0\r\nb.mp4,1\r\nc.mp4,2\r\ntorn\r\n",
        "test/b.mp4": b"v",
    })  # fmt: skip


def test_training_parts_and_the_test_folder_are_read(challenge, take):
    found = take(SOURCE, challenge)
    assert {n: (r.media, r.split, r.subject, r.attributes) for n, r in found.records.items()} == {
        "dfdc_train_part_0/fake": ("dfdc_train_part_0/fake.mp4", "train", "dfdc_train_part_0",
                                   {"authenticity": "fake"}),
        "dfdc_train_part_0/real": ("dfdc_train_part_0/real.mp4", "train", "dfdc_train_part_0",
                                   {"authenticity": "real"}),
        "train/dfdc_train_part_1/fake": ("train/dfdc_train_part_1/fake.mp4", "train", "train/dfdc_train_part_1",
                                         {"authenticity": "fake"}),
        "test/a": ("test/a.mp4", "test", None, {"authenticity": "real"}),
        "test/b": ("test/b.mp4", "test", None, {"authenticity": "fake"}),
    }  # fmt: skip


def test_what_cannot_be_read_is_dropped_with_its_reason(challenge, take):
    assert take(SOURCE, challenge).drops == [
        ("dfdc_train_part_0/odd", "unknown label"), ("dfdc_train_part_0/strange", "unknown split"),
        ("test/c", "unknown label"), ("line 5", "bad row")]  # fmt: skip


def test_a_drawn_split_leaves_the_training_parts_open_and_the_test_set_as_it_is(challenge, take):
    found = take(SOURCE, challenge, split="drawn")
    assert {n: r.split for n, r in found.records.items() if not n.startswith("test")} == {
        "dfdc_train_part_0/fake": "", "dfdc_train_part_0/real": "", "train/dfdc_train_part_1/fake": ""}  # fmt: skip
    assert found.records["test/a"].split == "test"


def test_one_part_alone_is_parted_by_original_video(tree, take):
    root = tree({"metadata.json": part(fake=FAKE, real=REAL, other=REAL)})
    assert {n: (r.media, r.subject) for n, r in take(SOURCE, root).records.items()} == {
        "fake": ("fake.mp4", "real"), "real": ("real.mp4", "real"), "other": ("other.mp4", "other")}  # fmt: skip


def test_folders_of_frames_stand_for_videos(tree, take):
    root = tree({"train/p/metadata.json": part(fake=FAKE), "train/p/frames/fake/000.png": None})
    assert take(SOURCE, root).records["train/p/fake"].media == "train/p/frames/fake"


def test_the_preview_is_read_with_its_methods_and_people(tree, take):
    fake = {"label": "fake", "set": "train", "target_id": "1000", "swapped_id": "1001"}
    videos = {
        "method_A/1000/1001/x.mp4": fake,
        "method_B/2000/2001/x.mp4": fake | {"set": "test", "target_id": "2001", "swapped_id": "2000"},
        "original_videos/1001/y.mp4": {"label": "real", "set": "train", "target_id": "1001", "swapped_id": None},
        "original_videos/9/y.mp4": {"label": "real", "set": "test"},
        "original_videos/9/z.mp4": {"label": "real", "set": "spare"},
    }
    found = take(SOURCE, tree({"dataset.json": json.dumps(videos)}))
    assert {n: (r.media, r.split, r.subject, r.attributes) for n, r in found.records.items()} == {
        "method_A/1000/1001/x": ("method_A/1000/1001/x.mp4", "train", "1000",
                                 {"authenticity": "fake", "manipulation": "method_A"}),
        "method_B/2000/2001/x": ("method_B/2000/2001/x.mp4", "test", "2000",
                                 {"authenticity": "fake", "manipulation": "method_B"}),
        "original_videos/1001/y": ("original_videos/1001/y.mp4", "train", "1000", {"authenticity": "real"}),
        "original_videos/9/y": ("original_videos/9/y.mp4", "test", None, {"authenticity": "real"}),
    }  # fmt: skip
    assert found.drops == [("original_videos/9/z.mp4", "unknown split")]
    assert "the preview is read" in found.notes[0]


@pytest.mark.parametrize(("name", "text", "message"), [
    ("p/metadata.json", '{"a.mp4": ', "cannot read"), ("p/metadata.json", '["a.mp4"]', "not an object of videos"),
    ("dataset.json", '{"a.mp4": "fake"}', "not an object of videos"),
    ("test/labels.csv", "filename,is_fake\n", "no columns 'label'"), ("x.mp4", "", "neither metadata.json"),
])  # fmt: skip
def test_files_that_are_something_else_are_refused(tree, take, name, text, message):
    with pytest.raises(ConfigError, match=message):
        take(SOURCE, tree({name: text}))
