import pytest

from data_builders.sources.bp4d import SOURCE
from facevlm.config import ConfigError

OLD = ",".join(map(str, range(100)))


def old(frame, **present):
    """A row under the header 0 … 99: AU k in column k, uncoded ones 9 but for a stray 0 under AU25 and AU45."""
    cells = ["9"] * 100
    cells[0], cells[25], cells[45] = str(frame), "0", "0"
    for au in (1, 2, 4, 6, 12):
        cells[au] = "0"
    for au, code in present.items():
        cells[int(au[2:])] = code
    return ",".join(cells)


@pytest.fixture
def bp4d(tree):
    return tree({
        "AUCoding/AU_OCC/F001_T1.csv": "\r\n".join([OLD, old(9), old(10, au12="1", au4="9"), old(2440)]),
        "AUCoding/AU_OCC/M009_T8.csv": "1,1,2,4\n7,1,0,9\n",
        "AUCoding/AU_OCC/._F001_T1.csv": b"x", "AUCoding/AU_OCC/readme.txt": "x",
        "Sequences(2D+3D)/F001/T1/0009.jpg": None, "Sequences(2D+3D)/F001/T1/0010.JPG": None,
        "Sequences(2D+3D)/F001/T1/2440.jpg": None, "Sequences(2D+3D)/F001/T1/._2440.jpg": b"x",
        "Sequences(2D+3D)/F001/T1/2440.mtl": b"x", "Sequences(2D+3D)/M009/T8/007.jpg": None,
    })  # fmt: skip


def test_both_headers_are_read_by_place(bp4d, take):
    found = take(SOURCE, bp4d)
    assert list(found.records) == ["F001_T1-9", "F001_T1-10", "F001_T1-2440", "M009_T8-7"]
    assert found.records["F001_T1-10"].aus == {1: 0, 2: 0, 6: 0, 12: 1}
    assert found.records["M009_T8-7"].aus == {1: 1, 2: 0}
    assert found.records["M009_T8-7"].present_aus == (1,)
    assert found.drops == []


def test_pictures_are_matched_by_number_whatever_the_padding(bp4d, take):
    assert [r.media for r in take(SOURCE, bp4d).all] == [
        "Sequences(2D+3D)/F001/T1/0009.jpg", "Sequences(2D+3D)/F001/T1/0010.JPG", "Sequences(2D+3D)/F001/T1/2440.jpg",
        "Sequences(2D+3D)/M009/T8/007.jpg"]  # fmt: skip


def test_the_letter_of_the_subject_is_the_gender(bp4d, take):
    found = {(r.subject, r.attributes["gender"]) for r in take(SOURCE, bp4d).all}
    assert found == {("F001", "female"), ("M009", "male")}


def test_a_fold_gives_the_split(bp4d, take):
    splits = {k: [r.split for r in take(SOURCE, bp4d, fold=k, every=9).all] for k in (None, 1, 2, 3)}
    assert splits == {None: ["", ""], 1: ["train", "test"], 2: ["train", "train"], 3: ["test", "train"]}


def test_every_nth_coded_frame(bp4d, take):
    assert list(take(SOURCE, bp4d, every=2).records) == ["F001_T1-9", "F001_T1-2440", "M009_T8-7"]


@pytest.fixture
def scored(tree):
    return tree({
        "AUCoding/AU_OCC/F001_T1.csv": "0,1,6,10,12\n1,1,1,0,1\n2,0,9,1,1\n3,0,1,0,0\n",
        "AUCoding/AU_INT/AU06/F001_T1_AU06.csv": "1,4\n2,2\n3,9\n",
        "AUCoding/AU_INT/AU12/F001_T1_AU12.csv": "\ufeff1,3\r\n2,0\r\n3,8\r\n",
        "2D+3D/F001/T1/1.png": None, "2D+3D/F001/T1/2.png": None, "2D+3D/F001/T1/3.png": None,
    })  # fmt: skip


