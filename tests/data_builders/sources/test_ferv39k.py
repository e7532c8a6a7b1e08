import pytest

from data_builders.sources.ferv39k import SOURCE
from facevlm.config import ConfigError

TRAIN = ("\ufeffAction/Happy/0267 Happy\r\nCrime/Angry/0001 Angry\r\n\r\nCrime/Angry/0002 Sad\nDaily/Joyous/1 Joyous\n"
         "Daily/Sad/1\nDaily/Sad/1 2 Sad\nSad/1 Sad\n")  # fmt: skip


@pytest.fixture
def ferv(tree):
    return tree({"4_setups/All_scenes/train_All.csv": TRAIN,
                 "4_setups/All_scenes/test_All.csv": "War/Fear/0001 Fear\n",
                 "2_ClipsforFaceCrop/Action/Happy/0267/1.jpg": None})  # fmt: skip


def test_lines_without_a_header_are_read(ferv, take):
    found = take(SOURCE, ferv)
    assert {n: (r.emotion, r.split) for n, r in found.records.items()} == {
        "Action/Happy/0267": ("happiness", "train"), "Crime/Angry/0001": ("anger", "train"),
        "War/Fear/0001": ("fear", "test")}  # fmt: skip
    assert found.records["Action/Happy/0267"].media == "2_ClipsforFaceCrop/Action/Happy/0267"
    assert found.records["Action/Happy/0267"].label_set == "basic7"


def test_what_cannot_be_read_is_dropped_with_its_reason(ferv, take):
    assert take(SOURCE, ferv).drops == [
        ("Crime/Angry/0002", "labels disagree"), ("Daily/Joyous/1", "unknown label"),
        ("train_All.csv line 6", "bad row"), ("Daily/Sad/1", "bad row"), ("Sad/1", "bad row"),
    ]  # fmt: skip


def test_missing_parts_are_named(tree, take):
    with pytest.raises(ConfigError, match="2_ClipsforFaceCrop is not in"):
        take(SOURCE, tree({"4_setups/All_scenes/train_All.csv": TRAIN}))
    with pytest.raises(ConfigError, match=r"test_All\.csv is not in"):
        take(SOURCE, tree({"2_ClipsforFaceCrop/": None}))
