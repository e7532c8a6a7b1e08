import dataclasses
from typing import Any

import numpy as np
import pytest

from data_builders.sources import synthetic
from facevlm.answer import Box, Boxes, render
from facevlm.images import canonical_landmarks
from facevlm.mix import draw
from facevlm.prompts import applies, to_example
from facevlm.record import FaceRecord, RecordSet
from facevlm.regions import au_boxes, grounded_f1
from facevlm.training import examples
from rl.mix import gold_check
from rl.rewards import REWARDS

FACE = FaceRecord(
    "1", "test", "a.png", aus={4: 3.0, 6: 0.0, 12: 4.0, 25: 1.0}, au_threshold=2, size=(100, 120),
    landmarks=tuple((x, y) for x, y in canonical_landmarks((0, 0, 100, 120)).tolist()),
)  # fmt: skip
TRUE: Boxes = au_boxes(FACE) or {}
WHOLE: Box = (0, 0, 1000, 1000)


def earns(*texts: str, record: FaceRecord = FACE, task: str = "au_grounding") -> list[float | None]:
    row = to_example(record, ["a.png"], task)
    columns = {key: [value] * len(texts) for key, value in row.items() if key != "completion"}
    return REWARDS["grounding"](completions=[[{"role": "assistant", "content": text}] for text in texts], **columns)


def said(boxes: Boxes) -> str:
    return render(("au",), aus=dict.fromkeys(boxes), boxes=boxes)


def test_right_aus_in_their_places_earn_everything() -> None:
    assert set(TRUE) == {4, 12} and len(TRUE[12]) == 2
    assert earns(said(TRUE), said({12: TRUE[12][::-1], 4: TRUE[4]})) == [1.0, 1.0]


@pytest.mark.parametrize(
    "boxes",
    [
        {4: TRUE[4]}, {12: TRUE[12]}, {4: TRUE[4], 12: TRUE[12][:1]}, {4: TRUE[12], 12: TRUE[4]},
        {4: (WHOLE,), 12: (WHOLE,)}, {**TRUE, 6: (WHOLE,)}, {**TRUE, 25: TRUE[12]},
    ],
    ids=["one AU fewer", "the other", "one corner of two", "places exchanged", "the whole picture", "one AU too many",
         "a trace below the threshold"],
)  # fmt: skip
def test_anything_else_earns_less(boxes: Boxes) -> None:
    (score,) = earns(said(boxes))
    assert score is not None and 0 <= score < 0.9


def test_an_au_that_nobody_labelled_is_free_up_to_three() -> None:
    more = {**TRUE, 1: (WHOLE,), 2: (WHOLE,), 5: (WHOLE,)}
    assert earns(said(more), said({**more, 7: (WHOLE,)})) == [1.0, pytest.approx(4 / 5)]


def test_boxes_nearer_to_the_right_ones_earn_more() -> None:
    def shifted(by: int) -> str:
        return said({n: tuple((x0, y0 + by, x1, y1 + by) for x0, y0, x1, y1 in some) for n, some in TRUE.items()})

    scores = [score or 0.0 for score in earns(*map(shifted, (0, 10, 20, 40, 80, 160)))]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores) and scores[-1] < 0.1


def test_what_cannot_be_read_earns_nothing() -> None:
    assert earns("", "<au>AU4, AU12</au>", "<au>AU4 (1,2,3)</au>", f"{said(TRUE)} there", "<au>none</au>") == [
        0.0, 0.0, 0.0, 1.0, 0.0]  # fmt: skip


def test_face_at_rest_wants_an_empty_list() -> None:
    rest = dataclasses.replace(FACE, aus={4: 0.0, 12: 0.0})
    assert earns("<au>none</au>", said({4: TRUE[4]}), record=rest) == [1.0, 0.0]


def test_it_abstains_where_no_boxes_are_asked_for() -> None:
    assert earns("<au>AU4, AU12</au>", said(TRUE), task="au") == [None, None]


def test_it_is_the_function_of_the_library() -> None:
    boxes: Boxes = {4: ((0, 0, 500, 500),), 12: TRUE[12]}
    assert earns(said(boxes)) == [grounded_f1(boxes, TRUE, FACE.labelled_aus)]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> RecordSet:
    root = tmp_path_factory.mktemp("drawn")
    return RecordSet(list(synthetic.read(root, subjects=3, per_subject=8, size=64)), root)


def test_drawn_faces_can_be_asked_and_their_gold_answers_earn_full_marks(faces: RecordSet) -> None:
    able = [record for record in faces.records if applies(record, "au_grounding")]
    assert able == faces.records and all(record.size == (64, 64) for record in able)
    rows = examples(faces, {"au_grounding": 1.0, "fast": 1.0}, seed=0)
    asked = [row["task"] for row in rows]
    assert asked == [task for _, task in draw(faces.records, {"au_grounding": 1.0, "fast": 1.0}, 0)]
    assert set(asked) == {"au_grounding", "fast"}
    gold_check({"grounding": REWARDS["grounding"], "au_f1": REWARDS["au_f1"], "format": REWARDS["format"]}, rows)


def test_places_learnt_by_heart_earn_less_than_those_of_the_face(faces: RecordSet) -> None:
    """The mean place of each AU over all faces is what a policy can say without looking."""
    true = [boxes for record in faces.records if (boxes := au_boxes(record))]
    corners: dict[int, list[Any]] = {}
    for boxes in true:
        for n, some in boxes.items():
            corners.setdefault(n, []).append(some)
    usual = {n: tuple(tuple(int(v) for v in box) for box in np.mean(some, 0).round()) for n, some in corners.items()}
    scores = [grounded_f1({n: usual[n] for n in boxes}, boxes, tuple(boxes)) for boxes in true]  # type: ignore[misc]
    lazy = [grounded_f1({n: (WHOLE,) for n in boxes}, boxes, tuple(boxes)) for boxes in true]
    assert np.mean(lazy) < 0.1 and 0.3 < np.mean(scores) < 0.8
