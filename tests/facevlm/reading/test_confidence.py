import math
import random

import pytest

from facevlm import choosing
from facevlm.answer import MODES, render
from facevlm.checkpoint import EMBEDDED
from facevlm.reading.confidence import Step, confidence, steps
from facevlm.reading.tokens import MOST_TOKENS, choices, samples
from facevlm.vocab import LABEL_SETS

BASIC8 = LABEL_SETS["basic8"].labels


@pytest.fixture(scope="module")
def tokenize():
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def made(tokenize, mode, labels=BASIC8):
    parts = MODES[mode]
    return choices(parts, labels, [tokenize(text) for text in samples(parts, labels)])


def written(tokens, wanted, logprob):
    """Steps in which each wanted token has the log-probability that `logprob(place, token)` gives."""
    return [Step(token, {one: logprob(i, one) for one in {*wanted, token}}) for i, token in enumerate(tokens)]


@pytest.mark.parametrize("mode", MODES)
def test_label_probabilities_are_those_of_choosing(tokenize, mode):
    found = made(tokenize, mode)
    rng = random.Random(0)
    table = {token: rng.gauss(-3, 2) for token in found.wanted()}
    text = render(MODES[mode], "happiness is not fear", {6: None, 12: None}, "sadness")
    tokens = tokenize(text)
    sure = confidence(written(tokens, found.wanted(), lambda i, token: table.get(token, -9.0)), found)
    paths = [tokenize(answer) for answer in choosing.answers(BASIC8)]
    parting = {at: {t: table[t] for t in options} for at, options in choosing.forks(paths).items()}
    assert sure.labels == pytest.approx(dict(zip(BASIC8, choosing.chances(paths, parting), strict=True)))
    assert sum(sure.labels.values()) == pytest.approx(1)


def test_an_au_counts_by_what_could_still_have_come(tokenize):
    found = made(tokenize, "fast")
    number = {n: token for token, n in found.aus.numbers.items()}
    tokens = tokenize(render(MODES["fast"], "", {6: None, 12: None}, "fear"))
    first, second = tokens.index(number[6]), tokens.index(number[12])

    def chance(i, token):
        table = {
            first: {number[4]: 0.1, number[6]: 0.6, number[12]: 0.2, found.aus.none: 0.1},
            first + 1: {found.aus.between[0]: 0.8, found.aus.end: 0.2},
            second: {number[12]: 0.5, number[25]: 0.5},
        }.get(i, {})
        return math.log(table.get(token, 1e-30))

    sure = confidence(written(tokens, found.wanted(), chance), found)
    # AU6: against a larger one or none, not against AU4, which is settled. AU12: 0.4 of going on with it, 0.4 of a
    # larger one, 0.2 of ending.
    assert sure.aus == pytest.approx({6: 0.6 / 0.9, 12: 0.4})


def test_no_aus_is_an_empty_table(tokenize):
    found = made(tokenize, "fast")
    tokens = tokenize(render(MODES["fast"], "", {}, "fear"))
    assert confidence(written(tokens, found.wanted(), lambda i, t: -1.0), found).aus == {}


def test_aus_not_asked_for_are_not_told(tokenize):
    found = made(tokenize, "fast")
    tokens = tokenize(render(MODES["fast"], "", {6: None}, "fear"))
    sure = confidence(written(tokens, found.wanted(aus=False), lambda i, t: -1.0), found)
    assert sure.aus is None and sure.labels is not None


def test_a_mention_in_the_thinking_is_no_answer(tokenize):
    found = made(tokenize, "explain")
    text = render(MODES["explain"], "AU4 and AU7 say anger.", {12: None}, "fear")
    tokens = tokenize(text)
    sure = confidence(written(tokens, found.wanted(), lambda i, t: -1.0), found)
    assert set(sure.aus) == {12}


def test_a_missing_log_probability_is_no_probability(tokenize):
    found = made(tokenize, "label")
    tokens = tokenize("<answer>fear</answer>")
    assert confidence([Step(token, {token: -0.1}) for token in tokens], found).labels is None


def test_an_answer_of_other_tokens_tells_nothing(tokenize):
    found = made(tokenize, "label")
    letters = [token for letter in "<answer>f e a r" for token in tokenize(letter)]
    assert confidence(written(letters, found.wanted(), lambda i, t: -1.0), found) == confidence([], found)


def spelled(text):
    return [ord(letter) for letter in text]


def test_labels_that_part_later_are_told_only_on_their_way():
    """A tokenizer of letters: fear and fury share the first, so an answer "joy" does not tell them apart."""
    labels = ("fear", "fury", "joy")
    found = choices(("answer",), labels, [spelled(text) for text in samples(("answer",), labels)])
    way = confidence(written(spelled("<answer>fear</answer>"), found.wanted(), lambda i, t: -1.0), found)
    assert way.labels == pytest.approx({"fear": 0.25, "fury": 0.25, "joy": 0.5})
    other = confidence(written(spelled("<answer>joy</answer>"), found.wanted(), lambda i, t: -1.0), found)
    assert other.labels is None


def test_aus_in_pieces_have_no_confidence():
    found = choices(MODES["fast"], BASIC8, [spelled(text) for text in samples(MODES["fast"], BASIC8)])
    assert found.aus is None
    text = render(MODES["fast"], "", {12: None}, "fear")
    assert confidence(written(spelled(text), found.wanted(), lambda i, t: -1.0), found).aus is None


def test_no_more_tokens_are_wanted_than_the_engine_gives(tokenize):
    for mode in MODES:
        for labels in LABEL_SETS.values():
            if len(labels.labels) > 1:
                found = made(tokenize, mode, labels.labels)
                assert len(found.wanted()) <= MOST_TOKENS
                assert {t for options in found.forks.values() for t in options} <= set(found.wanted())


def test_reads_what_vllm_writes():
    choice = {"logprobs": {"content": [
        {"token": "token_id:5", "logprob": -0.1, "bytes": [], "top_logprobs": [
            {"token": "token_id:5", "logprob": -0.1}, {"token": "token_id:9", "logprob": -2.5}]},
        {"token": "token_id:7", "logprob": -0.3, "top_logprobs": []}]}}  # fmt: skip
    assert steps(choice) == [Step(5, {5: -0.1, 9: -2.5}), Step(7, {7: -0.3})]


@pytest.mark.parametrize("choice", [
    {}, {"logprobs": None}, {"logprobs": {"content": None}}, {"logprobs": {"content": [{"token": "fear"}]}},
    {"logprobs": {"content": [{"token": "token_id:x", "logprob": 0}]}}, {"logprobs": {"content": [3]}},
])  # fmt: skip
def test_other_servers_tell_nothing(choice):
    assert steps(choice) == []
