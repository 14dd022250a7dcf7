"""Answers the requests that are generated from the catalogue.

What it does: reads the input of a route's command, calls the client for whoever asks, and answers with the output.
What it does not do: it knows no verb, and tells no error (`app` does, for every endpoint).

Rules: what changes something takes effect once under its `Idempotency-Key`; what starts work is answered when the start
is durable, `202` with the place where it can be watched; what is read has an `ETag`, and is not sent again to who has
it; the version that a command expects may be given as `If-Match`, by its tag.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from interlock.base.part import Command, Effect
from interlock.base.principal import Principal
from interlock.surfaces.client import Client
from interlock.surfaces.http.bodies import JSON, Bounds, body, check_media_type
from interlock.surfaces.http.requests import given_of
from interlock.surfaces.http.routes import PREFIX, Route
from interlock.surfaces.http.settings import ServerSettings
from interlock.surfaces.http.tags import expected, is_known, tag_of
from interlock.surfaces.members import members_of

IDEMPOTENCY_KEY: Final = "idempotency-key"
_DETACH: Final = "detach"

Authenticate = Callable[[HTTPConnection], Awaitable[Principal]]
ClientOf = Callable[[Principal], Client]


class Calls:
    """The endpoint of every route: one for all. `versioned` are the collections whose things have versions."""

    def __init__(
        self, authenticate: Authenticate, client_of: ClientOf, settings: ServerSettings, versioned: Sequence[str]
    ) -> None:
        self._authenticate = authenticate
        self._client_of = client_of
        self._versioned = versioned
        self._bounds = Bounds(settings.body_bytes_max, settings.body_timeout_ms)

    def endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        """What answers a route. Raises: what authentication, the input and the command raise."""

        async def answer(request: Request) -> Response:
            principal = await self._authenticate(request)
            given = await self._given(route, request)
            key = None if route.command.effect is Effect.READS else request.headers.get(IDEMPOTENCY_KEY)
            output = await self._client_of(principal).call(route.command.name, given, command_id=key)
            return _answered(route, request, given, output)

        return answer

    async def _given(self, route: Route, request: Request) -> dict[str, Any]:
        content = None
        if route.body:
            content = await body(request.scope, request.receive, self._bounds)
            if content:
                check_media_type(request, JSON)
        given = given_of(route, request.path_params, request.query_params.multi_items(), content)
        detached = {_DETACH: True} if _is_detached(route.command) else {}
        return given | detached | expected(route.command, given, request, self._versioned)


def _is_detached(command: Command) -> bool:
    """Whether a command may be told not to wait for what it starts: over HTTP it always is."""
    return _DETACH in {member.name for member in members_of(command.input)}


def _answered(route: Route, request: Request, given: Mapping[str, Any], output: Struct) -> Response:
    content = msgspec.json.encode(output)
    if route.method == "GET":
        return _read(request, output, content)
    headers = {}
    place = _place(route, given, output)
    if place is not None:
        headers["Location"] = place
    return Response(content, status_of(route), headers, JSON)


def status_of(route: Route) -> int:
    """The status of an answer: 202 where work goes on behind it, 201 where something was made, else 200."""
    if route.command.effect is Effect.STARTS and _is_detached(route.command):
        return 202
    return 201 if route.method == "POST" and "{" not in route.path and route.path.count("/") == 3 else 200


def _read(request: Request, output: Struct, content: bytes) -> Response:
    headers = {"ETag": tag_of(output, content), "Cache-Control": "private, no-cache"}
    if is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, JSON)


def _place(route: Route, given: Mapping[str, Any], output: Struct) -> str | None:
    """Where what was made or started can be looked at."""
    collection = route.path.removeprefix(PREFIX).split("/")[1]
    match collection:
        case "runs" if isinstance(run_id := getattr(output, "run_id", None), str):
            names = [run_id]
        case "scenario-runs" if route.command.verb == "start":
            names = [str(given["scenario"]), str(given["run"])]
        case _ if status_of(route) == 201 and isinstance(given.get("name"), str):
            names = [given["name"]]
        case _:
            return None
    return f"{PREFIX}/{collection}/" + "/".join(quote(name, safe="") for name in names)
