"""A model behind an OpenAI-compatible chat endpoint: vLLM on another machine, a gateway, or a paid service.

    Endpoint("Qwen/Qwen3-VL-32B-Instruct", "http://gpu-box:8000/v1").generate(requests)

What fails for a while is asked again; what fails for good becomes a `Failure` in its place, and the batch goes on. An
endpoint that refuses the key or the model, or that is gone, ends it with one `EndpointError`.
"""

import asyncio
import json
import os
import random
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from facevlm.checkpoint import ModelError
from facevlm.generate.chat import png
from facevlm.generate.protocols import Reply, Request, own_seed

LONGEST_WAIT = 120.0
"""Seconds: the most that is waited between two attempts, whatever the endpoint asks for."""

_MANY = 8
"""Requests that may fail one after another, whatever the concurrency, before the endpoint itself is blamed."""


class EndpointError(ModelError):
    """The endpoint as a whole cannot be used; the text says what was asked, what came back and what to do."""

    answered: Mapping[int, Reply] = MappingProxyType({})
    """What was answered before, by the number of the request: paid for, and not to be lost."""


@dataclass(frozen=True, slots=True)
class Failure(Reply):
    """Stands where a reply should: the request failed for good. Its text is empty."""

    fault: str = ""
    again: bool = False
    """Whether the endpoint was at fault, so that the same request may well succeed later."""


