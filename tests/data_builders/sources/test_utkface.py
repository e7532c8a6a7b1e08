import pytest

from data_builders.sources.utkface import SOURCE
from facevlm.config import ConfigError


def utk(tree, *names, folder="UTKFace"):
    return tree({f"{folder}/{name}": None for name in names})


def labels(found):
    return {n: tuple(r.attributes.get(a) for a in ("age", "gender", "race")) for n, r in found.records.items()}


def test_labels_are_in_the_name(tree, take):
    found = take(SOURCE, utk(tree, "25_0_2_20170104023102422.jpg.chip.jpg", "1_1_4_20161219230100794.JPG"))
    assert labels(found) == {"25_0_2_20170104023102422": ("25", "male", "Asian"),
                             "1_1_4_20161219230100794": ("1", "female", "other")}  # fmt: skip
    record = found.records["25_0_2_20170104023102422"]
    assert (record.media, record.subject, record.split) == ("UTKFace/25_0_2_20170104023102422.jpg.chip.jpg", None, "")


def test_a_name_with_one_number_between_age_and_date_keeps_what_it_says(tree, take):
    found = take(SOURCE, utk(tree, "39_1_20170116174525125.jpg.chip.jpg", "61_1_20170109142408075.jpg.chip.jpg",
                             "61_3_20170109150557335.jpg.chip.jpg", "53__0_20170116184028385.jpg"))  # fmt: skip
    assert labels(found) == {
        "39_1_20170116174525125": ("39", "female", None), "61_1_20170109142408075": ("61", "female", None),
        "61_3_20170109150557335": ("61", None, "Indian"), "53__0_20170116184028385": ("53", None, "White"),
    }  # fmt: skip


def test_blanks_and_odd_endings_are_read(tree, take):
    found = take(SOURCE, utk(tree, "24_0_1_20170116220224657 .jpg.chip.jpg", "55_0_0_20170116232725357jpg.chip.jpg",
                             "44_1_4_20170116235150272.pg.chip.jpg"))  # fmt: skip
    assert labels(found) == {
        "24_0_1_20170116220224657": ("24", "male", "Black"), "55_0_0_20170116232725357": ("55", "male", "White"),
        "44_1_4_20170116235150272": ("44", "female", "other"),
    }  # fmt: skip


def test_what_cannot_be_read_is_dropped_with_its_reason(tree, take):
    found = take(SOURCE, utk(tree, "25_0_2_20170104023102422.jpg", "200_0_2_20170104023102423.jpg",
                             "25_0_7_20170104023102424.jpg", "25_5_1_20170104023102425.jpg", "holiday.jpg",
                             "._25_0_2_20170104023102422.jpg"))  # fmt: skip
    assert found.drops == [("UTKFace/200_0_2_20170104023102423.jpg", "bad age"),
                           ("UTKFace/25_0_7_20170104023102424.jpg", "unknown label"),
                           ("UTKFace/25_5_1_20170104023102425.jpg", "unknown label"),
                           ("UTKFace/holiday.jpg", "bad name")]  # fmt: skip


def test_the_mirrors_copies_are_read_once(tree, take):
    name = "25_0_2_20170104023102422.jpg.chip.jpg"
    root = tree({f"{folder}/{name}": None for folder in ("crop_part1", "UTKFace", "utkface_aligned_cropped/UTKFace")})
    found = take(SOURCE, root)
    assert [r.media for r in found.all] == [f"UTKFace/{name}"]
    assert found.notes == ["faces are read from UTKFace/"]


def test_the_wild_pictures_are_read_when_asked_for(tree, take):
    root = tree({"part1/1_0_2_20161219140623097.jpg": None, "part2/61_1_2_20170109150557335.jpg": None})
    assert [r.media for r in take(SOURCE, root, faces="wild").all] == [
        "part1/1_0_2_20161219140623097.jpg", "part2/61_1_2_20170109150557335.jpg"]  # fmt: skip
    with pytest.raises(ConfigError, match=r"set options\.faces=wild"):
        take(SOURCE, root)


def test_pictures_named_otherwise_are_refused(tree, take):
    with pytest.raises(ConfigError, match=r"named like 'holiday\.jpg'"):
        take(SOURCE, tree({"holiday.jpg": None}))
    with pytest.raises(ConfigError, match="part1 to part3"):
        take(SOURCE, tree({}), faces="wild")
