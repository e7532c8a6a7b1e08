import pytest

from data_builders.sources.disfa import SOURCE
from facevlm.config import ConfigError

AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def labels(subject, frames=3, **changed):
    """The twelve files; `au12="1,0\\n2,3\\n"` replaces one, None leaves it out."""
    level = "".join(f"{n},0\n" for n in range(1, frames + 1))
    texts = {au: changed.get(f"au{au}", level) for au in AUS}
    return {f"ActionUnit_Labels/{subject}/{subject}_au{au}.txt": t for au, t in texts.items() if t is not None}


@pytest.fixture
def disfa(tree):
    return tree({
        **labels("SN001", au12="1,0\r\n2,3\r\n3,5\r\n"), **labels("SN003", frames=1),
        "ActionUnit_Labels/._SN001": b"x",
        "Videos_LeftCamera/LeftVideoSN001_comp.avi": b"x", "Videos_LeftCamera/LeftVideoSN003_Comp.AVI": b"x",
        "Videos_LeftCamera/._LeftVideoSN003_comp.avi": b"x",
        "Video_RightCamera/RightVideoSN001_Comp.avi": b"x", "Videos_LeftCamera.zip": b"x",
    })  # fmt: skip


def test_the_files_of_the_aus_are_joined_by_frame(disfa, take):
    found = take(SOURCE, disfa)
    assert list(found.records) == ["SN001-00001", "SN001-00002", "SN001-00003", "SN003-00001"]
    second = found.records["SN001-00002"]
    assert second.aus == {**dict.fromkeys(AUS, 0.0), 12: 3.0}
    assert (second.subject, second.au_threshold, second.present_aus) == ("SN001", 2, (12,))
    assert (found.drops, found.notes) == ([], [])


def test_label_frame_one_is_the_videos_frame_zero(disfa, take):
    records = take(SOURCE, disfa).records
    assert records["SN001-00001"].media == "Videos_LeftCamera/LeftVideoSN001_comp.avi#frame=0"
    assert records["SN001-00003"].media == "Videos_LeftCamera/LeftVideoSN001_comp.avi#frame=2"
    assert records["SN003-00001"].media == "Videos_LeftCamera/LeftVideoSN003_Comp.AVI#frame=0"


def test_the_right_camera_has_its_own_videos(disfa, take):
    found = take(SOURCE, disfa, camera="right")
    assert found.records["SN001-00001"].media == "Video_RightCamera/RightVideoSN001_Comp.avi#frame=0"
    assert found.drops == [("SN003", "no video")]


@pytest.mark.parametrize(("first", "name"), [(0, "Images/SN001/00001.png"), (1, "Images/SN001/00002.png")])
def test_extracted_pictures_are_counted_from_zero_or_one(disfa, take, first, name):
    found = take(SOURCE, disfa, pictures="Images/{subject}/{frame:05d}.png", first_frame=first)
    assert found.records["SN001-00002"].media == name


def test_a_frame_missing_from_one_file_is_not_labelled_for_that_au(tree, take):
    root = tree({**labels("SN001", au4="1,2\n", au5="1,0\n3,1\n", au26=None),
                 "Videos_LeftCamera/LeftVideoSN001.avi": b""})  # fmt: skip
    found = take(SOURCE, root)
    assert [set(AUS) - set(r.aus) for r in found.all] == [{26}, {4, 5, 26}, {4, 26}]
    assert found.records["SN001-00001"].aus[4] == 2 and found.records["SN001-00003"].aus[5] == 1
    assert len(found.notes) == 1 and "SN001 AU4 (2), SN001 AU5 (1), SN001 AU26 (3)" in found.notes[0]
    assert found.notes[0].startswith("6 AU labels")


def test_lines_that_cannot_be_read_are_dropped_and_no_label_is_guessed(tree, take):
    root = tree({**labels("SN001", au1="1,0\n2\n3,x\n", au2="1,6\n2,-1\n3,3\n", au4="1,1\n2,1\n2,4\n3,1\n",
                          au5="\n1,0\nzwei,0\n2.0,0\n3,0"),
                 "Videos_LeftCamera/LeftVideoSN001_comp.avi": b""})  # fmt: skip
    found = take(SOURCE, root)
    assert found.drops == [
        ("SN001 AU1 line 2", "bad row"), ("SN001 AU1 line 3", "bad AU value"), ("SN001 AU2 line 1", "bad AU value"),
        ("SN001 AU2 line 2", "bad AU value"), ("SN001 AU4 line 3", "two labels"), ("SN001 AU5 line 3", "bad row"),
    ]  # fmt: skip
    assert [{au: r.aus.get(au) for au in (1, 2, 4, 5)} for r in found.all] == [
        {1: 0, 2: None, 4: 1, 5: 0}, {1: None, 2: None, 4: None, 5: 0}, {1: None, 2: 3, 4: 1, 5: 0}]  # fmt: skip


def test_a_frame_without_any_label_and_a_person_without_any_are_dropped(tree, take):
    none = {f"au{au}": "1,9\n" for au in AUS}
    videos = {f"Videos_LeftCamera/LeftVideoSN{n:03d}_comp.avi": b"" for n in (1, 2, 3)}
    root = tree({**labels("SN001", **none), **labels("SN002", **dict.fromkeys(none, "")),
                 **labels("SN003", **dict.fromkeys(none, "0,1\n1,1\n")), **videos})  # fmt: skip
    found = take(SOURCE, root)
    assert list(found.records) == ["SN003-00001"]
    whole = [drop for drop in found.drops if "line" not in drop[0]]
    assert whole == [("SN001", "unlabelled"), ("SN002", "unlabelled"), ("SN003-00000", "bad frame")]
    assert sum(reason == "bad AU value" for _, reason in found.drops) == 12


def test_a_fold_gives_the_split_and_without_one_the_build_draws(disfa, take):
    assert {r.split for r in take(SOURCE, disfa).all} == {""}
    splits = {fold: [r.split for r in take(SOURCE, disfa, fold=fold, every=3).all] for fold in (1, 2, 3)}
    assert splits == {1: ["train", "test"], 2: ["train", "train"], 3: ["test", "train"]}


def test_a_stranger_to_the_folds_is_dropped(tree, take):
    root = tree({**labels("SN099"), "Videos_LeftCamera/LeftVideoSN099_comp.avi": b""})
    assert take(SOURCE, root, fold=1).drops == [("SN099", "unknown subject")]
    assert len(take(SOURCE, root).all) == 3


def test_every_nth_frame_of_a_person(disfa, take):
    assert list(take(SOURCE, disfa, every=2).records) == ["SN001-00001", "SN001-00003", "SN003-00001"]
    with pytest.raises(ConfigError, match="every is 0"):
        take(SOURCE, disfa, every=0)


@pytest.mark.parametrize("pattern", ["{subject}.png", "{name}/{frame}.png", "Images/{frame:zz}.png", "{", "{}{frame}"])
def test_a_pattern_that_cannot_name_a_frames_picture_is_refused(disfa, take, pattern):
    with pytest.raises(ConfigError, match="pictures"):
        take(SOURCE, disfa, pictures=pattern)


def test_no_videos_and_no_labels_are_told_apart(tree, take):
    with pytest.raises(ConfigError, match=r"ActionUnit_Labels.*the folder holds holiday\.jpg"):
        take(SOURCE, tree({"holiday.jpg": None}))
    with pytest.raises(ConfigError, match=r"videos of the left camera.*`pictures`"):
        take(SOURCE, tree(labels("SN001")))
