"""Thinking told apart, whatever the pieces in which it comes."""

import random

import pytest

from facevlm.serve.chats.thinking import Splitter, split

TEXTS = {
    "<think>a < b</think><au>none</au>": ("a < b", "<au>none</au>"),
    "<au>AU12</au><answer>fear</answer>": (None, "<au>AU12</au><answer>fear</answer>"),
    "\n<think></think>x": ("", "\nx"),
    "<think>never closed </thin": ("never closed </thin", ""),
    "a<think>b</think>c<think>d</think>": ("b", "ac<think>d</think>"),
    "<<think>x<</think>>y": ("x<", "<>y"),
    "": (None, ""),
    "<thin": (None, "<thin"),
    "</think>x": (None, "</think>x"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_parted_alike_whole_and_in_any_pieces(text: str) -> None:
    assert split(text) == TEXTS[text]
    rng = random.Random(0)
    for _ in range(50):
        splitter, thought, said, rest = Splitter(), "", "", text
        while rest:
            n = rng.randint(1, 4)
            more = splitter.feed(rest[:n])
            thought, said, rest = thought + more[0], said + more[1], rest[n:]
        more = splitter.feed("", last=True)
        assert (thought + more[0], said + more[1]) == (TEXTS[text][0] or "", TEXTS[text][1])


def test_nothing_is_held_back_that_is_no_tag() -> None:
    splitter = Splitter()
    assert splitter.feed("x <") == ("", "x ")
    assert splitter.feed("b") == ("", "<b")
    assert splitter.feed("<think>y</") == ("y", "")
    assert splitter.feed("think>z<th") == ("", "z<th")
