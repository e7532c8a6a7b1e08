import random
import re

import pytest
from tokenizers import Tokenizer

from facevlm.answer import MODES, Form, parse, render, write
from facevlm.checkpoint import EMBEDDED
from facevlm.prompts import _SAMPLES, applies, to_example
from facevlm.reading.form import answer_grammar
from facevlm.reading.tokens import choices, samples
from facevlm.vocab import AUS, EMOTIONS, LABEL_SETS

BASIC8 = LABEL_SETS["basic8"].labels


@pytest.fixture(scope="module")
def accepts():
    """Whether a grammar takes a text as a whole, by the engine's own library."""
    xgrammar = pytest.importorskip("xgrammar")
    compiler = xgrammar.GrammarCompiler(xgrammar.TokenizerInfo(["</s>"]), max_threads=1)

    def ask(grammar, text):
        matcher = xgrammar.GrammarMatcher(compiler.compile_grammar(grammar), terminate_without_stop_token=True)
        return matcher.accept_string(text) and matcher.is_terminated()

    return ask


def test_takes_every_answer_that_is_rendered_and_parsed(accepts):
    rng = random.Random(0)
    for mode, parts in MODES.items():
        grammar = answer_grammar(parts, EMOTIONS)
        for _ in range(60):
            aus = dict.fromkeys(rng.sample(list(AUS), rng.choice([0, 1, 2, 5, len(AUS)])))
            text = render(parts, rng.choice(["Brows down (AU4).\nSo: anger.", "眉毛", "a 1 > 0"]), aus,
                          rng.choice(EMOTIONS))  # fmt: skip
            assert accepts(grammar, text), (mode, text)


def test_takes_the_gold_answers_of_the_modes(accepts):
    seen = 0
    for task in MODES:
        for record in _SAMPLES:
            if applies(record, task):
                row = to_example(record, ("",), task)
                grammar = answer_grammar(row["parts"], row["labels"])
                assert accepts(grammar, row["completion"][0]["content"])
                seen += 1
    assert seen >= 3


def test_what_it_takes_is_of_the_form(accepts):
    """Answers with one character changed, dropped or doubled: those the grammar takes, the parser takes too."""
    rng = random.Random(1)
    grammar, taken = answer_grammar(MODES["explain"], BASIC8), 0
    for _ in range(400):
        text = render(MODES["explain"], "Lip corners up (AU12).", dict.fromkeys(rng.sample(list(AUS), 2)), "fear")
        at = rng.randrange(len(text))
        changed = text[:at] + rng.choice(["", "1", "<", text[at] * 2, ", ", "AU6"]) + text[at + 1 :]
        if accepts(grammar, changed):
            taken += 1
            assert parse(changed, MODES["explain"], BASIC8).faults == ()
    assert 20 < taken < 380


@pytest.mark.parametrize("text", [
    "<au>AU6, AU6</au><answer>fear</answer>",
    "<au>AU12, AU6</au><answer>fear</answer>",
    "<au>AU3</au><answer>fear</answer>",
    "<au></au><answer>fear</answer>",
    "<au>none, AU4</au><answer>fear</answer>",
    "<au>AU4:C</au><answer>fear</answer>",
    "<au>AU4</au><answer>dread</answer>",
    "<au>AU4</au><answer>fear</answer> indeed",
    "<answer>fear</answer><au>AU4</au>",
])  # fmt: skip
def test_refuses(accepts, text):
    assert not accepts(answer_grammar(MODES["fast"], BASIC8), text)


def test_valence_and_arousal(accepts):
    form = Form("pair")
    grammar = answer_grammar(("answer",), (), form)
    for pair in [(0.0, 1.0), (-1.0, 0.35), (0.05, -0.2)]:
        assert accepts(grammar, f"<answer>{write(pair)}</answer>")
    for text in ("valence 2, arousal 0", "valence 1.5, arousal 0", "valence .5, arousal 0"):
        assert not accepts(grammar, f"<answer>{text}</answer>")


def test_letters_and_few_aus(accepts):
    grammar = answer_grammar(("au",), (), Form(letters=True), aus=[4, 12])
    assert accepts(grammar, "<au>AU4:A, AU12:E</au>")
    assert not accepts(grammar, "<au>AU4:A, AU6:E</au>")
    assert not accepts(grammar, "<au>AU4</au>")


def test_labels_are_quoted(accepts):
    grammar = answer_grammar(("answer",), ('a "b"', "c\\d | e"), Form("choice"))
    assert accepts(grammar, '<answer>a "b"</answer>')
    assert accepts(grammar, "<answer>c\\d | e</answer>")
    assert not accepts(grammar, "<answer>e</answer>")


def test_labels_and_aus_in_their_own_tokens():
    """What the embedded tokenizer writes is taken; the same text in pieces of words is not."""
    xgrammar = pytest.importorskip("xgrammar")
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))

    def tokens(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    vocabulary = [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())]
    known = xgrammar.TokenizerInfo(vocabulary, xgrammar.VocabType.BYTE_LEVEL, stop_token_ids=[0])
    compiler = xgrammar.GrammarCompiler(known, max_threads=1)
    for mode, parts in MODES.items():
        found = choices(parts, BASIC8, [tokens(text) for text in samples(parts, BASIC8)])
        grammar = compiler.compile_grammar(answer_grammar(parts, BASIC8, tokens=found))
        for label in BASIC8:
            matcher = xgrammar.GrammarMatcher(grammar)
            text = render(parts, "Brows down (AU4).", {4: None, 12: None}, label)
            assert all(matcher.accept_token(token) for token in tokens(text)), (mode, label)
            assert matcher.accept_token(0)
        matcher = xgrammar.GrammarMatcher(grammar)
        opening = render(parts, "x", {}, "fear").partition("fear")[0]
        assert all(matcher.accept_token(token) for token in tokens(opening))
        assert not matcher.accept_token(tokens("f")[0]) and matcher.accept_token(tokens("fear")[0])


def test_a_tokenizer_that_runs_into_the_label_is_held_by_text():
    rows = [[1, 2, 30, 4], [1, 2, 31, 4], [1, 2, 30, 4], [], [1, 2, 3]]  # the bracket of <answer> sticks to the label
    found = choices(("answer",), ("fear", "joy"), rows)
    assert not found.apart
    assert "Token" not in answer_grammar(("answer",), ("fear", "joy"), tokens=found)


def test_forms_without_a_grammar_are_refused():
    with pytest.raises(ValueError, match="words"):
        answer_grammar(("answer",), (), Form("words"))
    with pytest.raises(ValueError, match="boxes"):
        answer_grammar(("au",), (), Form(boxes=True))
    with pytest.raises(ValueError, match=re.escape("no label")):
        answer_grammar(("answer",), ())
