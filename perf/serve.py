"""What serving costs and gains: python -m perf.serve --model runs/quickstart/grpo

The same drawn faces throughout, on one machine, in turns:

- in one process, `perf.engines`: vLLM, transformers one picture at a time and in batches;
- over HTTP, the same chat requests to vLLM's own server and to the gateway in front of that very server: many at once
  (pictures per second), and one at a time (what the gateway adds to the time of an answer);
- POST /v1/faces/analyze in the modes explain, fast and label.

The client is a process of its own. One pixel differs between passes, so that no pass is answered from a cache that the
one before it filled. Last line: JSON; the ratios are medians over rounds. CPU milliseconds are for one picture: on a
machine that does other work too they tell more than seconds do.
"""

import argparse
import asyncio
import base64
import contextlib
import io
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
from PIL import Image

from facevlm.answer import MODES
from facevlm.checkpoint import read_facts
from facevlm.prompts import question
from facevlm.serve.settings import Config
from facevlm.tiny.population import draw, emotional_aus
from facevlm.vocab import LABEL_SETS
from perf.hostile import CHAT, FACES
from perf.service import Service, cpu_seconds, gateway, vllm_server


@dataclass(frozen=True, slots=True)
class Pass:
    """What a client sends: bodies to one address."""

    url: str
    key: str
    path: str
    bodies: list[bytes]
    at_once: int


def send(work: Pass) -> tuple[float, list[float]]:
    """Seconds for all, and of each; run in the client's process."""
    return asyncio.run(_send(work))


async def _send(work: Pass) -> tuple[float, list[float]]:
    each: list[float] = []
    left = iter(work.bodies)
    headers = {"content-type": "application/json", "authorization": f"Bearer {work.key}"}
    async with aiohttp.ClientSession(work.url, headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def client() -> None:
            for body in left:
                start = time.perf_counter()
                async with session.post(work.path, data=body) as reply:
                    text = await reply.read()
                if reply.status != 200:
                    raise SystemExit(f"{work.path}: {reply.status} {text[:300]!r}")
                each.append(time.perf_counter() - start)

        start = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(work.at_once)))
        return time.perf_counter() - start, each


