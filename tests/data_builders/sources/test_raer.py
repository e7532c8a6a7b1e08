import pytest

from data_builders.sources.raer import SOURCE
from facevlm.config import ConfigError

TRAIN = ("RAER/train/0001 64 3\r\nRAER/train/my clip 12 5\nRAER/train/0003 6\nRAER/train/0004 64 6\n"
         "RAER/train/0005 many 1\n")  # fmt: skip


def test_labels_begin_at_one_and_paths_may_hold_blanks(tree, take):
    root = tree({"RAER/annotation/train.txt": TRAIN, "RAER/test.txt": "RAER/test/0001 8 1\n",
                 "RAER/train/0001/1.jpg": None})  # fmt: skip
    found = take(SOURCE, root)
    assert {n: (r.emotion, r.split, r.media) for n, r in found.records.items()} == {
        "RAER/train/0001": ("confusion", "train", "RAER/train/0001"),
        "RAER/train/my clip": ("distraction", "train", "RAER/train/my clip"),
        "RAER/test/0001": ("neutral", "test", "RAER/test/0001"),
    }  # fmt: skip
    assert {r.label_set for r in found.all} == {"raer"}
    assert found.drops == [("train.txt line 3", "bad row"), ("train.txt line 4", "unknown label"),
                           ("train.txt line 5", "bad row")]  # fmt: skip


def test_paths_of_the_authors_machine_are_cut_to_the_root(tree, take):
    lines = "torn\n/data/sets/RAER/train/0009 8 2\n/data/sets/RAER/train/0001 8 2\n/elsewhere/RAER/train/0002 8 2\n"
    root = tree({"annotation/train.txt": lines, "annotation/test.txt": "", "train/0001/1.jpg": None})
    found = take(SOURCE, root)
    assert {n: r.media for n, r in found.records.items()} == {
        "RAER/train/0009": "train/0009", "RAER/train/0001": "train/0001"}  # fmt: skip
    assert found.notes == ["clips are looked for with '/data/sets/RAER/' cut off their paths and '' put before them"]
    assert found.drops == [("train.txt line 1", "bad row"), ("train.txt line 4", "bad row")]


def test_the_folder_may_stand_between_root_and_path(tree, take):
    root = tree({"RAER/annotation/train.txt": "train/0001 8 4\n", "RAER/annotation/test.txt": "",
                 "RAER/train/0001/1.jpg": None})  # fmt: skip
    found = take(SOURCE, root)
    assert (found.records["train/0001"].media, found.records["train/0001"].emotion) == ("RAER/train/0001", "fatigue")


def test_nothing_that_fits_is_refused_with_what_was_looked_for(tree, take):
    root = tree({"RAER/annotation/train.txt": TRAIN, "RAER/test.txt": ""})
    with pytest.raises(ConfigError, match=r"looked for RAER/train/0001"):
        take(SOURCE, root)
    (root / "RAER/test.txt").unlink()
    with pytest.raises(ConfigError, match=r"list test\.txt"):
        take(SOURCE, root)
