"""Does the gateway hold? python -m perf.soak --requests 10000 --at-once 200

Sends requests to a real gateway, one in five of them malformed (`perf.hostile`), from clients that also stall, drip
and hang up, and looks for what must not be: an answer of 5xx, a good request without its own answer, memory or open
files that grow, a request that is still counted as under way at the end. Behind the gateway is `perf.fake_engine`,
whose answers hang on the pixels it was shown; `--real` puts vLLM and the embedded model there. Last line: JSON; exit
status 1 if anything is wrong.
"""

import argparse
import asyncio
import base64
import contextlib
import io
import json
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import aiohttp
import numpy as np

from facevlm.answer import MODES
from facevlm.images import decode, fit
from facevlm.prompts import question
from facevlm.tiny.population import draw, independent_aus
from facevlm.vocab import LABEL_SETS
from perf.fake_engine import answer_about
from perf.hostile import CHAT, FACES, KINDS, Bad
from perf.service import Service, fake_engine, gateway, memory_mib, open_files

MAX_PIXELS = 144 * 144
# Short, so that a client that is slow on purpose is cut off within the run.
LIMITS = ("idle_seconds=3", "body_seconds=8", "header_seconds=3", "max_body_mb=2", "max_buffered_mb=4096",
          "max_waiting=100000", f"max_pixels={MAX_PIXELS}")  # fmt: skip
BAD_SHARE = 0.2
_QUESTION = question(MODES["explain"], LABEL_SETS["basic8"].labels)
_PATIENCE = 120.0
_FILES = 8  # more than at the start: the event loop's, the engine's health check


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture that is sent, and what the fake engine says to it."""

    url: str
    expected: str


@dataclass
class Tally:
    """What came of the requests."""

    good: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """What must not be, in words."""
    seconds: list[float] = field(default_factory=list)
    """Of good requests."""


def shots(n: int) -> list[Shot]:
    """Drawn faces as the files of cameras and browsers: PNG and JPEG, below the model's budget and above."""
    rng, found = np.random.default_rng(0), []
    for i in range(n):
        image = draw(i, independent_aus(rng), rng, (112, 160, 320)[i % 3]).face.image
        buffer = io.BytesIO()
        kind = ("PNG", "JPEG", "WEBP")[i // 3 % 3]
        image.save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}))
        data = buffer.getvalue()
        seen = fit(decode(data), MAX_PIXELS)
        url = f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode()}"
        found.append(Shot(url, answer_about(seen)))
    return found


