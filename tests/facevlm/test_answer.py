from collections.abc import Mapping, Sequence
from typing import get_args

import pytest

from facevlm.answer import MODES, Answer, Form, Mode, Value, parse, parse_lenient, render, write
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


# -- the other kinds of answer


AGE, PAIR = Form("number", 0, 120), Form("pair")
WORDS, SHARES, TEXT, CHOICE, YES_NO = Form("words"), Form("shares"), Form("text"), Form("choice"), Form("yes/no")
LEVELS = ("very low", "low", "high", "very high")


def said(inside: str, form: Form, labels: Sequence[str] | None = None) -> Answer:
    return parse(f"<answer>{inside}</answer>", ("answer",), labels, form)


@pytest.mark.parametrize(
    ("form", "labels", "inside", "value"),
    [
        (AGE, None, "34", 34.0), (AGE, None, " 34.5\n", 34.5), (AGE, None, "0", 0.0), (AGE, None, "120", 120.0),
        (PAIR, None, "valence 0.35, arousal -0.20", (0.35, -0.2)),
        (PAIR, None, " Valence -1,  arousal 1.00 ", (-1.0, 1.0)),
        (CHOICE, LEVELS, "very low", "very low"), (CHOICE, LEVELS, " Very  High. ", "very high"),
        (YES_NO, None, "yes", True), (YES_NO, None, "No.", False),
        (WORDS, None, "none", ()), (WORDS, None, "delighted, a little shy", ("delighted", "a little shy")),
        (WORDS, None, "Delighted ,half-amused.", ("delighted", "half-amused")), (WORDS, None, "愉快", ("愉快",)),
        (WORDS, None, "doubt/confusion, jealousy & envy", ("doubt/confusion", "jealousy & envy")),
        (WORDS, ["5 o clock shadow", "bald"], "Bald, 5 o Clock Shadow", ("bald", "5 o clock shadow")),
        (WORDS, ["bald"], "none", ()),
        (SHARES, ["fear", "anger"], "fear 70%, angry 30%", {"fear": 0.7, "anger": 0.3}),
        (SHARES, ["fear", "anger"], "fear 100%, anger 0%", {"fear": 1.0, "anger": 0.0}),
        (SHARES, None, "fear 33.3%, anger 33.3%, disgust 33.3%", {"fear": 0.333, "anger": 0.333, "disgust": 0.333}),
        (SHARES, None, "fear 51%, anger 50%", {"fear": 0.51, "anger": 0.5}),
        (TEXT, None, " A face, AU4 absent; 3 < 5. ", "A face, AU4 absent; 3 < 5."),
        (Form(), ["fear"], "Afraid", "fear"),
    ],
)  # fmt: skip
def test_each_kind_is_read_as_specified(form: Form, labels: list[str] | None, inside: str, value: Value) -> None:
    answer = said(inside, form, labels)
    assert (answer.value, answer.faults) == (value, ())
    assert answer.emotion == (value if form.kind == "label" else None)
    assert type(answer.value) is type(value)


@pytest.mark.parametrize(
    "inside",
    ["", " ", "12 years", "years", "1 2", "12, 13", "12-13", "about 12", "twelve", "1e1", "1e400", "nan", "NaN", "inf",
     "-inf", "Infinity", "-1", "121", "+12", "012", "12.", ".5", "1_0", "1,5", "0x10", "12%", "१२", "１２", "²",
     "1\u200b2", "120.001", "9" * 400, "0." + "1" * 400, "<b>12</b>", "12<", "None", "true"],
)  # fmt: skip
def test_number_is_plain_digits_within_its_range(inside: str) -> None:
    answer = said(inside, AGE)
    assert answer.value is None and answer.faults == (f"{inside.strip()[:40]!r} is not a plain number from 0 to 120",)


