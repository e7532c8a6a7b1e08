from dataclasses import replace

import pytest

from data_builders import rationale
from facevlm import prompts
from facevlm.record import FaceRecord

FACE = FaceRecord("1", "s", "1.jpg")
AFRAID = replace(FACE, emotion="fear", label_set="basic7")
FAKE = replace(FACE, attributes={"authenticity": "fake", "manipulation": "FaceSwap"})
REAL = replace(FACE, attributes={"authenticity": "real"})


@pytest.mark.parametrize(
    ("record", "words"),
    [(FAKE, ("FaceSwap", "fake.")), (REAL, ("manipulation", "real.")),
     (replace(FACE, attributes={"authenticity": "fake"}), ("manipulation", "fake.")),
     (AFRAID, ("fear.",)), (replace(FACE, aus={12: 1.0}), ("AU12",))],
    ids=["fake", "real", "fake by what is not known", "emotion alone", "AUs alone"],
)  # fmt: skip
def test_rationale_says_what_was_labelled_in_every_wording(record: FaceRecord, words: tuple[str, ...]) -> None:
    texts = {rationale.template(record, seed) for seed in range(20)}
    assert len(texts) == 3
    assert all(word in text for text in texts for word in words)


def test_evidence_is_only_given_where_nothing_else_is_labelled() -> None:
    assert "FaceSwap" not in rationale.template(replace(FAKE, emotion="fear", label_set="basic7"), 0)


@pytest.mark.parametrize("record", [FACE, replace(FACE, attributes={"age": "3"})])
def test_nothing_to_reason_from_is_refused(record: FaceRecord) -> None:
    assert not rationale.explainable(record)
    with pytest.raises(ValueError, match="record 1 has no labels to reason from"):
        rationale.template(record, 0)


@pytest.mark.parametrize(("record", "task"), [(FAKE, "real_fake"), (REAL, "real_fake"), (AFRAID, "reason")])
def test_rationale_serves_the_task_that_asks_for_reasons(record: FaceRecord, task: str) -> None:
    told = replace(record, rationale=rationale.template(record, 0))
    row = prompts.to_example(told, ["1.jpg"], task)
    assert row["parts"] == ["think", "answer"] and str(told.rationale) in row["completion"][0]["content"]
