import pytest

from data_builders.sources.caer import CLIPS, STILLS
from facevlm.config import ConfigError

STILL_FILES = {"CAER-S/train/Happy/0001.png": None, "CAER-S/train/Anger/0001.png": None,
               "CAER-S/test/Neutral/0001.png": None}  # fmt: skip
CLIP_FILES = {"CAER/train/Surprise/0001.avi": b"x", "CAER/validation/Sad/0001.avi": b"x",
              "CAER/test/Fear/0001.avi": b"x", "CAER/test/Fear/._0001.avi": b"x"}  # fmt: skip


def test_numbers_begin_anew_in_each_class_so_the_path_is_the_id(tree, take):
    found = take(STILLS, tree(STILL_FILES))
    assert {n: (r.split, r.emotion, r.media, r.box) for n, r in found.records.items()} == {
        "train/Anger/0001.png": ("train", "anger", "CAER-S/train/Anger/0001.png", None),
        "train/Happy/0001.png": ("train", "happiness", "CAER-S/train/Happy/0001.png", None),
        "test/Neutral/0001.png": ("test", "neutral", "CAER-S/test/Neutral/0001.png", None),
    }
    assert {r.label_set for r in found.all} == {"caer"}


def test_the_id_does_not_hang_on_how_deep_the_root_is(tree, take):
    root = tree(STILL_FILES)
    assert take(STILLS, root).records.keys() == take(STILLS, root / "CAER-S").records.keys()


def test_clips_have_a_validation_split(tree, take):
    found = take(CLIPS, tree(CLIP_FILES))
    assert {n: (r.split, r.emotion, r.media) for n, r in found.records.items()} == {
        "train/Surprise/0001": ("train", "surprise", "CAER/train/Surprise/0001.avi"),
        "validation/Sad/0001": ("val", "sadness", "CAER/validation/Sad/0001.avi"),
        "test/Fear/0001": ("test", "fear", "CAER/test/Fear/0001.avi"),
    }


def test_both_sets_may_lie_in_one_folder(tree, take):
    root = tree(STILL_FILES | CLIP_FILES)
    assert all(n.endswith(".png") for n in take(STILLS, root).records)
    assert all(r.media.endswith(".avi") for r in take(CLIPS, root).all)


def test_copies_that_could_be_meant_are_refused(tree, take):
    root = tree({"one/train/Happy/1.png": None, "two/train/Happy/1.png": None})
    with pytest.raises(ConfigError, match="several sets: one, two"):
        take(STILLS, root)


def test_another_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match="CAER-S's folders train and test are not in .* there are photos"):
        take(STILLS, tree({"photos/a.jpg": None}))
