import base64
import importlib.util
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from facevlm import generate
from facevlm.answer import MODES
from facevlm.checkpoint import ModelError
from facevlm.generate import Reply, Request, Scripted, Transformers, engine, png
from facevlm.images import load_face
from facevlm.prompts import question
from facevlm.record import read
from facevlm.vocab import BASIC_EMOTIONS

FACE_TOKENS = 49  # 112 x 112 pixels in patches of 8, merged two by two

needs_vllm = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed")

VLLM = """
import json, sys
from PIL import Image
from facevlm.generate import VLLM, Request
model, text, *paths = sys.argv[1:]
requests = [Request((Image.open(p).convert("RGB"),), text) for p in paths]
engine = VLLM(model, dtype="float32", max_model_len=512, max_images=2, compiled=%c)
replies = engine.generate(requests, max_new_tokens=6)
again = engine.generate(requests, max_new_tokens=6, temperature=1.0, seed=3)
pairs = [Request(a.images + b.images, text) for a, b in zip(requests[::2], requests[1::2])]
both = engine.generate(pairs, max_new_tokens=6)
begun = engine.generate([Request(r.images, r.text, p) for r, p in zip(requests, %r)], max_new_tokens=6)
probs = [engine.label_probs(some, ("fear", "happily sad", "happily surprised")) for some in (requests, pairs)]
told = (replies, again, both, begun)
chosen = engine.choose(requests, ("fear", "happily sad", "happily surprised"), 6)
assert [(c.text, c.completion_tokens) for c in chosen] == [(r.text, r.completion_tokens) for r in replies]
probs.append([c.probabilities for c in chosen])
print(json.dumps([[[r.text, r.prompt_tokens, r.completion_tokens] for r in some] for some in told]))
print(json.dumps(probs))
"""


def faces(records: Path, n: int) -> list[Path]:
    """Pictures of n different subjects."""
    found = read(records)
    first = {record.subject: found.path(record) for record in reversed(found.records)}
    return list(first.values())[:n]


@pytest.fixture(scope="module")
def requests(records: Path) -> list[Request]:
    """Six faces, asked in questions of different length."""
    modes = ("explain", "label", "fast", "explain", "fast", "label")
    pictures = [load_face(path) for path in faces(records, 6)]
    return [Request((p,), question(MODES[m], BASIC_EMOTIONS)) for p, m in zip(pictures, modes, strict=True)]  # type: ignore[index]


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> Transformers:
    return Transformers(str(tiny_model), batch=4, dtype="float32")


def texts(replies: list[Reply]) -> list[str]:
    return [reply.text for reply in replies]


# -- scripted


def test_scripted_says_what_it_was_told_in_order(requests: list[Request]) -> None:
    replies = Scripted(lambda request: f"{len(request.text)} letters").generate(requests)
    assert [r.text for r in replies] == [f"{len(r.text)} letters" for r in requests]
    assert {r.completion_tokens for r in replies} == {2}


# -- transformers


def test_greedy_answers_repeat(local: Transformers, requests: list[Request]) -> None:
    first = local.generate(requests, max_new_tokens=8)
    assert first == local.generate(requests, max_new_tokens=8)
    assert len(set(texts(first))) > 1  # else the tests below could not see a wrong order


def test_order_is_that_of_the_requests(local: Transformers, requests: list[Request]) -> None:
    straight = local.generate(requests, max_new_tokens=8)
    assert local.generate(requests[::-1], max_new_tokens=8) == straight[::-1]


def test_answer_does_not_depend_on_the_rest_of_the_batch(local: Transformers, requests: list[Request]) -> None:
    alone = [local.generate([request], max_new_tokens=8)[0] for request in requests]
    assert local.generate(requests, max_new_tokens=8) == alone


def test_no_requests_give_no_replies(local: Transformers) -> None:
    assert local.generate([]) == []


