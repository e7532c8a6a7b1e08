"""OpenAI's chat: POST /v1/chat/completions and GET /v1/models."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import pydantic
import pydantic_core
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from facevlm.answer import MODES, parse
from facevlm.serve.chats.schema import PASSED_ON, ChatRequest, ImagePart, TextPart
from facevlm.serve.chats.thinking import Splitter, split
from facevlm.serve.engines.launch import ServedModel, on_cpu
from facevlm.serve.faults import ApiError
from facevlm.serve.gateway import Gateway
from facevlm.serve.settings import Config
from facevlm.vocab import AUS

log = logging.getLogger("facevlm.serve")
router = APIRouter(tags=["chat"])

_CREATED = int(time.time())


def gateway_of(request: Request) -> Gateway:
    """The gateway that a request is for."""
    return request.app.state.gateway


def fault_of(error: pydantic.ValidationError | Any) -> ApiError:
    """The first fault that pydantic found, in OpenAI's words."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    fault = faults[0]
    where = ".".join(str(part) for part in fault["loc"]) or None
    if fault["type"] == "extra_forbidden":
        return ApiError(400, f"Unrecognized request argument supplied: {where}", "unknown_parameter", where)
    if fault["type"] == "json_invalid":
        return ApiError(400, f"the body is not JSON: {fault['msg']}"[:300], "invalid_json")
    return ApiError(400, f"{where}: {fault['msg']}"[:500] if where else fault["msg"][:500], "invalid_value", where)


async def read_json(request: Request) -> bytes:
    """The body of a JSON request.

    Raises:
        ApiError: 415, it is not declared as JSON: what a form of any web page can send is not taken.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, "send content-type: application/json", "unsupported_media_type")
    return await request.body()


_DOCUMENTED = {"requestBody": {"required": True, "content": {"application/json": {"schema":
               {"$ref": "#/components/schemas/ChatRequest"}}}}}  # fmt: skip


@router.post("/v1/chat/completions", openapi_extra=_DOCUMENTED, response_class=Response)
async def chat(request: Request) -> Response:
    """A chat completion, as OpenAI's; thinking apart as `reasoning_content`, the parsed answer as `facevlm`."""
    gateway = gateway_of(request)
    try:
        # The bytes at once into checked fields: a picture's text is copied once, not three times.
        asked = ChatRequest.model_validate_json(await read_json(request))
    except pydantic.ValidationError as e:
        raise fault_of(e) from None
    gateway.policy.check((asked.metadata or {}).get("setting"), "metadata.setting")
    check_limits(asked, gateway.settings)
    model = gateway.upstream.model(asked.model)
    body = await engine_body(asked, model, gateway)
    if asked.stream:
        events = gateway.upstream.stream(model.name, body)
        # The first event before the head of the answer: what fails until then is a plain error.
        first = await anext(events)
        usage = bool(asked.stream_options and asked.stream_options.include_usage)
        return StreamingResponse(_told(first, events, gateway, model, usage), media_type="text/event-stream")
    reply = await gateway.upstream.chat(model.name, body)
    told = completion(reply, model.name)
    if gateway.settings.log_answers:
        log.info("answer %s: %s", told["id"], [choice["message"]["content"] for choice in told["choices"]])
    return Response(pydantic_core.to_json(told), media_type="application/json")


def check_limits(asked: ChatRequest, config: Config) -> None:
    """Refuse what is well formed but more than the operator allows.

    Raises:
        ApiError: 400, names the limit.
    """
    pictures = characters = 0
    for message in asked.messages:
        parts = [TextPart(type="text", text=message.content)] if isinstance(message.content, str) else message.content
        for part in parts:
            if isinstance(part, ImagePart):
                pictures += 1
            else:
                characters += len(part.text)
    if pictures > config.max_images:
        raise ApiError(400, f"{pictures} pictures in one conversation; at most {config.max_images} are taken",
                       "too_many_images", "messages")  # fmt: skip
    if characters > config.max_prompt_chars:
        raise ApiError(400, f"the text has {characters} characters; at most {config.max_prompt_chars} are taken",
                       "too_long", "messages")  # fmt: skip
    if (asked.n or 1) > config.max_choices:
        raise ApiError(400, f"at most {config.max_choices} answers to one question", "too_many_choices", "n")
    for name in ("max_completion_tokens", "max_tokens"):
        if (getattr(asked, name) or 0) > config.max_answer_tokens:
            raise ApiError(400, f"at most {config.max_answer_tokens} tokens may be asked for", "too_long", name)
    stops = asked.stop if isinstance(asked.stop, list) else []
    if len(stops) > 4:
        raise ApiError(400, "at most 4 stop sequences", "too_many_stops", "stop")
    if asked.stream_options is not None and not asked.stream:
        raise ApiError(400, "stream_options goes with stream", "invalid_value", "stream_options")
    if asked.top_logprobs is not None and not asked.logprobs:
        raise ApiError(400, "top_logprobs goes with logprobs", "invalid_value", "top_logprobs")
    if asked.seed is not None and asked.temperature != 0 and not config.engine_url and on_cpu():
        # vLLM rewinds a request's own generator when its prompt is read in pieces; a CPU's cannot be, and it ends.
        raise ApiError(400, "an engine on a CPU takes no seed; temperature=0 repeats", "seed_not_supported", "seed")


