"""The verb `up`: the engine and the server as two processes on one store, on this machine alone.

What it does: holds the address, the place beside the store and its file; starts `interlock work` and `interlock serve`,
hands the socket to the latter, starts anew what has died, and ends both in good order when it is told to stop. What it
does not do: it opens no store longer than to make it, drives nothing and answers nobody, so that a fault of one process
cannot stop the other.

Rules: what nothing can begin with is told before a child is started; a child that dies is started again after a pause,
which doubles while it keeps dying, and who connects meanwhile waits; one that cannot even begin, or that says that time
mends nothing, ends everything with its own words; both are told to stop by SIGTERM, and are ended if they do not in
time; when this process is killed, they end by themselves. Standard output of the worker is nobody's, since plans run
there; the server's is a few lines for this process.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.journal.ingest import Ingest
from interlock.journal.store_name import StoreName, shown_store
from interlock.local_server import Standing, folder_beside, standing
from interlock.machine import UpInput, UpReport
from interlock.serving import TOKEN_VARIABLE, require_library, serving_line
from interlock.supervised import LISTENING_VARIABLE, VARIABLE
from interlock.surfaces.cli.edge import folder_if_default
from interlock.surfaces.http.errors import UP_CHILD_FAILED
from interlock.surfaces.http.listening import listen, url_of
from interlock.surfaces.narration import Narrator
from interlock.surfaces.stopping import Stopping, told_to_stop

HOST: Final = "127.0.0.1"
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.2, 10.0
STEADY_SECONDS = 30.0
"""A child that lived so long begins anew without a longer pause."""

FAILURES_MAX = 3
"""Starts in a row that may fail at once before everything ends."""

AT_ONCE_SECONDS = 5.0
STOP_SECONDS = 30.0
LINE_BYTES_MAX = 1024 * 1024
_USELESS_AGAIN: Final = frozenset({2, 5})
"""Exit codes of what is invalid or refused: the same line would end in the same way."""


class Child(Struct, frozen=True):
    """A child has been started, or has ended with a code, and what it said of that; `starts` counts them."""

    name: str
    pid: int
    starts: int
    ended: int | None = None
    said: str | None = None


class Answers(Struct, frozen=True):
    """The server answers: where, and the file that proves who is the user of this machine (None: there is none)."""

    name: str
    url: str
    file: str | None


class _Fault(Struct):
    code: str
    message: str


class _Said(Struct):
    """A line of a child: the error that it ends with, or where it serves."""

    error: _Fault | None = None
    url: str | None = None


class Starting(Struct, frozen=True):
    """How a child is started: its line, its environment, and the open files that it takes over.

    `serves` is called when it says where it serves; without it, what it writes is nobody's.
    """

    line: Sequence[str]
    environment: Mapping[str, str]
    files: Sequence[int] = ()
    serves: Callable[[], object] | None = None


class _Keeper:
    """Keeps one child alive until it is told to stop."""

    def __init__(self, name: str, starting: Starting, narrator: Narrator) -> None:
        self.name = name
        self.starts = 0
        self._starting = starting
        self._narrator = narrator
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    async def keep(self) -> None:
        """Start the child again and again. Raises: `up_child_failed`."""
        pause, failures = PAUSE_SECONDS, 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code, said = await self._once()
            lived = time.monotonic() - began
            failures = failures + 1 if lived < AT_ONCE_SECONDS and code > 0 else 0
            if (failures >= FAILURES_MAX or code in _USELESS_AGAIN) and not self._stopping.is_set():
                raise UP_CHILD_FAILED.error(f"`interlock {self.name}` ends with {code}{_why(said)}", exit=code)
            pause = PAUSE_SECONDS if lived > STEADY_SECONDS else min(pause * 2, PAUSE_SECONDS_MAX)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _once(self) -> tuple[int, str | None]:
        """Start the child and wait for its end: its exit code, and the error that it told of."""
        self.starts += 1
        starting, said = self._starting, None
        process = self._process = await asyncio.create_subprocess_exec(
            *starting.line,
            stdin=PIPE,
            stdout=DEVNULL if starting.serves is None else PIPE,
            env=starting.environment,
            pass_fds=starting.files,
            start_new_session=True,
            limit=LINE_BYTES_MAX,
        )
        if self._stopping.is_set():  # told so while it was being started
            self.stop(signal.SIGTERM)
        self._narrator.tell(
            Child(self.name, process.pid, self.starts), f"{self.name} runs as process {process.pid}", stays=True
        )
        if process.stdout is not None and starting.serves is not None:
            said = await _heard(process.stdout, starting.serves)
        code = await process.wait()
        ended = Child(self.name, process.pid, self.starts, code, said)
        self._narrator.tell(ended, f"{self.name} ended with {code}{_why(said)}", stays=True)
        return code, said

    def stop(self, number: signal.Signals) -> None:
        """Tell the child to stop, and start it no more."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