def test_prompt_tokens_are_those_of_the_face_and_the_text(local: Transformers, requests: list[Request]) -> None:
    tokenizer = local.processor.tokenizer
    turn = "<|im_start|>user\n<|vision_start|><|vision_end|>{}<|im_end|>\n<|im_start|>assistant\n"
    for request, reply in zip(requests, local.generate(requests, max_new_tokens=1), strict=True):
        assert reply.prompt_tokens == FACE_TOKENS + len(tokenizer(turn.format(request.text)).input_ids)


def test_completion_tokens_stay_within_the_limit(local: Transformers, requests: list[Request]) -> None:
    assert all(0 < reply.completion_tokens <= 5 for reply in local.generate(requests, max_new_tokens=5))


def test_every_picture_of_a_question_is_seen_in_its_order(local: Transformers, requests: list[Request]) -> None:
    one, two, text = requests[0].images[0], requests[1].images[0], requests[0].text
    asked = [Request(images, text) for images in ((one,), (one, two), (two, one), (one, one, two))]
    replies = local.generate(asked, max_new_tokens=8)
    lengths = [reply.prompt_tokens for reply in replies]
    ends = FACE_TOKENS + 2  # its start and end mark
    assert [n - lengths[0] for n in lengths] == [0, ends, ends, 2 * ends]
    assert replies == [local.generate([request], max_new_tokens=8)[0] for request in asked]
    assert replies[1].text != replies[2].text


def test_sampling_repeats_with_its_seed_and_differs_with_another(local: Transformers, requests: list[Request]) -> None:
    runs = [texts(local.generate(requests, max_new_tokens=8, temperature=1.0, seed=seed)) for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


def test_greedy_is_not_bent_by_the_sampling_habits_of_a_checkpoint(
    local: Transformers, tiny_model: Path, tmp_path: Path, requests: list[Request]
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "habits")
    habits: dict[str, Any] = json.loads((folder / "generation_config.json").read_text())
    # What Qwen's checkpoints bring along; vLLM takes none of it either.
    habits |= {"do_sample": True, "repetition_penalty": 5.0, "temperature": 0.7, "top_k": 20, "top_p": 0.8}
    (folder / "generation_config.json").write_text(json.dumps(habits))
    bent = Transformers(str(folder), batch=4, dtype="float32")
    assert bent.generate(requests, max_new_tokens=8) == local.generate(requests, max_new_tokens=8)


# -- answers that are begun

BEGUN = ["<think>The face shows lip corner puller (AU12).</think>", "<think>", "<au>AU4</au><answer>", "",
         "<think>A quiet face.</think><au>none</au>", "no"]  # fmt: skip


def begin(requests: list[Request]) -> list[Request]:
    return [replace(request, prefix=prefix) for request, prefix in zip(requests, BEGUN, strict=True)]


def test_an_answer_goes_on_from_its_beginning(local: Transformers, requests: list[Request]) -> None:
    import torch

    plain, begun = (local.generate(some, max_new_tokens=3) for some in (requests, begin(requests)))
    assert [a == b for a, b in zip(plain, begun, strict=True)] == [not prefix for prefix in BEGUN]
    for request, first, reply in list(zip(begin(requests), plain, begun, strict=True))[:3]:
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request.text}]}]
        prompt = local.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        added = local.processor.tokenizer(request.prefix, add_special_tokens=False)["input_ids"]
        inputs = local.processor(images=[list(request.images)], text=[prompt], add_special_tokens=False,
                                 return_tensors="pt")  # fmt: skip
        ids = inputs["input_ids"][0].tolist() + [int(n) for n in added]
        written: list[int] = []
        for _ in range(reply.completion_tokens):  # token by token, without generate
            row = torch.tensor([ids + written])
            kinds = {name: torch.nn.functional.pad(value, (0, row.shape[1] - value.shape[1]))
                     for name, value in inputs.items() if name == "mm_token_type_ids"}  # fmt: skip
            shown = {name: inputs[name] for name in ("pixel_values", "image_grid_thw")}
            with torch.inference_mode():
                logits = local.model(input_ids=row, **shown, **kinds).logits
            written.append(int(logits[0, -1].argmax()))
        assert reply.text == local.processor.tokenizer.decode(written, skip_special_tokens=True)
        assert reply.prompt_tokens == first.prompt_tokens + len(added)


