from collections.abc import Mapping
from typing import get_args

import pytest

from facevlm.answer import MODES, Mode, parse, parse_lenient, render
from facevlm.vocab import AUS, EMOTIONS

GOOD = "<think>lip corners up</think><au>AU6, AU12:C</au><answer>happiness</answer>"
THINK = "<think>lip corners up</think>"


# -- round trip


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize(
    "aus", [{}, {12: None}, {12: 3, 6: 1, 25: 5}, {6: None, 12: 2}, dict.fromkeys(AUS)], ids=lambda a: f"{len(a)} AUs"
)
@pytest.mark.parametrize("emotion", ["neutral", "happily surprised"])
def test_what_is_rendered_is_read_back(mode: Mode, aus: Mapping[int, int | None], emotion: str) -> None:
    parts = MODES[mode]
    answer = parse(render(parts, "no AU4, but the lips part.", aus, emotion), parts)
    assert answer.faults == ()
    assert answer.emotion == emotion
    assert answer.aus == (aus if "au" in parts else None)
    assert answer.thinking == ("no AU4, but the lips part." if "think" in parts else None)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_every_emotion_round_trips(emotion: str) -> None:
    assert parse(render(("answer",), emotion=emotion), ("answer",)).emotion == emotion


def test_rendered_answer_looks_as_documented() -> None:
    assert render(MODES["explain"], "lip corners up", {12: 3, 6: None}, "happiness") == GOOD


def test_no_au_is_rendered_as_none() -> None:
    assert render(MODES["fast"], emotion="neutral") == "<au>none</au><answer>neutral</answer>"


# -- what is still the form


@pytest.mark.parametrize(
    "text",
    [
        f"  {GOOD}\n",
        GOOD.replace("><", ">\n\n<"),
        GOOD.replace("AU6, AU12:C", "\nAU6 ,AU12:C\n"),
        GOOD.replace("happiness", " Happy. "),
        GOOD.replace("lip corners up", "AU4 is absent, and 3 < 5"),
    ],
    ids=["blanks around", "blank lines between", "blanks in the list", "synonym", "AU in prose"],
)
def test_harmless_variation_is_accepted(text: str) -> None:
    answer = parse(text)
    assert answer.faults == ()
    assert answer.aus == {6: None, 12: 3}
    assert answer.emotion == "happiness"


# -- what is not


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "<think> is missing"),
        ("The face is happy, AU12.", "text outside the tags"),
        (f"Sure! {GOOD}", "text outside the tags"),
        (f"{GOOD} I hope this helps.", "text outside the tags"),
        (GOOD.replace("</think><au>", "</think> so <au>"), "text outside the tags"),
        (f"\u200b{GOOD}", "text outside the tags"),
        (GOOD.replace("lip corners up", "  "), "<think> is empty"),
        (GOOD.replace(THINK, ""), "<think> is missing"),
        (GOOD.replace("<au>AU6, AU12:C</au>", ""), "<au> is missing"),
        (GOOD.replace("</answer>", ""), "<answer> is never closed"),
        (GOOD.replace("<think>", ""), "</think> without <think>"),
        ("<au>none</au><think>calm</think><answer>neutral</answer>", "the parts stand in the order au, think, answer"),
        (GOOD + "<answer>happiness</answer>", "<answer> stands more than once"),
        (f"{THINK}{GOOD}", "<think> stands more than once"),
        (GOOD.replace("up</think>", "up<answer>fear</answer></think>"), "<answer> inside <think>"),
        (GOOD.replace("up</think>", "up</answer></think>"), "</answer> inside <think>"),
        (GOOD.replace("<answer>happiness", "<answer><think>x</think>happiness"), "<think> inside <answer>"),
        (GOOD.replace("think>", "THINK>"), "<think> is missing"),
        (GOOD.replace("<think>", "<think >"), "<think> is missing"),
        (GOOD.replace("<au>", "<аu>"), "<au> is missing"),
    ],
)
def test_broken_structure_is_a_fault(text: str, fault: str) -> None:
    assert fault in parse(text).faults


