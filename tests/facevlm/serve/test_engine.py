"""Engines of our own: planned by model, started, and again, ended; a small program plays vLLM, and vLLM."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from facevlm.checkpoint import EMBEDDED, ModelError
from facevlm.config import ConfigError
from facevlm.serve.counters import Counters
from facevlm.serve.engines import engine as engines
from facevlm.serve.engines.engine import Engine
from facevlm.serve.engines.launch import arguments, plan
from facevlm.serve.engines.upstream import Upstream
from facevlm.serve.settings import Config

CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "x"}]}
START = 900  # seconds: what an engine is given to start (`start_seconds`); a slow machine needs minutes of them


def adapter(folder: Path, base: str = "tiny", rank: int = 4) -> str:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, "r": rank}))
    return str(folder)


def model(folder: Path, **facts: Any) -> str:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "facevlm.json").write_text(json.dumps(facts))
    return str(folder)


def test_nothing_named_is_the_embedded_model() -> None:
    [launch] = plan(Config())
    assert list(launch.models) == ["tiny"] and launch.base == str(EMBEDDED)
    assert Config().demonstration and not Config(model="tiny").demonstration


def test_adapters_of_one_base_share_its_engine_and_the_base_is_served_too(tmp_path: Path) -> None:
    first, second = adapter(tmp_path / "sft"), adapter(tmp_path / "grpo", rank=32)
    config = Config(model=second, models={"first": first})
    [launch] = plan(config)
    assert {name: (m.base, m.adapter) for name, m in launch.models.items()} == {
        "tiny": (None, None), "grpo": ("tiny", "grpo"), "first": ("tiny", "first")}  # fmt: skip
    assert list(launch.models) == ["grpo", "first", "tiny"] and launch.base_name == "tiny"
    words = arguments(launch, Path("/s"), config, 1, cpu=True)
    assert words[words.index("--override-generation-config") + 1] == '{"max_new_tokens": 1024}'
    assert words[:2] == ["--model", str(EMBEDDED)]
    assert words[words.index("--lora-modules") + 1 :] == [f"grpo={second}", f"first={first}"]
    assert words[words.index("--max-lora-rank") + 1] == "32" and "--enforce-eager" in words


def test_whole_models_get_an_engine_each_and_share_the_gpu(tmp_path: Path) -> None:
    one, two = model(tmp_path / "a", max_pixels=1234, labels=["fear", "joy"]), model(tmp_path / "b")
    config = Config(model=one, models={"other": two}, engine_args=["--seed=1"])
    first, second = plan(config)
    assert (first.models["a"].max_pixels, first.models["a"].labels) == (1234, ("fear", "joy"))
    assert list(second.models) == ["other"]
    words = arguments(second, Path("/s"), config, 2, cpu=False)
    assert words[words.index("--gpu-memory-utilization") + 1] == "0.425" and words[-1] == "--seed=1"
    with pytest.raises(ConfigError, match="'again' is the same model as 'a'"):
        plan(Config(model=one, models={"again": one}))
    with pytest.raises(ConfigError, match="'a' is the name of `model` too"):
        plan(Config(model=one, models={"a": two}))
    with pytest.raises(ModelError, match="does not exist"):
        plan(Config(model=str(tmp_path / "none")))


@pytest.mark.parametrize(("keys", "said"), [
    ({"port": 70_000}, "port"), ({"rate_per_minute": 0}, "rate_per_minute"), ({"gpu_memory": 2.0}, "gpu_memory"),
    ({"engine_url": ["10.0.0.5:8001"]}, "no address"), ({"engine_url": ["http://x"], "model": "tiny"}, "leave out"),
    ({"auth": False, "keys": "k"}, "auth is false"),
])  # fmt: skip
def test_keys_that_cannot_work_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Config(**keys)


SMALL = """
import http.server, json, os, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        print(self.path, *(part["type"] for part in asked["messages"][0]["content"]), flush=True)
        self.send_response(200); self.end_headers()
        self.wfile.write(b"{}")
    def address_string(self):
        return ""
class Server(socketserver.ThreadingUnixStreamServer):
    pass
print("small engine starts")
print("(EngineCore pid=1) ERROR [dump_input.py:79] pixel_values 0.4242")
marker = sys.argv[2]
if os.path.exists(marker):
    sys.exit("no memory for the weights")