def test_the_seed_of_a_request_hangs_on_its_beginning(requests: list[Request]) -> None:
    assert generate.own_seed(1, requests[0]) != generate.own_seed(1, replace(requests[0], prefix="<think>"))


# -- how likely each label is

SIMILAR = ("fear", "happily sad", "happily surprised")


def by_hand(local: Transformers, request: Request, labels: tuple[str, ...]) -> dict[str, float]:
    """The probability of each label by reading the log-probabilities of each whole answer in one forward pass."""
    import torch

    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request.text}]}]
    prompt = local.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    found, steps = {}, {}
    for label in labels:
        inputs = local.processor(images=[list(request.images)], text=[f"{prompt}<answer>{label}</answer>"],
                                 add_special_tokens=False, return_tensors="pt")  # fmt: skip
        answer = local.processor.tokenizer(f"<answer>{label}</answer>", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = local.model(**inputs).logits[0, -len(answer) - 1 : -1].double()
        steps[label] = answer, logits
    for label, (answer, logits) in steps.items():
        chance = 1.0
        for i, token in enumerate(answer):
            rivals = {other[i] for other, _ in steps.values() if other[:i] == answer[:i]}
            weights = logits[i, sorted(rivals)].softmax(0)
            chance *= float(weights[sorted(rivals).index(token)])
        found[label] = chance
    return found


@pytest.mark.parametrize("labels", [BASIC_EMOTIONS, SIMILAR, ("yes", "no")], ids=["basic", "similar", "yes/no"])
def test_label_probs_are_those_of_guided_decoding(
    local: Transformers, requests: list[Request], labels: tuple[str, ...]
) -> None:
    found = local.label_probs(requests, labels)
    assert all(sum(row.values()) == pytest.approx(1) and list(row) == list(labels) for row in found)
    assert len({tuple(row.values()) for row in found}) > 1
    for request, row in zip(requests, found, strict=True):
        assert row == pytest.approx(by_hand(local, request, labels), abs=1e-4)


def test_no_requests_have_no_label_probs(local: Transformers) -> None:
    assert local.label_probs([], SIMILAR) == local.choose([], SIMILAR) == []


def test_what_can_tell_label_probs_is_told_apart(local: Transformers) -> None:
    scripted = Scripted(lambda _: "")
    assert isinstance(local, generate.LabelProbs) and not isinstance(scripted, generate.LabelProbs)
    assert isinstance(local, generate.Chooser) and not isinstance(scripted, generate.Chooser)


@pytest.mark.parametrize("labels", [BASIC_EMOTIONS, SIMILAR], ids=["basic", "similar"])
def test_a_choice_is_the_greedy_reply_with_the_label_probs(
    local: Transformers, requests: list[Request], labels: tuple[str, ...]
) -> None:
    found = local.choose(requests, labels, max_new_tokens=6)  # random weights never write <answer>: all are asked
    assert [Reply(c.text, c.prompt_tokens, c.completion_tokens) for c in found] == local.generate(requests, 6)
    for choice, chances in zip(found, local.label_probs(requests, labels), strict=True):
        assert choice.probabilities == pytest.approx(chances, abs=1e-5)


@pytest.mark.parametrize(("labels", "asked"), [(BASIC_EMOTIONS, 0), (SIMILAR, 1)],
                         ids=["one fork", "a fork off the way"])  # fmt: skip
def test_what_the_written_answer_tells_is_not_asked_again(
    local: Transformers, requests: list[Request], monkeypatch: pytest.MonkeyPatch, labels: tuple[str, ...], asked: int
) -> None:
    (begin, *_), *_ = [local.processor.tokenizer(f"<answer>{label}</answer>").input_ids for label in labels]
    write, ask, steps = local.model.generate, local._next, []

    def in_form(**options: Any) -> Any:
        """Random weights never begin with <answer>: they are made to, where an answer is written."""
        def force(written: Any, logits: Any) -> Any:
            return logits if written.shape[1] > start else logits.index_fill(1, logits.new_tensor([begin]).long(), 1e9)

        start, given = options["input_ids"].shape[1], options.pop("logits_processor", [])
        return write(**options, logits_processor=[force, *given] if given else given)

    monkeypatch.setattr(local.model, "generate", in_form)
    monkeypatch.setattr(local, "_next", lambda *step: steps.append(step) or ask(*step))
    expected = local.label_probs(requests, labels)
    steps.clear()
    found = local.choose(requests, labels, max_new_tokens=4)
    assert all(choice.text.startswith("<answer>") for choice in found)
    assert len(steps) == asked * 2  # in two batches
    for choice, chances in zip(found, expected, strict=True):
        assert choice.probabilities == pytest.approx(chances, abs=1e-5)


# -- which engine


def test_engine_that_is_not_installed_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "installed", lambda: ["transformers"])
    with pytest.raises(ModelError, match=r"'vllm' is not installed; install facevlm\[vllm\].*here: transformers"):
        engine("tiny", "vllm")


