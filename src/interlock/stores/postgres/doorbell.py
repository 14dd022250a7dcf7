"""`Doorbell` on PostgreSQL: rung by this process at once, by others through LISTEN/NOTIFY, or when it looks.

What it does: wakes who waits when anything was committed. What it does not do: it promises no wake-up; a wait that
ends at its timeout costs time and nothing else.

Rules: a connection listens only once somebody waits; others are told outside of the append's transaction and at most
every few milliseconds, because a NOTIFY within it would make all commits of the database wait for one another; who
hears a bell asks nothing, for a look at the store costs a row of each partition; it is looked at seldom, in case that
a bell was lost, and while nobody can listen first often and then ever more seldom.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import psycopg

from interlock.base.errors import InterlockError
from interlock.stores.postgres.connections import Pool, Server
from interlock.stores.postgres.statements import statements

_SQL = statements("events")
_TELL = b"SELECT pg_notify(%s, %s)"
_TELL_MS = 10
_POLL_MS_MIN, _BACK_OFF = 5.0, 1.5
_RECONNECT_SECONDS = 1.0


class PostgresDoorbell:
    """`Doorbell` over one opened store."""

    def __init__(self, server: Server, pool: Pool, store_id: str, owner: str, positions: int) -> None:
        self._server = server
        self._pool = pool
        self._channel = f"interlock_{store_id}"
        self._owner = owner
        self._others = positions
        self._own = 0
        self._mark = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._listens = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling = False
        self._tell_again = False
        self._closed = False

    def seen(self) -> int:
        """A mark of what has been committed so far."""
        return self._mark

    def ring(self, events: int = 0) -> None:
        """This process committed so many events, or gave a claim back: wake who waits, and tell others."""
        self._own += events
        self._wake()
        if self._closed or self._server.read_only:
            return
        if self._telling:
            self._tell_again = True
        else:
            self._telling = True
            self._start(self._tell())

    def _wake(self) -> None:
        self._mark += 1
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def _tell(self) -> None:
        """Tell other processes, and once more if there was something new meanwhile."""
        again = True
        while again and not self._closed:
            self._tell_again = False
            with suppress(InterlockError):
                await self._pool.rows(_TELL, (self._channel, self._owner))
            await asyncio.sleep(_TELL_MS / 1000)
            again = self._tell_again
        self._telling = False

    async def wait(self, seen: int, timeout_ms: int) -> int:
        """The mark once it is not `seen` any more, or after `timeout_ms`."""
        if self._mark == seen and timeout_ms > 0:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            if not self._tasks_listen():
                self._start(self._listen(), "listen")
                self._start(self._poll(), "poll")
            try:
                await asyncio.wait([waiter], timeout=timeout_ms / 1000)
            finally:
                self._waiting.discard(waiter)
        return self._mark

    def _tasks_listen(self) -> bool:
        return self._closed or any(task.get_name().startswith("interlock-bell-") for task in self._tasks)

    def _start(self, work: Coroutine[Any, Any, None], name: str = "") -> None:
        task = asyncio.get_running_loop().create_task(work)
        if name:
            task.set_name(f"interlock-bell-{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self) -> None:
        """Hear others for as long as the store is open."""
        while not self._closed:
            try:
                connection = await self._server.connect()
            except InterlockError:
                await asyncio.sleep(_RECONNECT_SECONDS)
                continue
            try:
                await connection.execute(f"LISTEN {self._channel}".encode())
                self._listens = True
                await self._look()
                async for notice in connection.notifies():
                    if notice.payload != self._owner:
                        self._wake()  # what it stands for is found by who waits
            except (psycopg.Error, InterlockError):
                pass  # whoever waits will meet the trouble with the server in its own call
            finally:
                self._listens = False
                with suppress(psycopg.Error):
                    await connection.close()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _poll(self) -> None:
        """Look at the store while somebody waits, in case that a bell was not heard."""
        interval_ms = _POLL_MS_MIN
        while not self._closed:
            await asyncio.sleep(interval_ms / 1000)
            changed = False
            if self._waiting:
                with suppress(InterlockError):
                    changed = await self._look()
            most = self._server.settings.doorbell_poll_ms_max
            interval_ms = most if self._listens else _POLL_MS_MIN if changed else min(interval_ms * _BACK_OFF, most)

    async def _look(self) -> bool:
        """Whether anything was appended since the last look that this process did not append; wakes if so."""
        others = int(await self._pool.one(_SQL["positions_sum"])) - self._own
        if others == self._others:
            return False
        self._others = others
        self._wake()
        return True

    async def close(self, *, tell: bool) -> None:
        """Wake everyone, once and for all; with `tell` also others: of the last appends, and of claims that ended."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if tell:
            with suppress(InterlockError):
                await self._pool.rows(_TELL, (self._channel, self._owner))
        self._wake()
