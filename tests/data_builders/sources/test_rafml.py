import pytest

from data_builders.sources.rafml import SOURCE
from facevlm.config import ConfigError

DISTRIBUTION = (
    "\ufeff0001.jpg 0.5 0.3 0 0 0 0.2 \r\n0002.jpg\t0 0 0 1.5 0.5 0\r\n\r\n0003.jpg 0.5 0.5 0 0 0 0\r\n"
    "0004.jpg 0.5 0.5 0 0 0\r\n0005.jpg 0 0 0 0 0 0\r\n0006.jpg 0.9 -0.1 0 0 0 0.2\r\n0007.jpg 1 0 0 0 0 x\r\n"
    "0008.jpg 1 0 0 0 0 0\r\n0009.jpg 1 0 0 0 0 0\r\n"
)
PARTITION = "".join(f"000{n}.jpg {part}\n" for n, part in enumerate("01000002", 1)) + "0010.jpg 0\n"


@pytest.fixture
def blends(tree):
    return tree({"EmoLabel/distribution.txt": DISTRIBUTION, "EmoLabel/partition_label.txt": PARTITION})


def test_shares_are_scaled_to_one_and_go_by_our_labels(blends, take):
    found = take(SOURCE, blends).records
    assert found["0001"].emotion_probs == pytest.approx({"surprise": 0.5, "fear": 0.3, "disgust": 0, "happiness": 0,
                                                         "sadness": 0, "anger": 0.2})  # fmt: skip
    assert found["0002"].emotion_probs["happiness"] == pytest.approx(0.75)
    assert "neutral" not in found["0001"].emotion_probs


def test_the_largest_share_is_the_emotion_and_a_tie_has_none(blends, take):
    found = take(SOURCE, blends).records
    assert {n: (r.emotion, r.split) for n, r in found.items()} == {
        "0001": ("surprise", "train"), "0002": ("happiness", "test"), "0003": (None, "train")}  # fmt: skip
    assert found["0001"].media == "Image/aligned/0001_aligned.jpg"
    assert found["0001"].label_set == "rafml"


def test_a_least_share_takes_the_name_and_leaves_the_shares(blends, take):
    found = take(SOURCE, blends, least_share=0.6).records
    assert (found["0001"].emotion, found["0002"].emotion) == (None, "happiness")
    assert found["0001"].emotion_probs["surprise"] == pytest.approx(0.5)


def test_what_cannot_be_read_is_dropped_with_its_reason(blends, take):
    assert take(SOURCE, blends).drops == [
        ("0004.jpg", "bad row"), ("0005.jpg", "bad distribution"), ("0006.jpg", "bad distribution"),
        ("0007.jpg", "bad distribution"), ("0008.jpg", "unknown split"), ("0009.jpg", "unknown split"),
        ("0010", "unlabelled")]  # fmt: skip


def test_a_missing_partition_is_refused(tree, take):
    with pytest.raises(ConfigError, match=r"partition_label\.txt is not in"):
        take(SOURCE, tree({"RAF-ML/EmoLabel/distribution.txt": DISTRIBUTION}))
