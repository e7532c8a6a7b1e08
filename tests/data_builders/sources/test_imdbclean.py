import pytest

from data_builders.sources.imdbclean import SOURCE
from facevlm.config import ConfigError

HEAD = "filename,age,gender,head_roll,head_yaw,head_pitch,x_min,y_min,x_max,y_max\n"
ROW = "00/nm0000100_rm46373120_1955-1-6_2003.jpg,48,M,1.5,-2.0,3.0,301,292,712.5,819\n"


def test_a_row_is_read_with_its_box_person_and_split(tree, take):
    root = tree({
        "csvs/imdb_train_new_1024.csv": HEAD + ROW,
        "csvs/imdb_valid_new_1024.csv": HEAD + "04/nm0000204_rm1_1981-6-9_2001.jpg,20.0,F,,,,1,2,3,4\n",
        "csvs/imdb_test_new_1024.csv": HEAD + "05/nm0000305_rm1_1981-6-9_2001.jpg,20,,,,,,,,\n",
        "csvs/imdb_train_new.csv": HEAD + "00/nm0000900_rm1_1981-6-9_2001.jpg,20,F,,,,1,2,3,4\n",
        "data/imdb-clean-1024/": None,
    })  # fmt: skip
    found = take(SOURCE, root)
    first = found.records["nm0000100_rm46373120_1955-1-6_2003"]
    assert first.media == "data/imdb-clean-1024/00/nm0000100_rm46373120_1955-1-6_2003.jpg"
    assert (first.subject, first.box) == ("nm0000100", (301, 292, 712.5, 819))
    assert [(r.split, r.box is None, r.attributes) for r in found.all] == [
        ("train", False, {"age": "48", "gender": "male"}), ("val", False, {"age": "20", "gender": "female"}),
        ("test", True, {"age": "20"}),
    ]  # fmt: skip


def test_the_mirror_and_what_it_lacks_are_said(tree, take):
    root = tree({"imdb_train_new_1024.csv": "filename,age,gender\n" + ",".join(ROW.split(",")[:3]) + "\n",
                 "imdb-clean-1024/imdb-clean-1024/": None})  # fmt: skip
    found = take(SOURCE, root)
    assert found.all[0].media.startswith("imdb-clean-1024/imdb-clean-1024/00/nm0000100_")
    assert found.all[0].box is None
    assert found.notes == ["imdb_train_new_1024.csv has no columns x_min, y_min, x_max, y_max: faces are not boxed",
                           "imdb_valid_new_1024.csv was not found: no val rows",
                           "imdb_test_new_1024.csv was not found: no test rows"]  # fmt: skip


def test_what_cannot_be_read_is_dropped_with_its_reason(tree, take):
    rows = ("00/nm1_rm1_1_2.jpg,-3,M,,,,1,2,3,4\n00/nm1_rm2_1_2.jpg,30,X,,,,1,2,3,4\n00/me.jpg,30,M,,,,1,2,3,4\n"
            "00/nm1_rm3_1_2.jpg,30,M,,,,5,2,3,4\n00/nm1_rm4_1_2.jpg,30\n,30,M,,,,1,2,3,4\n")  # fmt: skip
    found = take(SOURCE, tree({"imdb_valid_new_1024.csv": HEAD + rows, "imdb-clean-1024/": None}))
    assert found.drops == [
        ("00/nm1_rm1_1_2.jpg", "bad age"), ("00/nm1_rm2_1_2.jpg", "unknown label"), ("00/me.jpg", "bad name"),
        ("00/nm1_rm3_1_2.jpg", "bad face box"), ("valid line 6", "bad row"), ("no name", "bad name"),
    ]  # fmt: skip


def test_a_missing_column_is_refused(tree, take):
    with pytest.raises(ConfigError, match="no columns 'filename'"):
        take(SOURCE, tree({"imdb_train_new_1024.csv": "path,age,gender\n", "imdb-clean-1024/": None}))


def test_another_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match=r"imdb_train_new_1024\.csv is not in"):
        take(SOURCE, tree({"imdb-clean-1024/": None, "imdb_train_new.csv": HEAD}))
