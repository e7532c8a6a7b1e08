"""POST /v1/faces/analyze: pictures in, a record for each face out."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pydantic
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import FormData, UploadFile

from facevlm.serve.chats.routes import fault_of, gateway_of, read_json
from facevlm.serve.door.body import read_form
from facevlm.serve.faces.analysis import Faces, Item, Job
from facevlm.serve.faces.schema import Analysis, AnalyzeRequest, Box, Options, PictureAnswer
from facevlm.serve.faults import ApiError

router = APIRouter(tags=["faces"])

_FLAGS = {"true": True, "1": True, "false": False, "0": False}

_FORM = {
    "type": "object",
    "required": ["images"],
    "properties": {
        "images": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}},
        "model": {"type": "string"}, "mode": {"enum": ["explain", "fast", "label"]}, "detect": {"type": "boolean"},
        "confidence": {"type": "boolean"}, "stream": {"type": "boolean"},
        "faces": {"type": "string", "description": "JSON: for each picture null or a list of boxes"},
    },
}  # fmt: skip
_DOCUMENTED = {"requestBody": {"required": True, "content": {
    "application/json": {"schema": {"$ref": "#/components/schemas/AnalyzeRequest"}},
    "multipart/form-data": {"schema": _FORM}}}}  # fmt: skip
_REPLIES: dict[int | str, dict[str, Any]] = {200: {
    "model": Analysis, "description": "what is said of each face; as `stream`, one PictureAnswer a line and the rest",
    "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}}  # fmt: skip


def faces_of(request: Request) -> Faces:
    """The face analysis that a request is for."""
    return request.app.state.faces


@router.post("/v1/faces/analyze", openapi_extra=_DOCUMENTED, responses=_REPLIES, response_class=Response)
async def analyze(request: Request) -> Response:
    """What each face in some pictures shows. A picture or face that cannot be read says why, and harms no other."""
    faces = faces_of(request)
    options, items, stream = await read_request(request)
    request.state.caller.charge(len(items) - 1)
    job, id = await faces.job(options), f"face_{secrets.token_hex(12)}"
    if stream:
        return StreamingResponse(_lines(faces, id, items, job), media_type="application/x-ndjson")
    images = await asyncio.gather(*(faces.picture(i, item, job) for i, item in enumerate(items)))
    _refuse_if_nothing(images, job)
    reply = Analysis(**dict(faces.head(id, job)), images=images)
    return Response(reply.model_dump_json(), media_type="application/json")


def _refuse_if_nothing(images: Sequence[PictureAnswer], job: Job) -> None:
    """Raises:
    ApiError: no picture could be read, or the engine answered about no face: the error is all there is to say.
    """
    if all(image.error is not None for image in images):
        error = images[0].error
        assert error is not None  # noqa: S101 (just seen)
        raise ApiError(400, error.message, error.reason, "images.0.image")
    if job.failure is not None and all(f.error or f.abstained for image in images for f in image.faces):
        raise job.failure


async def _lines(faces: Faces, id: str, items: Sequence[Item], job: Job) -> AsyncGenerator[str, None]:
    """One line a picture, as each is ready; then the head with the usage."""
    tasks = [asyncio.create_task(faces.picture(i, item, job)) for i, item in enumerate(items)]
    try:
        for done in asyncio.as_completed(tasks):
            yield (await done).model_dump_json() + "\n"
        yield faces.head(id, job).model_dump_json() + "\n"
    finally:
        for task in tasks:
            task.cancel()


async def read_request(request: Request) -> tuple[Options, list[Item], bool]:
    """The options, the pictures, and whether the reply is to be streamed.

    Raises:
        ApiError: 400, not of the form; 415, neither JSON nor a form.
    """
    most = gateway_of(request).settings.max_pictures
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        options, items, stream = await _read_form(request, most)
    else:
        try:
            asked = AnalyzeRequest.model_validate_json(await read_json(request))
        except pydantic.ValidationError as e:
            raise fault_of(e) from None
        options, stream = asked, asked.stream
        items = [Item(one.image, one.id, one.faces, f"images.{i}.image") for i, one in enumerate(asked.images)]
    if len(items) > most:
        raise ApiError(400, f"{len(items)} pictures; at most {most} are taken at once, more by POST /v1/batches",
                       "too_many_images", "images")  # fmt: skip
    return options, items, stream


async def _read_form(request: Request, most: int) -> tuple[Options, list[Item], bool]:
    form = await read_form(request, max_files=most)
    try:
        return await _of_form(form)
    finally:
        await form.close()


async def _of_form(form: FormData) -> tuple[Options, list[Item], bool]:
    files: list[UploadFile] = []
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name not in ("images", "images[]"):
                raise ApiError(400, f"unknown file field {name[:40]!r}; files go into `images`", "unknown_parameter")
            files.append(value)
        elif name in fields:
            raise ApiError(400, f"{name[:40]!r} is given twice", "invalid_value", name[:40])
        else:
            fields[name] = value
    if not files:
        raise ApiError(400, "no file in `images`", "invalid_value", "images")
    boxes = _boxes(fields.pop("faces", None), len(files))
    stream = _flags({"stream": fields.pop("stream", "false")})["stream"]
    items = [Item(await file.read(), file.filename or None, box, f"images.{i}")
             for i, (file, box) in enumerate(zip(files, boxes, strict=True))]  # fmt: skip
    return options_of(fields), items, stream


def options_of(fields: dict[str, Any]) -> Options:
    """The options of a form or a query, where every value is text.

    Raises:
        ApiError: 400, an unknown one or a wrong value.
    """
    try:
        return Options.model_validate(_flags(fields))
    except pydantic.ValidationError as e:
        raise fault_of(e) from None


def _flags(fields: dict[str, Any]) -> dict[str, Any]:
    found = dict(fields)
    for name in ("detect", "confidence", "stream"):
        if name in found:
            value = _FLAGS.get(str(found[name]).strip().lower())
            if value is None:
                raise ApiError(400, f"{name}: must be true or false", "invalid_value", name)
            found[name] = value
    return found


_BOXES = pydantic.TypeAdapter(list[list[Box] | None])


def _boxes(text: str | None, pictures: int) -> list[Sequence[Sequence[float]] | None]:
    if text is None:
        return [None] * pictures
    try:
        found = _BOXES.validate_json(text)
    except pydantic.ValidationError:
        found = []
    if len(found) != pictures:
        raise ApiError(400, f"faces: must be JSON, for each of the {pictures} pictures null or a list of "
                       "[left, top, right, bottom]", "invalid_value", "faces")  # fmt: skip
    return list(found)
