import pytest

from data_builders.sources.morph2 import SOURCE
from facevlm.config import ConfigError

HEAD = "ID_num,picture_num,dob,doa,race,gender,facial_hair,age,age_diff,glasses,photo\n"


def row(photo, age="54", gender="M", race="B"):
    return f"9055,1,01/02/1950,03/04/2004,{race},{gender},0,{age},0,0,{photo}\n"


def test_names_alone_give_age_gender_and_person(tree, take):
    found = take(SOURCE, tree({"Album2/009055_1M54.JPG": None, "Album2/9055_02F16.jpg": None,
                               "Album2/portrait.jpg": None, "Album2/._009055_1M54.JPG": b"x"}))  # fmt: skip
    assert {n: (r.media, r.subject, r.attributes) for n, r in found.records.items()} == {
        "009055_1M54": ("Album2/009055_1M54.JPG", "009055", {"age": "54", "gender": "male"}),
        "9055_02F16": ("Album2/9055_02F16.jpg", "009055", {"age": "16", "gender": "female"}),
    }
    assert found.drops == [("Album2/portrait.jpg", "bad name")]
    assert "without race" in found.notes[0]


def test_the_csv_gives_race_and_the_eye_coordinates_are_passed_over(tree, take):
    root = tree({"MORPH_Album2_EYECOORDS.csv": "photo,lx,ly,rx,ry\n009055_1M54,1,2,3,4\n",
                 "MORPH_Album2_comp.csv": HEAD + row("Album2/009055_1M54.jpg") + row("009055_2M55.JPG", "55", "M", ""),
                 "Album2/009055_1M54.JPG": None, "Album2/009055_2M55.JPG": None})  # fmt: skip
    found = take(SOURCE, root)
    assert {n: (r.media, r.subject, r.attributes) for n, r in found.records.items()} == {
        "009055_1M54": ("Album2/009055_1M54.JPG", "009055", {"age": "54", "gender": "male", "race": "Black"}),
        "009055_2M55": ("Album2/009055_2M55.JPG", "009055", {"age": "55", "gender": "male"}),
    }
    assert found.notes == ["labels are read from MORPH_Album2_comp.csv"]


def test_a_race_code_that_is_not_known_is_not_labelled_and_said(tree, take):
    root = tree({"MORPH_Album2_comp.csv": HEAD + row("009055_1M54.JPG", race="I") + row("009056_1F20.JPG", race="W"),
                 "009055_1M54.JPG": None, "009056_1F20.JPG": None})  # fmt: skip
    found = take(SOURCE, root)
    assert [r.attributes.get("race") for r in found.all] == [None, "White"]
    assert found.notes[-1] == "race codes that are not known, and so not labelled: 'I' 1"


def test_what_cannot_be_read_is_dropped_with_its_reason(tree, take):
    rows = [row("1_1M54.JPG", gender="X"), row("2_1M54.JPG", age="-1"), row("3_1M54.JPG"), row("odd.JPG"), "1,2,3\n"]
    root = tree({"MORPH_Album2_comp.csv": HEAD + "".join(rows), "1_1M54.JPG": None, "2_1M54.JPG": None,
                 "odd.JPG": None})  # fmt: skip
    assert take(SOURCE, root).drops == [("1_1M54", "unknown label"), ("2_1M54", "bad age"), ("3_1M54", "file missing"),
                                        ("odd", "bad name"), ("line 6", "bad row")]  # fmt: skip


def test_another_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match="009055_1M54"):
        take(SOURCE, tree({"holiday.jpg": None}))
