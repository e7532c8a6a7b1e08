"""The engine that is transformers' own `generate`."""

import functools
from collections.abc import Sequence
from typing import Any

from facevlm import choosing
from facevlm.answer import Part
from facevlm.generate.chat import WATCHED, answer_tokens, chat_texts, chosen, places, weighed
from facevlm.generate.protocols import Choice, Reply, Request


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
        paths, found = answer_tokens(self.processor.tokenizer, labels), list[dict[str, float]]()
        for start in range(0, len(requests), self.batch):
            batch = requests[start : start + self.batch]
            found += choosing.label_probs(labels, paths, [{}] * len(batch), functools.partial(self._next, batch))
        return found

    def choose(self, requests: Sequence[Request], labels: Sequence[str], max_new_tokens: int = 512) -> list[Choice]:
        paths, found = answer_tokens(self.processor.tokenizer, labels), list[Choice]()
        parting, options = choosing.forks(paths), self._options(max_new_tokens)
        tokens = choosing.watched(parting, WATCHED)
        for start in range(0, len(requests), self.batch):
            batch = requests[start : start + self.batch]
            replies, written, logits = self._watch(batch, tokens, options)
            known = [choosing.passed(parting, *one) for one in zip(written, logits, strict=True)]
            chances = choosing.label_probs(labels, paths, known, functools.partial(self._next, batch))
            found += chosen(replies, chances)
        return found

    def weigh(self, requests: Sequence[Request], parts: Sequence[Part], labels: Sequence[str],
              max_new_tokens: int = 512) -> list[Choice]:  # fmt: skip
        where, found = places(self.processor.tokenizer, parts, labels), list[Choice]()
        tokens, options = where.wanted(aus=False), self._options(max_new_tokens)
        for start in range(0, len(requests), self.batch):
            replies, written, logits = self._watch(requests[start : start + self.batch], tokens, options)
            found += chosen(replies, [weighed(*one, where) for one in zip(written, logits, strict=True)])
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
        texts = chat_texts(self.processor, requests)
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
