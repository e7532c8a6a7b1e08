import dataclasses
import random
from collections import Counter
from typing import Any

import pytest

from facevlm import mix
from facevlm.config import ConfigError
from facevlm.record import FaceRecord
from facevlm.vocab import BASIC_EMOTIONS

FACE = FaceRecord("1", "s", "1.jpg", emotion="happiness", label_set="basic8", aus={6: 1.0, 12: 1.0, 4: 0.0},
                  rationale="Because.")  # fmt: skip


def faces(n: int, **changes: Any) -> list[FaceRecord]:
    return [dataclasses.replace(FACE, id=str(i), **changes) for i in range(n)]


def rare(n: int = 400) -> list[FaceRecord]:
    """Eight emotions, each half as frequent as the one before."""
    rng = random.Random(0)
    words = rng.choices(BASIC_EMOTIONS, [2.0**-i for i in range(8)], k=n)
    return [dataclasses.replace(FACE, id=str(i), emotion=word) for i, word in enumerate(words)]


def key(row: mix.Row) -> tuple[str, str]:
    return row[0].id, row[1]


# -- drawing tasks


def test_one_task_takes_every_record_once_and_in_order() -> None:
    records = faces(20)
    assert mix.mix(records, {"explain": 1.0}, seed=3) == [(record, "explain") for record in records]
    assert mix.mix(records, {"explain": 0.1, "fast": 0.0}, seed=3) == [(record, "explain") for record in records]


def test_limit_takes_the_first_records() -> None:
    assert mix.mix(faces(20), {"fast": 1.0}, seed=0, limit=3) == mix.mix(faces(3), {"fast": 1.0}, seed=0)


def test_tasks_come_by_their_weight() -> None:
    count = Counter(task for _, task in mix.mix(faces(4000), {"fast": 3.0, "label": 1.0, "explain": 1.0}, seed=0))
    assert count["fast"] == pytest.approx(2400, rel=0.05)
    assert count["label"] == pytest.approx(800, rel=0.1) and count["explain"] == pytest.approx(800, rel=0.1)


def test_a_record_is_asked_only_what_its_labels_can_answer() -> None:
    records = [*faces(5, rationale=None), *faces(5, aus={}, rationale=None), *faces(5, aus={}, emotion=None)]
    rows = mix.mix(records, {"explain": 100.0, "au": 1.0, "label": 1.0, "age": 100.0}, seed=0)
    assert {task for _, task in rows[:5]} <= {"au", "label"} and {task for _, task in rows[5:]} == {"label"}
    assert len(rows) == 10


def test_a_record_is_asked_different_tasks_as_far_as_its_labels_go() -> None:
    tasks = {"explain": 5.0, "au": 1.0, "label": 1.0, "age": 1.0}
    rows = mix.mix([*faces(30), *faces(1, source="t", aus={})], tasks, seed=0, per_record=3)
    assert len(rows) == 92 and len({(r.source, r.id, task) for r, task in rows}) == 92
    assert {task for r, task in rows if r.source == "t"} == {"explain", "label"}
    first = Counter(task for _, task in rows[:90:3])
    assert first["explain"] > first["au"]  # the order within a record is that of the draw


def test_draws_hang_on_the_record_alone() -> None:
    records, tasks = faces(200), {"fast": 1.0, "label": 2.0, "au": 1.0}
    drawn = {key(row) for row in mix.mix(records, tasks, seed=0, per_record=2)}
    assert {key(row) for row in mix.mix(records[::-1], tasks, seed=0, per_record=2)} == drawn
    assert {key(row) for row in mix.mix(records[:50], tasks, seed=0, per_record=2)} <= drawn
    assert {key(row) for row in mix.mix(records, tasks, seed=1, per_record=2)} != drawn


def test_a_new_task_takes_only_its_share() -> None:
    before = dict(map(key, mix.mix(faces(1000), {"fast": 1.0, "label": 1.0}, seed=0)))
    after = dict(map(key, mix.mix(faces(1000), {"fast": 1.0, "label": 1.0, "au": 0.5}, seed=0)))
    moved = {id for id in before if before[id] != after[id]}
    assert {after[id] for id in moved} == {"au"} and len(moved) == pytest.approx(200, abs=40)


# -- balance


@pytest.mark.parametrize("balance", [0.0, 0.25, 0.5, 1.0])
def test_classes_move_from_their_own_frequency_to_equal_ones(balance: float) -> None:
    records = rare()
    own = Counter(record.emotion for record in records)
    rows = mix.mix(records, {"label": 1.0}, seed=0, balance=balance)
    found = Counter(record.emotion for record, _ in rows)
    assert len(rows) == len(records)
    for word in BASIC_EMOTIONS:
        assert abs(found[word] - (own[word] + balance * (50 - own[word]))) <= 1


