import pytest

from data_builders.reading.cells import BadRow
from data_builders.reading.facscodes import levels, parse, parse_codes


@pytest.mark.parametrize(("text", "aus"), [
    ("4+L10", {4: None, 10: None}),
    ("1+4+L12+25 ", {1: None, 4: None, 12: None, 25: None}),
    ("A1B+A2C", {1: 2, 2: 3}),  # A before the number: asymmetric; after it: trace
    ("14A", {14: 1}),
    ("R14A or 17A", {}),
    ("6B+R14A or 17A+4", {4: None, 6: 2}),
    ("12A OR 12B", {12: None}),
    ("L12A+R12C", {12: 3}),
    ("L12+R12C", {12: 3}),
    ("AU6 + AU 12B; ad19", {6: None, 12: 2, 19: None}),
    ("LAU12,  M57", {12: None, 57: None}),
    ("6+12b?", {6: None}),
    ("?4+5", {5: None}),
    ("4+12?+12", {4: None, 12: None}),
    ("04.0", {4: None}),
    ("\uff14\uff0b\uff11\uff12\uff23", {4: None, 12: 3}),
    ("4+50+80", {4: None}),
])  # fmt: skip
def test_aus_that_are_there_for_certain(text, aus):
    assert parse_codes(text) == aus


@pytest.mark.parametrize(("text", "complete"), [
    ("?", False), ("", False), ("/", False), ("nan", False), ("4+?", False), ("null", True), ("None", True),
])  # fmt: skip
def test_unknown_is_not_none(text, complete):
    assert parse(text).complete is complete


def test_what_is_in_doubt_or_one_sided_or_no_au_is_told_apart():
    codes = parse("R14A or 17A+L12B+R12C+T2+4?+50+4")
    assert codes.doubtful == {14, 17}, "4 is certain at its second place"
    assert codes.sides == {12: "LR", 2: "T"}
    assert codes.others == {50}


@pytest.mark.parametrize("text", ["99", "4++5", "1+", "4 10", "1.2", "R2BL", "12F", "happy", "4|5", "3", "AU", "4-5"])
def test_what_is_no_code_is_refused(text):
    with pytest.raises(BadRow) as e:
        parse_codes(text)
    assert e.value.reason == "bad AU code" and repr(text) in e.value.detail


def test_intensities_and_occurrences_are_never_mixed():
    assert levels({12: 3, 1: 1}) == {1: 1, 12: 3}
    assert levels({12: 3, 1: None}) == {1: 1, 12: 1}
