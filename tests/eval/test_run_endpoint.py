"""eval.run through an OpenAI-compatible endpoint: a small one that stands here."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eval.frame.predictions import read_predictions
from eval.run import main
from facevlm.config import ConfigError

pytest.importorskip("openai")

GOOD = "<au>none</au><answer>neutral</answer>"


class Server(ThreadingHTTPServer):
    """Answers its n-th question with `script(n)`: a status and a text."""

    daemon_threads = True

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.asked, self.lock = script, [], threading.Lock()

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802
        self._reply(200, {"data": []})

    def do_POST(self):  # noqa: N802
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(body)
            status, text = self.server.script(len(self.server.asked))
        message = {"role": "assistant", "content": text}
        self._reply(status, {"choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                             "usage": {"prompt_tokens": 50, "completion_tokens": 9}})  # fmt: skip

    def _reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        """Quiet."""


@pytest.fixture
def serve():
    servers = []

    def start(script):
        servers.append(server := Server(script))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def command(config):
    """Runs the command against a server; what summary.json holds."""
    settings = config()

    def run(server, *more):
        main([f"records={settings.records}", "benchmark=synthetic", "model=org/teacher", f"out={settings.out}",
              f"url=http://127.0.0.1:{server.server_address[1]}/v1/", "mode=fast", "bootstrap=0", "gallery=0",
              "concurrency=1", "batch=10", *more])  # fmt: skip
        return json.loads(Path(settings.out, "summary.json").read_text())

    run.out = Path(settings.out)
    return run


def test_an_endpoint_is_asked_by_its_name_for_the_model_and_named_in_the_result(serve, command):
    server = serve(lambda n: (200, GOOD))
    summary = command(server, "body={chat_template_kwargs: {enable_thinking: false}}")
    assert summary["n"] == 24 and summary["emotion_accuracy"] == pytest.approx(1 / 8)
    assert summary["engine"] == "endpoint" and summary["model"] == "org/teacher"
    assert summary["endpoint"] == f"http://127.0.0.1:{server.server_address[1]}/v1"
    assert summary["prompt_tokens_per_image"] == 50 and summary["max_pixels"] == 512 * 512
    assert {(body["model"], body["max_tokens"], body["temperature"]) for body in server.asked} == {
        ("org/teacher", 256, 0)
    }
    assert server.asked[0]["chat_template_kwargs"] == {"enable_thinking": False}
    made = json.loads((command.out / "run.json").read_text())["fingerprint"]
    assert made["weights"] == [] and made["url"] == summary["endpoint"]


def test_a_face_without_an_answer_is_said_left_out_and_asked_again(serve, command):
    server = serve(lambda n: (200, "" if n in (3, 4) else GOOD))
    summary = command(server)
    assert summary["n"] == 22 and summary["unanswered"] == 2 and summary["unreadable_images"] == 0
    assert any("2 of 24 faces got no answer and are left out" in caveat for caveat in summary["caveats"])
    errors = [row.error for row in read_predictions(command.out / "predictions.jsonl") if row.error]
    assert errors == ["no answer: the reply holds no text (finish_reason stop)"] * 2
    again = command(server)
    assert len(server.asked) == 26 and again["n"] == 24 and again["unanswered"] == 0


def test_an_endpoint_that_is_gone_ends_the_run_and_loses_no_answer(serve, command):
    server = serve(lambda n: (200, GOOD) if n <= 13 else (401, "no more"))
    with pytest.raises(SystemExit, match="error: endpoint .* HTTP 401"):
        command(server)
    assert len(read_predictions(command.out / "predictions.jsonl")) == 13
    server.script = lambda n: (200, GOOD)
    assert command(server)["n"] == 24
    assert len(server.asked) == 14 + 11


def test_an_endpoint_tells_no_probabilities_and_the_result_says_so(serve, command):
    summary = command(serve(lambda n: (200, "<answer>neutral</answer>")), "mode=label")
    assert "ece" not in summary and any("no calibration" in caveat for caveat in summary["caveats"])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"url": "gpu-box:8000"}, "no address of an endpoint"),
        ({"url": "http://me:secret@gpu-box/v1"}, "a password"),
        ({"url": "http://gpu-box/v1", "engine": "vllm"}, "leave one out"),
        ({"api_key_env": "KEY"}, "set url"),
        ({"url": "http://gpu-box/v1", "concurrency": 0}, "concurrency=0"),
    ],
)
def test_wrong_settings_of_an_endpoint_are_refused(config, keys, words):
    with pytest.raises(ConfigError, match=words):
        config(**keys)
