import pytest

from data_builders.sources.gft import SOURCE
from facevlm.config import ConfigError


@pytest.fixture
def gft(tree):
    return tree({
        "train/csv/001A.csv": "\ufeffFrame, AU1 ,AU2,AU04,note\r\n1,0,1,-1,x\r\n2,9,1,0,\r\n3,-1,-1,9,\r\n4,0,0,0,\n",
        "test/csv/002B_AU.csv": "frame_number,AU12\n5,1\n6,2.5\n7,6\n",
        "test/csv/._002B.csv": b"x", "people.csv": "id,age\n001A,22\n", "broken.csv": b"\xff\xfe\x00",
        "images/001A/00001.jpg": None, "images/001A/00002.jpg": None, "images/001A/00003.jpg": None,
        "videos/002B.mp4": b"x",
    })  # fmt: skip


def test_tables_are_known_by_their_columns_and_people_by_the_file(gft, take):
    found = take(SOURCE, gft)
    assert {n: (r.aus, r.subject, r.split) for n, r in found.records.items()} == {
        "002B-5": ({12: 1}, "002B", "test"), "002B-6": ({12: 2.5}, "002B", "test"),
        "001A-1": ({1: 0, 2: 1}, "001A", "train"), "001A-2": ({2: 1, 4: 0}, "001A", "train"),
    }  # fmt: skip
    assert found.drops == [("002B line 4", "bad AU value"), ("001A-3", "unlabelled"), ("001A-4", "no picture")]
    assert "2 tables such as test/csv/002B_AU.csv" in found.notes[0] and "2 other csv files" in found.notes[0]


def test_pictures_by_number_or_a_frame_of_the_video(gft, take):
    records = take(SOURCE, gft).records
    assert records["001A-2"].media == "images/001A/00002.jpg"
    assert records["002B-5"].media == "videos/002B.mp4#frame=4"
    assert take(SOURCE, gft, first_frame=0).drops[-2:] == [("001A-1", "no picture"), ("001A-3", "unlabelled")]


def test_a_pattern_names_the_pictures(gft, take):
    found = take(SOURCE, gft, pictures="f/{subject}_{frame:03d}.png", first_frame=0, every=3)
    assert [r.media for r in found.all] == ["f/002B_004.png", "f/001A_000.png", "f/001A_003.png"]


def test_a_second_table_of_a_person_and_a_person_without_pictures_are_dropped(tree, take):
    root = tree({"a/001A.csv": "frame,AU1\n1,1\n", "b/001A_again.csv": "frame,AU1\n1,0\n",
                 "a/003C.csv": "frame,AU1\n1,1\n", "001A/1.jpg": None})  # fmt: skip
    found = take(SOURCE, root)
    assert [(r.id, r.aus, r.split) for r in found.all] == [("001A-1", {1: 1}, "")]
    assert found.drops == [("a/003C.csv", "no pictures"), ("b/001A_again.csv", "two labels")]


def test_nothing_that_fits_is_an_error(tree, take):
    with pytest.raises(ConfigError, match=r"no csv file .* has a frame column.*people\.csv"):
        take(SOURCE, tree({"people.csv": "id,age\n1,2\n"}))
    with pytest.raises(ConfigError, match=r"neither folders of numbered pictures nor videos.*001A"):
        take(SOURCE, tree({"001A.csv": "frame,AU1\n1,1\n"}))
