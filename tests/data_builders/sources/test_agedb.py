import pytest

from data_builders.sources.agedb import SOURCE
from facevlm.config import ConfigError


def test_labels_and_person_are_in_the_name(tree, take):
    found = take(SOURCE, tree({"AgeDB/0_MariaCallas_35_f.jpg": None, "AgeDB/16_Mel_B_101_M.JPG": None,
                               "AgeDB/7_JoséFerrer_5_m.jpg": None}))  # fmt: skip
    assert {n: (r.subject, r.attributes) for n, r in found.records.items()} == {
        "0_MariaCallas_35_f": ("MariaCallas", {"age": "35", "gender": "female"}),
        "16_Mel_B_101_M": ("Mel_B", {"age": "101", "gender": "male"}),
        "7_JoséFerrer_5_m": ("JoséFerrer", {"age": "5", "gender": "male"}),
    }
    assert found.records["0_MariaCallas_35_f"].media == "AgeDB/0_MariaCallas_35_f.jpg"
    assert {r.split for r in found.all} == {""}


def test_other_names_are_dropped(tree, take):
    found = take(SOURCE, tree({"0_MariaCallas_35_f.jpg": None, "1_MariaCallas_135_f.jpg": None,
                               "2_MariaCallas_35.jpg": None, "3_MariaCallas_35_x.jpg": None,
                               "._0_MariaCallas_35_f.jpg": b"x"}))  # fmt: skip
    assert found.drops == [("1_MariaCallas_135_f.jpg", "bad age"), ("2_MariaCallas_35.jpg", "bad name"),
                           ("3_MariaCallas_35_x.jpg", "bad name")]  # fmt: skip
    assert list(found.records) == ["0_MariaCallas_35_f"]


def test_another_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match="there are no pictures"):
        take(SOURCE, tree({"agedb_30.bin": b"x"}))
