import pytest

from data_builders.sources.mer import MER2023, MER2024, MER2025
from facevlm.config import ConfigError

TRAIN = "\ufeffname,discrete,valence\r\nsample_1,happy,2.5\r\nsample_2,worried,-5\r\nsample_3,neutral,\r\n"


# -- 2023


@pytest.fixture
def mer2023(tree):
    return tree({
        "train-label.csv": TRAIN + "sample_4,cross,0\nsample_5,sad,7\nsample_6,sad,x\nsample_7,sad,1\n"
                                   "sample_1,sad,1\ntorn\n,,\n",
        "test2-label.csv": "name,discrete,valence\nsample_20,surprise,0.5\n",
        "test3-label.csv": "name,discrete\nsample_30,angry\n",
        **{f"train/sample_{i}.avi": b"x" for i in (1, 2, 4, 5, 6)},
        "train/sample_3.MP4": b"x", "train/sample_3.wav": b"x",
        "test2/sample_20.mp4": b"x", "test3/sample_30.avi": b"x",
    })  # fmt: skip


def test_endings_differ_and_valence_is_scaled(mer2023, take):
    found = take(MER2023, mer2023)
    assert {n: (r.media, r.split, r.emotion, r.valence) for n, r in found.records.items()} == {
        "sample_1": ("train/sample_1.avi", "train", "happiness", 0.5),
        "sample_2": ("train/sample_2.avi", "train", "worry", -1.0),
        "sample_3": ("train/sample_3.MP4", "train", "neutral", None),
        "sample_20": ("test2/sample_20.mp4", "test", "surprise", 0.1),
        "sample_30": ("test3/sample_30.avi", "test", "anger", None),
    }  # fmt: skip
    assert found.records["sample_30"].attributes == {"part": "test3"}
    assert found.records["sample_1"].label_set == "mer"


def test_parts_that_are_not_there_are_said(mer2023, take):
    assert take(MER2023, mer2023).notes == ["not there, and passed over: test1"]
    assert list(take(MER2023, mer2023, parts=["test2"]).records) == ["sample_20"]
    with pytest.raises(ConfigError, match=r"test1-label\.csv"):
        take(MER2023, mer2023, parts=["test1"])


def test_what_cannot_be_read_is_dropped_with_its_reason(mer2023, take):
    assert take(MER2023, mer2023).drops == [
        ("sample_4", "unknown label"), ("sample_5", "bad valence"), ("sample_6", "bad valence"),
        ("sample_1", "labelled twice"), ("train-label.csv line 10", "bad row"), ("sample_7", "file missing"),
    ]  # fmt: skip


def test_another_scale_of_valence_can_be_set(mer2023, take):
    found = take(MER2023, mer2023, parts=["train"], valence_scale=10.0)
    assert (found.records["sample_1"].valence, found.records["sample_5"].valence) == (0.25, 0.7)


def test_an_empty_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match=r"train-label\.csv is not in"):
        take(MER2023, tree({"readme.txt": "x"}))


# -- 2024


def test_words_join_by_name_and_splits_are_drawn(tree, take):
    root = tree({"label-disdim.csv": TRAIN, **{f"video-labeled/sample_{i}.mp4": b"x" for i in (1, 2, 3, 8)},
                 "check-openset.csv": "name,openset\nsample_1,\"['joyful', 'looking forward to']\"\nsample_8,['sad']\n"
                                      "sample_9,['sad']\n"})  # fmt: skip
    found = take(MER2024, root)
    assert found.records["sample_1"].emotion_words == ("joyful", "looking forward to")
    assert (found.records["sample_1"].emotion, found.records["sample_1"].valence) == ("happiness", 0.5)
    assert (found.records["sample_8"].emotion, found.records["sample_8"].label_set) == (None, None)
    assert {r.split for r in found.all} == {""}
    assert found.drops == [("sample_9", "file missing")]


