import hashlib

import pytest

from data_builders.sources.rafau import CODED, SOURCE
from facevlm.config import ConfigError

LABELS = ("7.jpg 1+4+L12+25  \r\n0008.jpg null \r\n0009.jpg r14+l14+43\r\n0010.jpg 1+99\r\n0011.jpg\r\n"
          "0012.jpg 1 + 2\r\n")  # fmt: skip


@pytest.fixture
def coded(tree):
    return tree({"RAF-AU/RAFAU_label.txt": LABELS, "RAF-AU/aligned/0007_aligned.jpg": None})


def test_a_line_says_which_are_present_and_the_other_coded_ones_are_absent(coded, take):
    record = take(SOURCE, coded).records["0007"]
    assert record.media == "RAF-AU/aligned/0007_aligned.jpg"
    assert record.present_aus == (1, 4, 12, 25)
    assert record.labelled_aus == CODED
    assert record.aus[12] == 1 and record.aus[2] == 0


def test_sided_aus_count_for_the_au_and_keep_their_side(coded, take):
    found = take(SOURCE, coded).records
    assert found["0007"].attributes == {"sided_aus": "L12"}
    assert found["0009"].attributes == {"sided_aus": "R14+L14"}
    assert found["0009"].present_aus == (14, 43)


def test_a_rare_au_is_labelled_only_where_it_is_seen(coded, take):
    found = take(SOURCE, coded).records
    assert 43 in found["0009"].aus and 43 not in found["0007"].aus


def test_null_is_left_out_or_means_that_all_are_absent(coded, take):
    dropped = take(SOURCE, coded)
    assert dropped.drops == [("0008.jpg", "no AU"), ("0010.jpg", "unknown AU"), ("0011.jpg", "bad row"),
                             ("0012.jpg", "bad row")]  # fmt: skip
    kept = take(SOURCE, coded, without_aus="absent").records["0008"]
    assert kept.aus == dict.fromkeys(CODED, 0) and kept.emotion is None


def test_the_fold_is_the_hash_of_the_number_and_each_picture_is_tested_once(tree, take):
    root = tree({"RAFAU_label.txt": "".join(f"{n}.jpg 12\n" for n in range(1, 101))})
    tested = [[i for i, r in take(SOURCE, root, fold=k).records.items() if r.split == "test"] for k in range(5)]
    assert sorted(sum(tested, [])) == [f"{n:04d}" for n in range(1, 101)]
    assert all(10 <= len(ids) <= 30 for ids in tested)
    assert all(int(hashlib.sha256(i.encode()).hexdigest(), 16) % 5 == k for k, ids in enumerate(tested) for i in ids)
    assert {r.split for r in take(SOURCE, root).all} == {"train", "test"}


def test_named_pictures_are_excluded_and_names_that_match_nothing_are_told(coded, take):
    found = take(SOURCE, coded, exclude=["7.jpg", "0009_aligned.jpg", "0518"])
    assert found.records == {}
    assert found.drops[0] == ("7.jpg", "excluded")
    assert found.notes == ["exclude names pictures that RAFAU_label.txt does not have: 0518"]


def test_another_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match=r"RAFAU_label\.txt"):
        take(SOURCE, tree({"labels.txt": LABELS}))