@pytest.mark.parametrize(
    ("form", "inside"),
    [
        *((PAIR, text) for text in (
            "", "0.3, 0.2", "arousal 0.2, valence 0.3", "valence 0.3", "valence 0.3 arousal 0.2",
            "valence 1.01, arousal 0",
            "valence nan, arousal 0", "valence 1e-1, arousal 0", "valence 0.3, arousal 0.2, valence 0.1",
            "valence: 0.3, arousal: 0.2", "valence ٠.٣, arousal 0.2", "valence 30%, arousal 20%",
            "valence +0.3, arousal 0")),
        *((YES_NO, text) for text in ("", "yes no", "yes, no", "y", "true", "1", "not yes", "yes!", "ｙｅｓ", "yeſ",
                                      "no AU4")),
        *((CHOICE, text) for text in ("", "medium", "very", "low, high", "not low", "lοw", "low!", "2")),
        *((SHARES, text) for text in (
            "", "none", "fear", "fear 100", "fear 98.9%", "fear 101.1%", "fear 50%, fear 50%", "fear 50%, afraid 50%",
            "smile 100%", "fear -10%, anger 110%", "fear 1e2%", "fear nan%", "fear 50% anger 50%", "fear: 100%",
            "fear 60%, anger 60%", "fear ١٠٠%", "100%", "fear 100%,", "pain 100%")),
        *((WORDS, text) for text in (
            "", " ", ",", "happy,", "happy,, sad", "happy, happy", "happy, Happy.", "happy, none", "happy; sad",
            "happy\u200b",
            "happy 2", "happy!", "<b>happy</b>", "x" * 61, "no_word", "happy//sad", "a\u202eb")),
        *((TEXT, text) for text in ("", "  \n")),
    ],
)  # fmt: skip
def test_what_is_not_of_the_kind_is_not_read(form: Form, inside: str) -> None:
    offered = {"choice": LEVELS, "shares": ("fear", "anger", "disgust")}.get(form.kind)
    answer = said(inside, form, offered)
    assert answer.value is None and answer.emotion is None
    assert len(answer.faults) == 1 and answer.faults[0].startswith(f"{inside.strip()[:40]!r} is not ")


@pytest.mark.parametrize(
    "inside", ["bald, bald", "bald, Bald.", "hair", "bald, hair", "bald and smiling", "b\u0430ld", ""]
)
def test_word_that_is_not_on_offer_or_comes_twice_spoils_the_list(inside: str) -> None:
    assert said(inside, WORDS, ["bald", "smiling"]).value is None


@pytest.mark.parametrize("form", [AGE, PAIR, WORDS, SHARES, TEXT, CHOICE, YES_NO])
@pytest.mark.parametrize("inside", ["<think>x</think>12", "12</think>", "<answer>12", "a<au>b", "</answer>"])
def test_tags_inside_an_answer_spoil_it_whatever_its_kind(form: Form, inside: str) -> None:
    answer = said(inside, form, LEVELS if form == CHOICE else None)
    assert answer.value is None and answer.faults


@pytest.mark.parametrize("form", [AGE, PAIR, WORDS, SHARES, TEXT, CHOICE, YES_NO])
def test_answer_given_twice_is_not_read_whatever_its_kind(form: Form) -> None:
    good = {"number": "12", "pair": "valence 0, arousal 0", "shares": "fear 100%", "choice": "low"}
    text = f"<answer>{good.get(form.kind, 'yes')}</answer>"
    assert parse(text, ("answer",), LEVELS if form == CHOICE else None, form).value is not None
    assert parse(text * 2, ("answer",), LEVELS if form == CHOICE else None, form).value is None


def test_letters_may_be_asked_of_every_au() -> None:
    form = Form(letters=True)
    assert parse("<au>AU6:B, AU12:C</au>", ("au",), None, form).aus == {6: 2, 12: 3}
    assert parse("<au>none</au>", ("au",), None, form).aus == {}
    answer = parse("<au>AU6:B, AU12</au>", ("au",), None, form)
    assert answer.aus is None and answer.faults == ("AU12 has no intensity letter",)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (False, "no"), (34.0, "34"), (2.5, "2.5"), (100.0, "100"), (-0.001, "0"), (0.125, "0.12"),
     ((0.35, -0.2), "valence 0.35, arousal -0.20"), ((-0.001, 0.0), "valence 0.00, arousal 0.00"),
     ({"fear": 0.29, "anger": 0.71}, "fear 29%, anger 71%"), (("a", "b c"), "a, b c"), ((), "none"), ("low", "low")],
)  # fmt: skip
def test_values_are_written_plainly(value: Value, text: str) -> None:
    assert write(value) == text


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