def test_intensity_replaces_occurrence_only_where_asked_for(scored, take):
    assert [r.aus for r in take(SOURCE, scored).all] == [
        {1: 1, 6: 1, 10: 0, 12: 1}, {1: 0, 10: 1, 12: 1}, {1: 0, 6: 1, 10: 0, 12: 0}]  # fmt: skip
    found = take(SOURCE, scored, intensity=True)
    assert [r.aus for r in found.all] == [{1: 1, 6: 4, 12: 3}, {1: 0, 6: 2, 12: 0}, {1: 0}]
    assert found.drops == [("F001_T1 AU12 line 3", "bad AU value")]
    assert "5 occurrences without an intensity" in found.notes[0] and "in 1 labels" in found.notes[0]


def test_a_sequence_without_intensity_keeps_its_occurrence(bp4d, take):
    assert take(SOURCE, bp4d, intensity=True).records["F001_T1-10"].aus == {1: 0, 2: 0, 6: 0, 12: 1}


def test_rows_that_cannot_be_read_are_dropped(tree, take):
    root = tree({"AUCoding/AU_OCC/F001_T1.csv": "0,1,2\n5,0\n6,0,3\nx,0,0\n7,9,9\n8,1,0\n8,0,0\n9,1,0\n1.5,0,0\n",
                 "F001/T1/08.jpg": None})  # fmt: skip
    found = take(SOURCE, root)
    assert found.drops == [
        ("F001_T1 line 2", "bad row"), ("F001_T1 line 3", "bad AU value"), ("F001_T1 line 4", "bad row"),
        ("F001_T1-7", "unlabelled"), ("F001_T1 line 7", "two labels"), ("F001_T1-9", "no picture"),
        ("F001_T1 line 9", "bad row")]  # fmt: skip
    assert [(r.media, r.aus) for r in found.all] == [("F001/T1/08.jpg", {1: 1, 2: 0})]


def test_files_and_folders_that_do_not_fit_are_dropped_by_sequence(tree, take):
    root = tree({"AUCoding/AU_OCC/F001_T1.csv": "", "AUCoding/AU_OCC/F001_T2.csv": "5,0,0\n6,0,1\n",
                 "AUCoding/AU_OCC/F001_T9.csv": "0,1\n1,1\n", "AUCoding/AU_OCC/F002_T1.csv": "0,1\n1,1\n",
                 "AUCoding/AU_OCC/F099_T1.csv": "0,1\n1,1\n", "Images/F001T1/1.jpg": None,
                 "Images/F001T2/1.jpg": None, "Images/F099_T1/1.jpg": None})  # fmt: skip
    found = take(SOURCE, root, fold=1)
    assert found.drops == [
        ("F001_T1", "bad label file"), ("F001_T2", "bad label file"), ("F001_T9", "unknown sequence"),
        ("F002_T1", "no pictures"), ("F099_T1", "unknown subject")]  # fmt: skip
    assert [r.media for r in take(SOURCE, root).all] == ["Images/F099_T1/1.jpg"]


def test_pictures_counted_from_zero_are_noted_and_can_be_shifted(tree, take):
    root = tree({"AUCoding/AU_OCC/F001_T1.csv": "0,1\n1,1\n2,0\n", "2D+3D/F001/T1/000.jpg": None,
                 "2D+3D/F001/T1/001.jpg": None})  # fmt: skip
    found = take(SOURCE, root)
    assert [r.media for r in found.all] == ["2D+3D/F001/T1/001.jpg"] and found.drops == [("F001_T1-2", "no picture")]
    assert "1 sequences are numbered from 0" in found.notes[0]
    shifted = take(SOURCE, root, first_frame=0)
    assert [r.media for r in shifted.all] == ["2D+3D/F001/T1/000.jpg", "2D+3D/F001/T1/001.jpg"]
    assert shifted.notes == shifted.drops == []


def test_missing_folders_are_errors_that_say_what_is_wanted(tree, take):
    with pytest.raises(ConfigError, match=r"BP4D's AU_OCC folder is not in .*holiday\.jpg"):
        take(SOURCE, tree({"holiday.jpg": None}))
    root = tree({"AUCoding/AU_OCC/F001_T1.csv": "0,1\n1,1\n"})
    with pytest.raises(ConfigError, match=r"folder of pictures .*set `pictures`.*Sequences\(2D\+3D\)"):
        take(SOURCE, root)
    with pytest.raises(ConfigError, match="looked for faces"):
        take(SOURCE, root, pictures="faces")
