"""Sessions of the official protocol: how many there are, and whose.

What it does: stands before the session manager of the SDK, gives each session that opens a seat, and ends one that is
idle where its own principal opens another and has no seat left. What it does not do: it reads no message, and decides
nobody's identity; that a session is its owner's alone, and ends when it was idle for long, the SDK sees to.

Rules: who has its share makes room by its own session that was idle for longest, and is refused where all of them are
at work; nobody's session ends for somebody else; a seat is given back however its session ended.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interlock.base.errors import InterlockError
from interlock.base.principal import Principal
from interlock.surfaces.seats import Seat, Seats, owner_of

SESSION: Final = b"mcp-session-id"


@dataclass
class _Held:
    """An open session: whose it is, and how many requests of it are being answered."""

    seat: Seat
    principal: Principal
    user: Any
    busy: int
    last_s: float


class Sessions:
    """An ASGI application before that of the SDK."""

    def __init__(self, inner: ASGIApp, seats: Seats, idle_ms: int) -> None:
        self._inner = inner
        self._seats = seats
        self._idle_s = idle_ms / 1000
        self._held: OrderedDict[str, _Held] = OrderedDict()
        """In the order in which they were last asked."""

    async def opening(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that opens a session. Raises: `server_busy`, `share_taken`, before anything is sent."""
        self._forget_expired()
        seat = await self._seat(principal, scope)
        opened = _Watched(send)

        def began() -> None:
            if opened.session is not None and opened.status < 400:
                self._held[opened.session] = _Held(seat, principal, scope["user"], 1, _now())

        opened.began = began
        try:
            await self._inner(scope, receive, opened)
        finally:
            if not self._rest(opened.session or ""):
                seat.back()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer any other request."""
        name = next((value for key, value in scope["headers"] if key == SESSION), b"").decode("latin-1")
        held = self._held.get(name)
        if held is None or held.user.username != scope["user"].username:
            await self._inner(scope, receive, send)
            return
        held.busy += 1
        answered = _Watched(send)
        try:
            await self._inner(scope, receive, answered)
        finally:
            self._rest(name)
            if answered.status == 404 or (scope["method"] == "DELETE" and answered.status < 400):
                self._forget(name)

    def _rest(self, name: str) -> bool:
        """A request is answered; False if its session is not there."""
        held = self._held.get(name)
        if held is None:
            return False
        held.busy -= 1
        held.last_s = _now()
        self._held.move_to_end(name)
        return True

    def _forget(self, name: str) -> _Held | None:
        held = self._held.pop(name, None)
        if held is not None:
            held.seat.back()
        return held

    def _forget_expired(self) -> None:
        """The SDK ends what was idle for so long, and says so to nobody."""
        before = _now() - self._idle_s
        for name in [name for name, held in self._held.items() if not held.busy and held.last_s < before]:
            self._forget(name)

    async def _seat(self, principal: Principal, scope: Scope) -> Seat:
        try:
            return self._seats.take(principal)
        except InterlockError:
            own = owner_of(principal)
            idle = (name for name, held in self._held.items() if not held.busy and owner_of(held.principal) == own)
            oldest = next(idle, None)
            if oldest is None:
                raise
        held = self._forget(oldest)
        seat = self._seats.take(principal)
        try:
            await self._end(oldest, held, scope)
        except BaseException:
            seat.back()
            raise
        return seat

    async def _end(self, name: str, held: _Held | None, scope: Scope) -> None:
        """End a session as its client would."""

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def unheard(_message: Message) -> None:
            pass

        headers = [(key, value) for key, value in scope["headers"] if key in {b"host", b"authorization"}]
        user = None if held is None else held.user
        ending = {**scope, "method": "DELETE", "user": user, "headers": [*headers, (SESSION, name.encode("latin-1"))]}
        await self._inner(ending, nothing, unheard)


class _Watched:
    """Sends an answer, and knows its status and which session it names."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.session: str | None = None
        self.began: Callable[[], None] = _nothing

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            names = [value for key, value in message["headers"] if key.lower() == SESSION]
            self.session = names[0].decode("latin-1") if names else None
            self.began()
        await self._send(message)


def _nothing() -> None:
    pass


def _now() -> float:
    return asyncio.get_running_loop().time()
