import json

import pytest

from data_builders.sources.cmose import SOURCE
from facevlm.config import ConfigError

LABELS = {
    "video10_100_person0": {"label": "Engage", "split": "train", "embeds": [0.25, 1.5]},
    "video10_101_person0": {"label": "highly  disengage ", "split": "test", "embeds": []},
    "video2_7_person11": {"label": "Highly Engaged", "split": "train"},
    "video2_8_person11": {"label": "Disengage", "split": "unlabel"},
    "video2_9_person11": {"label": "Asleep", "split": "train"},
    "video2_10_person11": {"label": "Engage", "split": "dev"},
    "video2_11_person11": {"label": "Engage", "split": "train"},
    "notes": "made by hand",
}


@pytest.fixture
def cmose(tree):
    clips = {f"clips/a/{name}.mp4": b"x" for name in LABELS if name not in ("notes", "video2_11_person11")}
    return tree({"final_data_1.json": json.dumps(LABELS), "secondFeature/video10_100_person0.csv": "x", **clips})


def test_words_become_levels_and_people_are_known_by_session(cmose, take):
    found = take(SOURCE, cmose)
    assert {n: (r.split, r.subject, r.attributes) for n, r in found.records.items()} == {
        "video10_100_person0": ("train", "video10_person0", {"engagement": "2"}),
        "video10_101_person0": ("test", "video10_person0", {"engagement": "0"}),
        "video2_7_person11": ("train", "video2_person11", {"engagement": "3"}),
    }  # fmt: skip
    assert found.records["video10_100_person0"].media == "clips/a/video10_100_person0.mp4"


def test_what_cannot_be_used_is_dropped_with_its_reason(cmose, take):
    assert take(SOURCE, cmose).drops == [
        ("notes", "bad row"), ("video2_10_person11", "unknown split"), ("video2_11_person11", "file missing"),
        ("video2_8_person11", "unlabelled"), ("video2_9_person11", "unknown label"),
    ]  # fmt: skip


def test_clips_of_the_unlabelled_part_can_be_asked_for(cmose, take):
    record = take(SOURCE, cmose, unlabel=True).records["video2_8_person11"]
    assert (record.split, record.attributes) == ("", {"engagement": "1"})


def test_features_without_clips_are_refused_with_what_to_do(tree, take):
    with pytest.raises(ConfigError, match="ask the authors for the clips"):
        take(SOURCE, tree({"final_data_1.json": json.dumps(LABELS)}))


@pytest.mark.parametrize("text", ["", "[1, 2]", "{"])
def test_a_damaged_label_file_is_refused(tree, take, text):
    with pytest.raises(ConfigError, match=r"final_data_1\.json"):
        take(SOURCE, tree({"final_data_1.json": text, "a.mp4": b"x"}))
