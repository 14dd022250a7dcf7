"""Whether the server lives, and whether it is of use.

What it does: answers `/healthz` and `/readyz`. What it does not do: it says nothing of any tenant, so that both may be
asked by anybody.

Rules: alive is who answers; ready is who reads the store, has its writer write, finds the feed without a hole and the
timers not long overdue; each is looked at in bounded time, once a second at most, and named with what was found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from interlock.base.errors import InterlockError
from interlock.base.part import Services
from interlock.journal.journal import Journal
from interlock.surfaces.http.bodies import JSON

LOOK_MS_MAX: Final = 2_000
AGE_SECONDS_MAX: Final = 1.0
OVERDUE_MS_MAX: Final = 60_000
_NO_TENANT, _NO_VIEW = "default", "server_readiness"
State = Literal["ok", "failed", "draining"]


class Look(Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    state: State
    code: str | None = None


class Readiness(Struct, frozen=True):
    """Whether the server is of use, and why not."""

    ready: bool
    checks: list[Look]


class Health:
    """Looks at what a server needs: the feed and the timers of every tenant."""

    def __init__(self, services: Services, draining: Callable[[], bool]) -> None:
        self._journal = services.get(Journal)
        self._draining = draining
        self._looking = asyncio.Lock()
        self._found: Readiness | None = None
        self._found_at = 0.0

    async def alive(self, _request: Request) -> Response:
        """`GET /healthz`."""
        return Response(b'{"alive":true}', 200, media_type=JSON)

    async def ready(self, _request: Request) -> Response:
        """`GET /readyz`: 200, or 503 with what is missing."""
        found = await self._lately()
        return Response(msgspec.json.encode(found), 200 if found.ready else 503, media_type=JSON)

    async def _lately(self) -> Readiness:
        """What was found within the last second: who asks needs no credentials, and must not keep the store busy."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if self._found is None or now - self._found_at > AGE_SECONDS_MAX:
                self._found, self._found_at = await self.readiness(), asyncio.get_running_loop().time()
            found = self._found
        if self._draining() and found.ready:
            return Readiness(ready=False, checks=[*found.checks, Look("server", "draining")])
        return found

    async def readiness(self) -> Readiness:
        """Every look, each on its own."""
        looks = {"store": self._store, "writer": self._writer, "feed": self._feed, "timers": self._timers}
        found = [await _looked(name, look) for name, look in looks.items()]
        return Readiness(all(each.state == "ok" for each in found), found)

    async def _store(self) -> str | None:
        await self._journal.store.events.partitions()
        return None

    async def _writer(self) -> str | None:
        # Forgetting what is not there takes the writer's turn and leaves nothing behind.
        await self._journal.store.views.drop(_NO_TENANT, _NO_VIEW)
        return None

    async def _feed(self) -> str | None:
        events = self._journal.store.events
        for partition in await events.partitions():
            position = await events.position(partition)
            page = await events.feed(partition, position - 1, 1) if position else []
            if position and not (page and page[0].position == position):
                return "feed_hole"
        return None

    async def _timers(self) -> str | None:
        due_ms = await self._journal.store.timers.next_due(None)
        overdue = due_ms is not None and due_ms < self._journal.now_ms() - OVERDUE_MS_MAX
        return "timers_overdue" if overdue else None


async def _looked(name: str, look: Callable[[], Awaitable[str | None]]) -> Look:
    try:
        async with asyncio.timeout(LOOK_MS_MAX / 1000):
            code = await look()
    except TimeoutError:
        code = "timeout"
    except InterlockError as fault:
        code = fault.code
    return Look(name, "ok" if code is None else "failed", code)
