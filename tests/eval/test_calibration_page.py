import re
from pathlib import Path

import pytest

from eval.frame.predictions import read_predictions
from eval.run import evaluate
from facevlm.config import ConfigError
from facevlm.generate import Choice, Scripted
from facevlm.prompts import gold
from facevlm.vocab import LABEL_SETS


class Sure(Scripted):
    """Gives the answers it was told, and is always sure of the first label; of the last face it tells nothing."""

    def __init__(self, answers):
        self.left, self.asked, self.last = iter(answers), [], len(answers)
        super().__init__(lambda request: next(self.left))

    def weigh(self, requests, parts, labels, max_new_tokens=512):
        self.asked.append((tuple(parts), tuple(labels)))
        replies, found = self.generate(requests, max_new_tokens), []
        for reply in replies:
            self.last -= 1
            chances = {label: 0.65 if label == labels[0] else 0.05 for label in labels} if self.last else None
            found.append(Choice(reply.text, reply.prompt_tokens, reply.completion_tokens, chances))
        return found


@pytest.fixture
def model(records):
    return Sure([gold(record, ("au", "answer")) for record in records])


def test_behind_aus_probabilities_are_told_where_they_are_wanted(config, model):
    summary = evaluate(config(confidence=True), model)
    assert set(model.asked) == {(("au", "answer"), LABEL_SETS["basic8"].labels)}
    rows = read_predictions(Path(config().out, "predictions.jsonl"))
    assert [row.probabilities is None for row in rows] == [False] * 23 + [True]
    # The first label is right for three of the 23 faces, and always claimed with 0.65.
    assert summary["ece"] == pytest.approx(0.65 - 3 / 23) and sum(b["n"] for b in summary["reliability"]) == 23
    assert summary["emotion_accuracy"] == 1


def test_by_default_they_are_not(config, model):
    assert "ece" not in evaluate(config(), model) and not model.asked


def test_a_run_that_told_them_is_not_gone_on_with_without(config, model, oracle):
    evaluate(config(confidence=True), model)
    with pytest.raises(ConfigError, match="confidence was True, is None"):
        evaluate(config(), oracle())


def test_the_page_draws_confidence_against_truth_and_says_what_it_is(config, model):
    evaluate(config(confidence=True), model)
    html = Path(config().out, "report.html").read_text()
    section = html[html.index("Does it know when it is right?") : html.index("<h2>Emotions")]
    assert "behind its own AU list" in section and "23 of 24 faces" in section
    assert "share right by confidence: 0.6 to 0.7: 0.13 of 23" in section and "Risk and coverage of" in section
    # One bin: a bar for its accuracy, one for its faces; and the four numbers, which stand nowhere else.
    assert len(re.findall(r'<rect class="value" x', section)) == len(re.findall(r'<rect class="count"', section)) == 1
    assert all(name in section and html.count(name) == 1 for name in (">ECE<", ">Brier score<", ">AURC<"))


def test_bins_of_few_faces_are_drawn_pale(config, records):
    class Unsure(Sure):
        def weigh(self, requests, parts, labels, max_new_tokens=512):
            said = self.generate(requests, max_new_tokens)
            sure = [dict.fromkeys(labels, 0.05) | {labels[0]: 0.35 + 0.1 * (i % 4)} for i in range(len(said))]
            return [Choice(r.text, r.prompt_tokens, r.completion_tokens, p) for r, p in zip(said, sure, strict=True)]

    evaluate(config(confidence=True), Unsure([gold(record, ("au", "answer")) for record in records]))
    html = Path(config().out, "report.html").read_text()
    assert len(re.findall(r'<rect class="value little"', html)) == 4


def test_without_probabilities_the_page_has_no_such_section(config, oracle):
    evaluate(config(), oracle())
    assert "Does it know when it is right?" not in Path(config().out, "report.html").read_text()
