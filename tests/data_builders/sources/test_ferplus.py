import pytest

from data_builders.sources.ferplus import CSV, FOLDERS
from facevlm.config import ConfigError

GREY = " ".join(["9"] * 48 * 48)
HEAD = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
# The number in a name lags behind the row once nameless rows came.
VOTES = (
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
    "Training,,0,0,0,0,0,0,0,0,0,10",
    "PublicTest,fer0000001.png,5,0,0,3,1,0,0,0,1,0",
    "PrivateTest,fer0000002.png,0,10,0,0,0,0,0,0,0,0",
)


def both(*votes: str) -> dict[str, str]:
    pixels = [f"0,{GREY},{vote.split(',')[0]}" for vote in votes]
    return {"fer2013new.csv": "\n".join([HEAD, *votes, ""]),
            "fer2013.csv": "\n".join(["emotion,pixels,Usage", *pixels, ""])}  # fmt: skip


def folder(name: str, *votes: str) -> dict[str, str]:
    lines = [f'{line.split(",", 1)[0]},"(0, 0, 48, 48)",{line.split(",", 1)[1]}' for line in votes]
    return {f"data/FER2013{name}/label.csv": "\r\n".join([*lines, ""])}


def test_rows_are_joined_by_their_order_not_by_the_number_in_the_name(tree, take, tmp_path):
    found = take(CSV, tree(both(*VOTES)), into=tmp_path / "into", majority="plurality")
    assert {n: (r.media, r.split, r.emotion) for n, r in found.records.items()} == {
        "00000": ("images/Training/00000.png", "train", "neutral"),
        "00002": ("images/PublicTest/00002.png", "val", "neutral"),
        "00003": ("images/PrivateTest/00003.png", "test", "happiness"),
    }
    assert found.drops == [("00001", "no picture name")]
    assert found.notes == ["1 rows have no picture name and were dropped (173 in the files as handed out)"]
    assert (tmp_path / "into/images/PublicTest/00002.png").is_file()
    assert not (tmp_path / "into/images/Training/00001.png").exists()


def test_probabilities_are_shares_of_the_emotions_without_unknown_and_no_face(tree, take, tmp_path):
    probs = take(CSV, tree(both(VOTES[2])), into=tmp_path / "into").records["00000"].emotion_probs
    assert probs == pytest.approx({"neutral": 5 / 9, "sadness": 3 / 9, "anger": 1 / 9, "happiness": 0, "surprise": 0,
                                   "disgust": 0, "fear": 0, "contempt": 0})  # fmt: skip


MAJORITIES = {
    "4,0,0,1,3,2,0,0,0,0": ("no majority", "neutral"),  # 4 of 9 once the single vote is set aside
    "5,0,0,3,1,0,0,0,1,0": ("neutral", "neutral"),  # 5 of 8
    "0,5,5,0,0,0,0,0,0,0": ("no majority", "no majority"),
    "2,0,0,0,0,0,0,0,8,0": ("unknown emotion", "unknown emotion"),
    "0,0,3,0,0,0,0,0,0,7": ("no face", "no face"),
    "0,9,0,0,0,0,0,0,0,0": ("happiness", "happiness"),  # the row with nine votes
    "1,1,1,1,1,1,1,1,1,1": ("no majority", "no majority"),
    "0,0,0,0,0,0,0,0,0,0": ("no majority", "no majority"),
    "3,1,1,1,1,1,1,1,0,0": ("neutral", "neutral"),
    "x,9,0,0,0,0,0,0,0,0": ("bad votes", "bad votes"),
    "-1,9,0,0,0,0,0,0,0,0": ("bad votes", "bad votes"),
}


@pytest.mark.parametrize("majority", ["strict", "plurality"])
def test_majority_rules(tree, take, tmp_path, majority):
    root = tree(both(*(f"Training,a.png,{votes}" for votes in MAJORITIES)))
    found = take(CSV, root, into=tmp_path / "into", majority=majority)
    given = {n: r.emotion for n, r in found.records.items()} | dict(found.drops)
    assert [given[n] for n in sorted(given)] == [pair[majority == "plurality"] for pair in MAJORITIES.values()]


