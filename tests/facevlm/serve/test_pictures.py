"""Pictures on their way through: the same pixels as in training, and none that should not be read or fetched."""

import asyncio
import base64
import io
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from facevlm import images
from facevlm.images import ImageError, Limits
from facevlm.serve.door.body import _InMemory
from facevlm.serve.pictures import prepared, unpack
from facevlm.serve.remote import Fetcher, public
from facevlm.serve.settings import Config

CHAT = "/v1/chat/completions"


def seen(url: str) -> np.ndarray:
    """The pixels that an engine makes of a data URL: Pillow's, converted to RGB."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def sent(tools: Any, **options: Any) -> str:
    kind = options.get("kind", "JPEG")
    return tools.data_url(tools.face(**options), f"image/{kind.lower()}")


def grey(tools: Any, mode: str, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(tools.face(kind="PNG"))).convert(mode).save(buffer, kind, **options)
    return tools.data_url(buffer.getvalue())


def test_upright_rgb_within_the_budget_goes_on_as_it_came(tools: Any) -> None:
    for kind in ("JPEG", "PNG"):
        url = sent(tools, kind=kind)
        assert prepared(url, 10_000, Limits()) is url


def test_whatever_is_changed_arrives_as_training_sees_it(tools: Any) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    cases = {"large": sent(tools, size=200), "turned": sent(tools, exif=turned), "bmp": sent(tools, kind="BMP"),
             "gif": sent(tools, kind="GIF"), "webp": sent(tools, kind="WEBP"), "grey": grey(tools, "L", "JPEG"),
             "cmyk": grey(tools, "CMYK", "JPEG"), "alpha": grey(tools, "RGBA", "PNG"),
             "palette": grey(tools, "P", "PNG", transparency=3)}  # fmt: skip
    for name, url in cases.items():
        arrived = prepared(url, 10_000, Limits())
        wanted = images.load_face(unpack(url, 10**6), max_pixels=10_000)
        assert arrived is not url and np.array_equal(seen(arrived), np.asarray(wanted)), name
    assert np.shape(seen(prepared(cases["large"], 10_000, Limits())))[:2] == (100, 100)


def bomb(width: int, height: int) -> bytes:
    """A small PNG whose head promises many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_pictures_that_cannot_be_used_are_a_400_that_says_why(service: Any, engine: Any, tools: Any) -> None:
    client = service(max_image_mb=0.05, max_image_megapixels=1.0)
    whole = tools.face()
    data = tools.data_url
    cases = {
        "bad_data_url": [data(whole)[:-3] + "!!!", "data:text/html;base64,AAAA", "data:image/png,AAAA", "data:", "é",
                         data(whole) + "é"],
        "not_an_image": [data(b"hello"), data(b"%PDF-1.4"), data(b"<svg xmlns='x'/>"), data(whole[2:]),
                         data(b"%!PS-Adobe-3.0 EPSF-3.0")],
        "damaged_image": [data(whole[: len(whole) // 2]), data(bomb(900, 900)[:2000])],
        "too_many_pixels": [data(bomb(20_000, 20_000)), data(bomb(2**31 - 1, 2**31 - 1))],
        "file_too_large": [data(b"\xff" * 60_000)],
        "too_small": [data(tools.face(size=8))],
        "empty_file": [data(b"")],
        "bad_url": ["file:///etc/passwd", "gopher://x", "http://", "//x/y", "http://[::1", "http://u:p@host/x.png"],
        "host_not_allowed": ["http://127.0.0.1/x.png", "https://example.org/x.png"],
    }  # fmt: skip
    cases["bad_url"].append(cases["bad_data_url"].pop(4))
    for code, urls in cases.items():
        for url in urls:
            reply = client.post(CHAT, json={"messages": tools.question(url)})
            error = reply.json()["error"]
            assert (reply.status_code, error["code"]) == (400, code), (url[:60], error)
            assert error["param"] == "messages.0.content.0.image_url" and "0x" not in error["message"]
    too_many = client.post(CHAT, json={"messages": tools.question(*[data(whole)] * 5)})
    assert (too_many.status_code, too_many.json()["error"]["code"]) == (400, "too_many_images")
    assert not engine.seen
    assert client.post(CHAT, json={"messages": tools.question(*[data(whole)] * 4)}).status_code == 200
    assert [part["type"] for part in engine.seen[0]["messages"][0]["content"]] == ["image_url"] * 4 + ["text"]


def test_a_data_url_holds_strict_base64(tools: Any) -> None:
    whole = tools.face()
    assert unpack(tools.data_url(whole), len(whole)) == whole
    with pytest.raises(ImageError, match="file too large"):
        unpack(tools.data_url(whole), len(whole) - 3)
    for text in ("AAA", "AA==AAAA", "AA\nAA", "AA AA"):
        with pytest.raises(ImageError, match="not base64"):
            unpack(f"data:image/png;base64,{text}", 100)


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:8.8.8.8", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
])  # fmt: skip
def test_addresses_that_are_not_of_the_open_internet(address: str) -> None:
    assert not public(address)


def test_addresses_of_the_open_internet() -> None:
    assert public("93.184.216.34") and public("2606:2800:220:1::1")


def test_private_addresses_are_not_called_by_any_name(service: Any, engine: Any, tools: Any) -> None:
    port = engine.port
    names = ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "017700000001", "[::ffff:127.0.0.1]",
             "0"]  # fmt: skip
    client = service(allow_hosts=[f"{name}:{port}" for name in [*names, "::ffff:127.0.0.1", "::ffff:7f00:1"]])
    for name in names:
        reply = client.post(CHAT, json={"messages": tools.question(f"http://{name}:{port}/picture")})
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "fetch_failed"), name
        assert reply.json()["error"]["message"] == "the picture cannot be fetched from there"
    assert not engine.paths and not engine.seen


