"""The verb `up`: the engine and the server as two processes on one store, on this machine alone.

What it does: starts `interlock work` and `interlock serve`, starts anew what has died, and ends both in good order when
it is told to stop. What it does not do: it opens no store longer than to make it, drives nothing and answers nobody, so
that a fault of one process cannot stop the other.

Rules: a child that dies is started again after a pause, which doubles while it keeps dying; one that cannot even begin
ends everything with its own words; both are told to stop by SIGTERM, and are ended if they do not in time; when this
process is killed, they end by themselves.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from interlock.journal.store_name import StoreName, shown_store
from interlock.machine import UpInput, UpReport
from interlock.serving import TOKEN_VARIABLE
from interlock.supervised import VARIABLE
from interlock.surfaces.cli.edge import folder_if_default
from interlock.surfaces.http.errors import UP_CHILD_FAILED
from interlock.surfaces.narration import Narrator

PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.2, 10.0
STEADY_SECONDS = 30.0
"""A child that lived so long begins anew without a longer pause."""

FAILURES_MAX = 3
"""Starts in a row that may fail at once before everything ends."""

AT_ONCE_SECONDS = 5.0
STOP_SECONDS = 30.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Child(Struct, frozen=True):
    """A child has been started, or has ended with a code; `starts` counts them."""

    name: str
    pid: int
    starts: int
    ended: int | None = None


class _Keeper:
    """Keeps one child alive until it is told to stop."""

    def __init__(self, name: str, line: Sequence[str], environment: dict[str, str], narrator: Narrator) -> None:
        self.name = name
        self.starts = 0
        self._line = line
        self._environment = environment
        self._narrator = narrator
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    async def keep(self) -> None:
        """Start the child again and again. Raises: `up_child_failed`."""
        pause, failures = PAUSE_SECONDS, 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._once()
            lived = time.monotonic() - began
            failures = failures + 1 if lived < AT_ONCE_SECONDS and code > 0 else 0
            if failures >= FAILURES_MAX and not self._stopping.is_set():
                raise UP_CHILD_FAILED.error(
                    f"`interlock {self.name}` ends as soon as it begins, with {code}", exit=code
                )
            pause = PAUSE_SECONDS if lived > STEADY_SECONDS else min(pause * 2, PAUSE_SECONDS_MAX)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _once(self) -> int:
        self.starts += 1
        process = self._process = await asyncio.create_subprocess_exec(
            *self._line, stdin=PIPE, stdout=DEVNULL, env=self._environment, start_new_session=True
        )
        if self._stopping.is_set():  # told so while it was being started
            self.stop(signal.SIGTERM)
        self._narrator.tell(Child(self.name, process.pid, self.starts), f"{self.name} runs as {process.pid}")
        code = await process.wait()
        self._narrator.tell(Child(self.name, process.pid, self.starts, code), f"{self.name} ended with {code}")
        return code

    def stop(self, number: signal.Signals) -> None:
        """Tell the child to stop, and start it no more."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


async def up(store: StoreName, given: UpInput, narrator: Narrator) -> UpReport:
    """Keep both processes alive until this one is told to stop.

    Raises: as making a store does, `up_child_failed`.
    """
    from interlock.app import APPLICATION

    config = None if given.config is None else Path(given.config)
    with folder_if_default(store):
        async with APPLICATION.open(store=store, config=config, create=True):
            pass  # made before two processes would make it at once
        places = ["--store", str(store), *(["--config", given.config] if given.config else [])]
        port = ["--port", str(given.port)]
        # For the server alone, also where one was handed to this process: plans run in the worker.
        proof = {TOKEN_VARIABLE: secrets.token_urlsafe(32)}
        environment = {**os.environ, VARIABLE: "1"}
        environment.pop(TOKEN_VARIABLE, None)
        keepers = [
            _Keeper("work", [*_INTERLOCK, "work", *places], environment, narrator),
            _Keeper("serve", [*_INTERLOCK, "serve", *places, *port], environment | proof, narrator),
        ]
        ended = await _kept(keepers)
    narrator.close()
    return UpReport(shown_store(store), ended, {keeper.name: keeper.starts for keeper in keepers})


_INTERLOCK = (sys.executable, "-m", "interlock.surfaces.cli.main")


async def _kept(keepers: Sequence[_Keeper]) -> str:
    """Keep all until this process is told to stop; the name of the signal."""
    tasks = [asyncio.ensure_future(keeper.keep()) for keeper in keepers]
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with _listening(told):
        awaited: list[asyncio.Future[Any]] = [told, *tasks]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        for keeper in keepers:
            keeper.stop(signal.SIGTERM)
        _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for keeper in keepers if late else ():
            keeper.stop(signal.SIGKILL)
    for task in tasks:
        await task
    return told.result() if told.done() else "ended"


@contextmanager
def _listening(told: asyncio.Future[str]) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if not told.done():
            told.set_result(number.name)

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
