import pytest

from data_builders.checks import Placer, SplitRule
from data_builders.sources.celebdf import SOURCE
from facevlm.config import ConfigError

VIDEOS = {f"{name}.mp4": b"v" for name in (
    "Celeb-real/id0_0000", "Celeb-real/id1_0000", "Celeb-real/id5_0003", "Celeb-real/interview",
    "Celeb-real/id9_0001", "Celeb-synthesis/id1_id0_0000", "Celeb-synthesis/id0_id1_0002",
    "Celeb-synthesis/id5_id7_0001", "Celeb-synthesis/id5_0001", "YouTube-real/00170", "YouTube-real/00001",
    "Celeb-real/._id0_0000")}  # fmt: skip
LIST = ("1 YouTube-real/00170.mp4\r\n0 Celeb-synthesis/id0_id1_0002.mp4\r\n0 Celeb-real/id5_0003.mp4\r\n"
        "1 Celeb-real/id77_0000.mp4\r\ntorn\r\n1 Elsewhere/1.mp4\r\n")  # fmt: skip


@pytest.fixture
def celebdf(tree):
    return tree({**VIDEOS, "List_of_testing_videos.txt": LIST})


def test_the_folder_says_what_is_real_and_the_list_what_is_test(celebdf, take):
    found = take(SOURCE, celebdf)
    assert {n: (r.split, r.attributes["authenticity"]) for n, r in found.records.items()} == {
        "Celeb-real/id0_0000": ("train", "real"), "Celeb-real/id1_0000": ("train", "real"),
        "Celeb-real/id5_0003": ("test", "real"), "Celeb-real/id9_0001": ("train", "real"),
        "Celeb-synthesis/id0_id1_0002": ("test", "fake"), "Celeb-synthesis/id1_id0_0000": ("train", "fake"),
        "Celeb-synthesis/id5_id7_0001": ("train", "fake"), "YouTube-real/00001": ("train", "real"),
        "YouTube-real/00170": ("test", "real"),
    }  # fmt: skip
    assert found.records["Celeb-synthesis/id1_id0_0000"].media == "Celeb-synthesis/id1_id0_0000.mp4"
    assert found.records["Celeb-synthesis/id1_id0_0000"].attributes["manipulation"] == "face swap"


def test_flags_that_are_not_one_for_real_are_counted_and_not_believed(celebdf, take):
    assert take(SOURCE, celebdf).notes[-1].startswith("1 flags of List_of_testing_videos.txt are not 1 for real")


def test_what_cannot_be_read_is_dropped_with_its_reason(celebdf, take):
    assert take(SOURCE, celebdf).drops == [
        ("line 5", "bad row"), ("line 6", "bad row"), ("Celeb-real/interview", "bad name"),
        ("Celeb-synthesis/id5_0001", "bad name"), ("celeb-real/id77_0000", "file missing")]  # fmt: skip


def test_people_that_swaps_tie_together_are_one_subject(celebdf, take):
    found = take(SOURCE, celebdf, split="identity")
    assert {n: r.subject for n, r in found.records.items()} == {
        "Celeb-real/id0_0000": "id0", "Celeb-real/id1_0000": "id0", "Celeb-real/id5_0003": "id5",
        "Celeb-real/id9_0001": "id9", "Celeb-synthesis/id0_id1_0002": "id0", "Celeb-synthesis/id1_id0_0000": "id0",
        "Celeb-synthesis/id5_id7_0001": "id5", "YouTube-real/00001": "YouTube-real/00001",
        "YouTube-real/00170": "YouTube-real/00170",
    }  # fmt: skip
    assert {r.split for r in found.all} == {""}


def test_the_official_split_shares_celebrities_and_the_build_says_so(celebdf, take):
    official = take(SOURCE, celebdf)
    assert "split.allow_shared_subjects=true" in official.notes[0]
    placer = Placer(SplitRule())
    for record in official.all:
        placer(record)
    with pytest.raises(ConfigError, match="2 subjects are in more than one split: id0"):
        placer.check()
    placer = Placer(SplitRule())
    for record in take(SOURCE, celebdf, split="identity").all:
        placer(record)
    placer.check()


def test_folders_left_by_other_tools_are_read(tree, take):
    root = tree({"Celeb-real/videos/id0_0000.mp4": b"v", "Celeb-synthesis/frames/id0_id1_0000/000.png": None,
                 "Youtube-real/videos/00170.mp4": b"v", "List_of_testing_videos.txt": "1 YouTube-real/00170.mp4\n"})
    assert {n: (r.media, r.split) for n, r in take(SOURCE, root).records.items()} == {
        "Celeb-real/id0_0000": ("Celeb-real/videos/id0_0000.mp4", "train"),
        "Celeb-synthesis/id0_id1_0000": ("Celeb-synthesis/frames/id0_id1_0000", "train"),
        "Youtube-real/00170": ("Youtube-real/videos/00170.mp4", "test"),
    }


def test_what_is_not_there_is_refused(tree, take):
    with pytest.raises(ConfigError, match=r"List_of_testing_videos\.txt is not in"):
        take(SOURCE, tree({"Celeb-real/id0_0000.mp4": b"v"}))
    with pytest.raises(ConfigError, match=r"Celeb-DF's folders .*holds videos/"):
        take(SOURCE, tree({"other/videos/1.mp4": b"v"}) / "other")
