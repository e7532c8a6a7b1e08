import h5py
import numpy as np
import pytest
from scipy.io import savemat

from data_builders.sources.cacd import SOURCE
from facevlm.config import ConfigError

NAMES = ["53_Robert_Duvall_0001.jpg", "14_Aaron_Johnson_0002.jpg", "20_Chloë_Moretz_0003.jpg", "odd.jpg",
         "20_Chloë_Moretz_0004.jpg", "30_Late_Comer_0001.jpg"]  # fmt: skip
AGES, RANKS = [53, 15, 20, 1, 200, 30], [1, 3, 36, 1, 36, 51]


def old(path, ages=AGES):
    column = np.array(NAMES, object).reshape(-1, 1)
    image = {"age": np.array([ages]).T, "rank": np.array([RANKS]).T, "name": column, "feature": np.zeros((0, 0))}
    savemat(path, {"celebrityData": {"rank": np.array([[1]])}, "celebrityImageData": image})


def new(path):
    with h5py.File(path, "w") as file:
        refs = [file.create_dataset(f"#refs#/{i}", data=np.array([[ord(c)] for c in name], np.uint16)).ref
                for i, name in enumerate(NAMES)]  # fmt: skip
        file["celebrityImageData/name"] = np.array([refs], dtype=h5py.ref_dtype)
        file["celebrityImageData/age"] = np.array([AGES], float)
        file["celebrityImageData/rank"] = np.array([RANKS], float)


@pytest.mark.parametrize(("write", "file"), [(old, "celebrity2000_meta.mat"), (new, "celebrity2000.mat")])
def test_both_kinds_of_mat_file_give_age_person_and_split(tree, take, write, file):
    root = tree({"CACD2000/53_Robert_Duvall_0001.jpg": None})
    write(root / file)
    found = take(SOURCE, root)
    assert {n: (r.split, r.subject, r.attributes) for n, r in found.records.items()} == {
        "53_Robert_Duvall_0001": ("val", "Robert_Duvall", {"age": "53"}),
        "14_Aaron_Johnson_0002": ("test", "Aaron_Johnson", {"age": "15"}),
        "20_Chloë_Moretz_0003": ("train", "Chloë_Moretz", {"age": "20"}),
    }
    assert found.records["53_Robert_Duvall_0001"].media == "CACD2000/53_Robert_Duvall_0001.jpg"
    assert found.drops == [("odd.jpg", "bad name"), ("20_Chloë_Moretz_0004.jpg", "bad age"),
                           ("30_Late_Comer_0001.jpg", "unknown split")]  # fmt: skip


def test_without_it_names_give_age_and_person_and_no_split(tree, take):
    found = take(SOURCE, tree({"CACD2000/53_Robert_Duvall_0001.jpg": None, "CACD2000/cover.jpg": None}))
    record = found.records["53_Robert_Duvall_0001"]
    assert (record.split, record.subject, record.attributes) == ("", "Robert_Duvall", {"age": "53"})
    assert found.drops == [("CACD2000/cover.jpg", "bad name")]
    assert "celebrity2000_meta.mat was not found" in found.notes[0]


def test_a_mat_file_that_does_not_fit_is_refused(tree, take):
    root = tree({"CACD2000/": None})
    old(root / "celebrity2000_meta.mat", ages=[53])
    with pytest.raises(ConfigError, match="6 names, 1 ages, 6 ranks"):
        take(SOURCE, root)
    savemat(root / "celebrity2000_meta.mat", {"other": np.zeros(3)})
    with pytest.raises(ConfigError, match=r"no 'celebrityImageData\.name'"):
        take(SOURCE, root)


def test_another_folder_is_refused(tree, take):
    with pytest.raises(ConfigError, match="there are no pictures"):
        take(SOURCE, tree({"readme.txt": "x"}))
