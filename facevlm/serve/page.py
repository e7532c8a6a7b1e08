"""The web page at `/`: its files, held in memory, and what it has to know of the server. Open without a key.

The page is plain HTML, CSS and ES modules in the folder `page`, with no build step and nothing from elsewhere; it asks
the same API as every other client. `facevlm.serve.door.headers` adds its content security policy.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request, Response

from facevlm.serve.chats.routes import gateway_of
from facevlm.serve.notice import SETTINGS, SHORT
from facevlm.serve.settings import Config

_SCRIPT = "text/javascript; charset=utf-8"
FILES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "main.js": _SCRIPT,       # what happens when
    "api.js": _SCRIPT,        # the server
    "picture.js": _SCRIPT,    # from a file to what is sent
    "camera.js": _SCRIPT,
    "view.js": _SCRIPT,       # the picture and the regions over it
    "tags.js": _SCRIPT,
    "links.js": _SCRIPT,      # the AU that is looked at
    "result.js": _SCRIPT,     # what came back, laid out
    "answer.js": _SCRIPT,     # what a model says about a face
    "compare.js": _SCRIPT,
    "export.js": _SCRIPT,
    "words.js": _SCRIPT,
    "dom.js": _SCRIPT,
}  # fmt: skip
"""Every file of the page and its media type; no other is reachable."""


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    media_type: str
    etag: str

    def answer(self, request: Request) -> Response:
        """The file, or 304 for a browser that has it."""
        # Tags are compared without W/ (RFC 9110, section 13.1.2): compression on the way may have weakened ours.
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if self.etag in known:
            return Response(status_code=304, headers={"etag": self.etag})
        return Response(self.body, media_type=self.media_type, headers={"etag": self.etag})


def _read(name: str, media_type: str) -> _File:
    body = (files("facevlm.serve") / "page" / name).read_bytes()
    return _File(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:20]}"')


_HELD = {name: _read(name, media_type) for name, media_type in FILES.items()}

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def start(request: Request) -> Response:
    """The page itself."""
    return _HELD["index.html"].answer(request)


@router.get("/page/server.json")
async def server(request: Request) -> dict[str, object]:
    """What the page has to know before anybody has shown a key; see `facts`."""
    return facts(gateway_of(request).settings)


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def file(name: str, request: Request) -> Response:
    """One of `FILES`."""
    if name not in _HELD:
        raise HTTPException(404, "the page has no such file")
    return _HELD[name].answer(request)


def facts(config: Config) -> dict[str, object]:
    """The limits by which the page shrinks a picture before it sends it, the notice, the settings of `X-Setting`.

    `max_bytes` is of a picture file that also fits, as base64, into the body of a request.
    """
    in_body = 0.74 * config.max_body_mb  # base64 makes four bytes of three; the rest is for the fields around it
    return {
        "max_bytes": int(min(config.max_image_mb, in_body) * 2**20),
        "max_pixels": int(config.max_image_megapixels * 1e6),
        "notice": SHORT,
        "demonstration": config.demonstration,
        "settings": SETTINGS,
    }
