import pytest

from data_builders.sources.sfew import CLIPS, STILLS
from facevlm.config import ConfigError

STILL = "Airheads_000519240_00000005.png"


def test_val_is_the_reported_test_set_and_the_unlabelled_test_is_not_read(tree, take):
    root = tree({f"Train/Happy/{STILL}": None, f"Val/Angry/{STILL}": None, f"Test/{STILL}": None,
                 "Train_Aligned_Faces/Sad/x.png": None})  # fmt: skip
    found = take(STILLS, root)
    assert {n: (r.split, r.emotion, r.media) for n, r in found.records.items()} == {
        f"Train/Happy/{STILL}": ("train", "happiness", f"Train/Happy/{STILL}"),
        f"Val/Angry/{STILL}": ("test", "anger", f"Val/Angry/{STILL}"),
    }
    assert found.notes == ["read from Train, Val; Val is split test, the real Test has no labels"]


def test_aligned_faces_are_read_once(tree, take):
    root = tree({"SFEW/Train_Aligned_Faces/Train_Aligned_Faces/Disgust/a.png": None,
                 "SFEW/Val_Aligned_Faces/Fear/a.png": None, "SFEW/Val_Aligned_Faces_new/Fear/a.png": None,
                 "SFEW/Train/Sad/a.png": None})  # fmt: skip
    found = take(STILLS, root, pictures="aligned")
    assert {(r.split, r.emotion, r.media) for r in found.all} == {
        ("train", "disgust", "SFEW/Train_Aligned_Faces/Train_Aligned_Faces/Disgust/a.png"),
        ("test", "fear", "SFEW/Val_Aligned_Faces_new/Fear/a.png")}  # fmt: skip


@pytest.fixture
def afew(tree):
    return tree({
        "Train_AFEW/Angry/000046280.avi": b"x", "Train_AFEW/Angry/000046281.avi": b"x",
        "Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280/000046280-001.jpg": None,
        "Train_AFEW/AlignedFaces_LBPTOP_Points/LBPTOP/x.txt": "x", "Val_AFEW/Surprise/000100.avi": b"x",
        "Val_AFEW/AlignedFaces_LBPTOP_Points_Val/Faces/000100/000100-001.jpg": None, "Test_AFEW/000200.avi": b"x",
    })  # fmt: skip


def test_afew_videos(afew, take):
    found = take(CLIPS, afew)
    assert {n: (r.split, r.emotion, r.media, r.frames) for n, r in found.records.items()} == {
        "Train_AFEW/Angry/000046280": ("train", "anger", "Train_AFEW/Angry/000046280.avi", ()),
        "Train_AFEW/Angry/000046281": ("train", "anger", "Train_AFEW/Angry/000046281.avi", ()),
        "Val_AFEW/Surprise/000100": ("test", "surprise", "Val_AFEW/Surprise/000100.avi", ()),
    }
    assert found.drops == []


def test_afew_aligned_faces_are_joined_by_the_clips_name(afew, take):
    found = take(CLIPS, afew, pictures="aligned")
    assert {n: r.media for n, r in found.records.items()} == {
        "Train_AFEW/Angry/000046280": "Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280",
        "Val_AFEW/Surprise/000100": "Val_AFEW/AlignedFaces_LBPTOP_Points_Val/Faces/000100",
    }
    assert found.drops == [("Train_AFEW/Angry/000046281", "no aligned faces")]


def test_afew_aligned_faces_may_lie_beside_the_splits(tree, take):
    root = tree({"Train_AFEW/Sad/1.avi": b"x", "Val_AFEW/Sad/1.avi": b"x",
                 "AlignedFaces_LBPTOP_Points/Faces/1/a.jpg": None,
                 "AlignedFaces_LBPTOP_Points_Val/Faces/1/a.jpg": None})  # fmt: skip
    assert [r.media for r in take(CLIPS, root, pictures="aligned").all] == [
        "AlignedFaces_LBPTOP_Points/Faces/1", "AlignedFaces_LBPTOP_Points_Val/Faces/1"]  # fmt: skip


def test_an_unknown_class_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match="no label of caer: Bored"):
        take(STILLS, tree({"Train/Bored/a.png": None, "Val/Sad/a.png": None}))


def test_another_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match="AFEW's class folders are not in"):
        take(CLIPS, tree({"clips/1.avi": b"x"}))
