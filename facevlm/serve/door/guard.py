"""The one gate that every request passes: who may ask, how much, how large, how slowly, and what goes out with it.

Pure ASGI, before any framework reads a byte of the body: a caller without a key costs a hash.
"""

import asyncio
import json
import logging
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facevlm.serve.door.body import BodyReader, Buffered
from facevlm.serve.door.callers import Caller
from facevlm.serve.door.headers import is_page, safe
from facevlm.serve.faults import ApiError
from facevlm.serve.hosts import fits
from facevlm.serve.notice import HEADER

if TYPE_CHECKING:
    from facevlm.serve.gateway import Gateway

log = logging.getLogger("facevlm.serve")

OPEN = frozenset({"/healthz", "/readyz", "/v1/policy", "/openapi.json"})
"""What is told without a key, beside the web page."""

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_MB = 2**20


class Guard:
    """ASGI middleware; what it lets through finds its `Caller` in `request.state.caller`."""

    def __init__(self, app: ASGIApp, gateway: "Gateway") -> None:
        self._app, self._gateway, self._config = app, gateway, gateway.settings
        self._buffered = Buffered(int(self._config.max_buffered_mb * _MB))
        self._callers: dict[str, Caller] = {}
        # Without keys, any page in a browser on this machine could ask by a name of its own (DNS rebinding).
        loopback = self._config.loopback and not self._config.asks_for_keys
        self._hosts = tuple(name.lower() for name in self._config.hosts) or (_LOOPBACK if loopback else ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, send, self._gateway)
        try:
            await self._admitted(scope, receive, visit)
        except ApiError as error:
            await visit.refuse(error)
        except ClientDisconnect:  # within its body, which nobody will send to its end
            visit.status = visit.status or 499
        except TimeoutError:
            await visit.refuse(ApiError(504, f"not done within {self._config.request_seconds:g} s", "timeout"))
        except Exception as error:
            # Its text may hold what the client sent; type and place are what a person needs.
            frame = error.__traceback__
            while frame is not None and frame.tb_next is not None:
                frame = frame.tb_next
            place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "?"
            log.error("request %s: %s at %s", visit.id, type(error).__name__, place)
            await visit.refuse(ApiError(500, f"a fault of ours; report request {visit.id}", "internal_error"))
        finally:
            visit.done()

    async def _admitted(self, scope: Scope, receive: Receive, visit: "_Visit") -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        self._check_place(scope, headers)
        caller = visit.caller = self._caller(scope, headers)
        setting = headers.get(HEADER.encode())
        self._gateway.policy.check(None if setting is None else setting.decode("latin-1"))
        if scope["path"] not in OPEN and not is_page(scope["path"]):
            caller.charge()
        caller.enter()
        body: BodyReader | None = None
        try:
            body = BodyReader(receive, self._config, self._buffered, _length(headers))
            scope.setdefault("state", {})["caller"] = caller
            await self._unless_gone(scope, body, visit)
        finally:
            caller.leave()
            if body is not None:
                body.forget()
                self._gateway.counters.buffered.set(self._buffered.now)

    async def _unless_gone(self, scope: Scope, body: BodyReader, visit: "_Visit") -> None:
        """Run the application; stop it when the client hangs up, so that the engine does not write for nobody."""
        watch: asyncio.Task[None] | None = None
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (ASGI runs in a task)

        async def receive() -> Message:
            nonlocal watch
            message = await body()
            if body.complete and watch is None:
                watch = asyncio.create_task(look())
            return message

        async def look() -> None:
            await body.hang_up()
            if not visit.finished:
                task.cancel()

        try:
            async with asyncio.timeout(self._config.request_seconds):
                await self._app(scope, receive, visit.send)
        except asyncio.CancelledError:
            if not body.gone.is_set() or task.uncancel() > 0:
                raise  # the server stops, it was not the client
            visit.status = 499  # nginx's word for a client that closed the connection
        finally:
            if watch is not None:
                watch.cancel()

    def _check_place(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Refuse what a web page elsewhere makes a browser send.

        Raises:
            ApiError: 421, not our name; 403, from a page that is not ours.
        """
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if self._hosts and not fits(name, self._hosts):
            raise ApiError(421, "the service does not go by this name; the key `hosts` lists its names", "wrong_host")
        origin = headers.get(b"origin")
        if origin is None or is_page(scope["path"]):
            return
        text = origin.decode("latin-1").lower()
        if text.rstrip("/") not in self._config.cors_origins and urlsplit(text).netloc != host:
            raise ApiError(403, "calls from web pages elsewhere are off; the key `cors_origins` allows some",
                           "origin_refused")  # fmt: skip

    def _caller(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
        """Raises:
        ApiError: 401, no key or a wrong one.
        """
        ring = self._gateway.keys
        public = scope["path"] in OPEN or is_page(scope["path"]) or scope["method"] == "OPTIONS"
        if ring is None or public:
            return self._share("anonymous", limited=False)
        kind, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if kind.lower() != "bearer" or not key.strip():
            raise ApiError(401, "give your key in the header `Authorization: Bearer …`", "missing_api_key")
        name = ring.name(key.strip())
        if name is None:
            raise ApiError(401, "this key opens nothing here", "invalid_api_key")
        return self._share(name, limited=True)

    def _share(self, name: str, limited: bool) -> Caller:
        known = name if limited else ""  # a key may be named like those without one
        if known not in self._callers:
            rate = self._config.rate_per_minute if limited else None
            self._callers[known] = Caller(name, rate, self._config.burst, self._config.concurrent_per_key)
        return self._callers[known]


def _length(headers: dict[bytes, bytes]) -> int | None:
    text = headers.get(b"content-length", b"").decode("latin-1")
    return int(text) if text.isdigit() else None


class _Visit:
    """One request: what went out so far, and what is counted at its end."""

    def __init__(self, scope: Scope, send: Send, gateway: "Gateway") -> None:
        self._scope, self._send, self._gateway = scope, send, gateway
        self.id = f"req_{secrets.token_hex(8)}"
        self.caller: Caller | None = None
        self.status = 0
        self.finished = False
        self._began = time.perf_counter()
        gateway.counters.under_way.inc()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
            message = {**message, "headers": safe(self._scope["path"], own)}
        elif not message.get("more_body", False):
            self.finished = True  # before it is sent: afterwards the server reports a hang-up that is none
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        """Answer with an error, unless the answer has begun: then cut it off, so that nobody takes it for whole."""
        self._gateway.counters.refused.labels(error.code).inc()
        if self.status:
            raise error
        body = json.dumps(error.body).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.encode(), value.encode()) for name, value in (error.headers or {}).items()]
        await self.send({"type": "http.response.start", "status": error.status_code, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def done(self) -> None:
        counters, name = self._gateway.counters, self.caller.name if self.caller else "none"
        seconds = time.perf_counter() - self._began
        # The route as it is declared, not the path as it was sent: else anyone could fill the memory with labels.
        route = getattr(self._scope.get("route"), "path", "other")
        counters.under_way.dec()
        counters.requests.labels(route, str(self.status), name).inc()
        counters.seconds.labels(route).observe(seconds)
        if self._gateway.settings.log_requests:
            log.info("%s %s %s %d %.3f s key=%s", self.id, self._scope["method"], route, self.status, seconds, name)
