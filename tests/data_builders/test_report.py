import json

import numpy as np
import pytest
import yaml
from PIL import Image

from data_builders import build, report
from data_builders.source import Note, Source
from data_builders.sources import SOURCES
from facevlm import record
from facevlm.config import ConfigError
from facevlm.record import Drop, FaceRecord
from facevlm.tiny.population import draw, emotional_aus

PUBLISHED = {"train": 1_200, "test": 3}


def face(subject):
    rng = np.random.default_rng(subject)
    return draw(subject, emotional_aus("fear", rng), rng, 64, 0, "fear").face.image


def read(root):
    """Five training rows, three test rows, one of them a copy; drops of a known split, of none, and of an odd one."""
    yield Note("two layouts were found")

    def made(i, split, emotion="fear", **more):
        return FaceRecord(f"r{i}", "mine", f"{i}.png", split=split, subject=f"p{i}", emotion=emotion,
                          label_set="basic7", licence="mine only", **more)  # fmt: skip

    yield made(0, "train", attributes={"gender": "female", "age": "31", "race": "Asian", "hat": "yes"}, aus={12: 1})
    yield made(1, "train", attributes={"gender": "male", "age": "39.5"}, aus={12: 0, 4: 1})
    yield made(2, "train")  # a copy of 5
    yield Note("two layouts were found")
    yield made(3, "train", emotion="happy")  # no label of the set
    yield made(4, "train")  # no picture
    yield made(5, "test", attributes={"gender": "female"})
    yield made(6, "test")
    yield made(7, "dev")
    yield Drop("line 9", "unknown label", "glee", "test")
    yield Drop("line 10", "torn line", "x | y")


@pytest.fixture
def done(tmp_path, monkeypatch):
    mine = Source("mine", "Mine", read, ("emotion",), "mine only", "", published=PUBLISHED)
    monkeypatch.setitem(SOURCES, "mine", mine)
    root = tmp_path / "set"
    root.mkdir()
    for i in (0, 1, 3, 5, 6, 7):
        face(i).save(root / f"{i}.png")
    face(5).resize((80, 80), Image.Resampling.BICUBIC).save(root / "2.png")
    return tmp_path


def built(folder, **keys):
    keys = {"source": "mine", "root": str(folder / "set"), "out": str(folder / "out"), "workers": 1, **keys}
    tally = build.build(build.Config(**keys))
    return tally, json.loads((folder / "out/report.json").read_text()), (folder / "out/README.md").read_text()


def test_every_row_that_was_read_is_kept_or_dropped_once(done):
    tally, facts, _ = built(done)
    assert facts["read"] == 10 == facts["kept"] + sum(facts["dropped"].values())
    assert facts["kept"] == len(record.read(done / "out").records) == 4
    assert len((done / "out/dropped.jsonl").read_text().splitlines()) == 6 == tally.dropped.total()


def test_counts_stand_by_split_beside_what_the_owners_state(done):
    by = built(done)[1]["sources"]["mine"]
    assert by["train"] == {"read": 5, "kept": 2, "published": 1_200, "dropped": {
        "bad record": 1, "file missing": 1, "near-duplicate of test": 1}}  # fmt: skip
    assert by["test"] == {"read": 3, "kept": 2, "published": 3, "dropped": {"unknown label": 1}}
    assert by["val"] == {"read": 0, "kept": 0, "published": None, "dropped": {}}
    assert by["dev"] == {"read": 1, "kept": 0, "published": None, "dropped": {"bad record": 1}}
    assert by[""] == {"read": 1, "kept": 0, "published": None, "dropped": {"torn line": 1}}


def test_people_are_counted_by_subgroup_and_decade(done):
    groups = built(done)[1]["subgroups"]
    assert groups["gender"] == {"train": {"female": 1, "male": 1}, "val": {}, "test": {"female": 1}}
    assert groups["age"]["train"] == {"30-39": 2} and groups["race"]["train"] == {"Asian": 1} and "hat" not in groups


def test_absent_and_unlabelled_aus_are_told_apart(done):
    aus = built(done)[1]["aus"]
    assert aus["AU12"]["train"] == {"positives": 1, "labelled": 2}
    assert aus["AU4"]["train"] == {"positives": 1, "labelled": 1} and aus["AU4"]["test"]["labelled"] == 0


def test_notes_are_kept_once_and_near_duplicates_counted(done):
    tally, facts, _ = built(done)
    assert facts["notes"] == ["two layouts were found"] and facts["near_duplicates"] == {"near-duplicate of test": 1}
    said = report.summary(tally)
    assert "note: two layouts were found" in said and "train 5 of 1,200 published, test 3 of 3 published" in said
    assert "near-identical pictures (pairs): near-duplicate of test 1" in said and "kept 4, dropped 6" in said


def test_the_card_shows_it_all(done):
    card = built(done)[2]
    _, front, text = card.split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "other" and yaml.safe_load(front)["license_name"] == "mine only"
    for row in ("| train | 5 | 1200 | ", "| dev | 1 |  | bad record 1 |", "| (none) | 1 |  | torn line 1 |",
                "| AU12 lip corner puller | 1 / 2 | 0 / 0 | 0 / 0 |", "| female | 1 | 0 | 1 |", "| mine only | 4 |",
                "| near-duplicate of test | 1 |"):  # fmt: skip
        assert row in text, row
    assert "hashes within 12 of 256 bits are the same picture: near-duplicate of test 1" in text


def test_labels_alone_can_be_built(done):
    tally, facts, card = built(done, check_images=False)
    assert facts["kept"] == 6 and facts["near_duplicates"] == {} and "file missing" not in facts["dropped"]
    assert "not looked at" in card and "not compared" in card
    assert not (done / "out/hashes.parquet").exists() and tally.dropped["bad record"] == 2


def test_another_sets_test_pictures_leave_this_train_split(done, tmp_path):
    built(done)
    (done / "out").rename(done / "other")
    for path in (done / "set").glob("*.png"):
        if path.stem in "56":
            path.unlink()  # now only the other set has them
    tally, *_ = built(done, against=[str(done / "other")])
    assert tally.dropped["near-duplicate of another set's test"] == 1


def test_a_set_to_compare_with_is_looked_for_before_any_work(done, monkeypatch):
    monkeypatch.setattr(build, "opened", lambda *_: pytest.fail("the labels were read first"))
    with pytest.raises(ConfigError, match="no hashes.parquet in .*none"):
        built(done, against=[str(done / "none")])


@pytest.mark.parametrize("keys", [{"check_images": False}, {"near_duplicates": None}])
def test_comparing_with_other_sets_needs_hashes(keys):
    with pytest.raises(ConfigError, match="against compares pictures"):
        build.Config(source="mine", out="x", against=["other"], **keys)


def test_clips_of_a_set_whose_pictures_are_trusted_get_frames_and_no_hashes(tmp_path, monkeypatch):
    def clips(root):
        yield FaceRecord("c", "mine", "clip", emotion="fear", label_set="basic7", split="test")

    monkeypatch.setitem(SOURCES, "mine", Source("mine", "Mine", clips, ("emotion",), "", ""))
    (tmp_path / "set/clip").mkdir(parents=True)
    for i in range(3):
        (tmp_path / f"set/clip/{i}.png").write_text("trusted")
    built(tmp_path, check_images=False)
    assert record.read(tmp_path / "out").records[0].frames == ("clip/0.png", "clip/1.png", "clip/2.png")
    assert not (tmp_path / "out/hashes.parquet").exists()
