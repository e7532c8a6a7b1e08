import pytest

from data_builders.sources.scutfbp import SOURCE
from facevlm.config import ConfigError

SIXTY = "train_test_files/split_of_60%training and 40%testing"
FOLD = "train_test_files/5_folders_cross_validations_files/cross_validation_2"


@pytest.fixture
def archive(tree):
    return tree({
        f"{SIXTY}/train.txt": "CF437.jpg 2.883333\r\nAM1384.jpg 2.466667\r\n", f"{SIXTY}/test.txt": "AF1.jpg 3\n",
        f"{FOLD}/train_2.txt": "AF1.jpg 3\n", f"{FOLD}/test_2.txt": "CF437.jpg 2.883333\nCM7.jpg 4.5\n",
        "train_test_files/All_labels.txt": "AF1.jpg 3\nCF437.jpg 2.883333\n", "Images/AF1.jpg": None,
    })  # fmt: skip


def test_the_60_40_split_is_the_default(archive, take):
    found = take(SOURCE, archive)
    assert {n: (r.split, r.media, r.attributes) for n, r in found.records.items()} == {
        "CF437": ("train", "Images/CF437.jpg", {"beauty": "2.883333", "gender": "female", "race": "Caucasian"}),
        "AM1384": ("train", "Images/AM1384.jpg", {"beauty": "2.466667", "gender": "male", "race": "Asian"}),
        "AF1": ("test", "Images/AF1.jpg", {"beauty": "3", "gender": "female", "race": "Asian"}),
    }
    assert found.notes == []


def test_a_fold_or_no_split_can_be_asked_for(archive, take):
    assert {n: r.split for n, r in take(SOURCE, archive, protocol="fold-2").records.items()} == {
        "AF1": "train", "CF437": "test", "CM7": "test"}  # fmt: skip
    assert {n: r.split for n, r in take(SOURCE, archive, protocol="none").records.items()} == {"AF1": "", "CF437": ""}


def test_the_repositorys_lists_and_names_are_read_too(tree, take):
    root = tree({"data/1/train_1.txt": "ftw437.jpg 2.883333\nmty1384.jpg 2.466667\n",
                 "data/1/test_1.txt": "fty1.jpg 3\nmtw2.jpg 2\n", "Images/fty1.jpg": None})  # fmt: skip
    found = take(SOURCE, root, protocol="fold-1")
    assert {n: (r.split, r.attributes["gender"], r.attributes["race"]) for n, r in found.records.items()} == {
        "ftw437": ("train", "female", "Caucasian"), "mty1384": ("train", "male", "Asian"),
        "fty1": ("test", "female", "Asian"), "mtw2": ("test", "male", "Caucasian"),
    }  # fmt: skip
    assert found.notes == []


def test_lists_of_one_naming_beside_pictures_of_the_other_are_said(tree, take):
    root = tree({"data/1/train_1.txt": "ftw437.jpg 2.88\n", "data/1/test_1.txt": "fty1.jpg 3\n",
                 "Images/AF1.jpg": None})  # fmt: skip
    assert "use the lists of the archive" in take(SOURCE, root, protocol="fold-1").notes[0]


def test_what_cannot_be_read_is_dropped_with_its_reason(tree, take):
    root = tree({f"{SIXTY}/train.txt": "AF1.jpg 5.5\nAF2.jpg x\nAF3.jpg\nXF4.jpg 3\nAF5.jpg 3\nAF7.jpg nan\n",
                 f"{SIXTY}/test.txt": "AF5.jpg 3\nAF6.jpg 1\n", "Images/": None})  # fmt: skip
    found = take(SOURCE, root)
    assert found.drops == [("AF1.jpg", "bad score"), ("AF2.jpg", "bad score"), ("AF3.jpg", "bad row"),
                           ("XF4.jpg", "bad name"), ("AF7.jpg", "bad score"), ("AF5.jpg", "named twice")]  # fmt: skip
    assert list(found.records) == ["AF5", "AF6"]


def test_a_protocol_whose_lists_are_not_there_is_refused(archive, take):
    with pytest.raises(ConfigError, match="the train list of protocol fold-3 is not in"):
        take(SOURCE, archive, protocol="fold-3")
    with pytest.raises(ConfigError, match="folder Images"):
        take(SOURCE, archive / "train_test_files")
