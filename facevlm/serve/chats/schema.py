"""A chat completion request, as OpenAI describes it; what a field may hold is checked here, before any engine sees it.

https://platform.openai.com/docs/api-reference/chat/create, plus the sampling fields that vLLM adds. A field that is
neither is refused, as OpenAI's own server does: a misspelt one would be silently without effect.
"""

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


class ImageUrl(_Strict):
    url: str = Field(description="data:image/jpeg;base64,…, or an http(s) URL of a host that the operator allows")
    detail: Literal["auto", "low", "high", "original"] | None = Field(
        None, description="without effect: pictures are shown as the model was trained")  # fmt: skip


class TextPart(_Strict):
    type: Literal["text"]
    text: str


class ImagePart(_Strict):
    type: Literal["image_url"]
    image_url: ImageUrl


class System(_Strict):
    role: Literal["system", "developer"]
    content: str | list[TextPart]
    name: str | None = None


class User(_Strict):
    role: Literal["user"]
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]]
    name: str | None = None


class Assistant(pydantic.BaseModel):
    """An earlier answer, also one sent back as it came from here: fields beyond OpenAI's are passed over."""

    model_config = pydantic.ConfigDict(extra="ignore", strict=True)
    role: Literal["assistant"]
    content: str | list[TextPart]
    tool_calls: list[Any] | None = Field(None, max_length=0)


Message = Annotated[System | User | Assistant, Field(discriminator="role")]


class StreamOptions(_Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = Field(None, description="without effect")


class ChatRequest(_Strict):
    messages: list[Message] = Field(min_length=1, max_length=256)
    model: str | None = Field(None, description="a name of /v1/models; the first one if none is given")
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = Field(None, max_length=300)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    response_format: dict[str, Any] | None = None
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    structured_outputs: dict[str, Any] | None = Field(None, description="vLLM's: json, regex, choice or grammar")
    metadata: dict[str, str] | None = Field(None, description="`setting` says where the people are, see /v1/policy")
    tools: list[Any] | None = Field(None, max_length=0, description="the models call none")
    tool_choice: Literal["none", "auto"] | None = None
    modalities: list[Literal["text"]] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    store: bool | None = Field(None, description="without effect: nothing is stored")
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = Field(None, description="without effect")
    verbosity: str | None = Field(None, description="without effect")


PASSED_ON = ("temperature", "top_p", "n", "stop", "logprobs", "top_logprobs", "frequency_penalty",
             "presence_penalty", "logit_bias", "seed", "response_format", "top_k", "min_p", "repetition_penalty",
             "structured_outputs")  # fmt: skip
"""What reaches the engine as it came."""
