"""Answers the requests that are generated from the catalogue.

What it does: reads the input of a route's command, calls the client for whoever asks, and answers with the output.
What it does not do: it knows no verb, and tells no error (`app` does, for every endpoint).

Rules: who may call a command nowhere has no body read; what changes something takes effect once under its
`Idempotency-Key`; what starts work is answered when the start is durable, `202` with the place where it can be watched;
what is read has an `ETag`, and is not sent again to who has it; a version that a command expects may be given as
`If-Match`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from interlock.base.canonical import digest
from interlock.base.ids import shown
from interlock.base.part import Command, Effect
from interlock.base.principal import Principal
from interlock.surfaces.client import Client
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.bodies import JSON, Bounds, body, check_media_type, check_no_body
from interlock.surfaces.http.made import place_of, status_of
from interlock.surfaces.http.requests import given_of, header_of, value_of
from interlock.surfaces.http.routes import Route
from interlock.surfaces.http.settings import ServerSettings
from interlock.surfaces.members import members_of

IDEMPOTENCY_KEY: Final = "idempotency-key"
_DETACH, _EXPECT = "detach", "expect"
ETAG_CHARACTERS: Final = 32

Authenticate = Callable[[HTTPConnection], Awaitable[Principal]]
ClientOf = Callable[[Principal], Client]


class Calls:
    """The endpoint of every route: one for all."""

    def __init__(self, authenticate: Authenticate, client_of: ClientOf, settings: ServerSettings) -> None:
        self._authenticate = authenticate
        self._client_of = client_of
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
        return given | _ordered(route.command, given, request)


def _ordered(command: Command, given: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Members that the protocol gives: a start is never waited for, and a version is expected by `If-Match`."""
    members = {member.name: member for member in members_of(command.input)}
    found: dict[str, Any] = {_DETACH: True} if _DETACH in members else {}
    expected = header_of(request.headers, "if-match")
    if expected is None:
        return found
    if _EXPECT not in members or _EXPECT in given:
        raise INPUT_INVALID.error("`If-Match`: nothing of this request has a version", place="If-Match")
    return found | {_EXPECT: value_of(members[_EXPECT], expected.removeprefix("W/").strip('"'))}


def _answered(
    route: Route, shows: Route | None, request: Request, given: Mapping[str, Any], output: Struct
) -> Response:
    content = msgspec.json.encode(output)
    if route.command.effect is Effect.READS:
        return _read(request, content)
    headers = {}
    place = place_of(route, shows, given, output)
    if place is not None:
        headers["Location"] = place
    return Response(content, status_of(route, output), headers, JSON)


def _read(request: Request, content: bytes) -> Response:
    etag = f'"{digest(content)[:ETAG_CHARACTERS]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if etag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, JSON)
