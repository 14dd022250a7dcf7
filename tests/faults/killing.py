"""Processes that can be killed at any durable operation, and what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from interlock import App
from interlock.base.clock import SystemClock, SystemEntropy
from interlock.engine.control.inbox_events import EVENTS as INBOX_EVENTS
from interlock.engine.events import EVENTS, RunStarted
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Recorded
from interlock.journal.journal import Journal
from interlock.journal.ports import Store
from interlock.journal.streams import stream_id
from interlock.stores.postgres import open_postgres
from interlock.stores.postgres.address import address_of
from interlock.stores.sqlite import open_sqlite
from interlock.testing.checker import check_artifacts, check_branches, check_left, check_run
from tests.faults.plans import PLANS

SECONDS_MAX = 30


class Zygote:
    """Sends orders to the forking process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, **order: Any) -> dict[str, Any]:
        """Give an order and wait for its answer."""
        self.send(**order)
        return self.answer()

    def send(self, **order: Any) -> None:
        """Give an order; `answer` fetches what came of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What came of the last order, once its process has ended."""
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.communicate(timeout=20)


def wait_for(what: Callable[[], bool]) -> None:
    """Wait until something that another process does has come about."""
    ends = time.monotonic() + SECONDS_MAX
    while not what():
        assert time.monotonic() < ends, "it never came about"
        time.sleep(0.005)


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """A process that stands still (SIGSTOP) while the block runs."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@dataclass
class Case:
    """One run on one store, driven by processes that may be killed; `url` is that of a store in a database."""

    zygote: Zygote
    folder: Path
    plan: str
    run_id: str = field(default_factory=lambda: str(uuid4()))
    settings: dict[str, dict[str, object]] = field(default_factory=dict)
    in_files: bool = False
    disk: Path | None = None
    url: str | None = None

    @property
    def name(self) -> Path | str:
        """What the store is called: its path, or the URL of the database that holds it."""
        return self.url or self.store

    async def _open(self) -> Store:
        if self.url is None:
            return await open_sqlite(self.store, create=False)
        return await open_postgres(self.url, create=False)

    @property
    def store(self) -> Path:
        """The store: on a disk of its own, if there is one, so that the outside can be noted when that is full."""
        return (self.disk or self.folder) / "store.db"

    @property
    def outside(self) -> list[str]:
        path = self.folder / "outside.log"
        return path.read_text("utf-8").split("\n")[:-1] if path.exists() else []

    @property
    def gate(self) -> Path:
        """The file that stalling handlers wait for."""
        return self.folder / "outside.log.gate"

    def said(self, word: str) -> list[str]:
        """What the outside noted behind this word, such as the process that waits in a handler."""
        return [line.removeprefix(word).strip() for line in self.outside if line.startswith(word)]

    @property
    def present(self) -> bool:
        """Whether the store was made: in a database it is before anything that can be killed."""
        return self.url is not None or self.store.exists()

    def act(self, action: str, kill_at: int | None = None, **more: Any) -> dict[str, Any]:
        answer = self.zygote.order(**self.order(action, kill_at=kill_at, **more))
        if answer["code"] == -signal.SIGKILL:
            self.settle()
        return answer

    def settle(self) -> None:
        """Wait until the server has noticed that a process is dead: what it had sent may still be carried out."""
        if self.url is None:
            return
        parameters = address_of(self.url).parameters
        name = parameters["application_name"]
        look = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        with psycopg.connect(**{**parameters, "application_name": "tests"}) as server:  # type: ignore[arg-type]
            server.autocommit = True
            wait_for(lambda: server.execute(look, (name,)).fetchone() == (0,))

    def order(self, action: str, **more: Any) -> dict[str, Any]:
        """The order to do this to the run, for any zygote."""
        return {
            "store": str(self.name),
            "outside": str(self.folder / "outside.log"),
            "plan": self.plan,
            "run_id": self.run_id,
            "settings": self.settings,
            "in_files": self.in_files,
            "action": action,
            **more,
        }

    def finish(self, kills: list[int] | None = None) -> dict[str, Any]:
        """Start or resume until nothing is killed any more; each of `kills` kills one try."""
        for kill_at in kills or []:
            done = self.act("start", kill_at)
            if done["code"] == 0:
                return done
        return self.act("start", None)

    async def logs(self) -> dict[str, list[Recorded]]:
        """The log of every run in the store, checked by rules that share no code with the engine."""
        store = await self._open()
        try:
            journal = Journal(store, EventCatalogue([*EVENTS, *INBOX_EVENTS]), SystemClock(), SystemEntropy())
            streams = [name for name, _ in await store.events.streams("default", "", 1000)]
            names = [name.split("/")[2] for name in streams if name.split("/")[1] == "run" and "/inbox" not in name]
            found = {}
            for run_id in names:
                log = [event async for page in journal.read(stream_id("default", "run", run_id)) for event in page]
                started = log[0].record
                assert isinstance(started, RunStarted)
                plan = PLANS[started.op_id].build()
                check_run(log, plan=plan)
                await check_artifacts(log, store.artifacts)
                await check_branches(log, plan, store.artifacts)
                found[run_id] = log
            await check_left(store, claims=False)
            return found
        finally:
            await store.close()

    async def events(self, run_id: str | None = None) -> list[Recorded]:
        store = await self._open()
        try:
            journal = Journal(store, EventCatalogue(EVENTS), SystemClock(), SystemEntropy())
            stream = stream_id("default", "run", run_id or self.run_id)
            return [event async for page in journal.read(stream) for event in page]
        finally:
            await store.close()

    async def output(self, step: str) -> Any:
        """What a step returned, as any process can read it."""
        async with App.open(self.name, create=False) as app:
            return await app.runs.read.output(self.run_id, step)
