"""The reference's wire over HTTP: `POST /rpc` and `GET /debug/mutation_stats`.

What it does: reads a request within bounds, finds out who asks, has it answered, and gives the answer its status and
headers. What it does not do: it opens no socket, makes no principal and decides no permission.

Rules (seed 000): every reply has an id of ours, and that of the client where it has the right form, without which
nothing is done; first comes the number of calls, then the size, then the form, then who asks; who may not ask is told
no more than that, and no figure; who may sees the figures of its own tenant. Stricter than the reference: a name or an
origin that is not listed is refused, and so is a body that says to be something else than JSON, which a page of another
site could send.
"""

from __future__ import annotations

import secrets
import sys
import traceback
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

import msgspec
from msgspec.structs import replace
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.routing import Route
from starlette.types import Scope

from interlock.base.errors import InterlockError
from interlock.base.principal import Principal, PrincipalKind
from interlock.gates.control.feedback import Caller
from interlock.gates.control.service import ScenarioRuns
from interlock.surfaces.application import Opened
from interlock.surfaces.catalogue import Permission
from interlock.surfaces.http.problems import status_of
from interlock.surfaces.mcp.entrance import EntranceSettings, GoneError, body_of, check_place
from interlock.surfaces.mcp.serving import wire_documents
from interlock.surfaces.mcp.wire import faults
from interlock.surfaces.mcp.wire.faults import Fault
from interlock.surfaces.mcp.wire.framing import BODY_BYTES_MAX, CORRELATION_HEADER
from interlock.surfaces.mcp.wire.permissions import (
    STATISTICS,
    WIRE_PERMISSIONS,
    Permits,
    may_call,
    reads_only,
)
from interlock.surfaces.mcp.wire.rpc import CORRELATION_ID, Refused, Response, Rpc, refusal, request_of
from interlock.surfaces.mcp.wire.services import wire_services
from interlock.surfaces.mcp.wire.tools import TOOLS, WireTools

SERVER_CORRELATION_HEADER: Final = "x-server-correlation-id"
CHALLENGE: Final = 'Bearer realm="decision-gate"'
MEDIA_TYPE: Final = "application/json"
_BY_STATUS: Final = {401: faults.UNAUTHENTICATED, 403: faults.UNAUTHORIZED, 429: faults.RATE_LIMITED}
_UNKNOWN: Final = replace(faults.INTERNAL, status=503)
Authenticate = Callable[[Scope], Awaitable[Principal]]
Told = Callable[[Principal, Permission], Awaitable[None]]


async def unheard(_principal: Principal, _needed: Permission) -> None:
    """Nobody wants to know of a refusal."""


def wire_http(
    opened: Opened,
    authenticate: Authenticate,
    *,
    permits: Permits = reads_only,
    refused: Told = unheard,
    settings: EntranceSettings = EntranceSettings(),  # noqa: B008 - immutable
) -> list[Route]:
    """The routes of the wire; `refused` hears of what a permission refuses. Raises: `documents_unreadable`."""
    wire = WireHttp(opened, authenticate, permits, refused, settings)
    return [
        Route("/rpc", wire.rpc, methods=["POST"]),
        Route("/debug/mutation_stats", wire.mutation_stats, methods=["GET"]),
    ]


