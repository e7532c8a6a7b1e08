"""A whole build with a teacher behind an endpoint: what comes out, and what is left of it when it is killed."""

import hashlib
import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from data_builders import build
from facevlm import record
from facevlm.config import ConfigError

HERE = Path(__file__).parents[2]


class Handler(BaseHTTPRequestHandler):
    """A teacher that explains what it is told, writes rubbish to some, and is busy now and then."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart; the body would wait 40 ms for its turn

    def do_POST(self) -> None:  # noqa: N802
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked += 1  # type: ignore[attr-defined]
        busy = random.random() < 0.01
        self._send(503 if busy else 200, {"error": {"message": "busy"}} if busy else answer(body))

    def do_GET(self) -> None:  # noqa: N802
        self._send(200, {"data": []})

    def _send(self, status: int, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """What hangs on the question alone: the form with the labels it was told, or for some questions rubbish."""
    text = body["messages"][0]["content"][-1]["text"]
    whole = json.dumps([body["messages"], body.get("seed")]).encode()
    form = re.search(r"<au>(.*?)</au><answer>(.*?)</answer>", text)
    assert form is not None
    signs = " and ".join(f"a sign that belongs to {au}" for au in form[1].split(", ") if au != "none")
    said = (f"Looking over the brows, the eyes, the nose and the mouth of this person one after the other, I notice "
            f"{signs or 'nothing that moves'}. Taken together, and with the rest of the features at ease, this comes "
            f"closest to {form[2]}.")  # fmt: skip
    good = f"<think>{said}</think><au>{form[1]}</au><answer>{form[2]}</answer>"
    rubbish = hashlib.sha256(whole).digest()[0] % 3 == 0
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": "I cannot say." if rubbish else good}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}}  # fmt: skip


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.daemon_threads, found.asked = True, 0  # type: ignore[attr-defined]
    threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def keys(folder: Path, server: ThreadingHTTPServer, faces: int, **teacher: Any) -> dict[str, Any]:
    return {"source": "synthetic", "out": str(folder / "out"), "workers": 1, "chunk_rows": 100, "rationale": "teacher",
            "options": {"subjects": faces // 10, "per_subject": 10, "size": 32},
            "teacher": {"model": "m", "url": f"http://127.0.0.1:{server.server_address[1]}/v1", "tries": 2,
                        "concurrency": 8, **teacher}}  # fmt: skip


def found(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (folder / "out").iterdir() if p.suffix in (".parquet", ".jsonl")}


def kill_and_finish(folder: Path, given: dict[str, Any], now: Callable[[], bool]) -> bool:
    """Kill a build when `now` says so, then let the same command end; whether it was still at work."""
    argv = [sys.executable, "-m", "data_builders.build", *(f"{k}={json.dumps(v)}" for k, v in given.items())]
    with subprocess.Popen(argv, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not now():
            time.sleep(0.01)
        process.kill()
    if not (folder / "out").exists():
        build.build(build.Config(**given))
    return process.returncode == -signal.SIGKILL


def test_a_teachers_rationales_are_kept_where_they_hold(tmp_path, server):
    tally = build.build(build.Config(**keys(tmp_path, server, 60)))
    kept = record.read(tmp_path / "out").records
    assert Counter(r.rationale_by and r.rationale_by.rsplit(", ", 1)[1] for r in kept).keys() == {
        "try 1 of 2", "try 2 of 2"}  # fmt: skip
    assert tally.dropped["no rationale passed"] == 60 - len(kept) > 0
    assert all("AU" in (r.rationale or "") for r in kept if r.present_aus)
    assert "teacher m, label-conditioned" in (tmp_path / "out" / "README.md").read_text()


def test_a_spent_budget_ends_the_build_and_a_larger_one_goes_on_where_it_was(tmp_path, server):
    with pytest.raises(ConfigError, match="budget_requests 350"):
        build.build(build.Config(**keys(tmp_path, server, 300, budget_requests=350)))
    before = server.asked  # type: ignore[attr-defined]
    build.build(build.Config(**keys(tmp_path, server, 300, budget_requests=1000)))
    whole = found(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    asked = server.asked  # type: ignore[attr-defined]
    build.build(build.Config(**keys(other, server, 300)))
    assert found(other) == whole
    assert asked - before < 0.8 * (server.asked - asked)  # type: ignore[attr-defined]


def test_a_build_killed_while_the_teacher_writes_ends_with_the_same_bytes(tmp_path, server):
    given = keys(tmp_path, server, 400)
    build.build(build.Config(**given))
    known = found(tmp_path)
    (tmp_path / "out").rename(tmp_path / "known")
    asked = server.asked  # type: ignore[attr-defined]
    assert kill_and_finish(tmp_path, given, lambda: server.asked > asked + 200)  # type: ignore[attr-defined]
    assert found(tmp_path) == known


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_build_with_a_teacher_killed_at_any_of_20_moments_ends_with_the_same_bytes(tmp_path, server):
    given = keys(tmp_path, server, 600)
    started = time.perf_counter()
    kill_and_finish(tmp_path, given, lambda: False)
    took = time.perf_counter() - started
    known, killed = found(tmp_path), 0
    for i in range(20):
        (tmp_path / "out").rename(tmp_path / f"out{i}")
        moment = time.perf_counter() + took * (i + random.random()) / 20
        killed += kill_and_finish(tmp_path, given, lambda moment=moment: time.perf_counter() > moment)
        assert found(tmp_path) == known
    assert killed >= 15
