"""A run that was cut short in its last state, and the tools to damage what it rests on.

The plan needs all that a run can rest on: large values, an artifact, a fact, a failure with a diagnostic snapshot.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw
import psycopg
import pytest
from msgspec import Struct

from interlock import App, Context, Io, IoCall, Plan, Recorder, RetryPolicy, StateFailure
from interlock.base.clock import Clock, SystemClock
from interlock.base.errors import InterlockError
from interlock.doctor import examine
from interlock.engine import events as e
from interlock.engine.errors import ORPHAN_RECOVERED
from interlock.engine.reports.records import RunResult
from interlock.journal.chain import Recorded
from interlock.journal.store_name import StoreName, is_url
from interlock.journal.streams import stream_id
from interlock.parts import installed_parts, sections_of
from interlock.settings import load
from interlock.stores.postgres.address import address_of
from interlock.testing.app import read_run

RUN, OTHER = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"
STREAM = stream_id("default", "run", RUN)
SECONDS_MAX = 10
Answer = TypeVar("Answer")


class Outside:
    """What handlers did, and whether the last state is to be cut short."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.halting = True

    def read(self, given: object) -> object:
        self.calls.append("read")
        return {"answer": self.calls.count("read"), "given": given}


def plan_of(outside: Outside) -> Plan:
    """Four states: large values, a fact, a failure with a diagnostic snapshot, and one that needs all of it."""
    plan = Plan("needy")
    request = {"kind": "call_function_v1", "function": "read", "input": "q"}

    @plan.state
    async def one(ctx: Context, rec: Recorder) -> str:
        outside.calls.append("one")
        ctx.write("large", "l" * 5000)
        return await rec.artifact("Output", b"report")

    @plan.state(after=[one], side_effects="read_only_io")
    async def two(io: Io) -> Any:
        outside.calls.append("two")
        return (await io.call(IoCall("python", request, "read:1"))).response

    @plan.state(after=[two], retry=RetryPolicy.fixed(2), snapshot="always")
    async def three(ctx: Context) -> int:
        outside.calls.append("three")
        if outside.calls.count("three") == 1:
            ctx.write("diagnosis", "d" * 100)
            raise StateFailure("not_yet", "it works the second time", retryable=True)
        return 3

    @plan.state(after=[three], side_effects="read_only_io")
    async def four(ctx: Context, io: Io, one: str) -> list[object]:
        outside.calls.append("four")
        if outside.halting:
            raise asyncio.CancelledError
        known = (await io.call(IoCall("python", request, "read:1"))).response
        return [known, len(str(await ctx.read("large"))), one]

    return plan


class Halted:
    """A run that was cut short in its last state, on a durable store; with `others` of the same plan beside it."""

    def __init__(self, store: StoreName, *others: str, **settings: dict[str, object]) -> None:
        self.store = store
        sections = sections_of(installed_parts())
        self.clock: Clock = SystemClock()
        self.settings = load(sections, arguments=settings, environ={}, folder=Path(os.devnull))
        self.outside = Outside()
        self.plan = plan_of(self.outside)
        for run_id in (RUN, *others):
            self.outside.calls.clear()
            with pytest.raises(asyncio.CancelledError):
                self.drive(partial(self.start, run_id))
        self.outside.halting = False
        self.events = self.read()

    async def start(self, run_id: str, app: App) -> RunResult:
        return await app.runs.start(self.plan, run_id=run_id)

    def drive(self, work: Callable[[App], Awaitable[Answer]]) -> Answer:
        """Do something with the application on this store."""

        async def main() -> Answer:
            functions = {"read": self.outside.read}
            opening = App.open(self.store, functions=functions, settings=self.settings, clock=self.clock)
            async with asyncio.timeout(SECONDS_MAX), opening as app:
                app.runs.plans.add(self.plan)
                return await work(app)

        return asyncio.run(main())

    def resume(self) -> RunResult:
        self.outside.calls.clear()
        return self.drive(lambda app: app.runs.resume(RUN))

    def refused(self) -> InterlockError:
        """The error with which resuming ends; nothing that the run was is then changed."""
        with pytest.raises(InterlockError) as caught:
            self.resume()
        assert ended(self.read()) == ended(self.events)
        return caught.value

    def read(self) -> list[Recorded]:
        """The events of the run, verified."""
        return self.drive(lambda app: read_run(app, RUN))

    def records(self, kind: type[Struct]) -> list[Any]:
        return [event.record for event in self.events if isinstance(event.record, kind)]


def ended(events: list[Recorded]) -> list[Struct | None]:
    """How states and the run ended, but for attempts that a process left open."""
    kinds = (e.StateCompleted, e.StateFailed, e.RunCompleted)
    found = [event.record for event in events if isinstance(event.record, kinds)]
    return [r for r in found if not (isinstance(r, e.StateFailed) and r.error.info.code == ORPHAN_RECOVERED)]


def sql(store: StoreName, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Do something to the tables of a store behind its back, without the references between them; `?` is a value."""
    if is_url(store):
        return _postgres(str(store), statement, values)
    connection = apsw.Connection(str(store))
    try:
        connection.execute("PRAGMA foreign_keys=OFF")
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def _postgres(url: str, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    address = address_of(url)
    options = f"-c search_path={address.schema} -c session_replication_role=replica"
    parameters = {**address.parameters, "options": options, "application_name": "tests"}
    with psycopg.connect(**parameters, autocommit=True) as connection:  # type: ignore[arg-type]
        done = connection.execute(statement.replace("?", "%s"), values or None)
        return done.fetchall() if done.description else []


def artifact_key(store: StoreName, artifact: str) -> str | bytes:
    """How a store writes the id of an artifact."""
    return bytes.fromhex(artifact) if is_url(store) else artifact


def damage(store: StoreName, artifact: str, how: str) -> Callable[[], None]:
    """Harm an artifact in the database; what is returned brings it back."""
    key = artifact_key(store, artifact)
    [row] = sql(store, "SELECT * FROM artifact WHERE id = ?", key)
    insert = f"INSERT INTO artifact VALUES ({', '.join('?' * len(row))})"
    sql(store, "DELETE FROM artifact WHERE id = ?", key)
    if how == "flipped":
        *rest, content = row
        sql(store, insert, *rest, bytes([content[0] ^ 1]) + content[1:])

    def restore() -> None:
        sql(store, "DELETE FROM artifact WHERE id = ?", key)
        sql(store, insert, *row)

    return restore


def findings(store: StoreName) -> str:
    return "\n".join(f"{each.place}: {each.message}" for each in asyncio.run(examine(store)).findings)
