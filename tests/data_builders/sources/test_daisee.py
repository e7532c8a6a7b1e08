import pytest

from data_builders.sources.daisee import SOURCE
from facevlm.config import ConfigError

HEAD = "ClipID,Boredom,Engagement,Confusion,Frustration \r\n"
TRAIN = (HEAD + "1100011002.avi,0,2,0,0\r\n1100011003.mp4,3,1,,0\r\n1100011004.avi,0,4,0,0\r\n1100011005.avi,,,,\r\n"
         "1100011006.avi,0,high,0,0\r\n1100011099.avi,0,1,0,0\r\n1100011007.avi,0\r\n")  # fmt: skip


@pytest.fixture
def daisee(tree):
    clip = "DataSet/Train/110001/{0}/{0}.{1}"
    return tree({
        "Labels/TrainLabels.csv": TRAIN, "Labels/ValidationLabels.csv": HEAD + "4000221001.avi,1,3,2,1\n",
        "Labels/TestLabels.csv": HEAD + "5000441001.avi,0,0,0,0\n",
        **{clip.format(f"110001100{i}", "avi"): b"x" for i in (2, 4, 5, 6, 8)},
        clip.format("1100011003", "avi"): b"x", clip.format("1100011002", "jpg"): None,
        "DataSet/Validation/400022/4000221001/4000221001.MP4": b"x", "DataSet/Test/5000441001/5000441001.avi": b"x",
    })  # fmt: skip


def test_levels_become_attributes_whatever_the_ending_says(daisee, take):
    found = take(SOURCE, daisee)
    record = found.records["1100011002"]
    assert record.media == "DataSet/Train/110001/1100011002/1100011002.avi"
    assert (record.split, record.subject) == ("train", "110001")
    assert record.attributes == {"boredom": "0", "engagement": "2", "confusion": "0", "frustration": "0"}
    assert found.records["1100011003"].media.endswith("1100011003.avi")
    assert found.records["1100011003"].attributes == {"boredom": "3", "engagement": "1", "frustration": "0"}
    assert found.records["4000221001"].media.endswith("4000221001.MP4")
    assert found.records["4000221001"].split == "val"


def test_the_person_is_in_the_clips_name_where_no_folder_tells(daisee, take):
    record = take(SOURCE, daisee).records["5000441001"]
    assert (record.subject, record.split) == ("500044", "test")


def test_what_cannot_be_read_is_dropped_with_its_reason(daisee, take):
    found = take(SOURCE, daisee)
    assert found.drops == [
        ("1100011004.avi", "bad level"), ("1100011005.avi", "unlabelled"), ("1100011006.avi", "bad level"),
        ("1100011099.avi", "file missing"), ("TrainLabels.csv line 8", "bad row"),
    ]  # fmt: skip
    assert found.notes == ["Train: 1 clips have no labels and were passed over"]


def test_missing_parts_are_named(tree, take):
    with pytest.raises(ConfigError, match=r"TrainLabels\.csv is not in"):
        take(SOURCE, tree({"Labels/AllLabels.csv": HEAD}))
    with pytest.raises(ConfigError, match=r"DataSet/Train is not in"):
        take(SOURCE, tree({"Labels/TrainLabels.csv": HEAD}))
    with pytest.raises(ConfigError, match="no columns 'Frustration'"):
        take(SOURCE, tree({"Labels/TrainLabels.csv": "ClipID,Boredom,Engagement,Confusion\n", "DataSet/Train/": None}))
