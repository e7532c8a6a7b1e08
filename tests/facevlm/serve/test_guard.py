"""The gate: keys, rates, sizes, slowness, names and settings; every refusal before the engine hears of it."""

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from facevlm.config import ConfigError
from facevlm.serve import keys
from facevlm.serve.door.callers import Caller
from facevlm.serve.door.headers import safe
from facevlm.serve.faults import ApiError
from facevlm.serve.settings import Config

CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "x"}]}


@pytest.fixture
def key_file(tmp_path: Any) -> tuple[str, dict[str, str]]:
    """A file of two keys, and the keys by name."""
    file = str(tmp_path / "keys.txt")
    return file, {name: keys.make(keys.Config(name, file)) for name in ("lab", "clinic")}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_only_keys_of_the_file_open_and_taking_one_out_shuts(service: Any, key_file: Any, monkeypatch: Any) -> None:
    file, made = key_file
    client = service(auth=True, keys=file)
    for headers in ({}, bearer("fv-wrong"), {"authorization": "Bearer"}, {"authorization": f"Basic {made['lab']}"},
                    bearer(keys.digest(made["lab"]))):  # fmt: skip
        reply = client.post(CHAT, json=BODY, headers=headers)
        assert (reply.status_code, reply.json()["error"]["type"]) == (401, "authentication_error")
        assert reply.headers["www-authenticate"] == "Bearer"
        assert client.get("/metrics", headers=headers).status_code == 401
        assert client.get("/v1/models", headers=headers).status_code == 401
    for path in ("/healthz", "/readyz", "/v1/policy", "/openapi.json"):
        assert client.get(path).status_code == 200
    for key in made.values():
        assert client.post(CHAT, json=BODY, headers=bearer(key)).status_code == 200
    page = client.get("/metrics", headers=bearer(made["lab"])).text
    assert 'facevlm_requests_total{key="clinic",route="/v1/chat/completions",status="200"} 1.0' in page
    assert 'facevlm_requests_total{key="none",route="other",status="401"}' in page
    assert not any(key in page for key in made.values())
    monkeypatch.setattr(keys, "_LOOK_SECONDS", 0.0)
    lines = Path(file).read_text().splitlines()
    Path(file).write_text("\n".join(line for line in lines if not line.startswith("lab")))
    assert client.post(CHAT, json=BODY, headers=bearer(made["lab"])).status_code == 401
    assert client.post(CHAT, json=BODY, headers=bearer(made["clinic"])).status_code == 200


def test_a_key_is_kept_as_a_hash_and_faulty_files_are_refused(tmp_path: Any, key_file: Any) -> None:
    file, made = key_file
    text = Path(file).read_text()
    assert all(key not in text and keys.digest(key) in text for key in made.values())
    assert (tmp_path / "keys.txt").stat().st_mode & 0o077 == 0
    assert len(set(made.values())) == 2 and all(len(key) > 40 for key in made.values())
    with pytest.raises(ConfigError, match="lab stands twice"):
        keys.make(keys.Config("lab", file))
    with pytest.raises(ConfigError, match="entry 1 is not name:sha256"):
        keys.read_lines(made["lab"], "there")
    with pytest.raises(ConfigError, match="keys are asked for and there is none"):
        keys.KeyRing(None, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        keys.KeyRing(str(tmp_path / "none.txt"), {})
    found = keys.KeyRing(None, {"FACEVLM_KEYS": f"a:{keys.digest('x')}, b:{keys.digest('y')}"})
    assert (found.name("x"), found.name("y"), found.name("z"), found.name("\ud800")) == ("a", "b", None, None)


def test_others_can_reach_it_only_with_keys_and_a_purpose() -> None:
    assert not Config().asks_for_keys and not Config(host="::1").asks_for_keys
    assert Config(host="::", purpose="pain research at X").asks_for_keys
    with pytest.raises(ConfigError, match="purpose: is required"):
        Config(host="::")


def test_a_bucket_fills_with_time_and_counts_what_is_under_way() -> None:
    now = [0.0]
    caller = Caller("lab", per_minute=60, burst=3, at_once=2, clock=lambda: now[0])
    for _ in range(3):
        caller.charge()
    with pytest.raises(ApiError) as refused:
        caller.charge()
    assert (refused.value.status_code, (refused.value.headers or {})["retry-after"]) == (429, "1")
    now[0] = 1.0
    caller.charge()
    with pytest.raises(ApiError):
        caller.charge()
    now[0] = 100.0
    caller.charge(50)  # more than the bucket holds passes once it is full, and is paid off
    now[0] = 130.0
    with pytest.raises(ApiError):
        caller.charge()
    now[0] = 149.0
    caller.charge()
    caller.enter()
    caller.enter()
    with pytest.raises(ApiError):
        caller.enter()
    caller.leave()
    caller.enter()


def test_a_key_over_its_rate_or_its_concurrency_waits_and_the_other_does_not(
    service: Any, engine: Any, key_file: Any, tools: Any
) -> None:
    file, made = key_file
    client = service(auth=True, keys=file, rate_per_minute=1, burst=2, concurrent_per_key=1)
    engine.seconds = 1.0
    first = threading.Thread(target=client.post, args=(CHAT,), kwargs={"json": BODY, "headers": bearer(made["lab"])})
    first.start()
    tools.until(lambda: engine.under_way == 1)
    reply = client.post(CHAT, json=BODY, headers=bearer(made["lab"]))
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "concurrency_limit_exceeded")
    engine.seconds = 0.0
    assert client.post(CHAT, json=BODY, headers=bearer(made["clinic"])).status_code == 200
    first.join()
    reply = client.post(CHAT, json=BODY, headers=bearer(made["lab"]))
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert client.post(CHAT, json=BODY, headers=bearer(made["clinic"])).status_code == 200


