"""POST /v1/batches: large uploads, answered in the background."""

from collections.abc import Iterator
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from facevlm.serve.batches.jobs import Batch, Batches
from facevlm.serve.batches.upload import from_lines, from_zip
from facevlm.serve.chats.routes import gateway_of
from facevlm.serve.faces.routes import faces_of, options_of
from facevlm.serve.faces.schema import Head, Usage
from facevlm.serve.faults import ApiError

router = APIRouter(tags=["batches"])

_LINES, _ZIP = ("application/x-ndjson", "application/jsonl"), ("application/zip", "application/x-zip-compressed")
_DOCUMENTED = {
    "requestBody": {"required": True, "content": {
        _LINES[0]: {"schema": {"type": "string", "description": "one Picture in JSON a line"}},
        _ZIP[0]: {"schema": {"type": "string", "format": "binary"}}}},
    "parameters": [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in {
        "model": {"type": "string"}, "mode": {"enum": ["explain", "fast", "label"]},
        "detect": {"type": "boolean"}, "confidence": {"type": "boolean"}}.items()],
}  # fmt: skip

_RESULTS: dict[int | str, dict[str, Any]] = {200: {
    "description": "one PictureAnswer a line, in the order of the upload, as far as they are ready; then, once the "
    "batch is done, one line with `provenance` and `usage`",
    "content": {_LINES[0]: {"schema": {"type": "string"}}},
}}  # fmt: skip


class BatchStatus(BaseModel):
    """How far a batch is."""

    id: str
    object: Literal["batch"] = "batch"
    status: Literal["queued", "running", "done"]
    total: int = Field(description="pictures")
    done: int = Field(description="pictures that are answered, the failed ones included")
    failed: int = Field(description="pictures that could not be read")
    created: int = Field(description="Unix time in seconds")
    expires: int = Field(description="Unix time at which it is forgotten")
    usage: Usage


def batches_of(request: Request) -> Batches:
    """The batches of the gateway that a request is for."""
    return request.app.state.batches


@router.post("/v1/batches", openapi_extra=_DOCUMENTED, status_code=202, response_model=BatchStatus)
async def create(request: Request) -> BatchStatus:
    """Take pictures to answer later; the answer says under which id. They are kept in memory alone, and the batch is
    lost if the service ends."""
    settings, pictures = gateway_of(request).settings, gateway_of(request).pictures
    options = options_of(dict(request.query_params))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (*_LINES, *_ZIP):
        raise ApiError(415, f"send content-type: {_LINES[0]} or {_ZIP[0]}", "unsupported_media_type")
    body = await request.body()
    job = await faces_of(request).job(options)
    most, total = settings.batch_pictures, int(settings.batch_mb * 2**20)
    items = await pictures.run(lambda: from_lines(body, most) if kind in _LINES else
                               from_zip(body, most, pictures.limits.max_bytes, total))  # fmt: skip
    request.state.caller.charge(len(items) - 1)
    return _status(batches_of(request), batches_of(request).add(request.state.caller.name, items, job))


@router.get("/v1/batches/{id}", response_model=BatchStatus)
async def status(request: Request, id: str) -> BatchStatus:
    """How far a batch of this key is."""
    return _status(batches_of(request), _own(request, id))


@router.get("/v1/batches/{id}/results", response_class=StreamingResponse, responses=_RESULTS)
async def results(request: Request, id: str) -> Response:
    """What is ready of a batch; may be asked again as often as one likes until it is forgotten."""
    batch = _own(request, id)
    head = faces_of(request).head(batch.id, batch.job) if batch.status == "done" else None
    return StreamingResponse(_lines(batch, head), media_type=_LINES[0])


@router.delete("/v1/batches/{id}")
async def delete(request: Request, id: str) -> dict[str, Any]:
    """Forget a batch, its pictures and its results; what is not answered yet is not asked."""
    batches_of(request).delete(_own(request, id))
    return {"id": id, "object": "batch", "deleted": True}


def _own(request: Request, id: str) -> Batch:
    return batches_of(request).find(id, request.state.caller.name)


def _lines(batch: Batch, head: Head | None) -> Iterator[bytes]:
    yield from batch.results()
    if head is not None:
        yield head.model_dump_json().encode() + b"\n"


def _status(batches: Batches, batch: Batch) -> BatchStatus:
    return BatchStatus(id=batch.id, status=batch.status, total=len(batch.lines), done=batch.done,
                       failed=batch.failed, created=int(batch.created), expires=int(batches.expires(batch)),
                       usage=batch.job.usage)  # fmt: skip
