import pytest

from data_builders.sources.bah import SOURCE
from facevlm.config import ConfigError

PLACE = "dataset-splits/video-level/BAH_DB/split-0"
FIRST = "Videos/82593/Visite_1/82593_Question_5_2024-10-02 16-21-02_Video-DESKTOP-NQ55E0P.mp4"
FILES = {
    f"{PLACE}/train.txt": "Videos/82711/Visite_1/82711_Question_1_2024-11-18_16-07-42_Video.mp4,1,Hello? Oh, 1,000.\n"
                          "Videos/82711/Visite_1/a.mp4,2,Yes\nvideos/only\n\nVideos/82711/Visite_1/b.mp4,0,\n",
    f"{PLACE}/val.txt": "\ufeffVideos/82579/Visite_1/c.mp4,0,\"Quoted,\" she said\r\n",
    f"{PLACE}/test.txt": f"{FIRST},0,Eat.\n",
}  # fmt: skip


def test_paths_with_blanks_and_transcripts_with_commas_stay_whole(tree, take):
    found = take(SOURCE, tree(FILES | {"Videos/": None}))
    record = found.records["82593_Question_5_2024-10-02 16-21-02_Video-DESKTOP-NQ55E0P"]
    assert (record.media, record.subject, record.split) == (FIRST, "82593", "test")
    assert record.attributes == {"ambivalence": "no", "transcript": "Eat."}
    assert found.records["82711_Question_1_2024-11-18_16-07-42_Video"].attributes == {
        "ambivalence": "yes", "transcript": "Hello? Oh, 1,000."}  # fmt: skip
    assert found.records["b"].attributes == {"ambivalence": "no"}
    assert found.records["c"].attributes["transcript"] == '"Quoted," she said'
    assert found.records["c"].split == "val"


def test_what_cannot_be_read_is_dropped_with_its_reason(tree, take):
    found = take(SOURCE, tree(FILES | {"Videos/": None}))
    assert found.drops == [("train.txt line 2", "unknown label"), ("train.txt line 3", "bad row")]


def test_older_lists_and_a_folder_in_between_are_read(tree, take):
    files = {name.replace(PLACE, "folds/BAH_DB/split-0"): text for name, text in FILES.items()}
    root = tree(files | {"BAH_DB/Videos/": None})
    assert take(SOURCE, root).records["c"].media == "BAH_DB/Videos/82579/Visite_1/c.mp4"


def test_missing_parts_are_named(tree, take):
    with pytest.raises(ConfigError, match="lists .*repository"):
        take(SOURCE, tree({"Videos/": None}))
    with pytest.raises(ConfigError, match=r"val\.txt is not in"):
        take(SOURCE, tree({f"{PLACE}/train.txt": ""}))
