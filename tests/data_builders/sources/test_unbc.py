import pytest

from data_builders.sources.unbc import SOURCE
from facevlm.config import ConfigError

CODED = (4, 6, 7, 9, 10, 12, 20, 25, 26, 27, 43)
BELOW = "042-ll042/ll042t1aaaff/ll042t1aaaff"


def frame(number, pspi=None, facs=None, below=BELOW, picture=True):
    labels = {f"Frame_Labels/PSPI/{below}{number}_facs.txt": pspi, f"Frame_Labels/FACS/{below}{number}_facs.txt": facs}
    pictures = {f"Images/{below}{number}.png": None} if picture else {}
    return {path: text for path, text in labels.items() if text is not None} | pictures


def facs(*rows):
    return "".join(f"   {au:.7e}   {level:.7e}   0.0000000e+00   0.0000000e+00\r\n" for au, level in rows)


def test_an_empty_file_says_that_every_coded_au_is_absent(tree, take):
    record = take(SOURCE, tree(frame("001", "   0.0000000e+00\n", ""))).records["ll042t1aaaff001"]
    assert record.aus == dict.fromkeys(CODED, 0.0)
    assert record.attributes == {"pain": "0"}
    assert (record.media, record.subject, record.split) == (f"Images/{BELOW}001.png", "042", "")


def test_listed_aus_have_their_intensity_and_43_is_only_there_or_not(tree, take):
    root = tree({**frame("001", "   6.0000000e+00\n", facs((4, 2), (6, 3), (43, 1), (25, 1))),
                 **frame("002", "1\n", facs((43, 4)))})  # fmt: skip
    found = take(SOURCE, root)
    assert found.all[0].aus == {**dict.fromkeys(CODED, 0.0), 4: 2, 6: 3, 25: 1, 43: 1}
    assert found.all[0].attributes == {"pain": "6"} and found.all[1].aus[43] == 1
    assert found.notes == []


def test_pspi_that_does_not_add_up_and_codes_of_no_au_are_noted(tree, take):
    root = tree({**frame("001", "5\n", facs((4, 2), (50, 1))), **frame("002", "2\n", facs((4, 2), (1, 3)))})
    found = take(SOURCE, root)
    assert found.all[0].attributes == {"pain": "5"} and 50 not in found.all[0].aus
    assert found.all[1].aus[1] == 3
    assert "1 codes are of no AU" in found.notes[0] and "in 1 frames PSPI" in found.notes[1]


def test_a_file_that_is_missing_leaves_its_label_out(tree, take):
    root = tree({**frame("001", "3\n"), **frame("002", None, facs((12, 1)))})
    found = take(SOURCE, root)
    assert [(r.aus.get(12), dict(r.attributes)) for r in found.all] == [(None, {"pain": "3"}), (1, {})]


def test_what_cannot_be_read_is_dropped(tree, take):
    root = tree({**frame("001", "17\n", ""), **frame("002", "x\n", ""), **frame("003", "0\n", "   4.0\n"),
                 **frame("004", "0\n", facs((4, 6))), **frame("005", "0\n", "", picture=False), **frame("006", "\n"),
                 "Frame_Labels/PSPI/042-ll042/ll042t1aaaff/._x_facs.txt": b"\xff",
                 f"Frame_Labels/PSPI/{BELOW}007.txt": "1"})  # fmt: skip
    found = take(SOURCE, root)
    assert [(name[-3:], reason) for name, reason in found.drops] == [
        ("001", "bad pain score"), ("002", "bad pain score"), ("003", "bad row"), ("004", "bad AU value"),
        ("005", "no picture"), ("006", "unlabelled")]  # fmt: skip
    assert found.all == []


def test_every_nth_frame_of_a_sequence_and_people_in_order(tree, take):
    other = "107-hs107/hs107t2/hs107t2"
    root = tree({k: v for n in ("001", "002", "003") for below in (other, BELOW)
                 for k, v in frame(n, "0\n", "", below).items()})  # fmt: skip
    found = take(SOURCE, root, every=2)
    assert list(found.records) == ["ll042t1aaaff001", "ll042t1aaaff003", "hs107t2001", "hs107t2003"]
    assert {r.subject for r in found.all} == {"042", "107"}


def test_doubled_folders_of_a_mirror_and_cropped_copies_are_found(tree, take):
    root = tree({f"Frame_Labels/Frame_Labels/PSPI/{BELOW}001_facs.txt": "2\n", f"aligned/{BELOW}001.jpg": None})
    found = take(SOURCE, root, pictures="aligned")
    assert found.all[0].media == f"aligned/{BELOW}001.jpg" and found.notes == ["Frame_Labels holds no FACS"]
    assert (found.all[0].aus, found.all[0].attributes) == ({}, {"pain": "2"})


def test_missing_folders_are_errors(tree, take):
    with pytest.raises(ConfigError, match="Frame_Labels folder"):
        take(SOURCE, tree({"x.txt": ""}))
    with pytest.raises(ConfigError, match="folder of pictures"):
        take(SOURCE, tree({"Frame_Labels/": None}))
    with pytest.raises(ConfigError, match="a folder of frame labels is not in .*looked for PSPI, FACS"):
        take(SOURCE, tree({"Images/": None}))