def test_pictures_of_allowed_hosts_are_fetched_within_limits(
    service: Any, engine: Any, tools: Any, monkeypatch: Any
) -> None:
    # The fake engine plays the host of the pictures, at an address that is private.
    monkeypatch.setattr(Fetcher.__init__, "__defaults__", (lambda address: True,))
    host = f"localhost:{engine.port}"
    client = service(allow_hosts=[host], fetch_seconds=0.5, max_image_mb=0.02)

    def ask(path: str) -> httpx.Response:
        return client.post(CHAT, json={"messages": tools.question(f"http://{host}/{path}")})

    assert ask("picture").status_code == 200
    given = engine.seen[0]["messages"][0]["content"][0]["image_url"]["url"]
    assert np.array_equal(seen(given), np.asarray(Image.open(io.BytesIO(tools.face()))))
    for path, code in {"redirect": "fetch_failed", "long": "file_too_large", "slow": "fetch_failed",
                       "none": "fetch_failed", "health": "empty_file"}.items():  # fmt: skip
        reply = ask(path)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, code), path
    assert engine.paths.count("/picture") == 1  # where the redirect leads


def test_hosts_are_matched_whole() -> None:
    async def refused(url: str) -> str:
        fetcher = Fetcher(Config(allow_hosts=["*.example.org", "Pictures.example.com"]))
        with pytest.raises(Exception) as caught:
            await fetcher.fetch(url, 10)
        return caught.value.code  # type: ignore[attr-defined]

    for url in ("http://example.org.evil/x", "http://evilexample.org/x", "http://example.org/x",
                "http://pictures.example.com:22/x", "http://pictures.example.com.:80/x",
                "http://x.example.org@evil/x", "http://evil\\@x.example.org/x", "http://e#x.example.org"):  # fmt: skip
        assert asyncio.run(refused(url)) in ("host_not_allowed", "bad_url"), url


def test_parts_of_a_form_stay_in_memory() -> None:
    assert _InMemory.spool_max_size > 2**40
