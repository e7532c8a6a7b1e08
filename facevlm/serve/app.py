"""The HTTP application: the gate in front, the routes behind it."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

import facevlm
from facevlm.serve import page
from facevlm.serve.batches import routes as batches
from facevlm.serve.batches.jobs import Batches
from facevlm.serve.chats import routes as chat
from facevlm.serve.chats.schema import ChatRequest
from facevlm.serve.counters import MEDIA_TYPE
from facevlm.serve.door.guard import Guard
from facevlm.serve.faces import routes as faces
from facevlm.serve.faces.analysis import Faces
from facevlm.serve.faces.schema import AnalyzeRequest
from facevlm.serve.faults import ApiError
from facevlm.serve.gateway import Gateway

ROUTERS = (chat.router, faces.router, batches.router, page.router)
"""Each file of routes has one; they find the gateway by `chat.gateway_of(request)`."""


def create_app(gateway: Gateway) -> FastAPI:
    """The application of one gateway."""
    # No pages of FastAPI's own: they load scripts from elsewhere.
    app = FastAPI(title="facevlm", version=facevlm.__version__, docs_url=None, redoc_url=None)
    app.state.gateway = gateway
    app.state.faces = Faces(gateway)
    app.state.batches = Batches(app.state.faces)
    if gateway.settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=gateway.settings.cors_origins,
                           allow_methods=["GET", "POST"], allow_headers=["authorization", "content-type", "x-setting"],
                           expose_headers=["retry-after", "x-request-id"])  # fmt: skip
    app.add_middleware(Guard, gateway=gateway)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    for router in ROUTERS:
        app.include_router(router)
    _add_own(app, gateway)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


async def _refused(request: Request, error: Exception) -> Response:
    """Every refusal in OpenAI's shape, those of the frameworks too."""
    del request
    if isinstance(error, RequestValidationError):
        error = chat.fault_of(error)
    if not isinstance(error, ApiError):
        assert isinstance(error, HTTPException)  # noqa: S101 (the only other one it is registered for)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
        headers = dict(error.headers or {})
        error = ApiError(error.status_code, str(error.detail), code)
        error.headers = headers
    return JSONResponse(error.body, error.status_code, error.headers)


def _add_own(app: FastAPI, gateway: Gateway) -> None:
    @app.get("/healthz", tags=["service"])
    async def healthz() -> dict[str, str]:
        """The gateway itself runs."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["service"])
    async def readyz() -> JSONResponse:
        """Every model has an engine that answers; 503 while one starts, is started again, or the service ends."""
        ready = gateway.upstream.ready
        engines = {f"engine-{i}": r.up for i, r in enumerate(gateway.upstream.replicas)}
        return JSONResponse({"ready": ready, "engines": engines}, 200 if ready else 503)

    @app.get("/v1/policy", tags=["service"])
    async def policy() -> dict[str, Any]:
        """What the service may be used for."""
        return gateway.policy.document

    @app.get("/metrics", tags=["service"], response_class=Response)
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(gateway.counters.page(), media_type=MEDIA_TYPE)


_ERRORS = {"400": "the request is wrong", "401": "no key, or a wrong one", "403": "the policy refuses it",
           "404": "no such model, or nothing by this id", "408": "the body came too slowly", "413": "too long",
           "415": "another kind of body is wanted", "429": "this key has to wait",
           "503": "no engine; try again after Retry-After", "504": "not done in time"}  # fmt: skip


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: with what the gate and the chat route answer, which FastAPI cannot see."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for body in (ChatRequest, AnalyzeRequest):
            own = body.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(own.pop("$defs", {}))
            schemas[body.__name__] = own
        text = {"type": "string"}
        maybe = {"anyOf": [text, {"type": "null"}]}
        schemas["Error"] = {"type": "object", "required": ["error"], "properties": {"error": {
            "type": "object", "required": ["message", "type", "code", "param"],
            "properties": {"message": text, "type": text, "code": maybe, "param": maybe}}}}  # fmt: skip
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, item in document["paths"].items():
            for operation in item.values():
                operation["responses"].pop("422", None)  # faults of a body are 400 here
                if not path.startswith("/v1/") or path == "/v1/policy":
                    continue
                operation["security"] = [{"key": []}]
                for status, meaning in _ERRORS.items():
                    operation["responses"].setdefault(status, {"description": meaning, "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}})  # fmt: skip
        app.openapi_schema = document
    return app.openapi_schema
