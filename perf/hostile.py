"""What a server on the open net is sent beside honest requests: the malformed fifth of perf/soak.py.

Each is a raw HTTP request, the statuses that are right for it, and the manner in which it is sent.
"""

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from PIL import Image

CHAT, FACES = "/v1/chat/completions", "/v1/faces/analyze"
Manner = Literal["whole", "stalls", "drips", "hangs up", "hangs up halfway"]


@dataclass(frozen=True, slots=True)
class Bad:
    """A kind of bad request."""

    name: str
    write: Callable[[Random, str], bytes]
    """The raw request, given a random source and a key that is right."""
    statuses: frozenset[int] = frozenset({400})
    """What may be answered; 0 = closed without an answer, or with one that was lost to the reset which met what was
    still being sent; empty = nothing is waited for."""
    manner: Manner = "whole"


def http(path: str, body: bytes, key: str | None, method: str = "POST", kind: str = "application/json",
         more: tuple[str, ...] = (), length: int | None = None) -> bytes:  # fmt: skip
    """A raw request that asks for the connection to be closed after it."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "connection: close", f"content-type: {kind}", *more]
    if key is not None:
        lines.append(f"authorization: Bearer {key}")
    if not any(line.startswith("transfer-encoding") for line in more):
        lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def data_url(data: bytes, kind: str = "image/jpeg") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def about(url: Any) -> dict[str, Any]:
    """A question about one picture."""
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}},
                                                      {"type": "text", "text": "Which emotion?"}]}]}  # fmt: skip


def _jpeg(rng: Random, side: int = 96) -> bytes:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), rng.randbytes(3 * side * side)).save(buffer, "JPEG")
    return buffer.getvalue()


def png_bomb(side: int = 20_000) -> bytes:
    """A PNG of a few hundred bytes whose header promises `side` x `side` pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")


