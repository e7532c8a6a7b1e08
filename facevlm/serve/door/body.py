"""The body of a request as it comes in: counted, timed, and never on disk."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import Message

from facevlm.serve.faults import ApiError
from facevlm.serve.settings import Config


class Buffered:
    """Bytes of bodies that the gateway holds, over all requests."""

    def __init__(self, most: int) -> None:
        self.most, self.now = most, 0


class BodyReader:
    """ASGI's `receive`, with limits on the body.

    Once the body is complete, it waits for the client to hang up and sets `gone`.
    """

    def __init__(self, receive: Callable[[], Awaitable[Message]], config: Config, buffered: Buffered,
                 promised: int | None) -> None:  # fmt: skip
        """
        Args:
            promised: the content-length; None = not said.

        Raises:
            ApiError: 413, too long by its own word.
        """
        self._receive, self._config, self._buffered = receive, config, buffered
        self._most = int(config.max_body_mb * 2**20)
        self._ends = time.monotonic() + config.body_seconds
        self._got = 0
        self.complete = False
        self.gone = asyncio.Event()
        if promised is not None and promised > self._most:
            raise self._too_long()

    async def __call__(self) -> Message:
        """The next message.

        Raises:
            ApiError: 413, too long; 408, too slow; 503, no memory left for it.
        """
        if self.complete:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        patience = min(self._config.idle_seconds, self._ends - time.monotonic())
        try:
            async with asyncio.timeout(max(0.0, patience)):
                message = await self._receive()
        except TimeoutError:
            limits = f"{self._config.body_seconds:g} s in all, {self._config.idle_seconds:g} s without a byte"
            raise ApiError(408, f"the body came too slowly; limits: {limits}", "too_slow") from None
        if message["type"] == "http.disconnect":
            self.complete = True
            self.gone.set()
            return message
        self._count(len(message.get("body", b"")))
        self.complete = not message.get("more_body", False)
        return message

    def _count(self, size: int) -> None:
        self._got += size
        self._buffered.now += size
        if self._got > self._most:
            raise self._too_long()
        if self._buffered.now > self._buffered.most:
            raise ApiError(503, "too many large requests are under way; try again", "overloaded", retry_after=2)

    def _too_long(self) -> ApiError:
        return ApiError(413, f"the request is longer than {self._config.max_body_mb:g} MiB", "too_large")

    async def hang_up(self) -> None:
        """Return when the client is gone; to be called once the body is complete."""
        while not self.gone.is_set():
            if (await self._receive())["type"] == "http.disconnect":
                self.gone.set()

    def forget(self) -> None:
        """The request is answered, and its body no longer held."""
        self._buffered.now -= self._got
        self._got = 0


class _InMemory(MultiPartParser):
    spool_max_size = 2**62  # Starlette writes longer parts to disk, where no picture belongs; the body is bounded


async def read_form(request: Request, max_files: int, max_fields: int = 32) -> FormData:
    """The parts of a multipart request, all of them in memory.

    Raises:
        ApiError: 400, not multipart, or too many parts.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError(415, "send multipart/form-data or application/json", "unsupported_media_type")
    try:
        return await _InMemory(request.headers, request.stream(), max_files=max_files, max_fields=max_fields,
                               max_part_size=2**16).parse()  # fmt: skip
    except (MultiPartException, KeyError, ValueError, UnicodeError) as e:
        said = e.message if isinstance(e, MultiPartException) else "its parts cannot be read"
        raise ApiError(400, f"not a multipart form: {said}", "invalid_form") from e