class WireHttp:
    """The endpoints of the wire, over the services of an application."""

    def __init__(
        self,
        opened: Opened,
        authenticate: Authenticate,
        permits: Permits,
        refused: Told,
        settings: EntranceSettings,
    ) -> None:
        self._opened = opened
        self._authenticate = authenticate
        self._permits = permits
        self._refused = refused
        self._settings = settings
        self._documents = wire_documents(opened)
        self._boot = secrets.token_hex(8)
        self._replies = count(1)
        self._running = 0

    async def rpc(self, request: HttpRequest) -> HttpResponse:
        """`POST /rpc`."""
        return await self._replied(request, self._answer)

    async def mutation_stats(self, request: HttpRequest) -> HttpResponse:
        """`GET /debug/mutation_stats`."""
        return await self._replied(request, self._statistics)

    async def _replied(
        self, request: HttpRequest, answer: Callable[[HttpRequest], Awaitable[Response]]
    ) -> HttpResponse:
        headers = {SERVER_CORRELATION_HEADER: f"dg-{self._boot}-{next(self._replies):016x}"}
        try:
            given = _correlation_id(request)
            if given is not None:
                headers[CORRELATION_HEADER] = given
            check_place(request.scope, self._settings)
            response = await self._bounded(request, answer)
        except Refused as refused:
            response = refusal(refused.fault)
        except InterlockError as error:
            response = refusal(_fault(error))
        except GoneError:
            response = refusal(faults.INVALID_REQUEST)
        if response.status == 401:
            headers["WWW-Authenticate"] = CHALLENGE
        return HttpResponse(response.body, response.status, headers, MEDIA_TYPE)

    async def _bounded(self, request: HttpRequest, answer: Callable[[HttpRequest], Awaitable[Response]]) -> Response:
        if self._running >= self._settings.calls_max:
            raise Refused(faults.OVERLOADED)
        self._running += 1
        try:
            return await answer(request)
        finally:
            self._running -= 1

    async def _answer(self, request: HttpRequest) -> Response:
        if request.headers.get("content-type", MEDIA_TYPE).partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise Refused(faults.MEDIA_TYPE)
        timeout_ms = self._settings.body_timeout_ms
        body = await body_of(request.scope, request.receive, bytes_max=BODY_BYTES_MAX, timeout_ms=timeout_ms)
        asked = request_of(body)
        try:
            principal = await self._principal(request.scope)
        except Refused as refused:
            return refusal(refused.fault, asked.id, known=True)
        return await self._rpc(principal).respond(asked)

    async def _statistics(self, request: HttpRequest) -> Response:
        principal = await self._principal(request.scope)
        if not self._permits(principal, STATISTICS, None):
            await self._refused(principal, STATISTICS)
            raise Refused(faults.UNAUTHORIZED)
        return Response(msgspec.json.encode(self._opened.get(ScenarioRuns).statistics(principal)), 200)

    async def _principal(self, scope: Scope) -> Principal:
        """Who asks. Raises: `Refused`."""
        try:
            return await self._authenticate(scope)
        except InterlockError as error:
            raise Refused(_fault(error)) from None
        except Exception as error:  # noqa: BLE001 - who cannot be found out is not let in
            traceback.print_exception(error, file=sys.stderr)
            raise Refused(_UNKNOWN) from None

    def _rpc(self, principal: Principal) -> Rpc:
        local = principal.kind is PrincipalKind.LOCAL
        caller = Caller("loopback" if local else principal.id, local=local, roles=principal.roles)
        services = wire_services(self._opened, self._documents, principal, caller)

        async def refused(name: str) -> None:
            await self._refused(principal, WIRE_PERMISSIONS[name])

        tools = WireTools(services, TOOLS, lambda name, where: may_call(name, where, principal, self._permits), refused)
        return Rpc(tools, self._documents)


def _correlation_id(request: HttpRequest) -> str | None:
    """The id that a client gave. Raises: `Refused`."""
    given = request.headers.getlist(CORRELATION_HEADER)
    if not given:
        return None
    if len(given) > 1 or not CORRELATION_ID.fullmatch(given[0]):
        raise Refused(faults.INVALID_CORRELATION_ID)
    return given[0]


def _fault(error: InterlockError) -> Fault:
    """The error of the wire for one that comes before a tool is called."""
    status = status_of(error)
    if status in {408, 413}:
        return faults.BODY_LATE if status == 408 else faults.BODY_TOO_LARGE
    found = _BY_STATUS.get(status, _UNKNOWN)
    after = error.details.get("retry_after_ms")
    return replace(found, retry_after_ms=after) if status == 429 and isinstance(after, int) else found