Server(sys.argv[1], Handler).serve_forever()
"""


def test_an_engine_is_started_again_after_a_pause_and_ended_at_the_end(
    tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    monkeypatch.setattr(engines, "_LOOK_SECONDS", 0.1)
    marker = tmp_path / "broken"
    config = Config(start_seconds=30.0)
    [launch] = plan(config)

    async def drive() -> None:
        one = Engine(launch, "small", lambda path: [sys.executable, "-c", SMALL, str(path), str(marker)], config)
        counters = Counters()
        upstream = Upstream([one.replica], config, counters)

        async def until(up: bool) -> None:
            async with asyncio.timeout(20):
                while one.replica.up != up:
                    await asyncio.sleep(0.02)

        watch = asyncio.create_task(one.watch(upstream, counters))
        await until(True)
        assert one.process is not None and upstream.ready
        first = one.process.pid
        os.kill(first, signal.SIGKILL)
        await until(False)
        marker.touch()  # the next start fails, and the one after it works: it does not give up
        starts = counters.engine_starts.labels("small")
        async with asyncio.timeout(20):
            while starts._value.get() < 3:
                await asyncio.sleep(0.02)
                if starts._value.get() == 2:
                    await asyncio.sleep(0.5)
                    marker.unlink(missing_ok=True)
        await until(True)
        assert one.process is not None
        second = one.process.pid
        assert second != first
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        with pytest.raises(ProcessLookupError):
            os.kill(second, 0)
        await upstream.close()

    asyncio.run(drive())
    said = capfd.readouterr().err
    assert said.count("/chat/completions image_url text") == 2  # each time, before the first client
    assert "small engine starts" in said and "0.4242" not in said


def test_an_engine_that_never_starts_says_why(tmp_path: Path) -> None:
    config = Config()
    [launch] = plan(config)

    async def drive() -> None:
        one = Engine(launch, "small", lambda path: [sys.executable, "-c", SMALL, str(path), str(tmp_path)], config)
        upstream = Upstream([one.replica], config, counters := Counters())
        with pytest.raises(ModelError, match="(?s)small did not start: it ended with 1.*no memory for the weights"):
            await one.watch(upstream, counters)

    asyncio.run(drive())


def test_pauses_grow_to_an_end() -> None:
    assert [engines.pause(n) for n in (1, 2, 3, 20)] == [1.0, 2.0, 4.0, 30.0]


@pytest.mark.slow
def test_vllm_itself_is_killed_and_comes_back(tools: Any) -> None:
    pytest.importorskip("vllm")
    command = [sys.executable, "-m", "facevlm.serve", "port=0", "per_engine=8", f"wait_seconds={START}",
               "max_model_len=512"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            assert gateway.stdout is not None
            said = ""
            while "serves on" not in (line := gateway.stdout.readline()):
                said += line
                assert line, said
            assert "DEMONSTRATION" in said
            url = next(word for word in line.split() if word.startswith("http"))
            with httpx.Client(base_url=url, timeout=START, trust_env=False) as client:
                _drive(gateway.pid, client, url, tools)
            gateway.send_signal(signal.SIGTERM)
            assert gateway.wait(60) == 0
            assert not _children(gateway.pid)
        finally:
            gateway.kill()


@pytest.mark.slow
def test_an_adapter_and_its_base_are_served_side_by_side(tiny_adapter: Path, tiny_model: Path, tools: Any) -> None:
    pytest.importorskip("vllm")
    asked = tools.question(tools.data_url(tools.face()))
    ask = {"messages": asked, "max_tokens": 8, "temperature": 0, "logprobs": True}
    with (tools.running(model=str(tiny_adapter), max_model_len=512) as service,
          httpx.Client(base_url=service.url, timeout=START, trust_env=False) as client):  # fmt: skip
        tools.until(lambda: client.get("/readyz").status_code == 200, START)
        assert [(m["id"], m["parent"]) for m in client.get("/v1/models").json()["data"]] == [
            ("adapter", tiny_model.name), (tiny_model.name, None)]  # fmt: skip
        tuned, base, default = (client.post(CHAT, json=ask | more).json()["choices"][0]["logprobs"]
                                for more in ({"model": "adapter"}, {"model": tiny_model.name}, {}))  # fmt: skip
    assert tuned != base and default == tuned


def _drive(pid: int, client: httpx.Client, url: str, tools: Any) -> None:
    """Ask, kill the engine while many ask, and see what becomes of them."""
    def ready() -> bool:
        return client.get("/readyz").status_code == 200

    tools.until(ready, START)
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as talker:
        ask = tools.question(tools.data_url(tools.face()), text="Which emotion does this face show?")
        whole = talker.chat.completions.create(model="tiny", messages=ask, temperature=0, max_tokens=20)
        assert whole.usage.prompt_tokens > 20
        pieces = talker.chat.completions.create(model="tiny", messages=ask, temperature=0, max_tokens=20, stream=True)
        told = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
        assert told == whole.choices[0].message.content
        # The same pixels by another way: re-encoded by the gateway, not passed on.
        again = tools.question(tools.data_url(tools.face(kind="PNG")), text="Which emotion does this face show?")
        lossless = tools.question(tools.data_url(tools.face(kind="BMP")), text="Which emotion does this face show?")
        texts = [talker.chat.completions.create(model="tiny", messages=m, temperature=0, max_tokens=20, logprobs=True)
                 for m in (again, lossless)]  # fmt: skip
        assert texts[0].choices[0].logprobs == texts[1].choices[0].logprobs
    long = {"messages": [{"role": "user", "content": "Which emotion does this face show?"}], "max_tokens": 200,
            "temperature": 1.0, "stop": ["never"]}  # fmt: skip
    with ThreadPoolExecutor(48) as pool:
        asked = [pool.submit(client.post, CHAT, json=long | {"n": 4}) for _ in range(48)]
        tools.until(lambda: "facevlm_requests_waiting 0.0" not in client.get("/metrics").text, 30)
        [engine] = _children(pid)
        os.kill(engine, signal.SIGKILL)
        replies = [future.result() for future in asked]
    lost = [reply for reply in replies if reply.status_code == 503]
    assert {reply.status_code for reply in replies} == {200, 503} and 1 <= len(lost) <= 8
    assert all("retry-after" in reply.headers and reply.json()["error"]["code"] == "engine_lost" for reply in lost)
    assert ready() and client.post(CHAT, json=BODY).status_code == 200


def _children(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