async def engine_body(asked: ChatRequest, model: ServedModel, gateway: Gateway) -> dict[str, Any]:
    """The request as the engine takes it, its pictures prepared.

    Raises:
        ApiError: 400, a picture cannot be used.
    """
    messages: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    jobs = []
    for i, message in enumerate(asked.messages):
        role = "system" if message.role == "developer" else message.role  # the templates know the older word
        if isinstance(message.content, str):
            messages.append({"role": role, "content": message.content})
            continue
        parts: list[dict[str, Any]] = []
        for j, part in enumerate(message.content):
            if isinstance(part, ImagePart):
                where = f"messages.{i}.content.{j}.image_url"
                jobs.append(gateway.pictures.for_engine(part.image_url.url, model.max_pixels, where))
                shown.append({"type": "image_url"})
                parts.append(shown[-1])
            else:
                parts.append({"type": "text", "text": part.text})
        messages.append({"role": role, "content": parts})
    for place, url in zip(shown, await asyncio.gather(*jobs), strict=True):
        place["image_url"] = {"url": url}
    body = {name: value for name in PASSED_ON if (value := getattr(asked, name)) is not None}
    body["messages"] = messages
    # Where the client sets none, the engine's own limit holds: one that is sent must fit beside the prompt.
    if limit := asked.max_completion_tokens or asked.max_tokens:
        body["max_tokens"] = limit
    return body


def reading(text: str) -> dict[str, Any] | None:
    """What an answer in our form says, read strictly by `facevlm.answer`; None for a text without its tags."""
    parts = next((parts for parts in MODES.values() if f"<{parts[0]}>" in text), None)
    if parts is None:
        return None
    said = parse(text, parts)
    aus = None if said.aus is None else [
        {"au": n, "name": AUS[n].name, "region": AUS[n].region, "intensity": level and "ABCDE"[level - 1]}
        for n, level in sorted(said.aus.items())
    ]  # fmt: skip
    return {"emotion": said.emotion, "aus": aus, "reasoning": said.thinking, "faults": list(said.faults)}


def completion(reply: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The engine's reply in OpenAI's fields and ours."""
    choices = []
    for choice in reply["choices"]:
        message = choice["message"]
        text = message.get("content") or ""
        thought, said = split(text)
        # An engine with a reasoning parser of its own has parted them already.
        thought = message.get("reasoning") or message.get("reasoning_content") or thought
        told = {"role": "assistant", "content": said, "refusal": message.get("refusal"),
                "reasoning_content": thought, "facevlm": reading(text)}  # fmt: skip
        choices.append({"index": choice["index"], "message": told, "logprobs": choice.get("logprobs"),
                        "finish_reason": choice.get("finish_reason")})  # fmt: skip
    return {"id": reply["id"], "object": "chat.completion", "created": reply["created"], "model": model,
            "choices": choices, "usage": _usage(reply.get("usage"))}  # fmt: skip


def _usage(usage: Mapping[str, Any] | None) -> dict[str, int] | None:
    kinds = ("prompt_tokens", "completion_tokens", "total_tokens")
    return None if usage is None else {kind: usage.get(kind, 0) for kind in kinds}


async def _told(first: bytes, events: AsyncGenerator[bytes, None], gateway: Gateway, model: ServedModel,
                usage: bool) -> AsyncGenerator[bytes, None]:  # fmt: skip
    """The engine's events as the client gets them, the thinking parted."""
    splitters: dict[int, Splitter] = {}
    try:
        async with aclosing(events):
            if chunk := _chunk(first, splitters, model.name, usage, gateway):
                yield chunk
            async for event in events:
                if chunk := _chunk(event, splitters, model.name, usage, gateway):
                    yield chunk
    except ApiError as error:
        # The head is out with status 200: OpenAI's clients raise what stands under "error".
        yield b"data: " + pydantic_core.to_json(error.body) + b"\n\n"
        return
    yield b"data: [DONE]\n\n"


def _chunk(event: bytes, splitters: dict[int, Splitter], model: str, usage: bool, gateway: Gateway) -> bytes | None:
    """One event, or None where nothing of it is for the client yet."""
    data = pydantic_core.from_json(event)
    if "error" in data:
        raise ApiError(503, "the engine stopped while it answered", "engine_lost", retry_after=5)
    if data.get("usage") and not data["choices"]:
        gateway.upstream.count_tokens(model, data["usage"])
    choices = [told for choice in data["choices"] if (told := _delta(choice, splitters)) is not None]
    if not choices and not (usage and data.get("usage") and not data["choices"]):
        return None
    told = {"id": data["id"], "object": "chat.completion.chunk", "created": data["created"], "model": model,
            "choices": choices}  # fmt: skip
    if usage:
        told["usage"] = None if choices else _usage(data["usage"])
    return b"data: " + pydantic_core.to_json(told) + b"\n\n"


def _delta(choice: Mapping[str, Any], splitters: dict[int, Splitter]) -> dict[str, Any] | None:
    given, why = choice["delta"], choice.get("finish_reason")
    thought, said = splitters.setdefault(choice["index"], Splitter()).feed(given.get("content") or "", bool(why))
    thought = (given.get("reasoning") or given.get("reasoning_content") or "") + thought
    delta: dict[str, Any] = {"role": given["role"], "content": ""} if given.get("role") else {}
    if thought:
        delta["reasoning_content"] = thought
    if said:
        delta["content"] = said
    if not delta and why is None and not choice.get("logprobs"):
        return None
    return {"index": choice["index"], "delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": why}


def root_of(model: ServedModel) -> str:
    """What a model was loaded from: its Hub name, or the last part of its folder, for paths are nobody's business."""
    return model.root if model.root.count("/") == 1 and model.root[0] not in "/.~" else model.root.rpartition("/")[2]


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """The models by the names to ask for them; `parent` is what an adapter was trained on."""
    found = gateway_of(request).upstream.models.values()
    return {"object": "list", "data": [
        {"id": m.name, "object": "model", "created": _CREATED, "owned_by": "facevlm", "parent": m.base,
         "root": root_of(m), "max_model_len": m.max_model_len, "max_pixels": m.max_pixels, "labels": list(m.labels)}
        for m in found]}  # fmt: skip