def test_a_long_body_is_refused_by_its_word_and_by_its_bytes(service: Any, engine: Any) -> None:
    client = service(max_body_mb=0.1)
    json = {"content-type": "application/json"}
    reply = client.post(CHAT, content=b"x" * 200_000, headers=json)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")
    reply = client.post(CHAT, content=(b"x" * 50_000 for _ in range(4)), headers=json)  # chunked, promises nothing
    assert reply.status_code == 413
    assert client.post(CHAT, json=BODY).status_code == 200
    assert "facevlm_buffered_bytes 0.0" in client.get("/metrics").text


def test_bodies_together_are_bounded_and_forgotten(service: Any) -> None:
    client = service(max_buffered_mb=0.1)
    reply = client.post(CHAT, content=b"x" * 200_000, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "overloaded")
    assert client.post(CHAT, json=BODY).status_code == 200


def _say(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """What the server answers to bytes on a bare socket, until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        for piece in pieces:
            line.sendall(piece)
            time.sleep(pause)
        found = b""
        while piece := line.recv(65536):
            found += piece
        return found


def test_slow_senders_are_cut_off(service: Any) -> None:
    client = service(header_seconds=0.3, idle_seconds=0.3, body_seconds=0.6)
    port, head = client.base_url.port, b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    body_head = head + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    start = time.monotonic()
    assert _say(port) == b""
    assert _say(port, head) == b""
    assert b" 408 " in _say(port, body_head + b"{")
    assert time.monotonic() - start < 5
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:  # steady drops, but too slow in all
        line.sendall(body_head)
        line.settimeout(0.1)
        said = b""
        while not said:
            with contextlib.suppress(TimeoutError):
                line.sendall(b"x")
                said = line.recv(65536)
        assert b" 408 " in said and 0.4 < time.monotonic() - began < 5
    assert client.post(CHAT, json=BODY).status_code == 200


def test_a_client_that_hangs_up_frees_the_engine(service: Any, engine: Any, tools: Any) -> None:
    client = service(log_requests=True)
    engine.seconds = 30.0
    with pytest.raises(httpx.ReadTimeout):
        client.post(CHAT, json=BODY, timeout=0.5)
    tools.until(lambda: engine.cancelled == 1)
    tools.until(lambda: 'status="499"' in client.get("/metrics").text)
    page = client.get("/metrics").text
    assert "facevlm_requests_under_way 1.0" in page and "facevlm_requests_waiting 0.0" in page


def test_a_request_that_takes_too_long_is_ended(service: Any, engine: Any, tools: Any) -> None:
    engine.seconds = 30.0
    reply = service(request_seconds=0.5).post(CHAT, json=BODY)
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "timeout")
    tools.until(lambda: engine.cancelled == 1)


def test_web_pages_elsewhere_cannot_use_a_service_on_loopback(service: Any, engine: Any) -> None:
    client = service()
    assert client.post(CHAT, json=BODY, headers={"host": "evil.example:80"}).status_code == 421
    reply = client.post(CHAT, json=BODY, headers={"origin": "https://evil.example"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "origin_refused")
    assert "access-control-allow-origin" not in reply.headers
    assert client.post(CHAT, json=BODY, headers={"origin": "null"}).status_code == 403
    own = str(client.base_url).rstrip("/")
    assert client.post(CHAT, json=BODY, headers={"origin": own}).status_code == 200
    assert len(engine.seen) == 1


def test_a_page_that_the_operator_names_may_call(service: Any) -> None:
    client = service(cors_origins=["https://lab.example"])
    ask = {"origin": "https://lab.example", "access-control-request-method": "POST"}
    assert client.options(CHAT, headers=ask).headers["access-control-allow-origin"] == "https://lab.example"
    reply = client.post(CHAT, json=BODY, headers={"origin": "https://lab.example"})
    assert reply.headers["access-control-allow-origin"] == "https://lab.example"
    assert client.post(CHAT, json=BODY, headers={"origin": "https://evil.example"}).status_code == 403


def test_work_and_school_are_refused_unless_the_operator_allows_them(service: Any) -> None:
    client = service(purpose="a study of pain at X")
    policy = client.get("/v1/policy").json()
    assert policy["purpose"] == "a study of pain at X" and not policy["allow_emotion_inference_at_work_or_school"]
    for setting in ("workplace", "Education", "school", "HR"):
        by_header = client.post(CHAT, json=BODY, headers={"x-setting": setting})
        by_field = client.post(CHAT, json=BODY | {"metadata": {"setting": setting}})
        for reply in (by_header, by_field):
            assert (reply.status_code, reply.json()["error"]["code"]) == (403, "setting_refused")
    assert client.post(CHAT, json=BODY, headers={"x-setting": "medical"}).status_code == 200
    assert client.post(CHAT, json=BODY, headers={"x-setting": "the moon"}).status_code == 400
    allowed = service(allow_emotion_inference_at_work_or_school=True)
    assert allowed.post(CHAT, json=BODY, headers={"x-setting": "workplace"}).status_code == 200
    assert allowed.get("/v1/policy").json()["allow_emotion_inference_at_work_or_school"]


def test_every_answer_has_safe_headers(service: Any) -> None:
    client = service()
    for reply in (client.get("/healthz"), client.get("/nothing"), client.post(CHAT, json=BODY),
                  client.post(CHAT, content="{"), client.get("/v1/models", headers={"host": "evil"})):  # fmt: skip
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-request-id"].startswith("req_")
        assert "server" not in reply.headers
    page = dict(safe("/page/x.js", [(b"Cache-Control", b"max-age=5")]))
    assert b"script-src 'self'" in page[b"content-security-policy"] and b"unsafe" not in page[
        b"content-security-policy"]
    assert page[b"Cache-Control"] == b"max-age=5" and b"cache-control" not in page


def test_a_fault_of_ours_is_a_500_that_tells_nothing(service: Any, monkeypatch: Any, caplog: Any) -> None:
    client = service()

    def broken(*_: Any) -> None:
        raise RuntimeError("secret words of a client")

    monkeypatch.setattr("facevlm.serve.chats.routes.check_limits", broken)
    reply = client.post(CHAT, json=BODY)
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal_error")
    assert reply.headers["x-request-id"] in reply.json()["error"]["message"]
    assert "secret" not in reply.text and "secret" not in caplog.text and "RuntimeError at" in caplog.text


def test_the_openapi_document_says_what_can_be_refused(service: Any) -> None:
    document = service().get("/openapi.json").json()
    operation = document["paths"][CHAT]["post"]
    assert {"200", "400", "401", "413", "429", "503"} <= set(operation["responses"])
    assert "422" not in operation["responses"] and operation["security"] == [{"key": []}]
    schema = document["components"]["schemas"]["ChatRequest"]
    assert schema["required"] == ["messages"] and schema["additionalProperties"] is False


def test_a_head_without_end_is_cut_off_and_a_long_body_is_not(service: Any) -> None:
    client = service()
    with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=10) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        with pytest.raises(ConnectionError):
            for _ in range(10_000):
                line.sendall(b"x-more: " + b"y" * 1000 + b"\r\n")
                time.sleep(0.001)
    body = {"messages": [{"role": "user", "content": "x " * 15_000}]}
    pieces = (piece for piece in [b'{"pad": "' + b"x" * 300_000, b"x" * 300_000, b'"}'])
    assert client.post(CHAT, json=body).status_code == 200
    reply = client.post(CHAT, content=pieces, headers={"content-type": "application/json"})
    assert reply.json()["error"]["code"] == "invalid_value"  # read to its end: messages are missing
