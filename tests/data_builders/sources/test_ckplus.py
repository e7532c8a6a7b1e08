import pytest

from data_builders.sources.ckplus import CODED, SOURCE
from facevlm.config import ConfigError

IMAGES = "cohn-kanade-images"


def shots(sequence: str, count: int) -> dict[str, None]:
    stem = sequence.replace("/", "_")
    return {f"{IMAGES}/{sequence}/{stem}_{n:08d}.png": None for n in range(1, count + 1)}


def emotion(sequence: str, frame: int, text: str) -> dict[str, str]:
    return {f"Emotion/{sequence}/{sequence.replace('/', '_')}_{frame:08d}_emotion.txt": text}


def facs(sequence: str, frame: int, *codes: tuple[float, float]) -> dict[str, str]:
    lines = "".join(f"   {au:.7e}   {level:.7e}\r\n" for au, level in codes)
    return {f"FACS/{sequence}/{sequence.replace('/', '_')}_{frame:08d}_facs.txt": lines}


@pytest.fixture
def ckplus(tree):
    return tree(
        shots("S005/001", 11)
        | emotion("S005/001", 11, "   3.0000000e+00\n")
        | facs("S005/001", 11, (9, 3), (17, 3), (23, 0), (24, 2), (54, 1), (72, 1))
        | shots("S010/002", 5)
        | {"Emotion/S010/002/": None}
        | facs("S010/002", 5, (12, 5))
        | shots("S010/003", 5)
        | emotion("S010/003", 5, "7.0000000e+00")
        | {f"{IMAGES}/S010/.DS_Store": b"x", f"{IMAGES}/S010/003/._S010_003_00000009.png": b"x"}
    )


def test_the_last_frame_is_the_peak_and_the_first_is_before(ckplus, take):
    found = take(SOURCE, ckplus)
    assert list(found.records) == ["S005_001_00000011", "S010_002_00000005", "S010_003_00000005"]
    first = found.records["S005_001_00000011"]
    assert first.media == f"{IMAGES}/S005/001/S005_001_00000011.png"
    assert first.before == f"{IMAGES}/S005/001/S005_001_00000001.png"
    assert (first.subject, first.emotion, first.label_set, first.split) == ("S005", "disgust", "ckplus", "")


def test_intensity_zero_is_present_and_unlisted_aus_are_absent(ckplus, take):
    aus = take(SOURCE, ckplus).records["S005_001_00000011"].aus
    assert {n: v for n, v in aus.items() if v} == {9: 3, 17: 3, 23: 1, 24: 2, 54: 1}
    assert set(aus) == {*CODED, 54}
    assert aus[12] == 0


def test_a_sequence_without_emotion_still_has_aus_and_the_other_way_round(ckplus, take):
    found = take(SOURCE, ckplus)
    only_facs, only_emotion = found.records["S010_002_00000005"], found.records["S010_003_00000005"]
    assert (only_facs.emotion, only_facs.label_set, only_facs.present_aus) == (None, None, (12,))
    assert (only_emotion.emotion, only_emotion.aus) == ("surprise", {})


def test_codes_that_are_no_au_are_noted(ckplus, take):
    assert take(SOURCE, ckplus).notes == ["FACS codes that are no AU were left out: 72 (1 times)"]


def test_three_frames_and_neutral(ckplus, take):
    found = take(SOURCE, ckplus, frames=3, neutral=True)
    assert [(r.id, r.emotion, r.present_aus) for r in found.all] == [
        ("S005_001_00000001", "neutral", ()), ("S005_001_00000009", "disgust", ()),
        ("S005_001_00000010", "disgust", ()), ("S005_001_00000011", "disgust", (9, 17, 23, 24, 54)),
        ("S010_002_00000005", None, (12,)), ("S010_003_00000001", "neutral", ()),
        ("S010_003_00000003", "surprise", ()), ("S010_003_00000004", "surprise", ()),
        ("S010_003_00000005", "surprise", ())]  # fmt: skip
    assert found.records["S005_001_00000001"].before is None
    assert found.records["S005_001_00000009"].aus == {}, "only the peak frame was coded"