@dataclass(slots=True)
class Usage:
    """What an endpoint was asked for so far."""

    answered: int = 0
    failed: int = 0
    """Requests that failed for good."""
    retries: int = 0
    """Attempts beyond the first of each request."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """As the endpoint counts them; 0 where it does not."""
    seconds: float = 0.0


class _Fault(Exception):
    """One attempt failed; `wait` is after how many seconds the endpoint wants to be asked again."""

    def __init__(self, text: str, again: bool, wait: float | None = None) -> None:
        super().__init__(text)
        self.text, self.again, self.wait = text, again, wait


class Endpoint:
    """Asks a chat endpoint, many requests at once; a `facevlm.generate.Generator`."""

    engine = "endpoint"

    def __init__(self, model: str, url: str, api_key_env: str | None = None, concurrency: int = 32,
                 timeout: float = 120.0, retries: int = 6, body: Mapping[str, Any] | None = None,
                 backoff: float = 0.5) -> None:  # fmt: skip
        """
        Args:
            model: the name by which the endpoint knows it.
            url: base address, such as http://gpu-box:8000/v1.
            api_key_env: name of the environment variable that holds the key; None = no key is sent.
            concurrency: requests under way at once.
            timeout: seconds for one attempt as a whole.
            retries: further attempts after a time-out, a lost connection, 408, 409, 429, 5xx or an unreadable reply.
            body: more fields of the request; null leaves one of ours out.
            backoff: seconds before the first retry; doubled each time, up to `LONGEST_WAIT`, with jitter.

        Raises:
            facevlm.checkpoint.ModelError: the url is none, the variable is not set, or `openai` is not installed.
        """
        try:
            import openai
        except ImportError as e:
            raise ModelError("an endpoint needs the openai client: pip install facevlm[teacher]") from e
        self._openai, self.model, self.url = openai, model, checked_url(url)
        # Without one, a word is sent: else the client sends what OPENAI_API_KEY holds, to whatever address this is.
        self._key = os.environ.get(api_key_env, "").strip() if api_key_env else ""
        if api_key_env and not self._key:
            raise ModelError(f"api_key_env names the environment variable {api_key_env}, which is not set: export it")
        self.concurrency, self.timeout, self.retries = concurrency, timeout, retries
        self.body, self.backoff, self.usage = dict(body or {}), backoff, Usage()
        self._many, self._streak = max(_MANY, concurrency), 0  # failures since the last answer

    def generate(self, requests: Sequence[Request], max_new_tokens: int = 512, temperature: float = 0.0,
                 seed: int | None = None) -> list[Reply]:  # fmt: skip
        """Answer all requests, in their order; see `Generator`. What failed for good is a `Failure`.

        Raises:
            EndpointError: the key or the model is refused, every request fails, or the endpoint is gone.
            facevlm.checkpoint.ModelError: an answer is to begin in a given way.
        """
        if any(request.prefix for request in requests):
            raise ModelError("an endpoint's chat template may rewrite the beginning of an answer, and nobody would "
                             "see it: ask with engine vllm or transformers, or set no prefix")  # fmt: skip
        start = time.perf_counter()
        self._streak = 0
        fields = {"max_tokens": max_new_tokens, "temperature": temperature}
        try:
            return asyncio.run(self._all(requests, fields, seed)) if requests else []
        finally:
            self.usage.seconds += time.perf_counter() - start

    async def _all(self, requests: Sequence[Request], fields: dict[str, Any], seed: int | None) -> list[Reply]:
        gate = asyncio.Semaphore(self.concurrency)

        async def one(request: Request) -> Reply:
            async with gate:
                return await self._one(client, request, fields, seed)

        # No retries but ours: the client's do not cover replies that cannot be read, are not counted, stop at 8 s of
        # waiting, and its time-out starts anew with every byte.
        async with self._openai.AsyncOpenAI(api_key=self._key or "none", base_url=self.url, max_retries=0,
                                            timeout=self.timeout) as client:  # fmt: skip
            tasks: list[asyncio.Task[Reply]] = []
            try:
                async with asyncio.TaskGroup() as group:
                    tasks += [group.create_task(one(request)) for request in requests]
                replies = [task.result() for task in tasks]
                failures = [reply for reply in replies if isinstance(reply, Failure)]
                if len(failures) == len(replies) and (not self.usage.answered or len(replies) >= self._many):
                    self._blame(failures[-1].fault)
                if any(failure.again for failure in failures):
                    await self._probe(client)
            except (BaseExceptionGroup, EndpointError) as e:
                error = e.exceptions[0] if isinstance(e, BaseExceptionGroup) else e
                if isinstance(error, EndpointError):
                    error.answered = _answered(tasks)
                raise error from None
        return replies

    async def _one(self, client: Any, request: Request, fields: dict[str, Any], seed: int | None) -> Reply:
        body = fields | ({} if seed is None else {"seed": own_seed(seed, request)}) | self.body
        pictures = await asyncio.to_thread(lambda: [png(image) for image in request.images])
        content = [*({"type": "image_url", "image_url": {"url": url}} for url in pictures),
                   {"type": "text", "text": request.text}]  # fmt: skip
        messages = [{"role": "user", "content": content}]
        for attempt in range(self.retries + 1):
            try:
                return await self._attempt(client, messages, {k: v for k, v in body.items() if v is not None})
            except _Fault as e:
                fault = e
            wait = fault.wait or min(self.backoff * 2**attempt, LONGEST_WAIT) * random.uniform(0.5, 1)
            if not fault.again or wait > LONGEST_WAIT or attempt == self.retries:
                break
            self.usage.retries += 1
            await asyncio.sleep(wait)
        self.usage.failed += 1
        # Once there were answers, what the endpoint refuses about single requests says nothing about the rest.
        self._streak += fault.again or not self.usage.answered
        if self._streak >= self._many:
            self._blame(fault.text)
        return Failure("", 0, 0, fault.text, fault.again)

    async def _attempt(self, client: Any, messages: list[dict[str, Any]], body: dict[str, Any]) -> Reply:
        try:
            async with asyncio.timeout(self.timeout):
                raw = await client.chat.completions.with_raw_response.create(model=self.model, messages=messages,
                                                                             extra_body=body)  # fmt: skip
        except (TimeoutError, self._openai.APITimeoutError):
            raise _Fault(f"no answer within {self.timeout:g} s", again=True) from None
        except self._openai.APIStatusError as e:
            raise self._refused(e) from None
        except self._openai.APIConnectionError as e:
            raise _Fault(f"the connection failed: {self._safe(e.__cause__ or e)}", again=True) from None
        reply = _read(raw.http_response.text)
        self._streak = 0
        self.usage.answered += 1
        self.usage.prompt_tokens += reply.prompt_tokens
        self.usage.completion_tokens += reply.completion_tokens
        return reply

    def _refused(self, error: Any) -> _Fault:
        """What an HTTP error status means.

        Raises:
            EndpointError: that no other request can succeed either.
        """
        status, said = error.status_code, f"HTTP {error.status_code}: {self._safe(error.response.text)}"
        if status in (401, 402) or "insufficient_quota" in said:
            self._stop(said, "look at the key in the environment variable that api_key_env names, and at the account")
        if status == 404:
            self._stop(said, "look at `model` and `url`; the url of most servers ends in /v1")
        return _Fault(said, again=status in (408, 409, 429) or status >= 500, wait=_retry_after(error.response))

    async def _probe(self, client: Any) -> None:
        """Tell an endpoint that chokes on some requests from one that went away.

        Raises:
            EndpointError: it does not answer at all: what failed must be asked again when it is back.
        """
        try:
            await client.with_options(timeout=min(self.timeout, 15.0)).models.with_raw_response.list()
        except self._openai.APIStatusError as e:
            if e.status_code in (502, 503, 504):
                self._blame(f"HTTP {e.status_code}: {self._safe(e.response.text)}")
        except self._openai.APIConnectionError as e:
            self._blame(f"the connection failed: {self._safe(e.__cause__ or e)}")

    def _blame(self, fault: str) -> NoReturn:
        done = f" after {self.usage.answered} answers" if self.usage.answered else ""
        self._stop(f"{fault}{done}", "see whether it runs, takes pictures and knows every field of the request "
                   "(`body` can leave one out), then start again")  # fmt: skip

    def _stop(self, said: str, remedy: str) -> NoReturn:
        raise EndpointError(f"endpoint {self.url} was asked for model {self.model!r} and does not serve: {said}; "
                            f"{remedy}")  # fmt: skip

    def _safe(self, said: object) -> str:
        """What came back, shortened, without the key: some servers repeat it."""
        text = " ".join(str(said).split())
        return (text.replace(self._key, "***") if self._key else text)[:500]


def _answered(tasks: Sequence[asyncio.Task[Reply]]) -> dict[int, Reply]:
    done = {i: task for i, task in enumerate(tasks) if task.done() and not task.cancelled() and not task.exception()}
    return {i: task.result() for i, task in done.items() if not isinstance(task.result(), Failure)}


def checked_url(url: str) -> str:
    """The base address of an endpoint, without what a client adds to it.

    Raises:
        facevlm.checkpoint.ModelError: it is none, or it holds what must not be written down.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError(f"url {url!r} is no address of an endpoint; it looks like http://gpu-box:8000/v1")
    if parts.username or parts.password or parts.query:
        raise ModelError("url holds a user name, a password or a query, and is written beside the output: put the key "
                         "into an environment variable and its name into api_key_env")  # fmt: skip
    return url.rstrip("/").removesuffix("/chat/completions")


def _retry_after(response: Any) -> float | None:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _read(text: str) -> Reply:
    """The reply in the JSON of a chat completion.

    Raises:
        _Fault: it is none, or it holds no text.
    """
    try:
        body = json.loads(text)
        choice = body["choices"][0]
        content, why = choice["message"].get("content"), choice.get("finish_reason")
        usage = body.get("usage") or {}
        tokens = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise _Fault(f"the reply is no chat completion: {text[:200]!r}", again=True) from None
    if not isinstance(content, str) or not content.strip():
        said = choice["message"].get("refusal") or f"finish_reason {why}"
        raise _Fault(f"the reply holds no text ({said})", again=why not in ("content_filter", "length", "stop"))
    return Reply(content, *tokens)
