"""Engines that die, come back, or are several: who gets a request, and what becomes of it."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "x"}]}


def status(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def test_requests_on_an_engine_that_dies_get_a_503_and_those_that_wait_are_answered(
    service: Any, engine: Any, tools: Any
) -> None:
    client = service(per_engine=3, wait_seconds=30.0)
    engine.seconds = 30.0
    with ThreadPoolExecutor(8) as pool:
        first = [pool.submit(client.post, CHAT, json=BODY) for _ in range(3)]
        tools.until(lambda: engine.under_way == 3)
        waiting = [pool.submit(client.post, CHAT, json=BODY) for _ in range(3)]
        tools.until(lambda: "facevlm_requests_waiting 3.0" in client.get("/metrics").text)
        engine.stop()
        for future in first:
            assert status(future.result()) == (503, "engine_lost")
            assert int(future.result().headers["retry-after"]) >= 1
        assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200
        late = pool.submit(client.post, CHAT, json=BODY)
        time.sleep(0.3)
        assert not any(future.done() for future in [*waiting, late])
        engine.seconds = 0.0
        engine.start()
        assert [future.result().status_code for future in [*waiting, late]] == [200] * 4
    assert client.get("/readyz").status_code == 200


def test_another_engine_takes_over_what_was_not_yet_told(service: Any, engine: Any, tools: Any) -> None:
    other = tools.FakeEngine()
    other.start()
    try:
        client = service(engine, other)
        engine.fault = other.fault = "drop"
        # Both break the connection, and live: one more attempt, no endless ones.
        assert status(client.post(CHAT, json=BODY)) == (503, "engine_lost")
        assert len(engine.seen) + len(other.seen) == 2
        other.fault = None
        engine.stop()
        assert "happiness" in client.post(CHAT, json=BODY).text
        assert client.post(CHAT, json=BODY | {"stream": True}).text.endswith("data: [DONE]\n\n")
    finally:
        other.stop()


def test_an_engine_s_own_500_is_tried_again_and_then_a_503(service: Any, engine: Any) -> None:
    client = service()
    engine.fault = "500"
    assert status(client.post(CHAT, json=BODY)) == (503, "engine_lost")
    assert len(engine.seen) == 2
    engine.fault = "503"
    assert status(client.post(CHAT, json=BODY)) == (503, "overloaded")
    engine.fault = None
    assert client.post(CHAT, json=BODY).status_code == 200


def test_a_stream_that_breaks_in_the_middle_says_so(service: Any, engine: Any, tools: Any) -> None:
    client = service()
    engine.fault = "half"
    with openai.OpenAI(base_url=f"{client.base_url}/v1", api_key="none", max_retries=0) as talker:
        stream = talker.chat.completions.create(model="tiny", messages=tools.question(), stream=True)
        with pytest.raises(openai.APIError, match="the engine stopped"):
            list(stream)
    assert len(engine.seen) == 1  # half of it was told: it is not asked again


def test_the_least_busy_engine_is_next_and_each_serves_its_models(service: Any, engine: Any, tools: Any) -> None:
    other = tools.FakeEngine(("tiny", "tuned"))
    other.start()
    try:
        client = service(engine, other)
        for _ in range(8):
            client.post(CHAT, json=BODY)
        assert len(engine.seen) == len(other.seen) == 4
        assert client.post(CHAT, json=BODY | {"model": "tuned"}).json()["model"] == "tuned"
        assert (len(engine.seen), len(other.seen)) == (4, 5)
        engine.seconds = 2.0
        slow = threading.Thread(target=lambda: [client.post(CHAT, json=BODY) for _ in range(2)])
        slow.start()
        tools.until(lambda: engine.under_way == 1)
        before = len(other.seen)
        for _ in range(4):
            client.post(CHAT, json=BODY)
        assert len(other.seen) == before + 4
        slow.join()
    finally:
        other.stop()


def test_the_queue_has_an_end_and_waiting_too(service: Any, engine: Any, tools: Any) -> None:
    client = service(per_engine=1, max_waiting=1, wait_seconds=1.0)
    engine.seconds = 4.0
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, CHAT, json=BODY)
        tools.until(lambda: engine.under_way == 1)
        second = pool.submit(client.post, CHAT, json=BODY)
        tools.until(lambda: "facevlm_requests_waiting 1.0" in client.get("/metrics").text)
        third = client.post(CHAT, json=BODY)
        assert status(third) == (503, "overloaded") and int(third.headers["retry-after"]) >= 1
        assert status(second.result()) == (503, "overloaded")
        assert first.result().status_code == 200
    assert "facevlm_requests_waiting 0.0" in client.get("/metrics").text


def test_a_place_that_is_given_up_goes_to_the_next(service: Any, engine: Any, tools: Any) -> None:
    client = service(per_engine=1)
    engine.seconds = 1.5
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, CHAT, json=BODY)
        tools.until(lambda: engine.under_way == 1)
        with pytest.raises(httpx.ReadTimeout):
            client.post(CHAT, json=BODY, timeout=0.3)
        last = pool.submit(client.post, CHAT, json=BODY)
        assert first.result().status_code == last.result().status_code == 200
    assert len(engine.seen) == 2


def test_sigterm_ends_it_with_what_is_under_way_and_takes_no_more(engine: Any, tools: Any) -> None:
    engine.seconds = 2.0
    command = [sys.executable, "-m", "facevlm.serve", f"engine_url=[{engine.url}]", "port=0"]
    with ThreadPoolExecutor(1) as pool, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        url = next(word for word in gateway.stdout.readline().split() if word.startswith("http"))
        last = pool.submit(httpx.post, url + CHAT, json=BODY, timeout=30, trust_env=False)
        tools.until(lambda: engine.under_way == 1)
        gateway.send_signal(signal.SIGTERM)
        assert last.result().status_code == 200
        assert gateway.wait(20) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/healthz", trust_env=False)
