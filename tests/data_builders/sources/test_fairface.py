import pytest

from data_builders.sources.fairface import SOURCE
from facevlm.config import ConfigError

HEAD = "\ufefffile,age,gender,race,service_test\r\n"


def fairface(tree, *ages, **more):
    rows = "".join(f"train/{i}.jpg,{age},Male,East Asian,True\r\n" for i, age in enumerate(ages, 1))
    return tree({"fairface_label_train.csv": HEAD + rows, "fairface_label_val.csv": HEAD, "train/": None, "val/": None,
                 **more})  # fmt: skip


def ages(found):
    return [r.attributes["age_group"] for r in found.all]


def test_a_row_is_read_and_val_is_the_test_set(tree, take):
    root = fairface(tree, "50-59")
    (root / "fairface_label_val.csv").write_text(HEAD + "val/1.jpg,more than 70,Female,Latino_Hispanic,False\n")
    found = take(SOURCE, root)
    assert {n: (r.media, r.split) for n, r in found.records.items()} == {
        "train/1": ("train/1.jpg", "train"), "val/1": ("val/1.jpg", "test")}  # fmt: skip
    assert found.records["train/1"].attributes == {"age_group": "50-59", "gender": "male", "race": "East Asian"}
    assert found.records["val/1"].attributes == {
        "age_group": "more than 70", "gender": "female", "race": "Latino_Hispanic"}  # fmt: skip
    assert found.notes == []


DATES_3_9 = ["3-Sep", "9-Mar", "Mar-09", "03-Sep", "Sep-03", "2024-03-09", "2021-09-03 00:00:00", "9/3/2024"]
DATES_10_19 = ["19-Oct", "Oct-19", "10/19/2024", "2019-10-01", "10/1/2019", "1.10.2019"]


def test_ages_that_a_spreadsheet_made_dates_of_are_read_back_and_counted(tree, take):
    found = take(SOURCE, fairface(tree, *DATES_3_9, *DATES_10_19, "3-9", "10-19", "70+"))
    assert ages(found) == [*["3-9"] * 8, *["10-19"] * 6, "3-9", "10-19", "more than 70"]
    assert len(found.notes) == 1 and found.notes[0].startswith("15 age groups were not in the owners' spelling")


@pytest.mark.parametrize("age", ["19-Sep", "3-Mar", "20-Oct", "10-Jan", "43533", "1-Oct", "2-Jan", "", "8", "3-90"])
def test_no_other_date_stands_for_an_age(tree, take, age):
    found = take(SOURCE, fairface(tree, age))
    assert (found.all, found.drops) == ([], [("train/1.jpg", "unknown label")])


def test_rows_that_cannot_be_read_are_dropped(tree, take):
    root = fairface(tree)
    (root / "fairface_label_train.csv").write_text(
        "file,age,gender,race\n,0-2,Male,White\ntrain/2.jpg,0-2,Man,White\ntrain/3.jpg,0-2,Male,Martian\ntorn\n")
    assert take(SOURCE, root).drops == [("", "no media"), ("train/2.jpg", "unknown label"),
                                        ("train/3.jpg", "unknown label"), ("train line 5", "bad row")]  # fmt: skip


def test_the_margin_chooses_the_archive(tree, take):
    root = fairface(tree, "0-2", **{"fairface-img-margin025-trainval/train/1.jpg": None,
                                    "fairface-img-margin025-trainval/val/": None,
                                    "fairface-img-margin125-trainval/train/1.jpg": None,
                                    "fairface-img-margin125-trainval/val/": None})  # fmt: skip
    assert take(SOURCE, root).records["train/1"].media == "fairface-img-margin025-trainval/train/1.jpg"
    wide = take(SOURCE, root, margin="1.25")
    assert wide.records["train/1"].media == "fairface-img-margin125-trainval/train/1.jpg"


def test_a_missing_half_is_said(tree, take):
    root = fairface(tree, "0-2")
    (root / "fairface_label_val.csv").unlink()
    assert take(SOURCE, root).notes == ["fairface_label_val.csv was not found: no test rows"]


def test_a_missing_column_is_refused(tree, take):
    with pytest.raises(ConfigError, match="no columns 'race'"):
        take(SOURCE, tree({"fairface_label_train.csv": "file,age,gender\n", "train/": None}))


def test_another_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match=r"fairface_label_train\.csv is not in .*the folder holds x\.jpg"):
        take(SOURCE, tree({"x.jpg": None}))
