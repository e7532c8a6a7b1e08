from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facevlm import generate
from facevlm.answer import MODES
from facevlm.generate import Request, Scripted, Transformers
from facevlm.prompts import question
from facevlm.vocab import BASIC_EMOTIONS

BEFORE = "<think>Cheek raiser (AU6).</think><au>AU6</au>"


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> Transformers:
    return Transformers(str(tiny_model), batch=2, dtype="float32")


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    pictures = [Image.effect_noise((112, 112), spread).convert("RGB") for spread in (10, 60, 120)]
    return [Request((picture,), question(MODES["explain"], BASIC_EMOTIONS)) for picture in pictures]


@pytest.fixture
def in_form(local: Transformers, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes random weights write BEFORE and then one of some words: which one is theirs to choose."""
    tokenizer, write = local.processor.tokenizer, local.model.generate

    def hold(words: tuple[str, ...]) -> None:
        begun = tokenizer(f"{BEFORE}<answer>", add_special_tokens=False).input_ids
        able = [tokenizer(word, add_special_tokens=False).input_ids[0] for word in words]

        def held(**options: Any) -> Any:
            start, given = options["input_ids"].shape[1], options.pop("logits_processor", [])

            def bend(written: Any, logits: Any) -> Any:
                at = written.shape[1] - start
                wanted = [begun[at]] if at < len(begun) else able if at == len(begun) else []
                return logits + sum(logits.new_zeros(logits.shape[1]).index_fill(0, logits.new_tensor([i]).long(), 1e3)
                                    for i in wanted)  # fmt: skip

            return write(**options, logits_processor=[bend, *given]) if given else write(**options)

        monkeypatch.setattr(local.model, "generate", held)

    return hold


def test_what_is_told_while_writing_is_what_is_told_behind_the_same_words(
    local: Transformers, requests: list[Request], in_form: Any
) -> None:
    in_form(BASIC_EMOTIONS)
    found = local.weigh(requests, MODES["explain"], BASIC_EMOTIONS, max_new_tokens=40)
    behind = local.label_probs([replace(request, prefix=BEFORE) for request in requests], BASIC_EMOTIONS)
    assert len({tuple(row.values()) for row in behind}) == 3
    for choice, chances in zip(found, behind, strict=True):
        assert choice.text.startswith(BEFORE + "<answer>" + max(chances, key=lambda label: chances[label]))
        assert choice.probabilities == pytest.approx(chances, abs=2e-4)


def test_without_a_label_written_nothing_is_told(local: Transformers, requests: list[Request]) -> None:
    found = local.weigh(requests, MODES["explain"], BASIC_EMOTIONS, max_new_tokens=6)
    assert [choice.probabilities for choice in found] == [None] * 3
    assert [choice.text for choice in found] == [reply.text for reply in local.generate(requests, 6)]


def test_labels_that_part_again_off_the_way_are_not_guessed(
    local: Transformers, requests: list[Request], in_form: Any
) -> None:
    in_form(("fear",))
    (choice,) = local.weigh(requests[:1], MODES["explain"], ("fear", "happily sad", "happily surprised"), 40)
    assert "<answer>fear" in choice.text and choice.probabilities is None


def test_who_can_weigh_is_told_apart(local: Transformers) -> None:
    assert isinstance(local, generate.Weigher) and not isinstance(Scripted(lambda _: ""), generate.Weigher)
    assert local.weigh([], MODES["explain"], BASIC_EMOTIONS) == []