def test_no_engine_at_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "installed", list)
    with pytest.raises(ModelError, match="no engine is installed"):
        engine("tiny")


@pytest.mark.parametrize(
    ("here", "name", "chosen"),
    [(["vllm", "transformers"], "auto", "VLLM"), (["transformers"], "auto", "Transformers"),
     (["vllm", "transformers"], "transformers", "Transformers")],
)  # fmt: skip
def test_engine_takes_the_best_that_is_here(
    monkeypatch: pytest.MonkeyPatch, here: list[str], name: generate.EngineName, chosen: str
) -> None:
    monkeypatch.setattr(generate, "installed", lambda: here)
    for kind in ("VLLM", "Transformers"):
        monkeypatch.setattr(generate, kind, lambda model, kind=kind, **options: (kind, model, options))
    made: Any = engine("some/model", name, max_images=3, dtype="float32")
    # Only vLLM sets memory aside for pictures.
    assert made == (chosen, "some/model", {"dtype": "float32"} | ({"max_images": 3} if chosen == "VLLM" else {}))


def test_engine_of_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelError, match="'./nope' does not exist"):
        engine("./nope", "transformers")


def test_vllm_refuses_more_pictures_than_it_was_started_for(requests: list[Request]) -> None:
    started = object.__new__(generate.VLLM)
    started.max_images = 1
    two = Request(requests[0].images * 2, "Which action units appeared?")
    with pytest.raises(ModelError, match=r"has 2 pictures, and the engine was started for 1; .*max_images=2"):
        started.generate([requests[0], two])


def test_png_keeps_every_pixel(requests: list[Request]) -> None:
    head, _, body = png(requests[0].images[0]).partition(",")
    back = Image.open(io.BytesIO(base64.b64decode(body)))
    assert head == "data:image/png;base64"
    assert ImageChops.difference(back.convert("RGB"), requests[0].images[0]).getbbox() is None


# -- vLLM, in a process of its own: loaded in this one it would leave its state behind


def whole(replies: list[Reply]) -> list[Reply]:
    """Without a torn letter at the end, which random weights may well say: vLLM holds it back."""
    return [replace(reply, text=reply.text.rstrip("\ufffd")) for reply in replies]


Chances = list[dict[str, float]]


