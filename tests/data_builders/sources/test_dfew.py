import io

import openpyxl
import pytest

from data_builders.sources.dfew import SOURCE
from facevlm.config import ConfigError

HEAD = ["order", "1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", "annotation"]


def sheet(*rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def lists(train, test="7,1\n", fold=1):
    head = "\ufeffvideo_name,label\r\n"
    return {f"EmoLabel_DataSplit/train(single-labeled)/set_{fold}.csv": head + train,
            f"EmoLabel_DataSplit/test(single-labeled)/set_{fold}.csv": head + test}  # fmt: skip


@pytest.fixture
def dfew(tree):
    return tree({
        **lists("1,3\r\n16372,7\r\n2,0\r\n3,8\r\nx,1\r\n4\r\n5,\r\n"), **lists("9,4\n", "1,3\n", fold=5),
        "Clip/clip_224x224/": None, "Clip/jpg_256/": None,
        "Annotation/annotation.xlsx": sheet(["made in 2020"], HEAD, [1, 0, 1, 9, 0, 0, 0, 0, 3],
                                            [16372, 9, 0, 0, 0, 0, 0, 1, 1], [7, None, 0, 0, 0, 0, 0, 0, 0]),
    })  # fmt: skip


def test_ids_begin_at_one_and_folders_have_five_digits(dfew, take):
    found = take(SOURCE, dfew)
    assert {n: (r.emotion, r.split, r.media) for n, r in found.records.items()} == {
        "00001": ("neutral", "train", "Clip/clip_224x224/00001"),
        "16372": ("fear", "train", "Clip/clip_224x224/16372"),
        "00007": ("happiness", "test", "Clip/clip_224x224/00007"),
    }  # fmt: skip
    assert found.records["00001"].label_set == "dfew"


def test_votes_are_shares_by_label_and_those_of_another_clip_are_left_out(dfew, take):
    found = take(SOURCE, dfew)
    assert found.records["00001"].emotion_probs == {"sadness": 0.1, "neutral": 0.9}
    assert found.records["16372"].emotion_probs is None  # nine of ten said happy of the clip labelled fear
    assert found.records["00007"].emotion_probs is None  # nobody voted
    assert found.notes == ["1 clips were left without votes: their label is not what most votes say"]


def test_columns_of_the_votes_may_stand_in_any_order(tree, take):
    root = tree({**lists("1,3\n"), "Clip/clip_224x224/": None, "annotation.xlsx": sheet(
        ["7fear", "6disgust", "5surprise", "4angry", "3neutral", "2sad", "1happy", "order"],
        [1, 0, 0, 0, 5, 2, 2, 1])})  # fmt: skip
    assert take(SOURCE, root).records["00001"].emotion_probs == {
        "fear": 0.1, "neutral": 0.5, "sadness": 0.2, "happiness": 0.2}  # fmt: skip


@pytest.mark.parametrize("head", [HEAD[1:], [*HEAD[:7], "7sad"], ["order", "happy", "sad"]])
def test_votes_that_are_not_understood_are_not_guessed_at(tree, take, head):
    root = tree({**lists("1,3\n"), "Clip/clip_224x224/": None, "annotation.xlsx": sheet(head, [1] * len(head))})
    found = take(SOURCE, root)
    assert found.records["00001"].emotion_probs is None
    assert "no columns order and 1happy to 7fear" in found.notes[0]


def test_what_cannot_be_read_is_dropped_with_its_reason(dfew, take):
    assert take(SOURCE, dfew).drops == [
        ("train 2", "unlabelled"), ("train 3", "unknown label"), ("train x", "bad row"), ("train line 7", "bad row"),
        ("train 5", "unlabelled")]  # fmt: skip


def test_another_fold_and_whole_pictures_can_be_asked_for(dfew, take):
    found = take(SOURCE, dfew, fold=5, clips="jpg_256")
    assert {n: (r.split, r.media) for n, r in found.records.items()} == {
        "00009": ("train", "Clip/jpg_256/00009"), "00001": ("test", "Clip/jpg_256/00001")}  # fmt: skip


def test_the_videos_are_found_by_their_number(tree, take):
    root = tree({**lists("1,3\n2,3\n"), "Clip/original/part_1/1.mp4": b"x", "Clip/original/part_2/00007.AVI": b"x",
                 "Clip/original/part_1/._2.mp4": b"x"})  # fmt: skip
    found = take(SOURCE, root, clips="original")
    assert {n: r.media for n, r in found.records.items()} == {
        "00001": "Clip/original/part_1/1.mp4", "00007": "Clip/original/part_2/00007.AVI"}  # fmt: skip
    assert found.drops == [("train 2", "file missing")]
    assert found.notes == ["no votes: annotation.xlsx is not there"]


def test_missing_parts_are_named(tree, take, dfew):
    with pytest.raises(ConfigError, match=r"folder clip_224x224_16f"):
        take(SOURCE, dfew, clips="clip_224x224_16f")
    with pytest.raises(ConfigError, match=r"set_2\.csv"):
        take(SOURCE, dfew, fold=2)
    with pytest.raises(ConfigError, match="no columns 'video_name'"):
        take(SOURCE, tree({"EmoLabel_DataSplit/train(single-labeled)/set_1.csv": "clip,label\n1,2\n"}))
