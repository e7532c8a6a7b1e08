"""OpenAI's chat through the gateway: what goes to the engine, what comes back, and what is refused."""

import json
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from facevlm.serve.chats import routes
from facevlm.serve.chats.schema import ChatRequest
from facevlm.serve.faults import ApiError
from facevlm.serve.settings import Config

CHAT = "/v1/chat/completions"


def client_of(client: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{client.base_url}/v1", api_key="none", max_retries=0)


def test_the_openai_client_gets_the_answer_with_the_thinking_apart(service: Any, engine: Any, tools: Any) -> None:
    with client_of(service()) as client:
        reply = client.chat.completions.create(
            model="tiny", messages=tools.question(tools.data_url(tools.face())), n=2, temperature=0.5, max_tokens=9)
        message = reply.choices[1].message
        assert message.content == "<au>AU12</au><answer>happiness</answer>"
        assert message.reasoning_content == "The lip corners are up (AU12)."
        assert message.facevlm == {"emotion": "happiness", "faults": [], "reasoning": "The lip corners are up (AU12).",
                                   "aus": [{"au": 12, "name": "lip corner puller", "region": "mouth corners",
                                            "intensity": None}]}  # fmt: skip
        assert (reply.model, reply.usage.total_tokens, reply.choices[0].finish_reason) == ("tiny", 12, "stop")
        sent = engine.seen[0]
        assert (sent["n"], sent["temperature"], sent["max_tokens"], sent["stream"]) == (2, 0.5, 9, False)
        # What came back may be sent again as it is.
        client.chat.completions.create(model="tiny", messages=[*tools.question(), message, *tools.question()])
        assert engine.seen[1]["messages"][1] == {"role": "assistant", "content": message.content}
        assert [m.id for m in client.models.list()] == ["tiny"]


@pytest.mark.parametrize("pieces", [1, 3, 1000])
def test_a_stream_holds_what_the_whole_answer_does(service: Any, engine: Any, tools: Any, pieces: int) -> None:
    engine.pieces = pieces
    with client_of(service()) as client:
        stream = client.chat.completions.create(model="tiny", messages=tools.question(), stream=True,
                                                stream_options={"include_usage": True})
        chunks = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(d.content or "" for d in deltas) == "<au>AU12</au><answer>happiness</answer>"
    assert "".join(getattr(d, "reasoning_content", "") for d in deltas) == "The lip corners are up (AU12)."
    assert deltas[0].role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == 5


def test_a_stream_tells_usage_only_if_asked(service: Any, tools: Any) -> None:
    client = service()
    text = client.post(CHAT, json={"messages": tools.question(), "stream": True}).text
    events = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert events[-1] == "[DONE]"
    assert all("usage" not in json.loads(event) and json.loads(event)["choices"] for event in events[:-1])
    assert 'facevlm_tokens_total{kind="completion",model="tiny"} 5.0' in client.get("/metrics").text


MESSAGES = [{"role": "user", "content": "x"}]
BAD: dict[str, tuple[Any, str]] = {
    "no json": ("{", "invalid_json"),
    "not utf-8": (b'{"messages": [{"role": "user", "content": "\xff"}]}', "invalid_json"),
    "lone surrogate": (r'{"messages": [{"role": "user", "content": "\ud800"}]}', "invalid_json"),
    "nested": ('{"messages":' + "[" * 10_000, "invalid_json"),
    "empty": ("", "invalid_json"),
    "a list": ([], "invalid_value"),
    "no messages": ({}, "invalid_value"),
    "messages empty": ({"messages": []}, "invalid_value"),
    "messages text": ({"messages": "x"}, "invalid_value"),
    "role": ({"messages": [{"role": "robot", "content": "x"}]}, "invalid_value"),
    "content missing": ({"messages": [{"role": "user"}]}, "invalid_value"),
    "content number": ({"messages": [{"role": "user", "content": 3}]}, "invalid_value"),
    "part unknown": ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "invalid_value"),
    "picture in system": ({"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {
        "url": "data:image/png;base64,AAAA"}}]}]}, "invalid_value"),
    "unknown field": ({"messages": MESSAGES, "chat_template": "{{ 1 }}"}, "unknown_parameter"),
    "engine's own field": ({"messages": MESSAGES, "mm_processor_kwargs": {"max_pixels": 10**9}}, "unknown_parameter"),
    "temperature": ({"messages": MESSAGES, "temperature": 3}, "invalid_value"),
    "temperature text": ({"messages": MESSAGES, "temperature": "hot"}, "invalid_value"),
    "temperature nan": ('{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', "invalid_value"),
    "n": ({"messages": MESSAGES, "n": 0}, "invalid_value"),
    "n large": ({"messages": MESSAGES, "n": 9}, "too_many_choices"),
    "max_tokens": ({"messages": MESSAGES, "max_tokens": 10**6}, "too_long"),
    "max_tokens text": ({"messages": MESSAGES, "max_tokens": "5"}, "invalid_value"),
    "stops": ({"messages": MESSAGES, "stop": ["a"] * 5}, "too_many_stops"),
    "top_logprobs": ({"messages": MESSAGES, "logprobs": True, "top_logprobs": 50}, "invalid_value"),
    "top_logprobs alone": ({"messages": MESSAGES, "top_logprobs": 5}, "invalid_value"),
    "stream_options alone": ({"messages": MESSAGES, "stream_options": {}}, "invalid_value"),
    "seed": ({"messages": MESSAGES, "seed": 2**70}, "invalid_value"),
    "tools": ({"messages": MESSAGES, "tools": [{"type": "function"}]}, "invalid_value"),
    "long": ({"messages": [{"role": "user", "content": "x" * 40_000}]}, "too_long"),
    "setting": ({"messages": MESSAGES, "metadata": {"setting": "moon"}}, "unknown_setting"),
}  # fmt: skip


