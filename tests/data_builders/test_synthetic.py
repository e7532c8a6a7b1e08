import hashlib

import pytest

from data_builders.sources import synthetic


def bytes_of(root, **options):
    records = list(synthetic.read(root, subjects=2, per_subject=3, **options))
    return records, [hashlib.sha256((root / r.media).read_bytes()).hexdigest() for r in records]


def test_the_same_seed_gives_the_same_records_and_bytes(tmp_path):
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_another_seed_gives_other_pictures(tmp_path):
    assert bytes_of(tmp_path / "a")[1] != bytes_of(tmp_path / "b", seed=1)[1]


def test_more_subjects_leave_the_first_ones_as_they_are(tmp_path):
    few = list(synthetic.read(tmp_path, subjects=2, per_subject=2))
    assert list(synthetic.read(tmp_path, subjects=3, per_subject=2))[:4] == few


def test_an_au_under_an_occluder_is_not_labelled(tmp_path):
    records = list(synthetic.read(tmp_path, subjects=4, per_subject=5, occluded=1.0))
    behind_mask = [r for r in records if r.attributes["occluder"] == "mask"]
    assert behind_mask and all(12 not in r.aus for r in behind_mask)
    assert all(12 in r.aus for r in records if r.attributes["occluder"] == "sunglasses")


def test_subjects_of_the_embedded_model_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not within"):
        next(synthetic.read(tmp_path, first_subject=1_000_000))
