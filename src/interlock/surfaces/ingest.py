"""CloudEvents over HTTP: the endpoint that takes them, and the handshake of webhooks.

What it does: authenticates through what it is given, reads a body that is bounded in size and time, and hands the
events over; 202 without a body says that they are durable. What it does not do: it chooses no address (`ingest_routes`
are one, `EventEndpoint` serves any), spells no error, and judges no source (`journal.ingest`).

Rules: nothing is read before the sender is known, and never more is kept than the limit of the mode; a repetition is
answered as the first time was; the handshake says what the settings say and echoes nothing else. Source: HTTP 1.1 Web
Hooks for Event Delivery 1.0.2, sections 2 and 4. Only servers load this module: it imports Starlette.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from interlock.base.cloud_binding import (
    CLOUD_EVENT_TOO_LARGE,
    CLOUD_EVENT_UNSUPPORTED,
    Mode,
    form_of,
    is_cloud_event,
    read_events,
)
from interlock.base.errors import InterlockError
from interlock.base.principal import Principal
from interlock.journal.ingest import EventSettings, Ingest, Signed
from interlock.journal.ingest.signature import HEADER
from interlock.surfaces.errors import EVENT_BODY_SLOW
from interlock.surfaces.http.bodies import Bounds, body

Authenticate = Callable[[Request], Awaitable[Principal]]
"""Who sends a request, if they may do what its address is for. Raises: `InterlockError`."""

Problem = Callable[[Request, InterlockError], Response]
"""An error of a request as a response: problem details (RFC 9457)."""

PATH: Final = "/api/events/"
PERMISSION: Final = "event.receive"
"""What a principal needs; `Authenticate` refuses who has it not."""

STATUSES: Final = {CLOUD_EVENT_UNSUPPORTED.code: 415, CLOUD_EVENT_TOO_LARGE.code: 413, EVENT_BODY_SLOW.code: 408}
"""Statuses that an error's category does not give."""

_METHODS: Final = "OPTIONS, POST"


class EventEndpoint:
    """Takes the CloudEvents of a request, whatever its address is."""

    def __init__(self, ingest: Ingest, *, authenticate: Authenticate, problem: Problem) -> None:
        self._ingest = ingest
        self._authenticate = authenticate
        self._problem = problem

    async def post(self, request: Request) -> Response:
        """Take the events of a request: 202, or the problem."""
        try:
            principal = await self._authenticate(request)
            await self._take(request, principal)
        except InterlockError as fault:
            response = self._problem(request, fault)
            response.headers["Connection"] = "close"  # what is left of the body is not read
            return response
        return Response(status_code=202)

    async def elsewhere(self, request: Request) -> Response | None:
        """Take what says of itself that it is an event, or asks to send some, at an address of nobody; else None."""
        if request.method == "POST" and is_cloud_event(request.headers.items()):
            return await self.post(request)
        if request.method == "OPTIONS" and "webhook-request-origin" in request.headers:
            return await self.handshake(request)
        return None

    async def _take(self, request: Request, principal: Principal) -> None:
        form = form_of(request.headers.items())
        timeout_ms = self._ingest.settings.body_timeout_ms
        bounds = Bounds(form.bytes_max, timeout_ms, too_large=CLOUD_EVENT_TOO_LARGE, late=EVENT_BODY_SLOW)
        content = await body(request.scope, request.receive, bounds)
        events = read_events(form, content)
        signed = Signed(_only(request, HEADER), content, whole=form.mode is not Mode.BINARY)
        await self._ingest.receive(events, principal=principal, signed=signed)

    async def handshake(self, request: Request) -> Response:
        """Answer whether a sender may deliver here; no header of permission means no."""
        headers = {"Allow": _METHODS, **_granted(request, self._ingest.settings)}
        return Response(status_code=200, headers=headers)


def ingest_routes(ingest: Ingest, *, authenticate: Authenticate, problem: Problem, path: str = PATH) -> list[Route]:
    """The routes of the endpoint at `path`, with and without its last slash."""
    endpoint = EventEndpoint(ingest, authenticate=authenticate, problem=problem)
    paths = dict.fromkeys((path, path.rstrip("/") or path))
    return [
        Route(each, handler, methods=[method], include_in_schema=False)
        for each in paths
        for method, handler in (("POST", endpoint.post), ("OPTIONS", endpoint.handshake))
    ]


def _only(request: Request, name: str) -> str | None:
    """The value of a header; several are none that can be right."""
    values = request.headers.getlist(name)
    return ",".join(values) if values else None


def _granted(request: Request, settings: EventSettings) -> dict[str, str]:
    origin = request.headers.get("webhook-request-origin", "").lower()
    everybody = "*" in settings.webhook_origins
    if not origin or not (everybody or origin in {each.lower() for each in settings.webhook_origins}):
        return {}
    granted = {"WebHook-Allowed-Origin": "*" if everybody else origin}
    asked = request.headers.get("webhook-request-rate")
    if asked is not None:
        rate = settings.webhook_rate_per_minute
        asks_less = asked.isascii() and asked.isdigit() and len(asked) < 10 and 0 < int(asked) < rate
        granted["WebHook-Allowed-Rate"] = asked if asks_less else str(rate)
    return granted