def test_what_is_malformed_is_a_400_in_openai_s_shape_and_reaches_no_engine(service: Any, engine: Any) -> None:
    client = service()
    for name, (body, code) in BAD.items():
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        reply = client.post(CHAT, content=content, headers={"content-type": "application/json"})
        error = reply.json()["error"]
        assert (reply.status_code, error["code"], error["type"]) == (400, code, "invalid_request_error"), name
        assert error["message"]
    assert not engine.seen


def test_a_body_that_a_form_could_send_is_refused(service: Any) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        headers = {"content-type": kind} if kind else {}
        reply = service().post(CHAT, content=json.dumps({"messages": MESSAGES}), headers=headers)
        assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_unknown_models_and_routes_are_404_and_the_engine_s_other_routes_are_not_there(service: Any) -> None:
    client = service()
    reply = client.post(CHAT, json={"messages": MESSAGES, "model": "gpt"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
    for path in ("/tokenize", "/v1/completions", "/collective_rpc", "/health", "/invocations", "/docs", "/v1/x"):
        reply = client.post(path, json={})
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found"), path
    assert client.get(CHAT).json()["error"]["code"] == "method_not_allowed"


def test_what_the_engine_refuses_is_a_400_without_its_insides(service: Any, engine: Any) -> None:
    engine.fault = "400"
    reply = service().post(CHAT, json={"messages": MESSAGES})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "engine_refused", "temperature")
    assert "temperature is bad" in error["message"] and "0x" not in error["message"]


def test_what_the_model_said_is_logged_only_if_asked(service: Any, caplog: Any, tools: SimpleNamespace) -> None:
    caplog.set_level("DEBUG")
    body = {"messages": tools.question(tools.data_url(tools.face()), text="secret question")}
    assert service(log_requests=True).post(CHAT, json=body).status_code == 200
    assert "key=anonymous" in caplog.text
    assert "happiness" not in caplog.text and "secret" not in caplog.text and "base64" not in caplog.text
    assert service(log_answers=True).post(CHAT, json=body).status_code == 200
    assert "happiness" in caplog.text and "secret" not in caplog.text and "base64" not in caplog.text


def test_no_seed_reaches_an_engine_that_would_end_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "on_cpu", lambda: True)
    asked = ChatRequest.model_validate({"messages": [{"role": "user", "content": "hi"}], "seed": 1})
    with pytest.raises(ApiError, match="takes no seed"):
        routes.check_limits(asked, Config())
    routes.check_limits(asked.model_copy(update={"temperature": 0.0}), Config())
    routes.check_limits(asked, Config(engine_url=["http://127.0.0.1:1"]))
    monkeypatch.setattr(routes, "on_cpu", lambda: False)
    routes.check_limits(asked, Config())