class Load:
    """Clients of one gateway."""

    def __init__(self, service: Service, session: aiohttp.ClientSession, pictures: list[Shot], real: bool) -> None:
        self.service, self.session, self.pictures, self.real = service, session, pictures, real
        self.tally = Tally()
        self._port = int(service.url.rpartition(":")[2])
        self._ways: tuple[tuple[str, Callable[[Random], Awaitable[str | None]]], ...] = (
            ("chat", self._chat), ("chat", self._chat), ("stream", self._stream), ("faces", self._faces),
            ("faces lines", self._lines), ("faces form", self._form), ("models", self._models),
        )  # fmt: skip

    async def one(self, number: int) -> None:
        """Request `number`, always the same one."""
        rng = Random(number)
        if rng.random() < BAD_SHARE:
            await self._abuse(rng.choice(KINDS), rng)
            return
        name, ask = rng.choice(self._ways)
        start = time.perf_counter()
        try:
            async with asyncio.timeout(_PATIENCE):
                fault = await ask(rng)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, LookupError, TypeError) as e:
            fault = f"{type(e).__name__}: {e}"[:200]
        self.tally.good += 1
        self.tally.seconds.append(time.perf_counter() - start)
        if fault:
            self.tally.wrong.append(f"good {name}: {fault}")

    # -- good requests; each returns what is wrong with its answer, or None

    def _body(self, shot: Shot, **more: object) -> dict[str, object]:
        content = [{"type": "image_url", "image_url": {"url": shot.url}}, {"type": "text", "text": _QUESTION}]
        return {"messages": [{"role": "user", "content": content}], "max_tokens": 96, "temperature": 0} | more

    def _compare(self, shot: Shot, thinking: str | None, content: str) -> str | None:
        said = (f"<think>{thinking}</think>" if thinking else "") + content
        if self.real:  # the embedded model was never taught the form, and may say nothing at all
            return None
        return None if said == shot.expected else f"the answer to another picture: {said!r}, not {shot.expected!r}"

    async def _chat(self, rng: Random) -> str | None:
        shot = rng.choice(self.pictures)
        async with self.session.post(CHAT, json=self._body(shot)) as reply:
            if reply.status != 200:
                return f"{reply.status} {(await reply.text())[:200]}"
            message = (await reply.json())["choices"][0]["message"]
            return self._compare(shot, message["reasoning_content"], message["content"])

    async def _stream(self, rng: Random) -> str | None:
        shot, thinking, content, ended = rng.choice(self.pictures), "", "", False
        async with self.session.post(CHAT, json=self._body(shot, stream=True)) as reply:
            if reply.status != 200:
                return f"{reply.status} {(await reply.text())[:200]}"
            async for line in reply.content:
                payload = line.strip().removeprefix(b"data: ")
                ended = ended or payload == b"[DONE]"
                for choice in json.loads(payload)["choices"] if payload and not ended else ():
                    thinking += choice["delta"].get("reasoning_content") or ""
                    content += choice["delta"].get("content") or ""
        return self._compare(shot, thinking, content) if ended else "the stream ended early"

    def _asked_faces(self, rng: Random) -> dict[str, object]:
        images = [{"image": rng.choice(self.pictures).url, "id": f"picture {i}"} for i in range(rng.randint(1, 4))]
        return {"images": images, "mode": rng.choice(list(MODES)), "detect": False}

    async def _faces(self, rng: Random) -> str | None:
        asked = self._asked_faces(rng)
        async with self.session.post(FACES, json=asked) as reply:
            if reply.status != 200:
                return f"{reply.status} {(await reply.text())[:200]}"
            return _whole(asked, (await reply.json())["images"])

    async def _lines(self, rng: Random) -> str | None:
        asked = self._asked_faces(rng) | {"stream": True}
        async with self.session.post(FACES, json=asked) as reply:
            if reply.status != 200:
                return f"{reply.status} {(await reply.text())[:200]}"
            lines = [json.loads(line) async for line in reply.content]
        if "usage" not in lines[-1]:
            return "the stream ended early"
        return _whole(asked, sorted(lines[:-1], key=lambda line: str(line["id"])))

    async def _form(self, rng: Random) -> str | None:
        form, shot = aiohttp.FormData(), rng.choice(self.pictures)
        data = base64.b64decode(shot.url.partition(",")[2])
        form.add_field("images", data, filename="face.png", content_type="application/octet-stream")
        form.add_field("mode", "fast")
        form.add_field("detect", "false")
        async with self.session.post(FACES, data=form) as reply:
            if reply.status != 200:
                return f"{reply.status} {(await reply.text())[:200]}"
            found = (await reply.json())["images"]
        return None if len(found) == 1 and found[0]["faces"] else f"{len(found)} pictures, {found[0]['error']}"

    async def _models(self, rng: Random) -> str | None:
        del rng
        async with self.session.get("/v1/models") as reply:
            return None if (await reply.json())["data"] else "no models"

    # -- bad requests

    async def _abuse(self, bad: Bad, rng: Random) -> None:
        self.tally.bad[bad.name] += 1
        raw = bad.write(rng, self.service.key)
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    status = await _sent(raw, bad, reader, writer)
                finally:
                    writer.transport.abort()
        except TimeoutError:
            self.tally.wrong.append(f"{bad.name}: no answer within {_PATIENCE:g} s to {raw[:120]!r}")
            return
        except OSError as e:
            self.tally.wrong.append(f"{bad.name}: {type(e).__name__} {e}")
            return
        if bad.statuses and status not in bad.statuses:
            self.tally.wrong.append(f"{bad.name}: {status} to {raw[:120]!r} … {raw[-200:]!r}")


def _whole(asked: dict[str, object], images: list[dict[str, object]]) -> str | None:
    wanted = [image["id"] for image in asked["images"]]  # type: ignore[attr-defined]
    if [image["id"] for image in images] != wanted:
        return f"pictures {[image['id'] for image in images]} in place of {wanted}"
    for image in images:
        if image["error"] or not image["faces"]:
            return f"picture {image['id']}: {image['error']}, {image['abstained']}"
    return None


