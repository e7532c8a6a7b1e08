"""An engine that is none: it speaks vLLM's OpenAI API, says what it is told to, and breaks on demand."""

import asyncio
import base64
import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from facevlm.serve.service import Service
from facevlm.serve.settings import Config
from facevlm.tiny import faces

ANSWER = "<think>The lip corners are up (AU12).</think><au>AU12</au><answer>happiness</answer>"


class FakeEngine:
    """A chat completion server in a thread. `seen` holds the bodies that it was sent."""

    def __init__(self, models: tuple[str, ...] = ("tiny",)) -> None:
        self.models, self.seen = models, list[dict[str, Any]]()
        self.answer: Callable[[dict[str, Any]], str] = lambda body: ANSWER
        self.logprobs: Callable[[dict[str, Any]], Any] = lambda body: None
        self.seconds = 0.0
        """How long an answer takes."""
        self.pieces = 5
        """Characters of a streamed chunk."""
        self.fault: str | None = None
        """drop: close without an answer; half: close in the middle of one; 500, 503, 400: answer with it."""
        self.healthy = True
        self.paths = list[str]()
        """The pictures that were asked for, where it plays their host."""
        self.cancelled = 0
        """Requests that the other side gave up."""
        self.under_way = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        self._loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, on the same port as before if there was one."""
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", self.port))
        self.port = door.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(self._app(), log_level="critical", lifespan="off"))

        def run() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                server.run(sockets=[door])

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        _until(lambda: server.started)
        self._server = server

    def stop(self) -> None:
        """End as a killed engine does: no farewell to whoever waits for an answer."""
        if self._server is not None and self._thread is not None:
            self._server.force_exit = self._server.should_exit = True
            for server in self._server.servers:
                self._loop.call_soon_threadsafe(server.close)
            for connection in list(self._server.server_state.connections):
                self._loop.call_soon_threadsafe(connection.transport.abort)
            self._thread.join(10)
            assert not self._thread.is_alive()
            self._server = None

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/picture")
        async def picture() -> Response:
            self.paths.append("/picture")
            return Response(_face(), media_type="image/jpeg")

        @app.get("/redirect")
        async def redirect() -> Response:
            return Response(status_code=302, headers={"location": "/picture"})

        @app.get("/slow")
        async def slow() -> Response:
            await asyncio.sleep(2)
            return Response(_face(), media_type="image/jpeg")

        @app.get("/long")
        async def long() -> Response:
            async def more() -> AsyncIterator[bytes]:
                for _ in range(100):
                    yield b"x" * 10_000

            return StreamingResponse(more())

        @app.get("/health")
        async def health() -> Response:
            self._loop = asyncio.get_running_loop()
            return Response(status_code=200 if self.healthy else 503)

        @app.get("/v1/models")
        async def models() -> dict[str, Any]:
            return {"data": [{"id": name, "root": name, "parent": None, "max_model_len": 4096}
                             for name in self.models]}  # fmt: skip

        @app.post("/v1/chat/completions")
        async def chat(request: Request) -> Response:
            body = await request.json()
            self.seen.append(body)
            self.under_way += 1
            waiting = asyncio.ensure_future(asyncio.sleep(self.seconds))
            try:
                while not waiting.done():
                    await asyncio.wait({waiting}, timeout=0.02)
                    if await request.is_disconnected():
                        self.cancelled += 1
                        break
            finally:
                self.under_way -= 1
            if self.fault == "drop":
                request._receive.__self__.transport.abort()
                return Response()
            if self.fault in ("400", "500", "503"):
                said = "temperature is bad, see <object at 0x7f3a>"
                return JSONResponse({"error": {"message": said, "param": "temperature"}}, int(self.fault))
            text = self.answer(body)
            if body.get("stream"):
                return StreamingResponse(self._chunks(body, text, request), media_type="text/event-stream")
            choices = [{"index": i, "message": {"role": "assistant", "content": text, "reasoning": None},
                        "logprobs": self.logprobs(body), "finish_reason": "stop"} for i in range(body.get("n", 1))]
            return JSONResponse({"id": "chatcmpl-1", "created": 1, "model": body["model"], "choices": choices,
                                 "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}})

        return app

    async def _chunks(self, body: dict[str, Any], text: str, request: Request) -> AsyncIterator[str]:
        def event(choices: list[dict[str, Any]], **more: Any) -> str:
            shared = {"id": "chatcmpl-1", "created": 1, "model": body["model"], "choices": choices}
            return f"data: {json.dumps(shared | more)}\n\n"

        yield event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        for start in range(0, len(text), self.pieces):
            if self.fault == "half" and start:
                request._receive.__self__.transport.abort()
                return
            piece = text[start : start + self.pieces]
            yield event([{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
            await asyncio.sleep(0)
        yield event([{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}])
        if body.get("stream_options", {}).get("include_usage"):
            yield event([], usage={"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12})
        yield "data: [DONE]\n\n"


def _until(true: Callable[[], Any], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@contextmanager
def running(**keys: Any) -> Iterator[Service]:
    """A service in a thread, with the port that the system gives."""
    service = Service(Config(**({"port": 0} | keys)))
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(service.run())
        except BaseException as e:
            failed.append(e)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        _until(lambda: failed or service._server.started)
        yield service
    finally:
        service.stop()
        thread.join(60)
        assert not thread.is_alive()
    if failed:
        raise failed[0]


def _face(size: int = 96, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    faces.render({12: 4.0, 6: 3.0}, faces.look(3), size=size).image.convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def _data_url(data: bytes, kind: str = "image/jpeg") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _question(*urls: str, text: str = "Which emotion?") -> list[dict[str, Any]]:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


@pytest.fixture
def tools() -> SimpleNamespace:
    """`face(size, kind)` the file of a drawn face, `data_url(bytes)`, `question(*urls, text)` the messages of one
    question, `until(true)` waits, `running(**keys)` a service in a thread, `FakeEngine(models)`, `ANSWER`."""
    return SimpleNamespace(face=_face, data_url=_data_url, question=_question, until=_until, running=running,
                           FakeEngine=FakeEngine, ANSWER=ANSWER)  # fmt: skip


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    """A fake engine that runs."""
    fake = FakeEngine()
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def service(engine: FakeEngine) -> Iterator[Callable[..., httpx.Client]]:
    """`service(*engines, key=value, …)` starts a gateway on fake engines, by default `engine`; a client of it."""
    with ExitStack() as stack:

        def start(*engines: FakeEngine, **keys: Any) -> httpx.Client:
            urls = [one.url for one in (engines or (engine,))]
            one = stack.enter_context(running(**({"engine_url": urls} | keys)))
            client = stack.enter_context(httpx.Client(base_url=one.url, timeout=30, trust_env=False))
            _until(lambda: client.get("/readyz").status_code == 200)
            return client

        yield start
