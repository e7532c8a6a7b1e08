import h5py
import numpy as np
import pytest

from data_builders.sources.lfwa import SOURCE
from facevlm.config import ConfigError

NAMES = ["Aaron_Eckhart\\Aaron_Eckhart_0001.jpg", "Zoë_X\\Zoë_X_0001.jpg", "Zoë_X\\Zoë_X_0002.jpg", "loose.jpg",
         "Ann_B\\Ann_B_0001.jpg"]  # fmt: skip
ATTRIBUTES = ["5_o_Clock_Shadow", "Male", "Smiling"]
LABELS = [[1, 1, 0], [0, 0, 1], [0, 0, 2], [0, 0, 0], [0, 0, 0]]


def cell(file, name, texts, across):
    """A MATLAB cell array of text: references to arrays of character codes, turned over as MATLAB writes them."""
    references = []
    for i, text in enumerate(texts):
        data = file.create_dataset(f"#refs#/{name}{i}", data=np.array([[ord(c)] for c in text], np.uint16))
        references.append(data.ref)
    file[name] = np.array([references] if across else [[r] for r in references], dtype=h5py.ref_dtype)


def write(root, labels=LABELS, train=(1, 3), test=(2, 4)):
    with h5py.File(root / "lfw_att_40.mat", "w") as file:
        cell(file, "name", NAMES, across=True)
        cell(file, "AttrName", ATTRIBUTES, across=False)
        file["label"] = np.array(labels, float).T
    with h5py.File(root / "indices_train_test.mat", "w") as file:
        file["indices_img_train"] = np.array([train], float)
        file["indices_img_test"] = np.array([test], float).T


@pytest.fixture
def lfwa(tree):
    root = tree({"lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg": None})
    write(root)
    return root


def test_names_labels_and_people_are_read(lfwa, take):
    record = take(SOURCE, lfwa).records["Aaron_Eckhart_0001"]
    assert record.media == "lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg"
    assert (record.subject, record.split) == ("Aaron_Eckhart", "train")
    assert record.attributes == {"5 o clock shadow": "yes", "smiling": "no", "gender": "male"}


def test_the_arrays_are_turned_and_the_split_counts_from_one(lfwa, take):
    record = take(SOURCE, lfwa).records["Zoë_X_0001"]
    assert (record.split, record.subject) == ("test", "Zoë_X")
    assert record.attributes == {"5 o clock shadow": "no", "smiling": "yes", "gender": "female"}


def test_what_cannot_be_read_is_dropped_with_its_reason(lfwa, take):
    assert take(SOURCE, lfwa).drops == [("Zoë_X_0002", "unknown label"), ("loose", "bad name"),
                                        ("Ann_B_0001", "unknown split")]  # fmt: skip


def test_without_the_split_file_none_is_given(lfwa, take):
    (lfwa / "indices_train_test.mat").unlink()
    found = take(SOURCE, lfwa)
    assert {r.split for r in found.all} == {""}
    assert "indices_train_test.mat was not found" in found.notes[0]


def test_indices_of_other_rows_are_refused(lfwa, take):
    write(lfwa, train=(0, 3))
    with pytest.raises(ConfigError, match="its rows are not 1 to 5"):
        take(SOURCE, lfwa)


def test_a_row_in_both_lists_is_refused(lfwa, take):
    write(lfwa, train=(1, 2), test=(2, 3))
    with pytest.raises(ConfigError, match="each once"):
        take(SOURCE, lfwa)


def test_labels_of_another_shape_are_refused(lfwa, take):
    write(lfwa, labels=[[1, 0, 1]])
    with pytest.raises(ConfigError, match=r"5 names, 3 attributes, and labels of shape \(1, 3\)"):
        take(SOURCE, lfwa)


def test_a_file_that_is_no_matlab_file_is_refused(lfwa, take):
    (lfwa / "lfw_att_40.mat").write_bytes(b"<html>sign in</html>" * 40)
    with pytest.raises(ConfigError, match="cannot read MATLAB file"):
        take(SOURCE, lfwa)


def test_another_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match=r"lfw_att_40\.mat is not in"):
        take(SOURCE, tree({"lfw/a/a_0001.jpg": None}))