def test_strict_is_the_default(tree, take, tmp_path):
    assert take(CSV, tree(both(VOTES[0])), into=tmp_path / "into").drops == [("00000", "no majority")]


@pytest.mark.parametrize(("file", "says"), [("fer2013.csv", "fer2013.csv ends after 3 rows"),
                                            ("fer2013new.csv", "fer2013new.csv ends after 3 rows")])  # fmt: skip
def test_files_of_different_lengths_are_refused(tree, take, tmp_path, file, says):
    files = both(*VOTES)
    files[file] = files[file].rsplit("\n", 2)[0] + "\n"
    with pytest.raises(ConfigError, match=says):
        take(CSV, tree(files), into=tmp_path / "into")


def test_files_whose_usage_differs_are_refused(tree, take, tmp_path):
    files = both(*VOTES)
    files["fer2013.csv"] = files["fer2013.csv"].replace("PublicTest", "Training")
    with pytest.raises(ConfigError, match=r"row 2 \(from 0\) is 'PublicTest' in .* and 'Training'"):
        take(CSV, tree(files), into=tmp_path / "into")


def test_a_torn_row_does_not_shift_the_others(tree, take, tmp_path):
    files = both(*VOTES)
    files["fer2013new.csv"] = files["fer2013new.csv"].replace("4,0,0,1,3,2,0,0,0,0", "4,0")
    found = take(CSV, tree(files), into=tmp_path / "into")
    assert found.drops[0] == ("00000", "bad row")
    assert found.records["00003"].emotion == "happiness"


def test_missing_pixels_file_is_named(tree, take, tmp_path):
    files = both(*VOTES)
    del files["fer2013.csv"]
    with pytest.raises(ConfigError, match="FER2013's fer2013.csv"):
        take(CSV, tree(files), into=tmp_path)


def test_folders_have_labels_without_a_header_and_a_box(tree, take):
    root = tree(folder("Train", "fer0000002.png,5,0,0,3,1,0,0,0,1,0") | folder("Valid", "a.png,0,9,0,0,0,0,0,0,0,0")
                | folder("Test", "b.png,0,0,0,0,0,0,9,0,0,0"))  # fmt: skip
    found = take(FOLDERS, root)
    assert {n: (r.split, r.emotion, r.media) for n, r in found.records.items()} == {
        "fer0000002": ("train", "neutral", "data/FER2013Train/fer0000002.png"),
        "a": ("val", "happiness", "data/FER2013Valid/a.png"),
        "b": ("test", "fear", "data/FER2013Test/b.png")}  # fmt: skip
    assert found.all[0].box == (0, 0, 48, 48)
    assert found.all[0].emotion_probs["neutral"] == pytest.approx(5 / 9)


def test_folders_drop_names_that_occur_twice_and_what_cannot_be_read(tree, take):
    found = take(FOLDERS, tree(folder(
        "Train", "a.png,0,9,0,0,0,0,0,0,0,0", "a.png,0,0,0,0,0,0,0,0,0,10", "c.png,0,9,0,0,0,0,0,0,0,0", "d.png,1",
        ",0,0,0,0,0,0,0,0,0,10", "e.png,0,0,0,0,0,0,0,0,0,10")))  # fmt: skip
    assert list(found.records) == ["c"]
    assert found.drops == [("FER2013Train/a.png", "name occurs twice"), ("FER2013Train/a.png", "name occurs twice"),
                           ("FER2013Train/line 4", "bad row"), ("FER2013Train/", "no picture name"),
                           ("FER2013Train/e.png", "no face")]  # fmt: skip
    assert found.notes == ["FER2013Valid has no label.csv: there is no split val",
                           "FER2013Test has no label.csv: there is no split test"]  # fmt: skip


def test_a_folder_without_labels_is_refused(tree, take):
    with pytest.raises(ConfigError, match=r"label\.csv in FER2013Train"):
        take(FOLDERS, tree({"data/FER2013Train/fer0000000.png": None}))
