"""The engine that is vLLM in this process."""

import functools
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facevlm import choosing
from facevlm.answer import Part
from facevlm.checkpoint import ModelError, adapter_of, resolve
from facevlm.generate.chat import WATCHED, answer_tokens, chat_texts, chosen, messages, places, weighed
from facevlm.generate.protocols import Choice, Reply, Request, own_seed


class VLLM:
    """A local model in an in-process vLLM: continuous batching, the fast way on GPUs and on CPUs alike."""

    engine = "vllm"

    def __init__(self, model: str, dtype: str = "auto", max_model_len: int = 4096, gpu_memory: float = 0.85,
                 max_images: int = 1, compiled: bool | None = None) -> None:  # fmt: skip
        """
        Args:
            model: folder, adapter folder (served through vLLM's LoRA), Hub name, or "tiny".
            max_model_len: longest prompt and answer in tokens, image tokens included.
            gpu_memory: share (0-1) of the GPU's memory that vLLM may take.
            max_images: most pictures of one question; vLLM sets memory aside for them.
            compiled: compile the model at the start. None = on GPUs; a CPU takes about a minute for it, and is then a
                third faster (docs/performance.md).

        Raises:
            facevlm.checkpoint.ModelError: there is no such model.
        """
        # Read at import: no engine process of its own, little KV memory, quiet logs unless asked otherwise.
        for name, value in (("VLLM_ENABLE_V1_MULTIPROCESSING", "0"), ("VLLM_CPU_KVCACHE_SPACE", "1"),
                            ("VLLM_LOGGING_LEVEL", "WARNING"), ("VLLM_NO_USAGE_STATS", "1")):  # fmt: skip
            os.environ.setdefault(name, value)
        import torch
        import vllm

        logging.getLogger("vllm.v1.worker.cpu_worker").addFilter(_worth_saying)
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
        options["enforce_eager"] = not (torch.cuda.is_available() if compiled is None else compiled)
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
        chats = [messages(r, [{"type": "image_pil", "image_pil": image} for image in r.images]) for r in requests]
        return list(self.llm.chat(chats, params, use_tqdm=False, lora_request=self._lora))

    def _check(self, requests: Sequence[Request]) -> None:
        if (most := max((len(r.images) for r in requests), default=0)) > self.max_images:
            raise ModelError(f"a question has {most} pictures, and the engine was started for {self.max_images}; "
                             f"start it with max_images={most}")  # fmt: skip

    def label_probs(self, requests: Sequence[Request], labels: Sequence[str]) -> list[dict[str, float]]:
        self._check(requests)
        paths = answer_tokens(self._processor.tokenizer, labels)
        return choosing.label_probs(labels, paths, [{}] * len(requests), self._asking(requests))

    def choose(self, requests: Sequence[Request], labels: Sequence[str], max_new_tokens: int = 512) -> list[Choice]:
        self._check(requests)
        paths = answer_tokens(self._processor.tokenizer, labels)
        parting = choosing.forks(paths)
        outputs = self._write(requests, self._vllm.SamplingParams(
            temperature=0.0, max_tokens=max_new_tokens, logprob_token_ids=choosing.watched(parting, WATCHED) or None))
        known = [choosing.passed(parting, o.outputs[0].token_ids, _logprobs(o)) for o in outputs]
        chances = choosing.label_probs(labels, paths, known, self._asking(requests))
        return chosen([_reply(output) for output in outputs], chances)

    def weigh(self, requests: Sequence[Request], parts: Sequence[Part], labels: Sequence[str],
              max_new_tokens: int = 512) -> list[Choice]:  # fmt: skip
        self._check(requests)
        where = places(self._processor.tokenizer, parts, labels)
        outputs = self._write(requests, self._vllm.SamplingParams(
            temperature=0.0, max_tokens=max_new_tokens, logprob_token_ids=where.wanted(aus=False)))
        return chosen([_reply(o) for o in outputs],
                       [weighed(o.outputs[0].token_ids, _logprobs(o), where) for o in outputs])

    @functools.cached_property
    def _processor(self) -> Any:
        from facevlm.model import load_processor

        return load_processor(self._model)

    def _prompts(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        # The prompt as tokens: as text, the beginning of an answer might be cut into other tokens than the answer is.
        return [{"prompt_token_ids": self._processor.tokenizer(text, add_special_tokens=False)["input_ids"],
                 "multi_modal_data": {"image": list(request.images)}}
                for text, request in zip(chat_texts(self._processor, requests), requests, strict=True)]  # fmt: skip

    def _asking(self, requests: Sequence[Request]) -> choosing.Step:
        """How the log-probabilities of tokens after the beginning of an answer are asked for."""
        prompts = functools.cache(lambda: self._prompts(requests))

        def step(numbers: list[int], path: choosing.Path, tokens: list[int]) -> list[dict[int, float]]:
            params = self._vllm.SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=tokens)
            asked = [prompts()[i] | {"prompt_token_ids": [*prompts()[i]["prompt_token_ids"], *path]} for i in numbers]
            outputs = self.llm.generate(asked, params, use_tqdm=False, lora_request=self._lora)
            return [_logprobs(output)[0] for output in outputs]

        return step


def _worth_saying(record: logging.LogRecord) -> bool:
    """Not that vLLM's own picture processor may not set the number of threads: it says so for every picture."""
    return "set_num_threads" not in str(record.msg)


def _reply(output: Any) -> Reply:
    return Reply(output.outputs[0].text, len(output.prompt_token_ids), len(output.outputs[0].token_ids))


def _logprobs(output: Any) -> list[dict[int, float]]:
    """At each place of an output of vLLM, the log-probabilities that were asked for."""
    return [{token: one.logprob for token, one in at.items()} for at in output.outputs[0].logprobs or ()]
