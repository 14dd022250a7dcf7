"""What stands beside the generated routes: MCP, the reference's wire, events in, the live feed, and content.

What it does: puts those modules under one root, each with the principals of the edge and the permissions of the
catalogue. What it does not do: it answers nothing itself.

Rules: each has one permission of the table, asked for before it does anything; MCP is there where its library is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from interlock.access.check import Access
from interlock.base.errors import InterlockError
from interlock.base.part import Command
from interlock.base.principal import Principal
from interlock.journal.ingest import Ingest
from interlock.journal.journal import Journal
from interlock.journal.subscriptions import Subscriptions
from interlock.surfaces import ingest
from interlock.surfaces.application import Application, Opened
from interlock.surfaces.catalogue import Permission
from interlock.surfaces.http.app import Additions, Lifespan
from interlock.surfaces.http.content import Content
from interlock.surfaces.http.edge import Edge
from interlock.surfaces.http.gate import Standing
from interlock.surfaces.http.mcp_paths import MCP_PATH
from interlock.surfaces.http.problems import problem
from interlock.surfaces.http.request_ids import request_id_of
from interlock.surfaces.ingest import EventEndpoint
from interlock.surfaces.mcp.entrance import EntranceSettings
from interlock.surfaces.mcp.wire.permissions import Permits, Where
from interlock.surfaces.sse import routes as sse
from interlock.surfaces.sse.reader import EventStreams
from interlock.surfaces.sse.settings import EventStreamSettings

STREAMS: Final = frozenset({MCP_PATH, *sse.PATHS})
"""What `GET` opens and nobody waits for the end of."""


def beside(opened: Opened, application: Application, edge: Edge, entrance: EntranceSettings) -> Additions:
    """Everything beside the routes of the catalogue. Raises: `documents_unreadable`."""
    access = opened.get(Access)
    streams = EventStreams(
        opened.get(Journal), opened.get(Subscriptions).tell, opened.get(EventStreamSettings), entrance.shares
    )
    routes: list[BaseRoute] = [
        *ingest.ingest_routes(
            opened.get(Ingest), authenticate=_permitted(edge, access, ingest.PERMISSION), problem=_told
        ),
        *sse.stream_routes(streams, authenticate=_permitted(edge, access, sse.PERMISSION), problem=_told),
    ]
    lifespans: list[Lifespan] = []
    quiets = [streams.close]
    authenticate = _of_scope(edge)
    try:
        from interlock.surfaces.mcp.http import mcp_http
    except ImportError:
        pass
    else:
        app, lifespan = mcp_http(
            opened, application, authenticate, may=_may(access), refused=_refused(access), settings=entrance
        )
        # Without a list the library would answer other methods, each with a session of its own for that one answer.
        routes.append(Route(MCP_PATH, app, methods=["POST", "GET", "DELETE"]))
        quiets.append(app.quiet)
        lifespans.append(lambda: lifespan)
    from interlock.surfaces.mcp.wire.http import RPC, STATISTICS_PATH, overloaded, wire_http

    routes += wire_http(opened, authenticate, permits=_permits(access), refused=_refused_row(access), settings=entrance)
    content = Content(opened, edge.principal)
    standing = Standing(STREAMS, {RPC: overloaded, STATISTICS_PATH: overloaded})
    return Additions(content.guarded(), routes, lifespans, _all(quiets), _elsewhere(opened, edge, access), standing)


def _all(quiets: Sequence[Callable[[], Awaitable[None]]]) -> Callable[[], Awaitable[None]]:
    async def quiet() -> None:
        for each in quiets:
            await each()

    return quiet


def _elsewhere(opened: Opened, edge: Edge, access: Access) -> Callable[[Request], Awaitable[Response | None]]:
    """What takes events at whatever path nothing else stands at."""
    authenticate = _permitted(edge, access, ingest.PERMISSION)

    endpoint = EventEndpoint(opened.get(Ingest), authenticate=authenticate, problem=_told)
    return endpoint.elsewhere


def _permitted(edge: Edge, access: Access, permission: str) -> Callable[[Request], Awaitable[Principal]]:
    """Finds out who asks, and whether they may. Raises: as the edge does, `permission_denied`."""

    async def authenticate(request: Request) -> Principal:
        principal = await edge.principal(request)
        await access.check(principal, permission, command=permission)
        return principal

    return authenticate


def _of_scope(edge: Edge) -> Callable[[Scope], Awaitable[Principal]]:
    async def authenticate(scope: Scope) -> Principal:
        return await edge.principal(HTTPConnection(scope))

    return authenticate


def _may(access: Access) -> Callable[[Principal, Command], bool]:
    """Which tools there are for somebody; the client says at each call whether it is permitted in its namespace."""

    def may(principal: Principal, command: Command) -> bool:
        return access.permits_somewhere(principal, command.permission)

    return may


def _refused(access: Access) -> Callable[[Principal, Command], Awaitable[None]]:
    async def refused(principal: Principal, command: Command) -> None:
        await access.refusal(principal, command.permission, command.name)

    return refused


def _permits(access: Access) -> Permits:
    def permits(principal: Principal, needed: Permission, where: Where) -> bool:
        if where == "somewhere":
            return access.permits_somewhere(principal, needed.permission)
        return access.permits(principal, needed.permission, namespace=where)

    return permits


def _refused_row(access: Access) -> Callable[[Principal, Permission], Awaitable[None]]:
    async def refused(principal: Principal, needed: Permission) -> None:
        await access.refusal(principal, needed.permission, needed.command)

    return refused


def _told(request: Request, error: InterlockError) -> Response:
    return problem(error, request_id_of(request))
