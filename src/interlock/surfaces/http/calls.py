"""Answers the requests that are generated from the catalogue.

What it does: reads the input of a route's command, calls the client for whoever asks, and answers with the output.
What it does not do: it knows no verb, and tells no error (`app` does, for every endpoint).

Rules: who may call a command nowhere has no body read; what changes something takes effect once under its
`Idempotency-Key`; what starts work is answered when the start is durable, `202` with the place where it can be watched;
what is read has an `ETag`, and is not sent again to who has it; the version that a command expects may be given as
`If-Match`, by its tag.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from interlock.base.ids import shown
from interlock.base.part import Effect
from interlock.base.principal import Principal
from interlock.surfaces.client import Client
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.bodies import JSON, Bounds, body, check_media_type, check_no_body
from interlock.surfaces.http.made import DETACH, is_detached, place_of, status_of
from interlock.surfaces.http.requests import given_of, header_of
from interlock.surfaces.http.routes import Route
from interlock.surfaces.http.settings import ServerSettings
from interlock.surfaces.http.tags import expected, is_known, tag_of

IDEMPOTENCY_KEY: Final = "idempotency-key"

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

    def endpoint(self, route: Route, shows: Route | None = None) -> Callable[[Request], Awaitable[Response]]:
        """What answers a route; `shows` is the one that shows one thing of its collection.

        Raises: what authentication, the input and the command raise.
        """

        async def answer(request: Request) -> Response:
            principal = await self._authenticate(request)
            client = self._client_of(principal)
            await client.check_somewhere(route.command.name)
            given = await self._given(route, request)
            reads = route.command.effect is Effect.READS
            key = None if reads else header_of(request.headers, IDEMPOTENCY_KEY)
            output = await client.call(route.command.name, given, command_id=key)
            return _answered(route, shows, request, given, output)

        return answer

    async def _given(self, route: Route, request: Request) -> dict[str, Any]:
        content = None
        if not route.body:
            check_no_body(request)
        else:
            for name in request.query_params:
                raise INPUT_INVALID.error(f"`{shown(name)}`: members stand in the body here", place=shown(name))
            content = await body(request.scope, request.receive, self._bounds)
            if content:
                check_media_type(request, JSON)
        given = given_of(route, request.path_params, request.query_params.multi_items(), content)
        detached = {DETACH: True} if is_detached(route.command) else {}
        return given | detached | expected(route.command, given, request, self._versioned)


def _answered(
    route: Route, shows: Route | None, request: Request, given: Mapping[str, Any], output: Struct
) -> Response:
    content = msgspec.json.encode(output)
    if route.method == "GET":
        return _read(request, output, content)
    headers = {}
    place = place_of(route, shows, given, output)
    if place is not None:
        headers["Location"] = place
    return Response(content, status_of(route, output), headers, JSON)


def _read(request: Request, output: Struct, content: bytes) -> Response:
    headers = {"ETag": tag_of(output, content), "Cache-Control": "private, no-cache"}
    if is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, JSON)