async def _heard(lines: asyncio.StreamReader, serves: Callable[[], object]) -> str | None:
    """Listen to a child until it has nothing more to say; the error that it told of."""
    told: str | None = None
    while True:
        try:
            line = await lines.readline()
        except ValueError:  # a line without end is nothing that it has to say
            continue
        if not line:
            return told
        try:
            said = msgspec.json.decode(line, type=_Said)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if said.error is not None:
            told = f"{said.error.message} [{said.error.code}]"
        elif said.url is not None:
            serves()


def _why(said: str | None) -> str:
    return "" if said is None else f": {said}"


async def up(store: StoreName, given: UpInput, narrator: Narrator) -> UpReport:
    """Keep both processes alive until this one is told to stop.

    Raises: as making a store does, `secret_…`, `server_library_absent`, `server_running`, `server_address_invalid`,
    `up_child_failed`.
    """
    from interlock.app import APPLICATION

    require_library()
    config = None if given.config is None else Path(given.config)
    with (
        told_to_stop() as stopping,
        folder_if_default(store),
        standing(folder_beside(store)) as place,
        listen(HOST, given.port) as listening,
        ExitStack() as told,
    ):
        place.reached_at(url_of(listening))
        async with APPLICATION.open(store=store, config=config, create=True) as app:  # before two would make it at once
            app.get(Ingest).check_secrets()
        keepers = _keepers(store, given, listening, _Answering(place, url_of(listening), narrator, told))
        for keeper in keepers:
            stopping.hear(partial(keeper.stop, signal.SIGTERM))
        stopping.hear(listening.close)  # nobody starts with it any more, and who connected now would wait in vain
        ended = await _kept(keepers, stopping)
    narrator.close()
    return UpReport(shown_store(store), ended, {keeper.name: keeper.starts for keeper in keepers})


class _Answering:
    """What is done once the server answers for the first time: its file is written, and people are told."""

    def __init__(self, place: Standing, url: str, narrator: Narrator, told: ExitStack) -> None:
        self.token = secrets.token_urlsafe(32)
        self.narrator = narrator
        self._place, self._url, self._told = place, url, told
        self._known = False

    def begun(self) -> None:
        if self._known:
            return
        self._known = True
        file = self._told.enter_context(self._place.file(self._url, self.token))
        answers = Answers("serve", self._url, None if file is None else str(file))
        self.narrator.tell(answers, serving_line(self._url, file), stays=True)


def _keepers(store: StoreName, given: UpInput, listening: socket.socket, answering: _Answering) -> list[_Keeper]:
    """Who keeps the worker, and who the server."""
    places = ["--store", str(store), *(["--config", given.config] if given.config else [])]
    environment = {**os.environ, VARIABLE: "1"}
    for each in (TOKEN_VARIABLE, LISTENING_VARIABLE):
        environment.pop(each, None)
    # For the server alone, also where one was handed to this process: plans run in the worker.
    proof = {TOKEN_VARIABLE: answering.token, LISTENING_VARIABLE: str(listening.fileno())}
    work = Starting([*_INTERLOCK, "work", *places], environment)
    serve = Starting(
        [*_INTERLOCK, "serve", *places, "--json"], environment | proof, [listening.fileno()], answering.begun
    )
    return [_Keeper("work", work, answering.narrator), _Keeper("serve", serve, answering.narrator)]


_INTERLOCK = (sys.executable, "-m", "interlock.surfaces.cli.main")


async def _kept(keepers: Sequence[_Keeper], stopping: Stopping) -> str:
    """Keep all until this process is told to stop; the name of the signal."""
    tasks = [asyncio.ensure_future(keeper.keep()) for keeper in keepers]
    told = asyncio.Event()
    stopping.hear(told.set)
    waiting = asyncio.ensure_future(told.wait())
    awaited: list[asyncio.Future[Any]] = [waiting, *tasks]
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for keeper in keepers:
        keeper.stop(signal.SIGTERM)
    _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
    for keeper in keepers if late else ():
        keeper.stop(signal.SIGKILL)
    for task in tasks:
        await task
    return stopping.told or "ended"
