"""The page in a real Chromium, before a server that answers like the gateway, about drawn faces of known truth."""

import base64
import io
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from PIL import Image
from starlette.types import Message, Receive, Scope, Send

from facevlm.images import canonical_landmarks, decode, region_boxes
from facevlm.serve.door import headers
from facevlm.serve.page import router
from facevlm.serve.settings import Config
from facevlm.tiny.faces import Scene, look, render
from facevlm.vocab import AUS, BASIC_EMOTIONS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

SHOWN: tuple[tuple[str, dict[int, float]], ...] = (
    ("happiness", {6: 4, 12: 5, 25: 3}),
    ("surprise", {1: 4, 2: 4, 5: 3, 26: 4}),
    ("anger", {4: 5, 7: 4, 23: 4}),
)
"""Emotion and AUs of the drawn faces."""


def drawn(n: int = 1, size: int = 320, backdrop: int = 0) -> bytes:
    """A PNG of n drawn faces side by side, on a grey ground `backdrop` pixels wide on each side."""
    picture = Image.new("RGB", (n * size + 2 * backdrop, size + 2 * backdrop), (128, 132, 138))
    for i in range(n):
        face = render(SHOWN[i][1], look(40 + i), Scene(background=(176, 190, 205)), size)
        picture.paste(face.image, (backdrop + i * size, backdrop))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def said(i: int, box: tuple[float, ...], model: str, mode: str) -> dict[str, Any]:
    """The record of one face in the reply: the truth from "grpo", one AU and the emotion wrong from "base"."""
    emotion, levels = SHOWN[i]
    aus = sorted(levels)
    if model == "base":
        emotion, aus = "contempt", sorted({*aus[1:], 14})
    regions = region_boxes(canonical_landmarks(box))  # type: ignore[arg-type]
    named = [f"{AUS[n].name} (AU{n})" for n in aus]
    sentences = [f"The {name} shows in the {AUS[n].region}." for n, name in zip(aus, named, strict=True)]
    shares = {label: 0.03 for label in BASIC_EMOTIONS} | {emotion: 0.79}
    units = [{"au": n, "name": AUS[n].name, "muscle": AUS[n].muscle, "region": AUS[n].region,
              "boxes": regions[AUS[n].region], "confidence": 0.9, "intensity": "C", "said": sentence}
             for n, sentence in zip(aus, sentences, strict=True)]  # fmt: skip
    text = f"<think>{' '.join(sentences)} No AU15.</think>"
    return {
        "box": box, "score": 0.99, "landmarks": None, "emotion": emotion, "probabilities": shares, "calibrated": False,
        "aus": None if mode == "label" else units, "regions_from": "average face", "valence": 0.6, "arousal": None,
        "reasoning": text[7:-8] if mode == "explain" else None, "text": text, "faults": [], "abstained": None,
        "error": None,
    }  # fmt: skip


@dataclass
class Server:
    """What the page talks to, and how it is to behave."""

    url: str = ""
    key: str | None = None
    wait: float = 0.0
    """Seconds before each answer."""
    fail: tuple[int, str] | None = None
    """Status and message of every analysis."""
    change: Callable[[dict[str, Any]], None] = lambda face: None
    """Changes each face of the reply."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The bodies that came, each with "setting", and "size" of the picture."""


def _application(server: Server) -> FastAPI:
    app = FastAPI()
    app.state.gateway = SimpleNamespace(settings=Config(max_image_megapixels=1.0))
    app.include_router(router)

    def refused(request: Request) -> JSONResponse | None:
        if server.key and request.headers.get("authorization") != f"Bearer {server.key}":
            return JSONResponse({"error": {"message": "no valid key", "type": "authentication_error"}}, 401)
        return None

    @app.get("/v1/models")
    def models(request: Request) -> Any:
        return refused(request) or {"object": "list", "data": [{"id": "grpo"}, {"id": "base"}]}

    @app.post("/v1/faces/analyze")
    def analyze(request: Request, body: dict[str, Any]) -> Any:
        if no := refused(request):
            return no
        picture = decode(base64.b64decode(body["images"][0]["image"].partition(",")[2]))
        server.asked.append({**body, "setting": request.headers.get("x-setting"), "size": picture.size})
        time.sleep(server.wait)
        if server.fail:
            return JSONResponse({"error": {"message": server.fail[1]}}, server.fail[0], {"retry-after": "7"})
        faces = [said(i, box, body["model"], body["mode"]) for i, box in enumerate(_boxes(picture))]
        for face in faces:
            server.change(face)
        gone = {"reason": "no face", "message": "No face was found."} if not faces else None
        image = {"id": None, "width": picture.width, "height": picture.height, "error": None, "faces": faces,
                 "abstained": gone}  # fmt: skip
        return {"id": "f1", "object": "face.analysis", "model": body["model"], "notice": "…", "images": [image],
                "provenance": {"model": body["model"], "mode": body["mode"], "versions": {"facevlm": "0.1"}},
                "usage": {"faces": len(faces), "seconds": 0.1}}  # fmt: skip

    return app


def _boxes(picture: Image.Image) -> list[tuple[float, float, float, float]]:
    """Where the faces of `drawn` lie: squares of the picture's other colour than the ground's."""
    ground = np.asarray(picture).astype(int) - (128, 132, 138)
    rows, columns = (np.flatnonzero((np.abs(ground).sum(2) > 24).any(axis)) for axis in (1, 0))
    if not len(rows):
        return []
    top, left, size = int(rows[0]), int(columns[0]), int(rows[-1] - rows[0] + 1)
    n = max(1, round((columns[-1] - columns[0] + 1) / size))
    return [(left + (i + 0.22) * size, top + 0.15 * size, left + (i + 0.78) * size, top + 0.85 * size)
            for i in range(n)]  # fmt: skip


class _Headed:
    """The application with the gateway's own headers."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = headers.safe(scope["path"], list(message["headers"]))
            await send(message)

        await self.app(scope, receive, headed)


@pytest.fixture(scope="session")
def _running() -> Iterator[Server]:
    server = Server()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        engine = uvicorn.Server(uvicorn.Config(_Headed(_application(server)), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=engine.run, kwargs={"sockets": [listener]})
        thread.start()
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield server
        engine.should_exit = True
        thread.join()


@pytest.fixture
def server(_running: Server) -> Server:
    """The server, with nothing asked yet and everything in order."""
    url = _running.url
    _running.__dict__.update(Server(url).__dict__)
    return _running


@pytest.fixture(scope="module")  # Playwright leaves an event loop running, in which no other test could start one
def _chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=camera)
        yield browser
        browser.close()


@pytest.fixture
def open_page(_chromium: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """Opens the page in a fresh tab of Chromium; at the end no tab may have broken the policy or logged an error.

    The first argument is another server's address; the others are those of Playwright's `new_context`.
    """
    contexts: list[Any] = []
    faults: list[str] = []

    def logged(message: Any) -> None:
        # A refused request is told to the user; the browser logs it as an error all the same.
        if message.type == "error" and "Failed to load resource" not in message.text:
            faults.append(message.text)

    def opened(url: str | None = None, **options: Any) -> Any:
        context = _chromium.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on("console", logged)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url or server.url)
        page.wait_for_selector("#model option, dialog[open]", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def face_file(tmp_path: Path) -> Callable[..., Path]:
    """A file with `drawn` faces."""

    def make(*args: int, **options: int) -> Path:
        file = tmp_path / "faces.png"
        file.write_bytes(drawn(*args, **options))
        return file

    return make
