import pytest

from data_builders.sources.faceforensics import SOURCE
from facevlm.config import ConfigError

REAL, FAKE = "original_sequences", "manipulated_sequences"
VIDEOS = {
    **{f"{REAL}/youtube/c23/videos/{n}.mp4": b"v" for n in ("000", "003", "071", "054", "500")},
    **{f"{FAKE}/Deepfakes/c23/videos/{n}.mp4": b"v" for n in ("000_003", "003_000", "054_071", "000_071", "trailer")},
    f"{FAKE}/Deepfakes/c40/videos/000_003.mp4": b"v",
    f"{FAKE}/FaceSwap/c23/videos/071_054.MP4": b"v",
    f"{FAKE}/FaceSwap/c23/videos/._071_054.mp4": b"v",
    f"{REAL}/actors/c23/videos/01__kitchen_pan.mp4": b"v",
    f"{FAKE}/DeepFakeDetection/c23/videos/02_01__kitchen_pan__YVGY8LOK.mp4": b"v",
}
LISTS = {"splits/train.json": '[["003", "000"]]', "splits/val.json": "[]", "splits/test.json": '[["071", "054"]]'}


def test_both_orders_of_a_pair_and_its_originals_are_on_one_side(tree, take):
    found = take(SOURCE, tree(VIDEOS | LISTS))
    assert {n: (r.split, r.subject) for n, r in found.records.items()} == {
        "youtube/000": ("train", "000"), "youtube/003": ("train", "000"),
        "Deepfakes/000_003": ("train", "000"), "Deepfakes/003_000": ("train", "000"),
        "youtube/054": ("test", "054"), "youtube/071": ("test", "054"),
        "Deepfakes/054_071": ("test", "054"), "FaceSwap/071_054": ("test", "054"),
        "actors/01__kitchen_pan": ("test", "actor 01"),
        "DeepFakeDetection/02_01__kitchen_pan__YVGY8LOK": ("test", "actor 02"),
    }  # fmt: skip
    assert found.notes == ["read at c23, or as they are where no folder names the compression: "
                           "youtube 5, actors 1, Deepfakes 5, FaceSwap 1, DeepFakeDetection 1"]  # fmt: skip


def test_the_folder_says_what_is_real_and_how_a_fake_was_made(tree, take):
    found = take(SOURCE, tree(VIDEOS | LISTS))
    assert found.records["youtube/000"].attributes == {"authenticity": "real"}
    assert found.records["actors/01__kitchen_pan"].attributes == {"authenticity": "real"}
    assert found.records["FaceSwap/071_054"].attributes == {"authenticity": "fake", "manipulation": "FaceSwap"}
    assert found.records["FaceSwap/071_054"].media == f"{FAKE}/FaceSwap/c23/videos/071_054.MP4"


def test_videos_that_are_in_no_pair_are_dropped(tree, take):
    assert take(SOURCE, tree(VIDEOS | LISTS)).drops == [
        ("youtube/500", "unknown split"), ("Deepfakes/000_071", "unknown split"), ("Deepfakes/trailer", "bad name")]


def test_without_the_lists_the_fakes_tell_the_pairs(tree, take):
    videos = {name: v for name, v in VIDEOS.items() if "000_071" not in name}
    found = take(SOURCE, tree(videos))
    assert {r.split for r in found.all if not r.subject.startswith("actor")} == {""}
    assert {n: r.subject for n, r in found.records.items() if n.startswith("youtube")} == {
        "youtube/000": "000", "youtube/003": "000", "youtube/054": "054", "youtube/071": "054", "youtube/500": "500"}
    assert "a split is drawn" in found.notes[-1]


def test_compression_methods_and_the_actors_side_can_be_chosen(tree, take):
    root = tree(VIDEOS | LISTS)
    assert list(take(SOURCE, root, compression="c40").records) == ["Deepfakes/000_003"]
    assert {n.split("/")[0] for n in take(SOURCE, root, methods=["FaceSwap"]).records} == {"youtube", "FaceSwap"}
    actors = take(SOURCE, root, methods=["DeepFakeDetection"], actors="train")
    assert {n.split("/")[0]: r.split for n, r in actors.records.items()} == {
        "actors": "train", "DeepFakeDetection": "train"}  # fmt: skip


def test_folders_of_frames_stand_for_videos(tree, take):
    root = tree({f"{FAKE}/Deepfakes/c23/frames/000_003/000.png": None, f"{REAL}/youtube/c23/images/000/0000.png": None,
                 "train.json": '[["003", "000"]]'})  # fmt: skip
    assert {n: r.media for n, r in take(SOURCE, root).records.items()} == {
        "youtube/000": f"{REAL}/youtube/c23/images/000", "Deepfakes/000_003": f"{FAKE}/Deepfakes/c23/frames/000_003"}


def test_the_flat_mirror_is_read(tree, take):
    root = tree({"FF/original/000.mp4": b"v", "FF/FaceShifter/000_003.mp4": b"v"})
    assert {n: (r.media, r.subject) for n, r in take(SOURCE, root / "FF").records.items()} == {
        "youtube/000": ("original/000.mp4", "000"), "FaceShifter/000_003": ("FaceShifter/000_003.mp4", "000")}


def test_a_fake_among_the_originals_is_dropped(tree, take):
    root = tree({"original/000_003.mp4": b"v", "FaceSwap/000.mp4": b"v", "FaceSwap/000_003.mp4": b"v"})
    assert take(SOURCE, root).drops == [("youtube/000_003", "bad name"), ("FaceSwap/000", "bad name")]


def test_what_is_not_there_is_refused(tree, take):
    root = tree(VIDEOS | LISTS)
    with pytest.raises(ConfigError, match="no raw videos or frames; it has c23, c40"):
        take(SOURCE, root, compression="raw")
    with pytest.raises(ConfigError, match="no c23 videos of Face2Face; it has youtube, actors, Deepfakes"):
        take(SOURCE, root, methods=["Face2Face"])
    (root / "splits/val.json").write_text('{"train": []}')
    with pytest.raises(ConfigError, match="not a list of pairs"):
        take(SOURCE, root)
    with pytest.raises(ConfigError, match="original_sequences and manipulated_sequences is not in"):
        take(SOURCE, root / "splits")