def through_vllm(
    model: Path, records: Path, compiled: bool = False
) -> tuple[list[Request], list[Reply], list[Reply], list[Reply], list[Reply], list[Chances]]:
    """The requests, vLLM's greedy replies, its sampled ones, those to the pictures two by two, those that `BEGUN`
    begins, and how likely it finds each of `SIMILAR` for the single pictures, the pairs, and while it answers."""
    paths = faces(records, 6)
    text = question(MODES["explain"], BASIC_EMOTIONS)
    code = VLLM.replace("%r", repr(BEGUN)).replace("%c", repr(compiled))
    done = subprocess.run([sys.executable, "-c", code, str(model), text, *map(str, paths)], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    *_, replies, probs = done.stdout.splitlines()
    greedy, sampled, both, begun = ([Reply(*row) for row in rows] for rows in json.loads(replies))
    return [Request((load_face(path),), text) for path in paths], greedy, sampled, both, begun, json.loads(probs)


@needs_vllm
@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
def test_vllm_says_what_transformers_says(
    tiny_model: Path, records: Path, local: Transformers, compiled: bool
) -> None:
    asked, greedy, sampled, both, begun, probs = through_vllm(tiny_model, records, compiled)
    assert whole(greedy) == whole(local.generate(asked, max_new_tokens=6))
    assert texts(sampled) != texts(greedy)
    pairs = [Request(a.images + b.images, a.text) for a, b in zip(asked[::2], asked[1::2], strict=True)]
    assert whole(both) == whole(local.generate(pairs, max_new_tokens=6))
    assert whole(begun) == whole(local.generate(begin(asked), max_new_tokens=6)) != whole(greedy)
    for requests, found in zip((asked, pairs, asked), probs, strict=True):
        for row, same in zip(found, local.label_probs(requests, SIMILAR), strict=True):
            assert row == pytest.approx(same, abs=1e-4)


CHOOSING = """
import json, sys
from PIL import Image
from facevlm.generate import VLLM, Request
text, labels, *paths = sys.argv[1:]
requests = [Request((Image.open(p).convert("RGB"),), text) for p in paths]
engine = VLLM("tiny", dtype="float32", max_model_len=512)
probs = [engine.label_probs(requests, json.loads(labels))]
write, ask, calls = engine._vllm.SamplingParams, engine.llm.generate, []
begin, *_ = engine._processor.tokenizer("<answer>")["input_ids"]
class InForm:  # the embedded model was not taught <answer>: it is made to write it, which bends no log-probability
    def SamplingParams(**options):
        return write(**options, logit_bias={begin: 100.0} if options["max_tokens"] > 1 else None)
engine._vllm = InForm
engine.llm.generate = lambda *args, **options: calls.append(args) or ask(*args, **options)
chosen = engine.choose(requests, json.loads(labels), 4)
assert all(choice.text.startswith("<answer>") for choice in chosen)
print(json.dumps([len(calls), *probs, [c.probabilities for c in chosen]]))
"""


@needs_vllm
@pytest.mark.slow
def test_vllm_tells_while_it_answers_what_it_tells_when_asked(records: Path) -> None:
    text = question(MODES["label"], BASIC_EMOTIONS)
    words = [text, json.dumps(BASIC_EMOTIONS), *map(str, faces(records, 6))]
    done = subprocess.run([sys.executable, "-c", CHOOSING, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    further, asked, told = json.loads(done.stdout.splitlines()[-1])
    assert further == 0 and len({tuple(row.values()) for row in told}) > 1
    for row, same in zip(told, asked, strict=True):
        assert row == pytest.approx(same, abs=1e-5)


@needs_vllm
@pytest.mark.slow
def test_vllm_says_through_an_adapter_what_transformers_says_with_it_merged(
    tiny_adapter: Path, records: Path, local: Transformers
) -> None:
    asked, greedy, _, _, _, (probs, *_) = through_vllm(tiny_adapter, records)
    merged = Transformers(str(tiny_adapter), dtype="float32").generate(asked, max_new_tokens=6)
    assert whole(greedy) == whole(merged)
    assert texts(merged) != texts(local.generate(asked, max_new_tokens=6))
    through_merged = Transformers(str(tiny_adapter), dtype="float32").label_probs(asked, SIMILAR)
    assert all(a == pytest.approx(b, abs=1e-4) for a, b in zip(probs, through_merged, strict=True))
