"""The engines together: a request goes to the least busy one that serves its model, or waits for it.

An engine that dies takes its requests along: a clean 503 with Retry-After, unless another one lives, which is then
tried once. What waits here meanwhile is not lost.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pydantic_core

from facevlm.serve.counters import Counters
from facevlm.serve.engines.launch import ServedModel
from facevlm.serve.engines.replica import EngineGone, Replica
from facevlm.serve.faults import ApiError
from facevlm.serve.settings import Config

_DYING_SECONDS = 0.1  # a process that is killed may still answer for a moment


class Upstream:
    """All engines of a gateway."""

    def __init__(self, replicas: Sequence[Replica], config: Config, counters: Counters) -> None:
        self.replicas = list(replicas)
        self._config, self._counters = config, counters
        self._waiting: defaultdict[str, deque[asyncio.Future[Replica]]] = defaultdict(deque)
        self._turn = 0
        self.draining = False
        """Whether the service is about to end: no new requests are taken."""

    # -- what is served

    @property
    def models(self) -> Mapping[str, ServedModel]:
        """Every model by its name, those of engines that are down included; the first is the default."""
        return {name: model for replica in self.replicas for name, model in replica.models.items()}

    def model(self, name: str | None) -> ServedModel:
        """A model by name; None = the default one.

        Raises:
            ApiError: 404, there is none; 503, no engine has told yet what it serves.
        """
        models = self.models
        if not models:
            raise ApiError(503, "no engine has been reached yet", "starting", retry_after=5)
        if name is None:
            return next(iter(models.values()))
        if name not in models:
            raise ApiError(404, f"there is no such model; there are: {', '.join(models)}", "model_not_found", "model")
        return models[name]

    @property
    def ready(self) -> bool:
        """Whether every model has an engine that answers."""
        live = {name for replica in self.replicas if replica.up for name in replica.models}
        return bool(live) and live == set(self.models) and not self.draining

    # -- asking

    async def chat(self, model: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a whole completion.

        Args:
            model: its name; None = the default one.
            body: a chat completion request as vLLM takes it, pictures as data URLs (`Pictures.for_engine`,
                `pictures.encode`); `model` and `stream` are set here.

        Returns:
            The engine's reply: {"choices": [{"message": {"content": …}, "logprobs": …}, …], "usage": …}.

        Raises:
            ApiError: 400, the engine refuses it; 404; 503 with Retry-After, no engine.
        """
        served = self.model(model)
        payload = pydantic_core.to_json(dict(body) | {"model": served.name, "stream": False})
        for last in (False, True):
            async with self._lease(served.name) as replica:
                try:
                    reply = await replica.complete(payload)
                except EngineGone:
                    await self._broken(replica)
                else:
                    self.count_tokens(served.name, reply.get("usage"))
                    return reply
            self._again(served.name, replica, last)
        raise AssertionError("not reached")

    async def stream(self, model: str | None, body: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        """Ask for a completion piece by piece: the JSON of each chunk. Errors of `chat` come with the first one.

        Raises:
            ApiError: as `chat`; and 503 in the middle, if the engine dies.
        """
        served = self.model(model)
        options = dict(body.get("stream_options") or {}) | {"include_usage": True}
        payload = pydantic_core.to_json(dict(body) | {"model": served.name, "stream": True, "stream_options": options})
        begun = False
        for last in (False, True):
            async with self._lease(served.name) as replica:
                try:
                    async with aclosing(replica.events(payload)) as events:
                        async for event in events:
                            begun = True
                            yield event
                except EngineGone:
                    await self._broken(replica)
                else:
                    return
            self._again(served.name, replica, last or begun)

    def count_tokens(self, model: str, usage: Mapping[str, Any] | None) -> None:
        """Count what a reply used, for the metrics; `chat` does, whoever streams has to."""
        for kind in ("prompt_tokens", "completion_tokens"):
            if isinstance(n := (usage or {}).get(kind), int):
                self._counters.tokens.labels(model, kind.removesuffix("_tokens")).inc(n)

    async def _broken(self, replica: Replica) -> None:
        """Find out whether an engine is dead: vLLM also closes a connection after an error of its own."""
        self.mark(replica, up=False)  # until that is known: what waits must not be given to it
        await asyncio.sleep(_DYING_SECONDS)
        if await replica.alive(2.0):
            self.mark(replica, up=True)
        replica.suspect.set()

    def _again(self, model: str, replica: Replica, last: bool) -> None:
        """Raises:
        ApiError: 503, unless another attempt is due and some engine is there for it.
        """
        if last or not any(one.up for one in self.replicas if model in one.models):
            raise ApiError(503, "the engine stopped while it answered; it is being started again", "engine_lost",
                           retry_after=replica.restart_seconds)  # fmt: skip

    # -- who is next

    def mark(self, replica: Replica, up: bool) -> None:
        """An engine came up or went down."""
        replica.up = up
        self._counters.engine_up.labels(replica.name).set(up)
        if up:
            for name in replica.models:
                self._hand_out(name)

    def _pick(self, model: str) -> Replica | None:
        free = [r for r in self.replicas if r.up and model in r.models and r.busy < self._config.per_engine]
        if not free:
            return None
        self._turn += 1
        least = min(r.busy for r in free)
        level = [r for r in free if r.busy == least]
        return level[self._turn % len(level)]

    def _hand_out(self, model: str) -> None:
        queue = self._waiting[model]
        while queue:
            if queue[0].done():  # given up
                queue.popleft()
                continue
            replica = self._pick(model)
            if replica is None:
                return
            replica.busy += 1
            queue.popleft().set_result(replica)

    @asynccontextmanager
    async def _lease(self, model: str) -> AsyncIterator[Replica]:
        replica = await self._take(model)
        try:
            yield replica
        finally:
            self._give_back(replica)

    def _give_back(self, replica: Replica) -> None:
        replica.busy -= 1
        for name in replica.models:
            self._hand_out(name)

    async def _take(self, model: str) -> Replica:
        queue = self._waiting[model]
        if not queue and (replica := self._pick(model)) is not None:
            replica.busy += 1
            return replica
        if sum(map(len, self._waiting.values())) >= self._config.max_waiting:
            raise ApiError(503, "too many requests wait already", "overloaded", retry_after=5)
        place: asyncio.Future[Replica] = asyncio.get_running_loop().create_future()
        queue.append(place)
        self._counters.waiting.inc()
        try:
            async with asyncio.timeout(self._config.wait_seconds):
                return await place
        except TimeoutError:
            self._leave(queue, place)
            raise ApiError(503, f"no engine was free within {self._config.wait_seconds:g} s", "overloaded",
                           retry_after=10) from None  # fmt: skip
        except asyncio.CancelledError:
            self._leave(queue, place)
            raise
        finally:
            self._counters.waiting.dec()

    def _leave(self, queue: deque[asyncio.Future[Replica]], place: asyncio.Future[Replica]) -> None:
        """Give up a place, and the engine if one was given at the same moment."""
        with contextlib.suppress(ValueError):
            queue.remove(place)
        if place.done() and not place.cancelled():
            self._give_back(place.result())

    async def close(self) -> None:
        for replica in self.replicas:
            await replica.close()