@pytest.mark.parametrize(
    "listed",
    ["", "AU6 AU12", "6, 12", "au6", "AU06", "AU3", "AU99", "AU6,", "AU6; AU12", "AU6, AU6", "AU6:C, AU6", "AU6:F",
     "AU6:c", "AU6: C", "AU6:3", "no AU6", "AU6 and AU12", "AU6 (cheek raiser)", "None", "none, AU6", "ＡＵ６", "АU6",
     "AU６", "AU-6", "all"],
)  # fmt: skip
def test_unreadable_au_list_is_none_and_a_fault(listed: str) -> None:
    answer = parse(GOOD.replace("AU6, AU12:C", listed))
    assert answer.aus is None
    assert len(answer.faults) == 1
    assert answer.emotion == "happiness"


@pytest.mark.parametrize(
    "said", ["", "very happy", "not happiness", "happiness!", "hаppiness", "ｈappiness", "0", "joy?"]
)
def test_unreadable_emotion_is_none_and_a_fault(said: str) -> None:
    answer = parse(GOOD.replace("happiness", said))
    assert answer.emotion is None
    assert len(answer.faults) == 1
    assert answer.aus == {6: None, 12: 3}


def test_emotion_that_is_not_on_offer_is_not_read() -> None:
    assert parse(GOOD, labels=["happiness", "fear"]).emotion == "happiness"
    answer = parse(GOOD, labels=["neutral", "fear"])
    assert answer.emotion is None and answer.faults == ("'happiness' is not an emotion on offer",)


def test_au_in_the_thinking_is_never_an_answer() -> None:
    answer = parse("<think>no AU4, AU12 is there</think><au>none</au><answer>neutral</answer>")
    assert answer.aus == {} and answer.faults == ()


def test_answer_hidden_in_the_thinking_is_not_read_even_if_it_is_the_only_one() -> None:
    answer = parse("<think><au>AU6</au><answer>happiness</answer></think>")
    assert answer.aus is None and answer.emotion is None


def test_answer_given_twice_is_not_read_even_if_both_agree() -> None:
    assert parse(GOOD + "<answer>happiness</answer>").emotion is None


def test_two_tries_in_the_thinking_spoil_the_answer_after_it() -> None:
    answer = parse(GOOD.replace("up</think>", "up<answer>fear</answer></think>"))
    assert answer.emotion is None and answer.aus == {6: None, 12: 3}


def test_part_that_was_not_asked_is_a_fault_and_is_not_read() -> None:
    answer = parse("<au>AU6</au><answer>fear</answer>", ("answer",))
    assert answer.faults == ("<au> was not asked for",)
    assert answer.aus is None and answer.emotion == "fear"


def test_every_fault_is_reported() -> None:
    faults = parse("so: <au>AU3</au><answer>smile</answer>").faults
    assert faults == ("text outside the tags", "<think> is missing", "'AU3' is not an AU",
                      "'smile' is not an emotion on offer")  # fmt: skip


def test_long_rubbish_is_cut_in_the_fault() -> None:
    assert all(len(fault) < 80 for fault in parse(f"<au>{'x' * 9999}</au>", ("au",)).faults)


# -- the lenient reader


@pytest.mark.parametrize(
    ("text", "aus"),
    [
        ("AU6 and AU12 are active.", {6, 12}),
        ("There is AU12, but no AU4.", {12}),
        ("AU4 is absent; AU 1 is present", {1}),
        ("It isn't AU4. AU02 shows", {2}),
        ("neither AU4 nor AU7\nAU43", {43}),
        ("AU99 and AU3", set()),
        ("BAU12 and AU123", set()),
    ],
)
def test_lenient_reader_finds_aus_in_prose_but_not_negated_ones(text: str, aus: set[int]) -> None:
    assert set(parse_lenient(text).aus or {}) == aus


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("At first fear, but I say happiness.", "happiness"),
        ("<answer>sad</answer> rather than fear", "sadness"),
        ("<answer>fear</answer> no: <answer>disgusted</answer>", "disgust"),
        ("<answer>cut off while ANGRY", "anger"),
        ("The person looks happily surprised", "happily surprised"),
        ("a sadist with joysticks", None),
        ("ſad", None),
        ("dİsgust and surprıse", None),
        ("", None),
    ],
)
def test_lenient_reader_takes_the_last_label(text: str, emotion: str | None) -> None:
    assert parse_lenient(text).emotion == emotion


def test_lenient_reader_looks_only_for_labels_on_offer() -> None:
    assert parse_lenient("fear and then pain", labels=["fear", "anger"]).emotion == "fear"


def test_lenient_answers_are_marked() -> None:
    assert parse_lenient(GOOD).faults == ("read leniently",)