def test_rows_of_a_class_are_repeated_alike_or_left_out_once() -> None:
    records = rare()
    times = Counter(record.id for record, _ in mix.mix(records, {"label": 1.0}, seed=0, balance=1.0))
    for word in BASIC_EMOTIONS:
        counts = {times[record.id] for record in records if record.emotion == word}
        assert max(counts) - min(counts) <= 1


def test_balance_keeps_the_order_and_hangs_on_seed_and_records_alone() -> None:
    records = rare()
    rows = [key(row) for row in mix.mix(records, {"label": 1.0}, seed=0, balance=0.7)]
    assert [int(id) for id, _ in rows] == sorted(int(id) for id, _ in rows)
    assert sorted(map(key, mix.mix(records[::-1], {"label": 1.0}, seed=0, balance=0.7))) == sorted(rows)
    assert [key(row) for row in mix.mix(records, {"label": 1.0}, seed=1, balance=0.7)] != rows


def test_each_task_is_balanced_by_itself() -> None:
    tasks = {"label": 1.0, "au_single": 1.0}
    plain, even = (mix.mix(rare(), tasks, seed=0, per_record=1, balance=b) for b in (0.0, 1.0))
    assert Counter(task for _, task in plain) == Counter(task for _, task in even)
    said = Counter(mix.classes([row for row in even if row[1] == "au_single"], seed=0))
    assert abs(said["True"] - said["False"]) <= 1


@pytest.mark.parametrize(
    ("task", "changes", "classes"),
    [
        ("label", [{"emotion": "fear"}, {}], ["fear", "happiness"]),
        ("explain", [{}, {"emotion": None, "label_set": None, "aus": {6: 1.0}}], ["happiness", "AU6"]),
        ("real_fake", [{"attributes": {"authenticity": "fake"}}], ["fake"]),
        ("age", [{"attributes": {"age": age}} for age in ("9", "10", "19.5", "99")], ["0", "1", "1", "9"]),
        ("pain", [{"attributes": {"pain": pain}} for pain in ("0", "0.5", "16")], ["0", "0", "16"]),
        ("valence_arousal", [{"valence": 0.1, "arousal": -0.1}, {"valence": -0.1, "arousal": 0.1}],
         ["valence +, arousal -", "valence -, arousal +"]),
        ("soft_label", [{"emotion_probs": {"fear": 0.4, "anger": 0.6}}], ["anger"]),
        ("open_vocabulary", [{"emotion_words": ("a", "b")}, {"emotion_words": ("b",)}, {"emotion_words": ("b", "c")}],
         ["a", "b", "c"]),
        ("au", [{"aus": {6: 1.0, 12: 1.0}}, {"aus": {12: 1.0}}, {"aus": {12: 1.0, 4: 1.0}}, {"aus": {4: 0.0}}],
         ["AU6", "AU12", "AU4", "none"]),
        ("attributes", [{"attributes": {"Smiling": "no"}}], ["none"]),
        ("description", [{"caption": "a"}, {"caption": "b"}], ["", ""]),
    ],
)  # fmt: skip
def test_class_is_that_of_the_right_answer(task: str, changes: list[dict[str, Any]], classes: list[str]) -> None:
    rows = [(dataclasses.replace(FACE, id=str(i), **change), task) for i, change in enumerate(changes)]
    assert mix.classes(rows, seed=0) == classes


def test_rare_aus_come_more_often() -> None:
    records = [*faces(90, aus={12: 1.0}), *faces(10, source="t", aus={12: 1.0, 9: 1.0})]
    rows = mix.mix(records, {"au": 1.0}, seed=0, balance=1.0)
    assert sum(9 in record.aus for record, _ in rows) == 50 and len(rows) == 100


# -- what is refused


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"tasks": {}}, "none has a weight above 0"), ({"tasks": {"fast": 0.0}}, "none has a weight above 0"),
        ({"tasks": {"smile": 1.0, "fast": float("nan")}}, r"(?s)tasks\.smile: unknown; .*tasks\.fast: the weight nan"),
        ({"tasks": {"fast": float("inf")}}, "the weight inf"), ({"per_record": 0}, "per_record is 0"),
        ({"balance": -0.1}, r"balance is -0\.1"), ({"balance": float("nan")}, "balance is nan"),
    ],
)  # fmt: skip
def test_what_cannot_be_mixed_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mix.mix(**{"records": faces(3), "tasks": {"fast": 1.0}, "seed": 0, **keys})
