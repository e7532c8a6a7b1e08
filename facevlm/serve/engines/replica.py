"""One engine as the gateway sees it: an address, the models behind it, and whether it answers."""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pydantic_core

from facevlm.serve.engines.launch import ServedModel
from facevlm.serve.faults import ApiError

_CHAT = "/v1/chat/completions"
_JSON = {"content-type": "application/json"}
_HEALTH_SECONDS = 10.0


class EngineGone(Exception):
    """The engine, or the way to it, broke while a request was on it; nothing of the answer was passed on."""


class Replica:
    """An engine's address; `up` says whether it is given requests."""

    def __init__(self, name: str, url: str, models: Mapping[str, ServedModel], socket: str | None = None,
                 key: str | None = None) -> None:  # fmt: skip
        """
        Args:
            name: for metrics and logs.
            url: such as http://10.0.0.5:8001.
            models: what it serves, by name.
            socket: a Unix socket in place of the url's host.
            key: what the engine itself asks for.
        """
        self.name, self.models = name, dict(models)
        self.up = False
        self.busy = 0
        """Requests that it has been given and not yet answered."""
        self.restart_seconds = 5.0
        """How long it may take to come back: what clients are told to wait."""
        self.suspect = asyncio.Event()
        """Set when a request broke on it; whoever watches over it then looks at once."""
        self._url, self._socket, self._key = url.rstrip("/").removesuffix("/v1"), socket, key
        self._session: aiohttp.ClientSession | None = None

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Idle connections are dropped before vLLM drops them (5 s by default, 75 s in engines of ours).
            options: dict[str, Any] = {"limit": 0, "keepalive_timeout": 15 if self._socket else 3}
            connector = aiohttp.UnixConnector(self._socket, **options) if self._socket else (
                aiohttp.TCPConnector(**options))  # fmt: skip
            headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            self._session = aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)
        return self._session

    async def alive(self, seconds: float = _HEALTH_SECONDS) -> bool:
        """Whether it answers its health route; a server without one is alive if it answers at all."""
        try:
            async with asyncio.timeout(seconds), self._open.get(f"{self._url}/health") as reply:
                return reply.status < 500
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False

    async def list_models(self) -> list[dict[str, Any]]:
        """What its /v1/models says.

        Raises:
            EngineGone: it does not answer, or not with a list of models.
        """
        try:
            async with asyncio.timeout(_HEALTH_SECONDS), self._open.get(f"{self._url}/v1/models") as reply:
                found = pydantic_core.from_json(await reply.read())["data"]
                return [one for one in found if isinstance(one["id"], str)]
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, LookupError, TypeError) as e:
            raise EngineGone(f"{self.name} does not list its models: {e}") from e

    async def complete(self, body: bytes) -> dict[str, Any]:
        """The whole completion for a request body.

        Raises:
            EngineGone: it broke.
            ApiError: it refuses the request.
        """
        async with self._asked(body) as reply:
            try:
                return pydantic_core.from_json(await reply.read())
            except ValueError as e:
                raise EngineGone("half an answer") from e

    async def events(self, body: bytes) -> AsyncGenerator[bytes, None]:
        """The payloads of a streamed completion's events, without "data: ", up to [DONE].

        Raises:
            EngineGone: it broke, or it ended without [DONE].
            ApiError: it refuses the request.
        """
        async with self._asked(body) as reply:
            async for line in reply.content:
                payload = line.strip().removeprefix(b"data:").strip()
                if payload == b"[DONE]":
                    return
                if line.startswith(b"data:"):
                    yield payload
            raise EngineGone("the stream ended early")

    @asynccontextmanager
    async def _asked(self, body: bytes) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        try:
            # A line of a stream may carry logprobs: aiohttp's usual limit is 2 x 64 KiB.
            async with self._open.post(self._url + _CHAT, data=body, headers=_JSON, read_bufsize=2**20) as reply:
                if reply.status != 200:
                    _refuse(reply.status, await reply.read())
                yield reply
        except (aiohttp.ClientError, OSError, ValueError) as e:
            raise EngineGone(f"{self.name}: {type(e).__name__}") from e

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _refuse(status: int, raw: bytes) -> None:
    """Raise what an engine's error means for the client."""
    try:
        error = pydantic_core.from_json(raw)["error"]
        said, param = str(error["message"]), error.get("param")
    except (ValueError, LookupError, TypeError, AttributeError):
        said, param = "the request was refused", None
    if status in (400, 404, 413, 422):
        # Some errors show objects with their addresses, which help an attacker (CVE-2026-22778).
        said = re.sub(r"\s+at 0x[0-9a-fA-F]+", "", said)[:1000]
        raise ApiError(400, said, "engine_refused", param if isinstance(param, str) else None)
    if status in (401, 403):
        raise ApiError(502, "the engine refuses the gateway; its operator must look at engine_key_env", "engine_key")
    if status in (429, 503):
        raise ApiError(503, "the engine is overloaded", "overloaded", retry_after=5)
    raise EngineGone(f"HTTP {status}")
