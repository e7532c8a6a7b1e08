import pickle
from typing import Any

import pytest

from facevlm.prompts import gold, to_example
from facevlm.record import FaceRecord
from facevlm.vocab import BASIC_EMOTIONS, PROTOCOLS
from rl.rewards import REWARDS
from rl.rewards.au import au_f1
from rl.rewards.emotion import emotion
from rl.rewards.format import answer_format

EIGHTEEN = PROTOCOLS["synthetic-18"].aus
SMILE = FaceRecord(
    "smile", "test", "a.png", emotion="happiness", label_set="basic8", rationale="Lip corners up.", au_threshold=2,
    aus=dict.fromkeys(EIGHTEEN, 0.0) | {6: 3.0, 12: 4.0, 25: 2.0, 26: 1.0},
)  # fmt: skip
BLANK = FaceRecord("blank", "test", "b.png", emotion="neutral", label_set="basic8", aus=dict.fromkeys(EIGHTEEN, 0.0))
UNCODED = FaceRecord("uncoded", "test", "c.png", emotion="fear", label_set="basic8")
UNNAMED = FaceRecord("unnamed", "test", "d.png", aus={4: 5.0, 9: 0.0}, au_threshold=2)
RECORDS = (SMILE, BLANK, UNCODED, UNNAMED)

UNREADABLE = (
    "",
    "I see AU6 and AU12, so happiness.",
    "<au></au><answer></answer>",
    "<au>no AU4</au><answer>not happy</answer>",
    "<au>AU6 and AU12</au><answer>happiness or joy</answer>",
    "<au>AU6, AU12",
    "<au>AU6</au><au>AU12</au><answer>happiness</answer><answer>fear</answer>",
    "<think><au>AU6</au><answer>happiness</answer></think>",
)


def scores(name: str, records: tuple[FaceRecord, ...], texts: list[str], mode: str = "fast") -> list[float | None]:
    """What a reward gives each text, called as TRL calls it: every column of the rows as a list, and more beside."""
    rows = [to_example(record, ["x.png"], mode) for record in records]
    columns = {key: [row[key] for row in rows] for key in rows[0] if key != "completion"}
    completions = [[{"role": "assistant", "content": text}] for text in texts]
    return REWARDS[name](completions=completions, **columns, completion_ids=[[0]] * len(texts), trainer_state=None)


def on_smile(name: str, *texts: str, mode: str = "fast") -> list[float | None]:
    return scores(name, (SMILE,) * len(texts), list(texts), mode)


# -- each one


def test_au_f1_compares_the_list_with_the_present_aus() -> None:
    assert on_smile(
        "au_f1", "<au>AU6, AU12, AU25</au>", "<au>AU12</au>", "<au>AU4, AU12</au>", "<au>AU4</au>", "<au>none</au>"
    ) == [1.0, 0.5, 0.4, 0.0, 0.0]


def test_au_f1_takes_a_trace_below_the_threshold_for_absent() -> None:
    assert on_smile("au_f1", "<au>AU6, AU12, AU25, AU26</au>") == [pytest.approx(6 / 7)]


def test_au_f1_ignores_what_nobody_labelled() -> None:
    assert scores("au_f1", (UNNAMED,) * 2, ["<au>AU4, AU43</au>", "<au>AU4, AU9</au>"]) == [1.0, pytest.approx(2 / 3)]


def test_au_f1_of_a_face_at_rest_wants_an_empty_list() -> None:
    assert scores("au_f1", (BLANK,) * 2, ["<au>none</au>", "<au>AU12</au>"]) == [1.0, 0.0]


def test_au_f1_does_not_judge_intensities() -> None:
    assert on_smile("au_f1", "<au>AU6:A, AU12:E, AU25</au>") == [1.0]


def test_emotion_is_the_label_or_a_fixed_synonym_and_nothing_else() -> None:
    said = ("happiness", "Happy", " joy. ", "fear", "very happy", "unhappy", "happiness, fear", "pain")
    texts = [f"<answer>{word}</answer>" for word in said]
    assert on_smile("emotion", *texts) == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_emotion_outside_the_record_label_set_does_not_count() -> None:
    tired = FaceRecord("tired", "test", "e.png", emotion="fatigue", label_set="raer")
    assert scores("emotion", (tired,) * 2, ["<answer>tired</answer>", "<answer>anger</answer>"]) == [1.0, 0.0]
    assert scores("format", (tired,) * 2, ["<answer>tired</answer>", "<answer>anger</answer>"]) == [1.0, 0.0]


def test_format_is_all_or_nothing() -> None:
    good = "<think>Up.</think><au>AU6</au><answer>fear</answer>"
    assert on_smile(
        "format", good, f" {good}\n", f"Sure! {good}", good[:-1], good.replace("Up.", " "),
        "<au>AU6</au><think>Up.</think><answer>fear</answer>", "<au>AU6</au><answer>fear</answer>", mode="explain",
    ) == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]  # fmt: skip


def test_batch_may_mix_records_of_different_labels() -> None:
    texts = ["<au>AU12</au><answer>joy</answer>", "<au>none</au><answer>fear</answer>", "<answer>fear</answer>",
             "<au>AU4</au>"]  # fmt: skip
    assert scores("au_f1", RECORDS, texts) == [0.5, 1.0, None, 1.0]
    assert scores("emotion", RECORDS, texts) == [1.0, 0.0, 1.0, None]
    assert scores("format", RECORDS, texts) == [1.0, 1.0, 1.0, 1.0]