def test_a_short_sequence_never_gives_its_first_frame_the_emotion(tree, take):
    root = tree(shots("S001/001", 2) | emotion("S001/001", 2, "1.0"))
    assert list(take(SOURCE, root, frames=3).records) == ["S001_001_00000002"]


@pytest.mark.parametrize(("files", "reason"), [
    (shots("S001/001", 2), "unlabelled"),
    ({f"{IMAGES}/S001/001/": None}, "no pictures"),
    (shots("S001/001", 2) | emotion("S001/001", 3, "1.0"), "label of another frame"),
    (shots("S001/001", 2) | emotion("S001/001", 2, "1.0") | {"Emotion/S001/001/x_emotion.txt": "2"},
     "two label files"),
    (shots("S001/001", 2) | emotion("S001/001", 2, ""), "bad label file"),
    (shots("S001/001", 2) | emotion("S001/001", 2, "joy"), "bad label file"),
    (shots("S001/001", 2) | emotion("S001/001", 2, "8.0"), "unknown label"),
    (shots("S001/001", 2) | emotion("S001/001", 2, "1.5"), "unknown label"),
    (shots("S001/001", 2) | facs("S001/001", 2, (12, 6)), "bad FACS file"),
    (shots("S001/001", 2) | facs("S001/001", 2, (12.5, 1)), "bad FACS file"),
    (shots("S001/001", 2) | {"FACS/S001/001/S001_001_00000002_facs.txt": "12\n"}, "bad FACS file"),
])  # fmt: skip
def test_a_sequence_that_cannot_be_used_is_dropped(tree, take, files, reason):
    good = shots("S002/001", 2) | emotion("S002/001", 2, "1.0") | facs("S002/001", 2, (4, 1))
    found = take(SOURCE, tree(good | files))
    assert found.drops == [("S001/001", reason)]
    assert list(found.records) == ["S002_001_00000002"]


def test_folders_in_their_archives_are_found_and_a_missing_one_is_noted(tree, take):
    files = shots("S001/001", 2) | emotion("S001/001", 2, "5.0")
    root = tree({f"extended/{n}" if n.startswith(IMAGES) else f"Emotion_labels/{n}": c for n, c in files.items()})
    found = take(SOURCE, root)
    assert [(r.media, r.emotion) for r in found.all] == [
        (f"extended/{IMAGES}/S001/001/S001_001_00000002.png", "happiness")]  # fmt: skip
    assert found.notes == ["there is no folder FACS: those labels are missing"]


def test_the_mirror_has_class_folders(tree, take):
    root = tree({"CK+48/anger/S010_004_00000017.png": None, "CK+48/happy/S010_006_00000013.png": None,
                 "CK+48/contempt/S138_008_00000007.png": None})  # fmt: skip
    found = take(SOURCE, root)
    assert {n: (r.subject, r.emotion, r.media) for n, r in found.records.items()} == {
        "S010_004_00000017": ("S010", "anger", "CK+48/anger/S010_004_00000017.png"),
        "S010_006_00000013": ("S010", "happiness", "CK+48/happy/S010_006_00000013.png"),
        "S138_008_00000007": ("S138", "contempt", "CK+48/contempt/S138_008_00000007.png"),
    }
    assert "no FACS" in found.notes[0]


def test_wrong_options_and_folders_are_refused(tree, take):
    with pytest.raises(ConfigError, match="frames is 0"):
        take(SOURCE, tree({}), frames=0)
    with pytest.raises(ConfigError, match="CK\\+'s cohn-kanade-images"):
        take(SOURCE, tree({"a.png": None}))
    with pytest.raises(ConfigError, match="CK\\+'s folder Emotion or FACS"):
        take(SOURCE, tree(shots("S001/001", 2)))
