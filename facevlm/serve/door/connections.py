"""uvicorn's HTTP protocol with limits where uvicorn lets a client go on for ever.

That is over the head of a request, in seconds and in bytes, and over the rest of a body that was refused: it is read
and thrown away, for closing at once would reset the connection, and the refusal might never be seen.
"""

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

MAX_HEAD = 2**16
"""Most bytes in a row that are no body: a head, trailers, chunk extensions; the limit of uvicorn's other protocol."""


def limited_protocol(seconds: float) -> type[HttpToolsProtocol]:
    """The protocol class for `uvicorn.Config(http=…)`: a connection is closed on which no whole head, or no end of a
    refused body, arrives within `seconds`, or more than `MAX_HEAD` bytes that are no body."""

    class Limited(HttpToolsProtocol):
        _clock: "asyncio.TimerHandle | None" = None
        _no_body = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wind()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            self._no_body += len(data)
            super().data_received(data)
            if self._no_body > MAX_HEAD:
                self.transport.abort()

        def on_message_begin(self) -> None:
            self._wind()
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._no_body = 0
            self._stop()
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._no_body = 0
            super().on_body(body)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.cycle.more_body and not self.transport.is_closing():
                self._wind()

        def on_message_complete(self) -> None:
            self._no_body = 0
            self._stop()
            super().on_message_complete()

        def _wind(self) -> None:
            self._stop()
            self._clock = self.loop.call_later(seconds, self._too_slow)

        def _stop(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None

        def _too_slow(self) -> None:
            self.transport.abort()

    return Limited