# -- what all of them promise


@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.parametrize("text", UNREADABLE)
def test_unreadable_answer_scores_zero_and_does_not_abstain(name: str, text: str) -> None:
    assert on_smile(name, text) == [0.0]


@pytest.mark.parametrize("name", REWARDS)
def test_gold_answer_gets_full_marks_or_none(name: str) -> None:
    texts = [gold(SMILE, ("au", "answer")), gold(BLANK, ("au", "answer")), gold(UNCODED, ("answer",)),
             gold(UNNAMED, ("au",))]  # fmt: skip
    assert {1.0} <= set(scores(name, RECORDS, texts)) <= {1.0, None}


@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.parametrize("mode", ["fast", "label"])
def test_reward_abstains_by_the_record_alone(name: str, mode: str) -> None:
    records = tuple(r for r in RECORDS if mode == "fast" or r.emotion)
    texts = [*UNREADABLE, *(gold(r, ("au", "answer")) for r in RECORDS), "<au>none</au>", "<answer>fear</answer>"]
    masks = {tuple(s is None for s in scores(name, records, [text] * len(records), mode)) for text in texts}
    assert len(masks) == 1


@pytest.mark.parametrize("name", REWARDS)
def test_scores_are_plain_floats_from_0_to_1(name: str) -> None:
    found = on_smile(name, *UNREADABLE, gold(SMILE, ("au", "answer")))
    assert all(type(score) is float and 0 <= score <= 1 for score in found)


@pytest.mark.parametrize("name", REWARDS)
def test_reward_survives_pickling(name: str) -> None:
    assert pickle.loads(pickle.dumps(REWARDS[name])) is REWARDS[name]  # noqa: S301


def test_table_holds_the_three() -> None:
    assert {"format": answer_format, "emotion": emotion, "au_f1": au_f1} == REWARDS


# -- hacks: each must earn less than the honest, half right answer that it is made from


@pytest.fixture(scope="module")
def weights() -> dict[str, float]:
    """The default rewards and their weights."""
    from rl.grpo import Config

    return Config("m", "r", "o").rewards


def earned(text: str, weights: dict[str, float]) -> float:
    """The weighted sum of the rewards that apply, as TRL adds them up."""
    return sum(weight * (on_smile(name, text, mode="explain")[0] or 0.0) for name, weight in weights.items())


HONEST = "<think>The lip corners are up.</think><au>AU12, AU26</au><answer>happiness</answer>"
"""The right emotion, one AU of three, and one that is not there."""
HONEST_BUT_WRONG = HONEST.replace("happiness", "surprise")


def hack(**parts: str) -> str:
    """The honest answer with some parts in other words."""
    told: dict[str, Any] = {"think": "The lip corners are up.", "au": "AU12, AU26", "answer": "happiness", **parts}
    return "".join(f"<{name}>{inside}</{name}>" for name, inside in told.items())


HACKS = {
    "every AU there is": hack(au=", ".join(f"AU{n}" for n in EIGHTEEN)),
    "an AU twice": hack(au="AU12, AU12, AU6"),
    "AUs in negated prose": hack(au="no AU6, no AU12, no AU25"),
    "AUs in the thinking alone": hack(think="AU6, AU12 and AU25 are there.", au=""),
    "every emotion": hack(answer=", ".join(BASIC_EMOTIONS)),
    "an emotion in a sentence": hack(answer="it could be happiness"),
    "two answers": f"{HONEST}<answer>happiness</answer>",
    "the answer hidden in the thinking": hack(think="<answer>happiness</answer>", answer="fear"),
    "a whole answer hidden in the thinking": hack(think="<au>AU6</au><answer>happiness</answer>"),
    "the form without content": "<think></think><au></au><answer></answer>",
    "the form filled with what is safe": hack(think="A face.", au="none", answer="neutral"),
    "the form of the question": "<think>reasons</think><au>AU numbers</au><answer>emotion</answer>",
    "no thinking": hack(think=" "),
    "chatter around the form": f"Of course! {HONEST}",
    "prose": "The lip corners are up: AU12 and AU26. This is happiness.",
    "silence": "",
}


@pytest.mark.parametrize("name", HACKS)
def test_hack_earns_less_than_an_honest_mediocre_answer(name: str, weights: dict[str, float]) -> None:
    assert earned(HACKS[name], weights) < earned(HONEST, weights)


@pytest.mark.parametrize("name", ["the form without content", "the form filled with what is safe", "prose", "silence",
                                  "the form of the question", "the answer hidden in the thinking"])  # fmt: skip
def test_empty_hack_earns_less_than_an_honest_wrong_answer(name: str, weights: dict[str, float]) -> None:
    assert earned(HACKS[name], weights) < earned(HONEST_BUT_WRONG, weights)


def test_better_answers_earn_more(weights: dict[str, float]) -> None:
    ladder = ("", hack(au="none", answer="neutral"), HONEST_BUT_WRONG, HONEST, hack(au="AU12, AU25"),
              gold(SMILE, ("think", "au", "answer")))  # fmt: skip
    ranks = [earned(text, weights) for text in ladder]
    assert ranks == sorted(ranks) and len(set(ranks)) == len(ranks)