async def _sent(raw: bytes, bad: Bad, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int | None:
    """Send a request in its manner; returns the status, 0 for a connection closed without one, None if not waited."""
    head, _, body = raw.partition(b"\r\n\r\n")
    with contextlib.suppress(ConnectionError):  # refused before all was sent: the answer is there to be read
        if bad.manner in ("stalls", "drips", "hangs up halfway"):
            writer.write(head + b"\r\n\r\n" + body[: len(body) // 2])
        else:
            writer.write(raw)
        await writer.drain()
    if not bad.statuses:
        await asyncio.sleep(0.05)
        return None
    answer = asyncio.create_task(reader.readline())
    rest = iter(body[len(body) // 2 :])
    # Not a byte after the answer: the reset that it is met with may take the answer away.
    while bad.manner == "drips" and not (await asyncio.wait({answer}, timeout=0.5))[0]:
        writer.write(bytes([next(rest)]))
    try:
        line = await answer
    except ConnectionError:
        return 0
    return int(line.split()[1]) if line.startswith(b"HTTP/1") else 0


async def watch(pid: int, samples: list[tuple[float, float, int]]) -> None:
    """Note time, memory (MiB) and open files of a process twice a second."""
    while True:
        samples.append((time.perf_counter(), memory_mib(pid), open_files(pid)))
        await asyncio.sleep(0.5)


async def settled(session: aiohttp.ClientSession) -> dict[str, float]:
    """The gateway's own counts, once nothing but the question for them is under way, or after ten seconds."""
    for _ in range(100):
        async with session.get("/metrics") as reply:
            lines = (line.rpartition(" ") for line in (await reply.text()).splitlines() if not line.startswith("#"))
            found = {name: float(value) for name, _, value in lines}
        if found["facevlm_requests_under_way"] == 1 and not found["facevlm_buffered_bytes"]:
            break
        await asyncio.sleep(0.1)
    return found


async def soak(service: Service, requests: int, at_once: int, real: bool) -> dict[str, object]:
    """Send everything; what came of it."""
    samples: list[tuple[float, float, int]] = []
    headers = {"authorization": f"Bearer {service.key}"}
    numbers = iter(range(requests))
    async with aiohttp.ClientSession(service.url, headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        load = Load(service, session, shots(18), real)

        async def client() -> None:
            for number in numbers:
                await load.one(number)

        watcher = asyncio.create_task(watch(service.pid, samples))
        start = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(at_once)))
        took = time.perf_counter() - start
        counts = await settled(session)
        watcher.cancel()
    for _ in range(160):  # connections kept for the next request are let go in time, those to an engine too
        samples.append((time.perf_counter(), memory_mib(service.pid), open_files(service.pid)))
        if samples[-1][2] <= samples[0][2] + _FILES:
            break
        await asyncio.sleep(0.5)
    load.tally.wrong += [f"logged: {line}" for line in service.errors]
    return _report(load.tally, samples, counts, took)


def _report(tally: Tally, samples: list[tuple[float, float, int]], counts: dict[str, float],
            took: float) -> dict[str, object]:  # fmt: skip
    fifth = max(1, len(samples) // 5)
    # The first fifth is warm-up: thread stacks, arenas, connection pools.
    early, late = (statistics.median(m for _, m, _ in part) for part in (samples[fifth : 2 * fifth], samples[-fifth:]))
    failed = {name: n for name, n in counts.items()
              if name.startswith("facevlm_requests_total") and 'status="5' in name and "/readyz" not in name}
    errors = sum(failed.values())
    wrong = list(tally.wrong)
    if errors:
        wrong.append(f"answers of 5xx: {failed}")
    if late > 1.1 * early + 8:
        wrong.append(f"memory grew from {early:.0f} to {late:.0f} MiB")
    if samples[-1][2] > samples[0][2] + _FILES:
        wrong.append(f"open files grew from {samples[0][2]} to {samples[-1][2]}")
    if counts["facevlm_requests_under_way"] != 1 or counts["facevlm_buffered_bytes"]:
        wrong.append(f"left over: {counts['facevlm_requests_under_way'] - 1:g} requests under way, "
                     f"{counts['facevlm_buffered_bytes']:g} bytes")  # fmt: skip
    examples = {text.partition(":")[0]: text for text in wrong}
    return {
        "good": tally.good, "bad": sum(tally.bad.values()), "kinds_of_bad": len(tally.bad), "server_errors": errors,
        "wrong": len(wrong), "examples": list(examples.values()), "seconds": round(took, 1),
        "p50_ms": round(1000 * statistics.median(tally.seconds)), "memory_mib": [round(early), round(late)],
        "peak_mib": round(max(m for _, m, _ in samples)), "open_files": [samples[0][2], samples[-1][2]],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--real", action="store_true", help="vLLM and the embedded model behind the gateway")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        # The embedded model was never taught to stop thinking: a face would take all 1,024 tokens.
        engine = "max_answer_tokens=96" if args.real else f"engine_url=[{stack.enter_context(fake_engine()).url}]"
        service = stack.enter_context(gateway(*LIMITS, engine))
        found = asyncio.run(soak(service, args.requests, args.at_once, args.real))
    print(json.dumps(found))
    if found["wrong"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