def dense_bomb(side: int = 9_000) -> bytes:
    """A valid grey PNG of `side` x `side` pixels in some tens of kB: below Pillow's own limit, above any sane one."""
    rows = zlib.compress(bytes((side // 8 + 2) * side), 9)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


_BOMB, _DENSE = data_url(png_bomb(), "image/png"), data_url(dense_bomb(), "image/png")


def _json(make: Callable[[Random], Any], path: str = CHAT) -> Callable[[Random, str], bytes]:
    return lambda rng, key: http(path, json.dumps(make(rng)).encode(), key)


def _text(make: Callable[[Random], bytes], path: str = CHAT) -> Callable[[Random, str], bytes]:
    return lambda rng, key: http(path, make(rng), key)


def _good_body(rng: Random) -> bytes:
    return json.dumps(about(data_url(_jpeg(rng)))).encode()


def _wrong_types(rng: Random) -> Any:
    good = about(data_url(_jpeg(rng)))
    return rng.choice([
        good | {"messages": rng.choice([None, 3, "hello", [], [3], [{"role": "user"}],
                                        [{"role": "king", "content": ""}]])},
        good | {"max_tokens": rng.choice(["many", -1, 1.5, 10**30, [], True])},
        good | {"temperature": rng.choice([-1, 9, "hot", [0]])},
        good | {"n": rng.choice([0, -3, 10**6, "two"])},
        good | {"stream": "perhaps"},
        good | {"no_such_field": 1},
        about(rng.choice([None, 7, "", "data:", [], {}, "file:///etc/passwd", "ftp://example.org/a.jpg"])),
    ])  # fmt: skip


def _wrong_faces(rng: Random) -> Any:
    image = {"image": data_url(_jpeg(rng))}
    return rng.choice([
        {}, {"images": []}, {"images": "x"}, {"images": [3]}, {"images": [{}]}, {"images": [image], "mode": "guess"},
        {"images": [image | {"faces": [[0, 0, 1]]}]}, {"images": [image | {"faces": [["a", 0, 1, 1]]}]},
        {"images": [image], "stream": "x"}, {"images": [image], "surplus": 1},
    ])  # fmt: skip


def _truncated(rng: Random) -> Any:
    whole = _jpeg(rng)
    return about(data_url(whole[: rng.randrange(len(whole) // 10, len(whole) * 9 // 10)]))


def _hostile_picture(rng: Random) -> Any:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%BoundingBox: 0 0 99 99\n(/etc/passwd) run\n"
    return about(rng.choice([
        data_url(rng.randbytes(rng.randrange(1, 5000)), "image/png"), data_url(svg, "image/svg+xml"), data_url(eps),
        data_url(b"GIF89a" + rng.randbytes(40), "image/gif"), data_url(b"", "image/jpeg"), _BOMB, _DENSE,
        data_url(_jpeg(rng, 4)), "data:image/jpeg;base64,@@@@", "data:text/html;base64,PGI+", "data:image/png,abc",
    ]))  # fmt: skip


def _forbidden_address(rng: Random) -> Any:
    return about(rng.choice([
        "http://169.254.169.254/latest/meta-data/", "http://localhost:22/", "http://[::1]/a.jpg", "http://0x7f000001/",
        "https://example.org@127.0.0.1/a.jpg", "http://10.0.0.1/x.png",
    ]))  # fmt: skip


def _not_json(rng: Random) -> bytes:
    return rng.choice([b"", b"{", b"{\"messages\": [", b"null", b"[]", b"\xff\xfe\x00", b"[" * 100_000, b"NaN",
                       b'{"messages": "\\ud800"}', _good_body(rng)[:-7], rng.randbytes(300)])  # fmt: skip


def _multipart(rng: Random, key: str) -> bytes:
    part = b'--b\r\ncontent-disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
    body = rng.choice([b"", b"--b--\r\n", part, part + _jpeg(rng), part + b"no picture\r\n--b--\r\n",
                       rng.randbytes(200)])  # fmt: skip
    return http(FACES, body, key, kind=rng.choice(["multipart/form-data; boundary=b", "multipart/form-data"]))


def _chunked_for_ever(rng: Random, key: str) -> bytes:
    chunk = b"%x\r\n%s\r\n" % (2**16, b" " * 2**16)
    return http(CHAT, b"", key, more=("transfer-encoding: chunked",)) + chunk * 64


def _garbage(rng: Random, key: str) -> bytes:
    return rng.choice([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(32) + b"\r\n\r\n",
                       b"GET / HTTP/9.9\r\n\r\n", b"POST\r\n\r\n", b"GET / HTTP/1.1\r\nhost 127.0.0.1\r\n\r\n",
                       b"GET " + b"/x" * 70_000 + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"])  # fmt: skip


_REFUSED = frozenset({400, 422})
KINDS: tuple[Bad, ...] = (
    Bad("no JSON", _text(_not_json)),
    Bad("no JSON for faces", _text(_not_json, FACES), _REFUSED),
    Bad("wrong types", _json(_wrong_types)),
    Bad("wrong types for faces", _json(_wrong_faces, FACES), _REFUSED),
    Bad("truncated picture", _json(_truncated)),
    Bad("hostile picture", _json(_hostile_picture)),
    Bad("forbidden address", _json(_forbidden_address)),
    Bad("broken multipart", _multipart, frozenset({400, 415, 422})),
    Bad("too many pictures", _json(lambda rng: {"messages": about(data_url(_jpeg(rng, 16)))["messages"] * 40})),
    Bad("unknown model", _json(lambda rng: about(data_url(_jpeg(rng))) | {"model": "gpt-9"}), frozenset({404})),
    Bad("wrong key", lambda rng, _: http(CHAT, _good_body(rng), f"fv-{rng.randrange(10**9)}"), frozenset({401})),
    Bad("no key", lambda rng, _: http(CHAT, _good_body(rng), None), frozenset({401})),
    Bad("wrong type of body", lambda rng, key: http(CHAT, _good_body(rng), key, kind="text/plain"), frozenset({415})),
    Bad("wrong method", lambda rng, key: http(CHAT, b"", key, rng.choice(["GET", "PUT", "DELETE"])), frozenset({405})),
    Bad("the engine's own routes", lambda rng, key: http(rng.choice(
        ["/tokenize", "/v1/completions", "/collective_rpc", "/pause", "/v1/../health", "//v1/models"]), b"{}", key),
        frozenset({404, 405})),
    Bad("longer than allowed by its own word", lambda rng, key: http(CHAT, b"{", key, length=10**12),
        frozenset({413})),
    Bad("longer than allowed", _chunked_for_ever, frozenset({0, 413})),
    Bad("no HTTP", _garbage, frozenset({0, 400})),
    Bad("stalls within the body", _text(_good_body), frozenset({408}), "stalls"),
    Bad("drips", _text(_good_body), frozenset({408}), "drips"),
    Bad("hangs up", _text(_good_body), frozenset(), "hangs up"),
    Bad("hangs up halfway", _text(_good_body), frozenset(), "hangs up halfway"),
)  # fmt: skip
