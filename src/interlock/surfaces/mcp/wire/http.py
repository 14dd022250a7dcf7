"""The reference's wire over HTTP: `POST /rpc` and `GET /debug/mutation_stats`.

What it does: reads a request within bounds, finds out who asks, has it answered, and gives the answer its status and
headers. What it does not do: it opens no socket, makes no principal and decides no permission.

Rules (seed 000): every reply has an id of ours, and that of the client where it has the right form, without which
nothing is done; what is wrong is told in the order of the number of calls, the size, the form, who asks; who may not
ask is told no more than that, and no figure; who may sees the figures of its own tenant. Found out is who asks first of
all: a call has its place, and its body the time that a body has, only when somebody is known to ask; of a stranger's
body no more is looked at than comes at once and is small, for the id that the refusal repeats. Stricter than the
reference: a name or an origin that is not listed is refused, and so is a body that says to be something else than JSON,
which a page of another site could send.
"""

from __future__ import annotations

import secrets
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
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
from interlock.surfaces.http.bodies import Bounds, announced, body, check_media_type
from interlock.surfaces.http.gate import left
from interlock.surfaces.http.problems import retry_after, status_of
from interlock.surfaces.mcp.entrance import EntranceSettings, check_place
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
STRANGERS_MAX: Final = 16
"""Bodies of strangers that are waited for at once; of more, the id is not looked for."""

STRANGER: Final = Bounds(64 * 1024, 1_000, passed_ms=0)
"""How much is read of the body of somebody who is not known."""

_BY_STATUS: Final = {401: faults.UNAUTHENTICATED, 403: faults.UNAUTHORIZED, 429: faults.RATE_LIMITED}
_UNKNOWN: Final = replace(faults.INTERNAL, status=503)
RPC: Final = "/rpc"
STATISTICS_PATH: Final = "/debug/mutation_stats"
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
        Route(RPC, wire.rpc, methods=["POST"]),
        Route(STATISTICS_PATH, wire.mutation_stats, methods=["GET"]),
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
        self._strangers = 0

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
            self._check_places()
            response = await answer(request)
        except Refused as refused:
            response = refusal(refused.fault)
        except InterlockError as error:
            response = refusal(_fault(error))
        headers |= retry_after(response.status, response.retry_after_ms)
        if response.status == 401:
            headers["WWW-Authenticate"] = CHALLENGE
        return HttpResponse(response.body, response.status, headers, MEDIA_TYPE)

    def _check_places(self) -> None:
        """Raises: `Refused`."""
        if self._running >= self._settings.calls_max:
            raise Refused(faults.OVERLOADED)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """The place of a call. Raises: `Refused`."""
        self._check_places()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def _answer(self, request: HttpRequest) -> Response:
        try:
            principal = await self._principal(request.scope)
        except Refused as refused:
            left(request.scope)  # what is still waited for takes nobody's place
            return await self._turned_away(request, refused.fault)
        with self._place():
            _check_type(request)
            bounds = Bounds(BODY_BYTES_MAX, self._settings.body_timeout_ms)
            asked = request_of(await body(request.scope, request.receive, bounds))
            return await self._rpc(principal).respond(asked)

    async def _turned_away(self, request: HttpRequest, fault: Fault) -> Response:
        """What somebody is told who is not let in. Raises: `Refused` for what is told before that."""
        _check_type(request)
        size = announced(request.scope)
        if size > BODY_BYTES_MAX:
            raise Refused(faults.BODY_TOO_LARGE)
        if size > STRANGER.bytes_max or self._strangers >= STRANGERS_MAX:
            return refusal(fault)
        self._strangers += 1
        try:
            content = await body(request.scope, request.receive, STRANGER)
        except InterlockError:
            return refusal(fault)
        finally:
            self._strangers -= 1
        return refusal(fault, request_of(content).id, known=True)

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


def overloaded(error: InterlockError) -> HttpResponse:
    """What a call is told that is not let in: too much is under way, or the server is about to stop."""
    response = refusal(faults.OVERLOADED)
    headers = retry_after(response.status, error.details.get("retry_after_ms"))
    return HttpResponse(response.body, response.status, headers, MEDIA_TYPE)


def _check_type(request: HttpRequest) -> None:
    """Raises: `Refused`."""
    if "content-type" not in request.headers:
        return
    try:
        check_media_type(request, MEDIA_TYPE)
    except InterlockError:
        raise Refused(faults.MEDIA_TYPE) from None


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
    if status == 415:
        return faults.MEDIA_TYPE
    found = _BY_STATUS.get(status, _UNKNOWN)
    after = error.details.get("retry_after_ms")
    return replace(found, retry_after_ms=after) if status == 429 and isinstance(after, int) else found