def test_without_words_the_labels_stand_alone(tree, take):
    found = take(MER2024, tree({"label-disdim.csv": TRAIN, "video-labeled/sample_1.mp4": b"x"}))
    assert list(found.records) == ["sample_1"]
    assert found.notes == ["no emotions in free words: check-openset.csv is not there"]


# -- 2025


OVMERD = '''name,openset
sample_1,"['excited', ' happy ', 'excited', '']"
sample_2,[]
sample_3,"[angry, hurt]"
sample_4,
sample_5,"['open"
sample_6,"__import__('os').getcwd()"
sample_7,"{'a': 1}"
sample_8,"['x', 3]"
sample_9,"{}"
'''.replace("{}", "[" * 6000)


MERCAPTIONPLUS = """name,openset
sample_1,['bored']
sample_10,"[""can't cope""]"
"""


@pytest.fixture
def mer2025(tree):
    return tree({
        "track1_train_disdim.csv": TRAIN,
        "track2_train_ovmerd.csv": OVMERD,
        "track3_train_ovmerd.csv": "name,reason\nsample_1,\"She smiles,\nand laughs.\"\nsample_12,\n",
        "track2_train_mercaptionplus.csv": MERCAPTIONPLUS,
        "track3_train_mercaptionplus.csv": "name,reason\nsample_2,His voice trembles.\nsample_10,He looks down.\n",
        **{f"video/sample_{i}.mp4": b"x" for i in range(1, 14)},
    })  # fmt: skip


def test_the_three_tracks_make_one_record(mer2025, take):
    found = take(MER2025, mer2025)
    record = found.records["sample_1"]
    assert (record.media, record.emotion, record.valence) == ("video/sample_1.mp4", "happiness", 0.5)
    assert record.emotion_words == ("excited", "happy")
    assert record.caption == "She smiles,\nand laughs."
    assert record.attributes == {"described_by": "ovmerd"}


def test_an_empty_list_means_neutral_and_bare_words_are_read(mer2025, take):
    found = take(MER2025, mer2025)
    assert found.records["sample_2"].emotion_words == ("neutral",)
    assert found.records["sample_3"].emotion_words == ("angry", "hurt")


def test_checked_descriptions_go_before_written_ones(mer2025, take):
    found = take(MER2025, mer2025)
    assert found.records["sample_2"].caption is None  # ovmerd described the clip, without a reason
    assert found.records["sample_10"].emotion_words == ("can't cope",)
    assert found.records["sample_10"].caption == "He looks down."
    other = take(MER2025, mer2025, words=["mercaptionplus"])
    assert other.records["sample_1"].emotion_words == ("bored",)
    assert other.records["sample_2"].caption == "His voice trembles."


def test_what_is_no_list_of_words_is_never_run_or_guessed(mer2025, take):
    found = take(MER2025, mer2025)
    bad = [f"sample_{i}" for i in (4, 5, 6, 7, 8, 9)]
    assert found.drops == [*((name, "bad word list") for name in bad), ("sample_12", "unlabelled")]
    assert not set(bad) & set(found.records)


def test_splits_are_given_once_the_test_labels_are_there(mer2025, tree, take):
    assert {r.split for r in take(MER2025, mer2025).all} == {""}
    tree({"track1_test_dis.csv": "name,discrete\nsample_11,sad\n"})
    found = take(MER2025, mer2025)
    assert {n: r.split for n, r in found.records.items()} == {
        **{f"sample_{i}": "train" for i in (1, 2, 3, 10)}, "sample_11": "test"}  # fmt: skip


def test_missing_parts_are_named(tree, take):
    with pytest.raises(ConfigError, match=r"track1_train_disdim\.csv is not in"):
        take(MER2025, tree({"video/sample_1.mp4": b"x"}))
    with pytest.raises(ConfigError, match="no columns 'discrete'"):
        take(MER2025, tree({"track1_train_disdim.csv": "name,label\nsample_1,sad\n"}))
    tree({"track1_train_disdim.csv": TRAIN, "track2_train_ovmerd.csv": "name,words\n"})
    with pytest.raises(ConfigError, match="no columns 'openset'"):
        take(MER2025, tree({}))
