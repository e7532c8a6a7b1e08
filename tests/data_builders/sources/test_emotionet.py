import pytest

from data_builders.sources.emotionet import CODED, SOURCE
from facevlm.config import ConfigError

LISTS = "emotioNet_challenge_files_server_challenge_1.2_aws"


def line(name, present=(), coded=CODED, cells=60, second="http://b.org/x.jpg", other="999"):
    values = ["1" if n in present else "0" if n in coded else other for n in range(1, cells + 1)]
    return "\t".join([f"http://a.org/EmotioNet/Images/N_01/{name}", second, *values]) + "\n"


@pytest.fixture
def downloaded(tree):
    return tree({
        f"{LISTS}/dataFile_0001.txt": "URL\tURL_orig\t" + "\t".join(f"AU{n}" for n in range(1, 61)) + "\n"
        + line("N_01_1.jpg", (1, 12, 56)) + line("gone.jpg", (1,)) + line("none.jpg", coded=())
        + line("torn.jpg", cells=59) + line("long.jpg", cells=61) + line("odd.jpg").replace("\t0\t", "\t2\t", 1)
        + line("a%20b.jpg?x=1", (4,), second="http://b.org/my photo 2.jpg") + line("twice.jpg", (4,))
        + line("zero.jpg", (12,), coded=(1, 2), other="0"),
        f"{LISTS}/dataFile_1000.txt": line("hand.jpg", (25, 26), coded=(1, 25)),
        f"{LISTS}/._dataFile_0002.txt": b"\x00\x05",
        "images/N_01/N_01_1.JPG": None, "images/none.jpg": None, "images/a b.jpg": None, "images/hand.jpg": None,
        "images/a/twice.jpg": None, "images/b/twice.jpg": None, "images/zero.jpg": None, "images/._hand.jpg": b"x",
    })  # fmt: skip


def test_value_k_is_au_k_and_999_is_not_labelled(downloaded, take):
    record = take(SOURCE, downloaded).records["N_01_1.jpg"]
    assert record.media == "images/N_01/N_01_1.JPG"
    assert record.present_aus == (1, 12, 56) and record.labelled_aus == CODED
    by_hand = take(SOURCE, downloaded).records["hand.jpg"]
    assert by_hand.aus == {1: 0, 25: 1, 26: 1}


def test_a_zero_of_an_au_that_was_never_coded_says_nothing(downloaded, take):
    assert take(SOURCE, downloaded).records["zero.jpg"].labelled_aus == CODED


def test_lists_of_a_program_train_and_the_one_by_hand_tests(downloaded, take):
    found = take(SOURCE, downloaded).records
    assert {n: (r.split, r.aus_by) for n, r in found.items()} == {
        "N_01_1.jpg": ("train", "emotionet-2016"), "a b.jpg": ("train", "emotionet-2016"),
        "zero.jpg": ("train", "emotionet-2016"), "hand.jpg": ("test", None)}  # fmt: skip
    assert list(take(SOURCE, downloaded, automatic=False).records) == ["hand.jpg"]


def test_rows_without_a_picture_and_rows_that_are_torn_are_dropped(downloaded, take):
    assert take(SOURCE, downloaded).drops == [
        ("gone.jpg", "not downloaded"), ("none.jpg", "unlabelled"), ("torn.jpg", "bad AU value"),
        ("long.jpg", "bad row"), ("odd.jpg", "bad AU value"), ("twice.jpg", "ambiguous picture")]  # fmt: skip


def test_the_folder_of_the_downloads_is_an_option(downloaded, take):
    assert list(take(SOURCE, downloaded, pictures="images/N_01").records) == ["N_01_1.jpg"]
    with pytest.raises(ConfigError, match="option `pictures`"):
        take(SOURCE, downloaded, pictures="downloads")


def test_missing_lists_are_refused(tree, take, downloaded):
    (downloaded / LISTS / "dataFile_1000.txt").unlink()
    with pytest.raises(ConfigError, match=r"dataFile_1000\.txt"):
        take(SOURCE, downloaded, automatic=False)
    (downloaded / LISTS / "dataFile_0001.txt").unlink()
    with pytest.raises(ConfigError, match=r"dataFile_\*\.txt"):
        take(SOURCE, downloaded)
