import dataclasses
import itertools

import pytest

from facevlm import prompts
from facevlm.answer import MODES, Mode, Part, parse
from facevlm.record import FaceRecord
from facevlm.vocab import LABEL_SETS

LABELS = LABEL_SETS["basic8"].labels
FULL = FaceRecord("1", "synthetic", "1.jpg", subject="s", emotion="happiness", label_set="basic8",
                  aus={6: 3.0, 12: 1.0, 4: 0.0}, au_threshold=2, rationale="Cheeks raised (AU6), no AU4.")  # fmt: skip
NO_AUS = dataclasses.replace(FULL, aus={})
NO_EMOTION = dataclasses.replace(FULL, emotion=None, label_set=None)
BARE = dataclasses.replace(FULL, aus={}, emotion=None, label_set=None)


@pytest.mark.parametrize("mode", MODES)
def test_gold_answer_is_read_back_without_fault(mode: Mode) -> None:
    parts = prompts.asked_parts(mode, FULL)
    answer = parse(prompts.gold(FULL, parts), parts, LABELS)
    assert answer.faults == ()
    assert answer.emotion == "happiness"
    assert answer.aus == ({6: None} if "au" in parts else None)


@pytest.mark.parametrize(
    ("record", "parts"),
    [(FULL, ("think", "au", "answer")), (NO_AUS, ("think", "answer")), (NO_EMOTION, ("think", "au")),
     (None, ("think", "au", "answer"))],
    ids=["all labels", "no AUs", "no emotion", "no record"],
)  # fmt: skip
def test_only_what_the_labels_can_answer_is_asked(record: FaceRecord | None, parts: tuple[str, ...]) -> None:
    assert prompts.asked_parts("explain", record) == parts


def test_face_with_all_aus_absent_is_asked_for_aus() -> None:
    absent = dataclasses.replace(FULL, aus={4: 0.0})
    parts = prompts.asked_parts("fast", absent)
    assert prompts.gold(absent, parts) == "<au>none</au><answer>happiness</answer>"


def test_missing_rationale_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="record 1 has no rationale"):
        prompts.gold(dataclasses.replace(FULL, rationale=None), MODES["explain"])


@pytest.mark.parametrize(("record", "mode"), [(BARE, "explain"), (NO_EMOTION, "label")])
def test_record_without_a_label_for_the_mode_is_refused(record: FaceRecord, mode: Mode) -> None:
    with pytest.raises(ValueError, match="record 1 has no label"):
        prompts.to_example(record, ["1.jpg"], mode)


@pytest.mark.parametrize("parts", [MODES["explain"], MODES["fast"], MODES["label"], ("think", "au"), ("au",)])
def test_question_shows_the_form_of_the_parts_asked(parts: tuple[Part, ...]) -> None:
    for wording in range(prompts.WORDINGS):
        text = prompts.question(parts, LABELS, wording)
        assert [text.count(f"<{part}>") for part in MODES["explain"]] == [part in parts for part in MODES["explain"]]
        assert ("Emotions: neutral, happiness" in text) == ("answer" in parts)


def test_wordings_differ_and_wrap_around() -> None:
    texts = [prompts.question(MODES["explain"], LABELS, i) for i in range(prompts.WORDINGS + 1)]
    assert len(set(texts)) == prompts.WORDINGS
    assert texts[0] == texts[-1]


def test_question_may_name_the_aus_to_choose_from() -> None:
    assert "Consider AU6, AU12." in prompts.question(("au",), (), aus=(6, 12))
    assert "Consider" not in prompts.question(("answer",), LABELS, aus=(6, 12))


def test_example_has_the_columns_that_trainer_and_rewards_read() -> None:
    row = prompts.to_example(FULL, ["pictures/1.jpg"])
    assert [message["role"] for message in (*row["prompt"], *row["completion"])] == ["user", "assistant"]
    assert row["images"] == ["pictures/1.jpg"]
    assert row["aus"] == [6] and row["labelled_aus"] == [4, 6, 12]
    assert row["emotion"] == "happiness" and row["labels"] == list(LABELS)
    assert row["parts"] == ["think", "au", "answer"] and row["record_id"] == "1"


def test_gold_answer_does_not_stand_in_the_prompt() -> None:
    row = prompts.to_example(FULL, ["1.jpg"])
    text = row["prompt"][0]["content"]
    assert "AU6" not in text and "Cheeks" not in text
    assert row["prompt"] == prompts.to_example(dataclasses.replace(FULL, emotion="fear"), ["1.jpg"])["prompt"]


def test_evaluation_always_uses_the_first_wording() -> None:
    rows = [prompts.to_example(dataclasses.replace(FULL, id=str(i)), ["1.jpg"]) for i in range(20)]
    assert {row["prompt"][0]["content"] for row in rows} == {prompts.question(MODES["explain"], LABELS, 0)}


def test_training_wordings_are_spread_and_repeatable() -> None:
    rows = [[prompts.to_example(dataclasses.replace(FULL, id=str(i)), ["1.jpg"], seed=s)["prompt"][0]["content"]
             for i in range(30)] for s in (0, 0, 1)]  # fmt: skip
    assert rows[0] == rows[1] != rows[2]
    assert len(set(rows[0])) == prompts.WORDINGS


def test_variant_is_the_same_on_every_machine_and_covers_its_range() -> None:
    assert [prompts.variant(0, str(i), 3) for i in range(6)] == [1, 0, 2, 1, 2, 2]
    counts = [sum(prompts.variant(0, str(i), 3) == k for i in range(300)) for k in range(3)]
    assert min(counts) > 70


def test_modes_ask_for_ever_less() -> None:
    for more, less in itertools.pairwise(MODES.values()):
        assert set(less) < set(more)
