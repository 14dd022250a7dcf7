"""The step `http`: sends one request.

What it does: asks the transport of the namespace `http`, and gives its answer `{url, status, headers, json, body,
body_base64, body_bytes}`. What it does not do: it follows no redirect and repeats nothing by itself.

Rule: a method that is not known to change nothing counts as one that may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from interlock.base.canonical import Json
from interlock.base.part import StepHandler
from interlock.engine.document import rules
from interlock.engine.document.findings import Problem
from interlock.engine.io.surface import IoCall
from interlock.engine.io.transports.http import READING_METHODS
from interlock.engine.io.transports.requests import SecretText
from interlock.engine.steps.call import StepCall

LIBRARIES: Final = ("httpcore2", "httpx2")
"""What the transport imports (the extra `http`)."""


class HttpStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an `http` step is given."""

    url: Annotated[str, Meta(min_length=1, max_length=8192, description="Where the request goes.")]
    method: Annotated[
        Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"], Meta(description="The method.")
    ] = "GET"
    headers: Annotated[
        dict[str, str | SecretText],
        Meta(max_length=100, description="Headers; a secret is named as {secret: env:NAME, prefix: 'Bearer '}."),
    ] = {}
    json: Annotated[object, Meta(description="A JSON value as content.")] | UnsetType = UNSET
    body: Annotated[str, Meta(description="A text as content.")] | UnsetType = UNSET
    response: Annotated[Literal["auto", "json", "text", "none"], Meta(description="How the body becomes a value.")] = (
        "auto"
    )
    ok_statuses: Annotated[
        tuple[Annotated[int, Meta(ge=200, le=599)], ...],
        Meta(max_length=100, description="Statuses that are no failure; none listed: 200 to 299."),
    ] = ()


async def run(call: StepCall, given: HttpStep) -> Json:
    """Send the request. Raises: the `http_…` codes."""
    request: dict[str, Any] = {
        "kind": "http_request_v1",
        "url": given.url,
        "method": given.method,
        "headers": msgspec.to_builtins(given.headers),
        "response": given.response,
        "ok_statuses": list(given.ok_statuses),
    }
    if given.json is not UNSET:
        request["json"] = given.json
    if given.body is not UNSET:
        request["body"] = given.body
    if call.timeout_ms is not None:
        request["timeout_ms"] = min(call.timeout_ms, 3_600_000)
    answer = await call.io.call(
        IoCall("http", request, fact_key=call.fact_key("http"), idempotency_key=call.idempotency_key)
    )
    response: Json = answer.response
    return response


def _declares(given: Mapping[str, Any]) -> bool:
    return given.get("method", "GET") not in READING_METHODS


def _check(_given: Mapping[str, Any]) -> Iterator[Problem]:
    """Whether this machine has what the transport needs; where the document runs may be another."""
    if not all(map(_is_installed, LIBRARIES)):
        yield Problem(rules.HTTP_MISSING, (), "the step needs the HTTP library, which is not installed here")


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


HANDLER = StepHandler(
    name="http",
    parameters=HttpStep,
    run=run,
    summary="Sends an HTTP request.",
    example='{url: "https://example.org/status", response: json}',
    declares=_declares,
    check=_check,
    output=("url", "status", "headers", "json", "body", "body_base64", "body_bytes"),
)
