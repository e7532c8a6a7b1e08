"""Every route against the document that describes it: whatever the document allows or forbids, the answer is in it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from facevlm.serve import keys

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")
jsonschema_rs = pytest.importorskip("jsonschema_rs")

# The document cannot say what a string must be to be a picture, nor which model there is: of what it allows, some is
# refused, and must then be refused as documented. And schemathesis takes a message that misses one of several kinds
# for a wrong one even if it is of another kind; `forbidden` looks at the whole.
SKIPPED = ("positive_data_acceptance", "negative_data_rejection")


def forbidden(document: dict[str, Any], case: Any) -> bool:
    """Whether the document forbids the JSON body of a request."""
    described = document["paths"][case.path][case.method.lower()].get("requestBody", {}).get("content", {})
    if case.media_type != "application/json" or "application/json" not in described:
        return False
    schema = described["application/json"]["schema"] | {"components": document["components"]}
    return not jsonschema_rs.validator_for(schema).is_valid(case.body)


@schemathesis.serializer("application/x-ndjson", "application/zip")
def as_it_is(ctx: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def with_pictures(body: Any, picture: str) -> Any:
    """A body in which every picture is a picture, and the model the one that is there."""
    if isinstance(body, list):
        return [with_pictures(one, picture) for one in body]
    if not isinstance(body, dict):
        return body
    fixed = {name: with_pictures(value, picture) for name, value in body.items()}
    for name in ("url", "image"):
        if isinstance(fixed.get(name), str):
            fixed[name] = picture
    if isinstance(fixed.get("model"), str):
        fixed["model"] = "tiny"
    return fixed


def explore(client: httpx.Client, key: str, picture: str, examples: int) -> Counter[tuple[str, str, int]]:
    """Send generated requests to every route; how often each status came."""
    from schemathesis.checks import CHECKS

    document = client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    headers = {"Authorization": f"Bearer {key}"}
    schema.config.update(base_url=str(client.base_url).rstrip("/"), headers=headers)
    excluded = [check for check in CHECKS.get_all() if check.__name__ in SKIPPED]
    assert len(excluded) == len(SKIPPED)
    seen: Counter[tuple[str, str, int]] = Counter()
    settings = hypothesis.settings(max_examples=examples, deadline=None, derandomize=True, database=None,
                                   suppress_health_check=list(hypothesis.HealthCheck))  # fmt: skip

    def ask(case: Any, fix: bool) -> None:
        if fix:
            case.body = with_pictures(case.body, picture)
        response = case.call_and_validate(excluded_checks=excluded, headers=headers)
        assert response.status_code >= 400 or not forbidden(document, case), case.body
        seen[case.method, case.path, response.status_code] += 1

    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in schemathesis.GenerationMode:
            allowed = mode is schemathesis.GenerationMode.POSITIVE
            if not (allowed or operation.body or operation.query):
                continue  # nothing to get wrong: any text is an id
            fixes = hypothesis.strategies.booleans() if allowed else hypothesis.strategies.just(False)
            settings(hypothesis.given(operation.as_strategy(generation_mode=mode), fixes)(ask))()
    return seen


@pytest.mark.parametrize("examples", [8, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_answers_are_as_the_document_says(service: Callable[..., httpx.Client], tools: SimpleNamespace, tmp_path: Path,
                                          examples: int) -> None:  # fmt: skip
    file = str(tmp_path / "keys.txt")
    key = keys.make(keys.Config("tester", file))
    client = service(auth=True, keys=file, rate_per_minute=1e9, burst=10**6)
    seen = explore(client, key, tools.data_url(tools.face(64)), examples)
    for path in ("/v1/chat/completions", "/v1/faces/analyze"):
        assert {status for _, route, status in seen if route == path} >= {200, 400}
