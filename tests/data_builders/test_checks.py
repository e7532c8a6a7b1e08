from collections import Counter
from dataclasses import replace

import pytest

from data_builders import checks
from data_builders.checks import Placer, SplitRule
from facevlm.config import ConfigError
from facevlm.record import FaceRecord

RECORD = FaceRecord(id="1", source="s", media="a.png", subject="p", emotion="happiness", label_set="basic7",
                    aus={6: 2, 12: 3, 15: 0}, rationale="A smile.")  # fmt: skip


def people(n, each=3):
    return [replace(RECORD, id=f"{p}-{i}", subject=f"p{p}") for p in range(n) for i in range(each)]


def test_a_subject_is_on_one_side_only():
    placed = [Placer(SplitRule())(r) for r in people(300)]
    sides = {r.subject: {q.split for q in placed if q.subject == r.subject} for r in placed}
    assert all(len(side) == 1 for side in sides.values())


def test_the_drawn_shares_are_near_those_asked_for():
    sizes = Counter(Placer(SplitRule(val=0.1, test=0.2))(r).split for r in people(2000, 1))
    assert abs(sizes["val"] / 2000 - 0.1) < 0.03 and abs(sizes["test"] / 2000 - 0.2) < 0.03


def test_more_data_moves_nobody_and_another_seed_does():
    few, many = ({r.id: Placer(SplitRule())(r).split for r in people(n)} for n in (50, 200))
    assert few.items() <= many.items()
    assert few != {r.id: Placer(SplitRule(seed=1))(r).split for r in people(50)}


def test_by_record_spreads_one_subject():
    placer = Placer(SplitRule(by="record", test=0.5))
    assert {placer(replace(RECORD, id=str(i))).split for i in range(50)} >= {"train", "test"}
    placer.check()


def test_a_given_split_stays():
    assert Placer(SplitRule())(replace(RECORD, split="val")).split == "val"


def test_a_subject_in_two_given_splits_is_named_with_its_counts():
    placer = Placer(SplitRule())
    for split in ("train", "train", "test"):
        placer(replace(RECORD, split=split))
    with pytest.raises(ConfigError, match=r"1 subjects .*p \(1 test, 2 train\)"):
        placer.check()


def test_shared_subjects_can_be_allowed():
    placer = Placer(SplitRule(allow_shared_subjects=True))
    for split in ("train", "test"):
        placer(replace(RECORD, split=split))
    placer.check()


def test_the_same_name_in_two_sources_is_two_people():
    placer = Placer(SplitRule())
    placer(replace(RECORD, split="train"))
    placer(replace(RECORD, source="other", split="test"))
    placer.check()


@pytest.mark.parametrize("shares", [{"val": -0.1}, {"test": 1.0}, {"val": 0.5, "test": 0.5}])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ConfigError, match="shares"):
        SplitRule(**shares)


@pytest.mark.parametrize("mode", ["explain", "fast", "label"])
def test_a_sound_record_passes_the_gold_check(mode):
    assert checks.gold_faults(RECORD, mode) == []


@pytest.mark.parametrize("text", ["A <au>AU4</au> here.", "</think> early", "<answer>", " "])
def test_a_rationale_that_breaks_the_form_fails_the_gold_check(text):
    assert checks.gold_faults(replace(RECORD, rationale=text), "explain")


def test_explain_without_a_rationale_fails_the_gold_check():
    assert "no rationale" in checks.gold_faults(replace(RECORD, rationale=None), "explain")[0]


def test_a_record_without_a_label_to_ask_for_is_dropped_unless_nothing_is_asked():
    bare = replace(RECORD, emotion=None, aus={})
    assert checks.answerable(bare, ["fast"]).reason == "no label"
    assert checks.answerable(replace(RECORD, emotion=None), ["label"]).reason == "no label"
    assert checks.answerable(bare, []) is bare


def test_a_faulty_record_is_dropped_with_all_its_faults():
    drop = checks.well_formed(replace(RECORD, media="../a.png", valence=2.0))
    assert drop.reason == "bad record" and "../a.png" in drop.detail and "valence" in drop.detail


def test_the_second_record_of_an_id_is_dropped():
    unique = checks.Unique()
    assert unique(RECORD) is RECORD
    assert unique(RECORD).reason == "duplicate id"
    assert isinstance(unique(replace(RECORD, source="other")), FaceRecord)
