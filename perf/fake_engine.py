"""A stand-in for vLLM's server, as fast as can be: python -m perf.fake_engine --port 8001

It speaks as much of vLLM's HTTP as the gateway uses, and answers at once, in the answer form, with what
`answer_about` makes of the pixels that reached it. So a load run finds out whether each request got the answer to its
own picture, and what the gateway itself costs. Log-probabilities are by the embedded model's tokenizer and all alike.
"""

import argparse
import base64
import functools
import hashlib
import io
import json
import math
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from facevlm.answer import MODES, Part, render
from facevlm.tiny.faces import FACE_AUS
from facevlm.vocab import LABEL_SETS

MODEL = "tiny"
_LABELS = LABEL_SETS["basic8"].labels
_PART = re.compile(r"<(think|au|answer)>")


def answer_about(picture: Image.Image, parts: tuple[Part, ...] = MODES["explain"]) -> str:
    """An answer that hangs on every pixel of a picture, and on nothing else."""
    digest = hashlib.blake2b(picture.convert("RGB").tobytes(), digest_size=8).digest()
    aus = sorted({FACE_AUS[byte % len(FACE_AUS)] for byte in digest[:3]})
    thinking = f"Visible here: {', '.join(f'AU{n}' for n in aus)}. Seen as {digest.hex()}."
    return render(parts, thinking, dict.fromkeys(aus), _LABELS[digest[3] % len(_LABELS)])


def reply_to(asked: dict[str, Any]) -> tuple[str, int]:
    """The answer to a request body, and how many pictures it holds."""
    pictures, text = 0, ""
    picture = Image.new("RGB", (1, 1))
    for message in asked["messages"]:
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                text = part["text"]
                continue
            pictures += 1
            data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            picture = Image.open(io.BytesIO(data))
    named = dict.fromkeys(_PART.findall(text))
    return answer_about(picture, tuple(named) or MODES["explain"]), pictures


@functools.cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(files("facevlm.tiny") / "weights" / "tokenizer.json"))


def logprobs(text: str, wanted: list[int]) -> dict[str, Any]:
    """As vLLM writes them with `return_tokens_as_token_ids`: the tokens of `wanted` and the written one, all alike."""
    content = []
    for token in _tokenizer().encode(text, add_special_tokens=False).ids:
        tokens = [token, *(other for other in wanted if other != token)]
        value = -math.log(len(tokens))
        tops = [{"token": f"token_id:{one}", "logprob": value, "bytes": None} for one in tokens]
        content.append(tops[0] | {"top_logprobs": tops})
    return {"content": content}


def _usage(text: str, pictures: int) -> dict[str, int]:
    prompt, completion = 40 + 50 * pictures, len(text) // 4
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


async def _stream(text: str, usage: dict[str, int]) -> AsyncIterator[bytes]:
    head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 0, "model": MODEL}
    pieces = [text[i : i + 7] for i in range(0, len(text), 7)]
    for i, piece in enumerate(pieces):
        delta: dict[str, str] = {"content": piece} if i else {"role": "assistant", "content": piece}
        reason = "stop" if i + 1 == len(pieces) else None
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        yield b"data: " + json.dumps(head | {"choices": [choice]}).encode() + b"\n\n"
    yield b"data: " + json.dumps(head | {"choices": [], "usage": usage}).encode() + b"\n\ndata: [DONE]\n\n"


async def chat(request: Request) -> Response:
    asked = json.loads(await request.body())
    text, pictures = reply_to(asked)
    usage = _usage(text, pictures)
    if asked.get("stream"):
        return StreamingResponse(_stream(text, usage), media_type="text/event-stream")
    told = logprobs(text, asked.get("logprob_token_ids") or []) if asked.get("logprobs") else None
    choices = [{"index": i, "message": {"role": "assistant", "content": text}, "logprobs": told,
                "finish_reason": "stop"} for i in range(asked.get("n") or 1)]  # fmt: skip
    return JSONResponse({"id": "chatcmpl-fake", "object": "chat.completion", "created": 0, "model": asked["model"],
                         "choices": choices, "usage": usage})  # fmt: skip


async def models(_: Request) -> Response:
    card = {"id": MODEL, "object": "model", "created": 0, "owned_by": "fake", "root": MODEL, "parent": None,
            "max_model_len": 4096}  # fmt: skip
    return JSONResponse({"object": "list", "data": [card]})


async def health(_: Request) -> Response:
    return Response()


app = Starlette(routes=[
    Route("/health", health), Route("/v1/models", models), Route("/v1/chat/completions", chat, methods=["POST"]),
])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port, log_level="warning", backlog=4096,
                timeout_keep_alive=75)  # fmt: skip


if __name__ == "__main__":
    main()
