import pytest

from data_builders.sources.hrm import SOURCE
from facevlm.config import ConfigError

HEAD = "frame,AU1,AU2,AU43E,AD19,AU2X,AD32,AU0,ASD\n"


@pytest.fixture
def hrm(tree):
    return tree({
        "labels/P1.csv": HEAD + "120,1,0,0,3,0,5,0,1\n121,0,2,1,0,1,0,0,1\n122,,,,,1,,1,1\n",
        "labels/P1-backup.csv": HEAD + "120,0,0,0,0,0,0,0,1\n",
        "labels/P2.csv": HEAD + "1,6,0,0,0,0,0,0,0\n2,x,0,0,0,0,0,0,0\n3,1,0\n4,0,0,0,0,0,0,1,0\n",
        "features/P1.csv": "frame,AU01_r,AU01_c\n120,0.3,1\n", "natural/p1.jpg": None, "origin/P1/120_0.jpg": None,
    })  # fmt: skip


def test_two_to_five_are_sides_and_no_intensities(hrm, take):
    found = take(SOURCE, hrm)
    assert {n: r.aus for n, r in found.records.items()} == {
        "P1-120": {1: 1, 2: 0, 43: 0, 19: 1, 32: 1}, "P1-121": {1: 0, 2: 1, 43: 1, 19: 0, 32: 0},
        "P2-4": {1: 0, 2: 0, 43: 0, 19: 0, 32: 0},
    }  # fmt: skip
    assert found.drops == [("P1-122", "unlabelled"), ("P2 line 2", "bad AU value"), ("P2 line 3", "bad AU value"),
                           ("P2 line 4", "bad row")]  # fmt: skip


@pytest.mark.parametrize("au", [26, 27])
def test_au2x_counts_only_as_the_au_that_is_asked_for(hrm, take, au):
    assert not any({26, 27} & r.aus.keys() for r in take(SOURCE, hrm).all)
    assert [{n: v for n, v in r.aus.items() if n in (26, 27)} for r in take(SOURCE, hrm, au2x=au).all] == [
        {au: 0}, {au: 1}, {au: 1}, {au: 0}]  # fmt: skip


def test_the_frame_and_the_neutral_face_lie_where_the_annotators_had_them(hrm, take):
    records = take(SOURCE, hrm).records
    assert (records["P1-120"].media, records["P1-120"].before) == ("origin/P1/120_0.jpg", "natural/p1.jpg")
    assert (records["P2-4"].before, records["P2-4"].subject) == (None, "P2")
    assert not records["P1-120"].attributes


def test_backups_and_openface_tables_are_no_labels(hrm, take):
    assert "2 tables such as labels/P1.csv" in take(SOURCE, hrm).notes[0]
    assert "features/P1.csv" in take(SOURCE, hrm).notes[0]


def test_pictures_and_labels_can_be_named(hrm, take):
    found = take(SOURCE, hrm, pictures="f/{subject}/{frame:04d}.png", labels="labels", every=4)
    assert [r.media for r in found.all] == ["f/P1/0120.png"]
    with pytest.raises(ConfigError, match="pictures"):
        take(SOURCE, hrm, pictures="f/{subject}.png")


def test_a_second_table_of_a_participant_is_dropped(tree, take):
    root = tree({"a/P1.csv": HEAD + "1,1,0,0,0,0,0,0,0\n", "b/P1.csv": HEAD + "1,0,0,0,0,0,0,0,0\n", "origin/": None})
    found = take(SOURCE, root)
    assert [r.aus[1] for r in found.all] == [1] and found.drops == [("b/P1.csv", "two labels")]


def test_without_pictures_or_labels_it_says_what_to_do(tree, take):
    with pytest.raises(ConfigError, match="not public.*`pictures`"):
        take(SOURCE, tree({"P1.csv": HEAD}))
    with pytest.raises(ConfigError, match="Set `labels`"):
        take(SOURCE, tree({"x.csv": "a,b\n"}), labels="elsewhere", pictures="{subject}/{frame}.jpg")
