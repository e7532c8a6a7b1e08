import base64
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

from facevlm.checkpoint import ModelError
from facevlm.generate import Reply, Request, own_seed
from facevlm.generate.endpoint import Endpoint, EndpointError, Failure

pytest.importorskip("openai")

KEY = "sk-very-secret"
Script = Callable[["Server", str, int], tuple[int, Any]]
"""What the server does with a question, asked for the n-th time: HTTP status and body."""


class Server(ThreadingHTTPServer):
    """A chat endpoint that answers as its script says, and remembers what it was asked."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.now = self.most = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def times(self, text: str) -> int:
        return sum(asked(body) == text for body in self.bodies)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802
        self.reply(200, {"data": []})

    def do_POST(self) -> None:  # noqa: N802
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.bodies.append(body)
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            server.now += 1
            server.most = max(server.most, server.now)
        status, answer = server.script(server, asked(body), server.times(asked(body)))
        with server.lock:
            server.now -= 1
        self.reply(status, answer)

    def reply(self, status: int, answer: Any) -> None:
        if status == 0:  # dies half-way
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.close_connection = True
            return
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status == 429:
            self.send_header("Retry-After", str(answer.get("wait", 0.01)))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def asked(body: dict[str, Any]) -> str:
    return str(body["messages"][0]["content"][-1]["text"])


def chat(text: str | None, finish: str = "stop") -> dict[str, Any]:
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m",
            "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}}  # fmt: skip


def echo(_: Server, text: str, __: int) -> tuple[int, Any]:
    return 200, chat(f"said {text}")


Serve = Callable[[Script], Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(script: Script) -> Server:
        servers.append(server := Server(script))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def endpoint(server: Server, **options: Any) -> Endpoint:
    return Endpoint("m", server.url, **{"retries": 3, "timeout": 5.0, "backoff": 0.01, **options})


def questions(*texts: str) -> list[Request]:
    return [Request((Image.new("RGB", (8, 8), (10 * i, 0, 0)),), text) for i, text in enumerate(texts)]


def test_replies_stand_in_the_order_of_the_requests_and_are_counted(serve: Serve) -> None:
    def late(server: Server, text: str, n: int) -> tuple[int, Any]:
        time.sleep(0.1 if text == "0" else 0)
        return echo(server, text, n)

    asks = endpoint(serve(late))
    replies = asks.generate(questions(*map(str, range(20))))
    assert replies == [Reply(f"said {i}", 10, 3) for i in range(20)]
    assert (asks.usage.answered, asks.usage.prompt_tokens, asks.usage.completion_tokens) == (20, 200, 60)
    assert (asks.usage.failed, asks.usage.retries) == (0, 0) and 0.1 < asks.usage.seconds < 5
    assert asks.generate([]) == []


def test_what_is_sent_is_the_picture_the_text_and_the_sampling(serve: Serve) -> None:
    server = serve(echo)
    picture = Image.effect_noise((9, 7), 90).convert("RGB")
    second = Image.new("RGB", (8, 8))
    asks = endpoint(server, body={"top_p": 0.9, "max_tokens": None, "max_completion_tokens": 7})
    asks.generate([Request((picture, second), "who?")], max_new_tokens=5, temperature=0.5, seed=3)
    body = server.bodies[0]
    assert body["model"] == "m" and body["temperature"] == 0.5 and body["top_p"] == 0.9
    assert body["max_completion_tokens"] == 7 and "max_tokens" not in body
    parts = body["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image_url", "image_url", "text"]
    data = base64.b64decode(parts[0]["image_url"]["url"].partition(",")[2])
    assert Image.open(io.BytesIO(data)).tobytes() == picture.tobytes()


def test_each_request_has_a_seed_of_its_own_that_hangs_on_nothing_beside_it(serve: Serve) -> None:
    server = serve(echo)
    two, one = questions("a", "b"), questions("a")
    endpoint(server, concurrency=1).generate(two, temperature=1.0, seed=7)
    endpoint(server).generate(one, temperature=1.0, seed=7)
    endpoint(server).generate(one, temperature=1.0, seed=8)
    endpoint(server).generate(one, temperature=1.0)
    a, b, again, other, none = (body.get("seed") for body in server.bodies)
    assert a == again == own_seed(7, one[0]) and len({a, b, other}) == 3 and none is None
    assert own_seed(7, questions("a", "a")[1]) != a  # another picture


def test_no_more_requests_at_once_than_allowed(serve: Serve) -> None:
    def slow(server: Server, text: str, n: int) -> tuple[int, Any]:
        time.sleep(0.02)
        return echo(server, text, n)

    server = serve(slow)
    endpoint(server, concurrency=4).generate(questions(*map(str, range(24))))
    assert 2 <= server.most <= 4


@pytest.mark.parametrize(
    "trouble",
    [(429, {"error": {"message": "slow down"}}), (500, {"error": {"message": "oops"}}), (503, b"<html>busy</html>"),
     (408, {}), (0, None), (200, b"<html>welcome</html>"), (200, b'{"choices": [{"mess'), (200, {"choices": []}),
     (200, []), (200, {"choices": None}), (200, {"choices": [{"message": {"content": ["?"]}}]})],
    ids=lambda trouble: f"{trouble[0]}-{str(trouble[1])[:24]}",
)  # fmt: skip
def test_trouble_that_passes_is_asked_again(serve: Serve, trouble: tuple[int, Any]) -> None:
    server = serve(lambda s, text, n: trouble if n <= 2 and text == "1" else echo(s, text, n))
    asks = endpoint(server)
    assert [r.text for r in asks.generate(questions("0", "1", "2"))] == ["said 0", "said 1", "said 2"]
    assert asks.usage.retries == 2 and server.times("1") == 3 and asks.usage.failed == 0


def test_an_answer_that_takes_too_long_is_asked_again(serve: Serve) -> None:
    def stuck(server: Server, text: str, n: int) -> tuple[int, Any]:
        time.sleep(4 if n == 1 else 0)
        return echo(server, text, n)

    asks = endpoint(serve(stuck), timeout=1.5)
    assert asks.generate(questions("a"))[0].text == "said a"
    assert asks.usage.retries == 1


@pytest.mark.parametrize(
    ("trouble", "fault", "again", "times"),
    [((500, {"error": {"message": "bad picture"}}), "HTTP 500: .*bad picture", True, 4),
     ((400, {"error": {"message": "too long"}}), "HTTP 400: .*too long", False, 1),
     ((403, {"error": {"message": "flagged"}}), "HTTP 403: .*flagged", False, 1),
     ((200, chat(None, "content_filter")), "holds no text .*content_filter", False, 1),
     ((200, chat("", "length")), "holds no text .*length", False, 1),
     ((0, None), "the connection failed", True, 4),
     ((200, b"rubbish"), "no chat completion: 'rubbish'", True, 4),
     ((429, {"wait": 4000}), "HTTP 429", True, 1)],
    ids=str,
)  # fmt: skip
def test_a_request_that_fails_for_good_does_not_end_the_batch(
    serve: Serve, trouble: tuple[int, Any], fault: str, again: bool, times: int
) -> None:
    server = serve(lambda s, text, n: trouble if text == "bad" else echo(s, text, n))
    asks = endpoint(server)
    good, bad, also = asks.generate(questions("a", "bad", "c"))
    assert (good.text, also.text) == ("said a", "said c")
    assert isinstance(bad, Failure) and bad.text == "" and bad.again is again
    assert re.search(fault, bad.fault)
    assert server.times("bad") == times and asks.usage.failed == 1


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "look at the key"), (402, "look at the key"), (404, "look at `model` and `url`; .* ends in /v1")],
)
def test_a_refused_key_or_model_ends_the_batch_at_once(serve: Serve, status: int, remedy: str) -> None:
    server = serve(lambda *_: (status, {"error": {"message": "no such thing"}}))
    said = rf"/v1 was asked for model 'm' .*HTTP {status}: .*no such thing.*{remedy}"
    with pytest.raises(EndpointError, match=said):
        endpoint(server, concurrency=2).generate(questions(*map(str, range(50))))
    assert len(server.bodies) <= 4


def test_an_empty_account_ends_the_batch_instead_of_being_waited_for(serve: Serve) -> None:
    server = serve(lambda *_: (429, {"error": {"code": "insufficient_quota"}}))
    with pytest.raises(EndpointError, match="insufficient_quota.*account"):
        endpoint(server).generate(questions("a"))


def test_every_request_failing_is_one_error_that_says_what_came_back(serve: Serve) -> None:
    server = serve(lambda *_: (400, {"error": {"message": "seed is not supported"}}))
    with pytest.raises(EndpointError, match=r"HTTP 400: .*seed is not supported.*`body` can leave one out"):
        endpoint(server).generate(questions("a", "b", "c"), seed=1)


def test_an_endpoint_that_always_fails_is_given_up_before_all_were_tried(serve: Serve) -> None:
    server = serve(lambda *_: (500, {"error": "down"}))
    with pytest.raises(EndpointError, match="HTTP 500"):
        endpoint(server, concurrency=8, retries=1).generate(questions(*map(str, range(200))))
    assert len(server.bodies) < 60


def test_an_endpoint_that_goes_away_ends_the_batch_so_that_no_record_pays_for_it(serve: Serve) -> None:
    def dying(s: Server, text: str, n: int) -> tuple[int, Any]:
        if text == "2":
            threading.Thread(target=lambda: (s.shutdown(), s.socket.close()), daemon=True).start()
            time.sleep(0.1)
            return 0, None
        return echo(s, text, n)

    server = serve(dying)
    with pytest.raises(EndpointError, match="the connection failed.* after 2 answers"):
        endpoint(server, concurrency=1, retries=1).generate(questions("0", "1", "2"))


def test_nobody_there_is_said(serve: Serve) -> None:
    with pytest.raises(EndpointError, match="the connection failed"):
        Endpoint("m", "http://127.0.0.1:9/v1", retries=1, backoff=0.01).generate(questions("a", "b"))


def test_the_key_comes_from_the_environment_and_is_never_repeated(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    refusal = 401, {"error": {"message": f"bad key {KEY}"}}
    server = serve(lambda s, text, n: refusal if text == "b" else echo(s, text, n))
    asks = endpoint(server, api_key_env="MY_KEY")
    assert asks.generate(questions("a"))[0].text == "said a"
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    with pytest.raises(EndpointError, match=r"bad key \*\*\*") as e:
        asks.generate(questions("b"))
    assert KEY not in str(e.value)


def test_without_a_named_variable_no_key_of_another_service_is_sent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = serve(echo)
    endpoint(server).generate(questions("a"))
    assert all(KEY not in value for value in server.headers[0].values())


def test_none_in_an_answer_survives(serve: Serve) -> None:
    server = serve(lambda *_: (200, chat("<au>none</au>")))
    assert endpoint(server).generate(questions("a"))[0].text == "<au>none</au>"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"url": "gpu-box:8000"}, "no address of an endpoint"),
     ({"url": "http://me:secret@host/v1"}, "put the key into an environment variable"),
     ({"url": "http://host/v1?key=secret"}, "put the key into an environment variable"),
     ({"url": "http://host/v1", "api_key_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE, which is not set")],
)  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as e:
        Endpoint("m", **options)
    assert "secret" not in str(e.value)


def test_the_full_address_of_the_chat_route_is_taken_too(serve: Serve) -> None:
    server = serve(echo)
    asks = Endpoint("m", server.url + "/chat/completions/")
    assert asks.generate(questions("a"))[0].text == "said a"


def test_an_answer_cannot_be_begun() -> None:
    begun = Request((Image.new("RGB", (32, 32)),), "Which emotion?", prefix="<think>")
    with pytest.raises(ModelError, match="beginning of an answer"):
        Endpoint("any", "http://127.0.0.1:9/v1").generate([begun])
