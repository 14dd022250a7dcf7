"""The way in: what every request passes before anything of the application sees it.

What it does: counts what is under way, lets nothing new in while the server drains, and gives each answer the id of its
request. What it does not do: it finds out nobody (`edge` says whose a request is), and answers nothing that is let in.

Rules: whatever is not listed as standing is counted, at every path and with every method, from its head to the end of
its answer; whose it is counts as soon as that is known; looks at the server's health are answered whatever happens;
what a server that stops gives up is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interlock.base.errors import InterlockError
from interlock.base.principal import Principal
from interlock.surfaces.http.errors import SERVER_BUSY, SERVER_DRAINING
from interlock.surfaces.http.problems import problem
from interlock.surfaces.http.request_ids import REQUEST_ID, request_id_of
from interlock.surfaces.seats import Seat, Seats, Shares

HEALTH: Final = frozenset({"/healthz", "/readyz"})
_SEAT: Final = "interlock.seat"

Teller = Callable[[InterlockError], Response]


class Gate:
    """What is under way, and whether anything new is taken."""

    def __init__(self, in_flight_max: int, shares: Shares) -> None:
        self.draining = False
        self.seats = Seats(in_flight_max, shares, self._full, "requests")

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self.seats.taken

    def check(self) -> None:
        """Whether anything new is taken. Raises: `server_draining`."""
        if self.draining:
            raise _draining("the server is about to stop")

    def enter(self) -> Seat:
        """Take a request. Raises: `server_draining`, `server_busy`."""
        self.check()
        return self.seats.take()

    def _full(self) -> InterlockError:
        return SERVER_BUSY.error(f"{self.seats.most} requests are under way", retry_after_ms=1_000)


def _draining(message: str) -> InterlockError:
    return SERVER_DRAINING.error(message, retry_after_ms=1_000)


@dataclass(frozen=True)
class Standing:
    """What is not under way like a request: streams, which `GET` of these paths opens, and which have seats of theirs.

    `tellers` tell errors in the form that a path has, where that is not a problem.
    """

    streams: frozenset[str] = frozenset()
    tellers: Mapping[str, Teller] | None = None


class Doorway:
    """The application behind its gate."""

    def __init__(self, app: ASGIApp, gate: Gate, standing: Standing) -> None:
        self._app = app
        self._gate = gate
        self._standing = standing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = _Said(send, request_id_of(HTTPConnection(scope)))
        seat = None
        try:
            if scope["path"] not in HEALTH:
                seat = self._entered(scope)
        except InterlockError as fault:
            await self._told(fault, scope, receive, said)
            return
        try:
            await self._app({**scope, _SEAT: seat}, receive, said)
        except asyncio.CancelledError:
            if not self._gate.draining:
                raise
            if not said.begun:
                await self._told(_draining("the server stops, and did not wait any longer"), scope, receive, said)
        finally:
            if seat is not None:
                seat.back()

    def _entered(self, scope: Scope) -> Seat | None:
        if scope["method"] == "GET" and scope["path"] in self._standing.streams:
            self._gate.check()
            return None
        return self._gate.enter()

    async def _told(self, fault: InterlockError, scope: Scope, receive: Receive, send: Send) -> None:
        teller = (self._standing.tellers or {}).get(scope["path"])
        response = problem(fault, scope["request_id"]) if teller is None else teller(fault)
        if self._gate.draining:
            response.headers["Connection"] = "close"  # a body that still comes is read by nobody
        await response(scope, receive, send)


class _Said:
    """Sends an answer with the id of its request, and what keeps browsers from guessing and keeping."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def whose(scope: Scope, principal: Principal) -> None:
    """Say whose a request is, as soon as that is known. Raises: `share_taken`."""
    seat: Seat | None = scope.get(_SEAT)
    if seat is not None:
        seat.belongs_to(principal)


def left(scope: Scope) -> None:
    """Say that a request is refused, and so no longer under way, whatever of it is still waited for."""
    seat: Seat | None = scope.get(_SEAT)
    if seat is not None:
        seat.back()