class Faces:
    """Drawn faces as requests, never the same bytes twice."""

    def __init__(self, n: int, size: int, model: str) -> None:
        rng = np.random.default_rng(0)
        emotions = LABEL_SETS["basic8"].labels
        self._images = [draw(i, emotional_aus(emotions[i % 8], rng), rng, size).face.image for i in range(n)]
        self._labels = tuple(read_facts(model).get("labels") or emotions)
        self._pass = 0

    def _urls(self, n: int) -> Iterable[str]:
        self._pass += 1
        for image in self._images[:n]:
            marked = image.copy()
            marked.putpixel((0, 0), (self._pass % 256, self._pass // 256, 0))
            yield _url(marked)

    def chats(self, n: int, mode: str, tokens: int) -> list[bytes]:
        """n chat completions about one face each."""
        text = question(MODES[mode], self._labels)  # type: ignore[index]
        return [json.dumps({"messages": [{"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]}],
                    "max_tokens": tokens, "temperature": 0}).encode() for url in self._urls(n)]  # fmt: skip

    def analyses(self, n: int, mode: str) -> list[bytes]:
        """n face analyses of one face each."""
        return [json.dumps({"images": [{"image": url}], "mode": mode, "detect": False}).encode()
                for url in self._urls(n)]  # fmt: skip


def _url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def generation(args: argparse.Namespace) -> dict[str, float]:
    """`perf.engines` in a process of its own, so that its engines are gone when servers are measured."""
    command = [sys.executable, "-m", "perf.engines", "--model", args.model, "--faces", str(args.faces),
               "--rounds", str(args.rounds), "--dtype", args.dtype,
               *["--compiled"] * args.compiled]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


class Client:
    """The process that sends."""

    def __init__(self, pool: Any, bare: Service, door: Service) -> None:
        self._pool, self._services = pool, {"bare": bare, "gateway": door}

    def run(self, to: str, path: str, bodies: list[bytes], at_once: int) -> tuple[float, list[float]]:
        """Seconds for all bodies, and of each."""
        service = self._services[to]
        return self._pool.apply(send, (Pass(service.url, service.key, path, bodies, at_once),))

    def cpu(self) -> dict[str, float]:
        """CPU seconds of the engine and the gateway up to now."""
        return {name: cpu_seconds(service.pid) for name, service in self._services.items()}


def saturation(client: Client, faces: Faces, args: argparse.Namespace) -> dict[str, float]:
    """Pictures per second through the gateway and past it, in rounds of both."""
    speed: dict[str, list[float]] = {"bare": [], "gateway": []}
    spent: dict[str, list[float]] = {"bare": [], "gateway": []}
    for turn in range(args.rounds):
        for to in sorted(speed, reverse=bool(turn % 2)):
            bodies, before = faces.chats(args.faces, "explain", args.tokens), client.cpu()
            speed[to].append(len(bodies) / client.run(to, CHAT, bodies, args.at_once)[0])
            after = client.cpu()
            # Through the gateway its own share; past it the engine's.
            spent[to].append(1000 * (after[to] - before[to]) / len(bodies))
    shares = [door / bare for door, bare in zip(speed["gateway"], speed["bare"], strict=True)]
    return {"bare_images_per_second": _middle(speed["bare"]), "gateway_images_per_second": _middle(speed["gateway"]),
            "gateway_share": round(statistics.median(shares), 3), "engine_cpu_ms": _middle(spent["bare"]),
            "gateway_cpu_ms": round(statistics.median(spent["gateway"]), 2)}  # fmt: skip


def latency(client: Client, faces: Faces, args: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of one request at a time, in turns of ten; of mode label, whose time varies least."""
    times: dict[str, list[float]] = {"bare": [], "gateway": []}
    for turn in range(2 * args.rounds):
        for to in sorted(times, reverse=bool(turn % 2)):
            times[to] += client.run(to, CHAT, faces.chats(10, "label", args.tokens), 1)[1]
    p50 = {to: 1000 * statistics.median(some) for to, some in times.items()}
    return {"bare_p50_ms": round(p50["bare"], 1), "gateway_p50_ms": round(p50["gateway"], 1),
            "gateway_added_p50_ms": round(p50["gateway"] - p50["bare"], 1)}  # fmt: skip


def modes(client: Client, faces: Faces, args: argparse.Namespace) -> dict[str, float]:
    """Pictures per second of the face API in each mode, in rounds of all."""
    speed: dict[str, list[float]] = {mode: [] for mode in MODES}
    for _ in range(args.rounds):
        for mode, found in speed.items():
            bodies = faces.analyses(args.faces, mode)
            found.append(len(bodies) / client.run("gateway", FACES, bodies, args.at_once)[0])
    ratios = {mode: [a / b for a, b in zip(speed[mode], speed["explain"], strict=True)] for mode in ("fast", "label")}
    return {f"{mode}_images_per_second": _middle(found) for mode, found in speed.items()} | {
        f"{mode}_vs_explain": round(statistics.median(found), 2) for mode, found in ratios.items()}  # fmt: skip


def _middle(values: list[float]) -> float:
    return round(statistics.median(values), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="one that knows the answer form tells more than the default")
    parser.add_argument("--faces", type=int, default=256)
    parser.add_argument("--size", type=int, default=112, help="side of the pictures in pixels")
    parser.add_argument("--tokens", type=int, default=128, help="longest answer")
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32", help="of all engines: float32 or bfloat16")
    parser.add_argument("--compiled", action="store_true", help="vLLM compiles the model")
    parser.add_argument("--skip-generate", action="store_true", help="leave out transformers")
    args = parser.parse_args()
    found: dict[str, float] = {}
    if not args.skip_generate:
        speed = generation(args)
        found = speed | {"vs_generate_one": speed["vllm_vs_one"], "vs_generate_batched": speed["vllm_vs_batched"]}
    faces = Faces(args.faces, args.size, args.model)
    with contextlib.ExitStack() as stack:
        more = [f"--dtype={args.dtype}", *["--no-enforce-eager"] * args.compiled]
        bare = stack.enter_context(vllm_server(Config(model=args.model, engine_args=more)))
        door = stack.enter_context(gateway(f"engine_url=[{bare.url}]"))
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(1))
        client = Client(pool, bare, door)
        for to in ("bare", "gateway"):
            client.run(to, CHAT, faces.chats(8, "explain", args.tokens), 8)
        for mode in MODES:
            client.run("gateway", FACES, faces.analyses(8, mode), 8)
        for measure in (saturation, latency, modes):
            found |= measure(client, faces, args)
            print(json.dumps(found), flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
