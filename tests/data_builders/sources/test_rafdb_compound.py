import pytest

from data_builders.sources.rafdb_compound import SOURCE
from facevlm.config import ConfigError
from facevlm.vocab import LABEL_SETS

LABELS = "".join(f"train_{n:04d}.jpg {n}\r\n" for n in range(1, 13)) + "test_0001.JPG 3 \n"


def test_the_eleven_ids_are_read_and_a_twelfth_is_refused(tree, take):
    found = take(SOURCE, tree({"compound/EmoLabel/list_patition_label.txt": LABELS}))
    assert [found.records[f"train_{n:04d}"].emotion for n in range(1, 12)] == [
        "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised",
        "sadly disgusted", "fearfully angry", "fearfully surprised", "angrily surprised", "angrily disgusted",
        "disgustedly surprised"]  # fmt: skip
    assert found.drops == [("train_0012.jpg", "unknown label")]
    assert "fearfully disgusted" not in LABEL_SETS["rafdb-compound"].labels


def test_pictures_splits_and_attributes_are_those_of_rafdb(tree, take):
    root = tree({"RAF-DB/compound/EmoLabel/list_partition_label.txt": LABELS,
                 "RAF-DB/compound/Annotation/manual/test_0001_manu_attri.txt": "1 2\n" * 5 + "0\n1\n2\n"})  # fmt: skip
    record = take(SOURCE, root).records["test_0001"]
    assert (record.split, record.emotion, record.label_set) == ("test", "sadly fearful", "rafdb-compound")
    assert record.media == "RAF-DB/compound/Image/aligned/test_0001_aligned.jpg"
    assert record.attributes == {"gender": "male", "race": "African-American", "age_group": "20-39"}
    original = take(SOURCE, root, pictures="original").records["test_0001"]
    assert original.media == "RAF-DB/compound/Image/original/test_0001.jpg"


def test_the_part_itself_can_be_the_root_but_basic_is_refused(tree, take):
    root = tree({"compound/EmoLabel/list_patition_label.txt": LABELS,
                 "basic/EmoLabel/list_patition_label.txt": "train_00001.jpg 5\n"})  # fmt: skip
    record = take(SOURCE, root / "compound").records["train_0001"]
    assert record.media == "Image/aligned/train_0001_aligned.jpg"
    with pytest.raises(ConfigError, match="not RAF-DB compound"):
        take(SOURCE, root / "basic")


def test_pictures_unpacked_one_folder_deeper_are_found(tree, take):
    root = tree({"compound/EmoLabel/list_patition_label.txt": LABELS, "compound/Image/aligned/aligned/": None})
    record = take(SOURCE, root).records["train_0001"]
    assert record.media == "compound/Image/aligned/aligned/train_0001_aligned.jpg"
