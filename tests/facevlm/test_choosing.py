import itertools
import math

import pytest

from facevlm.choosing import answers, chances, forks, label_probs, passed, watched


def test_answers_are_whole():
    assert answers(("fear", "anger")) == ["<answer>fear</answer>", "<answer>anger</answer>"]


@pytest.mark.parametrize("labels", [(), ("fear",), ("fear", "fear")])
def test_what_is_no_choice_is_refused(labels):
    with pytest.raises(ValueError, match="nothing to choose"):
        answers(labels)


def test_labels_of_one_token_each_need_one_step():
    assert forks([(7, 1, 9), (7, 2, 9), (7, 3, 9)]) == {(7,): [1, 2, 3]}


def test_labels_that_begin_alike_part_where_they_part():
    assert forks([(7, 1, 4, 9), (7, 1, 5, 9), (7, 2, 9)]) == {(7,): [1, 2], (7, 1): [4, 5]}


@pytest.mark.parametrize("paths", [[(1, 2), (1, 2)], [(1, 2), (1, 2, 3)]])
def test_tokens_that_do_not_tell_labels_apart_are_refused(paths):
    with pytest.raises(ValueError, match="two labels alike"):
        forks(paths)


def test_shares_at_a_fork_are_renormalised_and_multiplied_on_the_way():
    paths = [(7, 1, 4, 9), (7, 1, 5, 9), (7, 2, 9)]
    # Of what the model would say 0.2 goes to 1 and 0.6 to 2, the rest to words that are not on offer.
    logprobs = {(7,): {1: math.log(0.2), 2: math.log(0.6)}, (7, 1): {4: math.log(0.3), 5: math.log(0.1)}}
    assert chances(paths, logprobs) == pytest.approx([0.25 * 0.75, 0.25 * 0.25, 0.75])


def test_unnormalised_logits_give_the_same():
    paths = [(1,), (2,)]
    assert chances(paths, {(): {1: 1003.0, 2: 1001.0}}) == pytest.approx(chances(paths, {(): {1: -1.0, 2: -3.0}}))


THREE = [(7, 1, 4, 9), (7, 1, 5, 9), (7, 2, 9)]


def test_tokens_are_watched_fork_by_fork_and_no_more_than_fit():
    assert [watched(forks(THREE), most) for most in (4, 3, 1)] == [[1, 2, 4, 5], [1, 2], []]


@pytest.mark.parametrize(
    ("written", "places", "known"),
    [((7, 1, 5, 9), 4, [(7,), (7, 1)]), ((7, 2, 9), 3, [(7,)]), ((7, 8, 9), 3, [(7,)]), ((3, 7, 1), 3, []),
     ((7,), 1, [])],
    ids=["all on the way", "one off the way", "a word not on offer", "another form", "cut short"],
)  # fmt: skip
def test_forks_that_the_written_answer_passed_are_known(written, places, known):
    logits = [{token: 10.0 * i + token for token in (1, 2, 4, 5)} for i in range(places)]
    found = passed(forks(THREE), written, logits)
    assert list(found) == known
    assert all(row == {token: 10 * len(at) + token for token in forks(THREE)[at]} for at, row in found.items())


def test_a_fork_whose_tokens_were_not_watched_is_not_known():
    assert list(passed(forks(THREE), (7, 1, 4, 9), [{1: 0.0, 2: 0.0}] * 4)) == [(7,)]


def test_only_what_is_not_known_is_asked():
    asked = []

    def step(numbers, at, tokens):
        asked.append((numbers, at))
        return [dict.fromkeys([*tokens, 99], 0.0) for _ in numbers]  # engines tell the likeliest token too

    known = [{(7,): {1: 0.0, 2: math.log(3)}}, {}, {(7,): {1: 0.0, 2: 0.0}, (7, 1): {4: 0.0, 5: math.log(4)}}]
    found = label_probs(("a", "b", "c"), THREE, known, step)
    assert asked == [([1], (7,)), ([0, 1], (7, 1))]
    expected = [(0.125, 0.125, 0.75), (0.25, 0.25, 0.5), (0.1, 0.4, 0.5)]
    assert [list(row.values()) for row in found] == [pytest.approx(row) for row in expected]


def test_every_request_gets_a_distribution_over_the_labels():
    paths = [tuple(p) for p in itertools.product((1, 2), (3, 4), (5, 6))]
    labels = [str(p) for p in paths]

    def step(numbers, at, tokens):
        return [{token: math.sin(token * (request + 1) + sum(at)) for token in tokens} for request in numbers]

    found = label_probs(labels, paths, [{}] * 3, step)
    assert len(found) == 3 and all(list(row) == labels and sum(row.values()) == pytest.approx(1) for row in found)
