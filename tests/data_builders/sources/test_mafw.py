import io

import openpyxl
import pytest

from data_builders.sources.mafw import SOURCE
from facevlm.config import ConfigError

PLACE = "Train & Test Set/single/no_caption/set_1"


def sheet(*rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


@pytest.fixture
def mafw(tree):
    return tree({
        f"{PLACE}/train.txt": "00025.mp4 sadness\r\n00026.mp4 neutral\n00027.mp4 joyful rage\n00028.mp4 rage\n\n"
                              "lone\n",
        f"{PLACE}/test.txt": "00031.mp4 disappointment\n",
        "Labels/multi-set.xlsx": sheet(
            ["clip", *range(11), "multi_label"], ["00025.mp4", *[0] * 11, "6,10"], ["00031.mp4", *[0] * 11, 11],
            ["00026.mp4", *[0] * 11, 1.2], ["00028.mp4", *[0] * 11, "3,12"]),
        "Labels/descriptive_text.xlsx": sheet(["00025.mp4", "一个女人皱着眉头", "A woman’s brow is furrowed."],
                                              ["00031.mp4", "他低下头", "He lowers his head."],
                                              ["00099.mp4", "无", None]),
        "data/clips/00025.mp4": b"x", "data/frames/": None,
    })  # fmt: skip


def test_lists_and_sheets_make_one_record(mafw, take):
    found = take(SOURCE, mafw)
    record = found.records["00025"]
    assert (record.media, record.split, record.emotion) == ("data/clips/00025.mp4", "train", "sadness")
    assert record.label_set == "mafw"
    assert record.emotion_words == ("sadness", "helplessness")
    assert record.caption == "A woman’s brow is furrowed."
    assert (found.records["00031"].split, found.records["00031"].emotion) == ("test", "disappointment")
    assert found.records["00031"].emotion_words == ("disappointment",)


def test_neutral_clips_have_no_caption_and_a_number_is_no_list(mafw, take):
    found = take(SOURCE, mafw)
    assert found.records["00026"].caption is None
    assert found.records["00026"].emotion_words == ()  # 1.2 may have been 1,2 or 1,20: not guessed
    assert found.notes == ["2 rows of multi-set.xlsx hold no list of ids such as 6,10 and were passed over"]


def test_what_cannot_be_read_is_dropped_with_its_reason(mafw, take):
    assert take(SOURCE, mafw).drops == [("train 00027.mp4", "bad row"), ("train 00028.mp4", "unknown label"),
                                        ("train line 6", "bad row")]  # fmt: skip


def test_a_description_with_a_header_and_columns_changed_round_is_read(tree, take):
    root = tree({f"{PLACE}/train.txt": "00025.mp4 fear\n", f"{PLACE}/test.txt": "", "clips/": None,
                 "descriptive_text.xlsx": sheet(["name", "e_cap", "c_cap"],
                                                ["00025.mp4", "She stares.", "她盯着"])})  # fmt: skip
    found = take(SOURCE, root)
    assert found.records["00025"].caption == "She stares."
    assert found.records["00025"].media == "clips/00025.mp4"
    assert found.notes == ["no clips with several emotions: Labels/multi-set.xlsx is not there"]


def test_frames_and_another_place_of_the_lists(tree, take):
    root = tree({"split/single/no_caption/set_4/train.txt": "00025.mp4 anger\n",
                 "split/single/no_caption/set_4/test.txt": "00026.mp4 anger\n",
                 "data/frames/00025/1.png": None})  # fmt: skip
    found = take(SOURCE, root, fold=4, clips="frames")
    assert [r.media for r in found.all] == ["data/frames/00025", "data/frames/00026"]
    assert any("no captions" in note for note in found.notes)


def test_missing_parts_are_named(mafw, tree, take):
    with pytest.raises(ConfigError, match=r"single/no_caption/set_3/train\.txt"):
        take(SOURCE, mafw, fold=3)
    with pytest.raises(ConfigError, match="folder data/clips"):
        take(SOURCE, tree({"data/clips/00025.mp4": b""}) / "Labels")
