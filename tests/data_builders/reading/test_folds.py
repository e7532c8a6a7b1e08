import pytest

from data_builders.reading import folds
from data_builders.reading.cells import BadRow
from facevlm.config import ConfigError


@pytest.mark.parametrize(("lists", "people", "sizes"), [(folds.BP4D, 41, [13, 14, 14]), (folds.DISFA, 27, [9, 9, 9])])
def test_the_parts_hold_everyone_once(lists, people, sizes):
    everyone = [subject for part in lists for subject in part]
    assert (len(everyone), len(set(everyone)), [len(part) for part in lists]) == (people, people, sizes)


def test_bp4d_has_23_women_and_18_men():
    everyone = {subject for part in folds.BP4D for subject in part}
    assert everyone == {f"F{n:03d}" for n in range(1, 24)} | {f"M{n:03d}" for n in range(1, 19)}


@pytest.mark.parametrize("lists", [folds.BP4D, folds.DISFA])
def test_each_person_is_tested_in_one_fold_and_trained_on_in_the_others(lists):
    for part in lists:
        for subject in part:
            assert sorted(folds.split(lists, subject, k) for k in (1, 2, 3)) == ["test", "train", "train"]


def test_fold_one_tests_the_third_part_of_the_lists():
    assert folds.split(folds.BP4D, "F007", 1) == folds.split(folds.DISFA, "SN003", 1) == "test"
    assert folds.split(folds.BP4D, "F001", 3) == folds.split(folds.DISFA, "SN002", 3) == "test"
    assert folds.split(folds.BP4D, "M011", 2) == folds.split(folds.DISFA, "SN013", 2) == "test"


def test_without_a_fold_there_is_no_split_even_for_strangers():
    assert folds.split(folds.BP4D, "F007", None) == folds.split(folds.DISFA, "SN999", None) == ""


def test_a_stranger_is_a_bad_row_and_a_fold_that_is_not_there_an_error():
    with pytest.raises(BadRow) as caught:
        folds.split(folds.DISFA, "SN033", 1)
    assert caught.value.reason == "unknown subject"
    with pytest.raises(ConfigError, match="folds 1 to 3"):
        folds.split(folds.DISFA, "SN001", 4)
