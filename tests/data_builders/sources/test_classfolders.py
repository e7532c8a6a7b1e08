from dataclasses import replace

import pytest

from data_builders.sources.classfolders import SOURCE
from facevlm.config import ConfigError


def test_folders_of_splits_and_labels_in_any_case(tree, take):
    root = tree({"Train/Happy/b.PNG": b"x", "Train/Happy/deep/a.jpg": None, "validation/ANGER/a.jpg": None,
                 "test/angry/a.jpg": None, "test/angry/._a.jpg": b"x", "test/Thumbs.db": b"x",
                 "__MACOSX/x/a.jpg": None})  # fmt: skip
    found = take(SOURCE, root)
    assert {n: (r.media, r.split, r.emotion, r.label_set) for n, r in found.records.items()} == {
        "Train/Happy/b.PNG": ("Train/Happy/b.PNG", "train", "happiness", "basic7"),
        "Train/Happy/deep/a.jpg": ("Train/Happy/deep/a.jpg", "train", "happiness", "basic7"),
        "test/angry/a.jpg": ("test/angry/a.jpg", "test", "anger", "basic7"),
        "validation/ANGER/a.jpg": ("validation/ANGER/a.jpg", "val", "anger", "basic7"),
    }


def test_without_splits_none_is_given_and_the_order_is_that_of_the_paths(tree, take):
    found = take(SOURCE, tree({"sad/2.jpg": None, "sad/10.jpg": None, "fear/1.jpg": None, "loose.jpg": None}))
    assert [(r.id, r.split) for r in found.all] == [("fear/1.jpg", ""), ("sad/10.jpg", ""), ("sad/2.jpg", "")]
    assert found.drops == [("loose.jpg", "unlabelled")]


def test_numbers_are_ids_of_the_label_set_and_some_mean_no_label(tree, take):
    root = tree({"train/0/a.jpg": None, "train/7/b.jpg": None, "train/8/c.jpg": None})
    found = take(SOURCE, root, label_set="affectnet8")
    assert [(r.id, r.emotion) for r in found.all] == [("train/0/a.jpg", "neutral"), ("train/7/b.jpg", "contempt")]
    assert found.drops == [("train/8/c.jpg", "unlabelled")]


def test_other_names_are_mapped_and_the_set_is_named(tree, take):
    root = tree({"fold1/01_joy/a.jpg": None, "fold2/02_none/a.jpg": None})
    named = {"name": "mine", "licence": "CC0-1.0"}
    found = take(replace(SOURCE, **named), root, **named, emotion_map={"01_joy": "happiness", "02_none": 0},
                 split_map={"Fold1": "train", "fold2": "test"})  # fmt: skip
    assert [(r.source, r.licence, r.split, r.emotion) for r in found.all] == [
        ("mine", "CC0-1.0", "train", "happiness"), ("mine", "CC0-1.0", "test", "neutral")]  # fmt: skip


def test_clips_are_videos_or_folders_of_frames(tree, take):
    root = tree({"happy/a.mp4": b"x", "happy/b/1.jpg": None, "happy/b.avi": b"x", "happy/c/1.jpg": None,
                 "happy/c/2.jpg": None, "happy/note.txt": "x", "sad/a.AVI": b"x"})  # fmt: skip
    found = take(SOURCE, root, clips=True)
    assert {n: r.media for n, r in found.records.items()} == {
        "happy/a": "happy/a.mp4", "happy/b": "happy/b.avi", "happy/c": "happy/c", "sad/a": "sad/a.AVI"}  # fmt: skip
    assert found.drops == [("happy/b", "duplicate id")]
    assert all(r.frames == () for r in found.all)


@pytest.mark.parametrize(("options", "says"), [
    ({}, "are no label of basic7: contempt, odd. It knows neutral, happiness"),
    ({"label_set": "none"}, "label_set 'none' is unknown; known: basic7"),
    ({"emotion_map": {"odd": "gladness"}}, r"emotion_map\.odd: 'gladness' is not a label of basic7"),
])  # fmt: skip
def test_unknown_names_are_refused_with_what_is_known(tree, take, options, says):
    with pytest.raises(ConfigError, match=says):
        take(SOURCE, tree({"happy/a.jpg": None, "odd/a.jpg": None, "contempt/a.jpg": None}), **options)


def test_folders_beside_splits_are_refused(tree, take):
    with pytest.raises(ConfigError, match=r"folders of splits, train, and others: holdout\. Known splits: train"):
        take(SOURCE, tree({"train/happy/a.jpg": None, "holdout/happy/a.jpg": None}))


def test_a_root_without_class_folders_is_refused(tree, take):
    with pytest.raises(ConfigError, match="no class folders in"):
        take(SOURCE, tree({"train/a.jpg": None}))
