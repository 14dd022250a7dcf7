"""Processes that die at a chosen point, and a world that outlives them.

`Points` numbers everything that a process does to the world outside of its memory, and kills it at one of them;
`World` keeps what survives, starts one process after the other, and checks the run after each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from interlock.app import App
from interlock.base.errors import ErrorCode
from interlock.base.events import Claim
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.plan import ExecutionPlan
from interlock.engine.reports.records import RunResult
from interlock.journal.chain import Recorded
from interlock.journal.ports import Activations, Artifacts, Blob, Held
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app, read_run
from interlock.testing.checker import check_artifacts, check_run
from tests.simulation.outside import Outside, OutsideTransport

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


class Crash(BaseException):
    """The process is dead."""


class Points:
    """Counts the points that a process reaches, and kills it at one of them.

    That is the one with the number `crash_at` (from 1), or the first with the name `crash_on`. At the number of
    `fault` the store fails with that error instead.
    """

    def __init__(
        self,
        crash_at: int | None = None,
        crash_on: str | None = None,
        *,
        fault: tuple[int, ErrorCode] | None = None,
    ) -> None:
        self.fault = fault
        self.crash_at = crash_at
        self.crash_on = crash_on
        self.reached: list[str] = []
        self.dead = False
        self.store: MemoryStore | None = None
        self.committed: Callable[[], None] = lambda: None
        """Called when an append has committed, also where the process dies with it."""
        self._awake = asyncio.Event()
        self._awake.set()

    def freeze(self, *, frozen: bool) -> None:
        """Stop the process at its next gate, or let it go on."""
        if frozen:
            self._awake.clear()
        else:
            self._awake.set()

    async def gate(self) -> None:
        """Wait here while the process is frozen."""
        await self._awake.wait()

    def reach(self, name: str) -> None:
        """Pass a point, or die at it."""
        if self.dead:
            raise Crash("a dead process does nothing")
        self.reached.append(name)
        if name == "append:after_commit":
            self.committed()
        if len(self.reached) == self.crash_at or name == self.crash_on:
            self.kill()
            raise Crash(name)
        if self.fault is not None and len(self.reached) == self.fault[0]:
            raise self.fault[1].error("the store fails as the test wants it")

    async def pass_by(self, name: str) -> None:
        """`reach`, after a pause in which others run, as they would while a disk works."""
        await asyncio.sleep(0)
        self.reach(name)

    def kill(self) -> None:
        """End the process."""
        assert self.store is not None
        self.dead = True
        self.store.die()


class PointedArtifacts:
    """Artifacts whose `put` is two points."""

    def __init__(self, inner: Artifacts, points: Points) -> None:
        self._inner = inner
        self._points = points

    async def put(self, blobs: Sequence[Blob]) -> list[str]:
        await self._points.pass_by("put:before")
        ids = await self._inner.put(blobs)
        await self._points.pass_by("put:after")
        return ids

    async def get(self, ids: Sequence[str]) -> list[bytes]:
        return await self._inner.get(ids)

    async def exists(self, ids: Sequence[str]) -> list[bool]:
        return await self._inner.exists(ids)

    async def scan(self, after: str, limit: int) -> list[str]:
        return await self._inner.scan(after, limit)


class PointedActivations:
    """Activations whose `take` and `release` are two points each."""

    def __init__(self, inner: Activations, points: Points) -> None:
        self._inner = inner
        self._points = points

    async def take(
        self, stream: str, kind: str, owner: str, now_ms: int, lease_ms: int, *, steal: bool = False
    ) -> Claim | Held:
        await self._points.pass_by("take:before")
        claim = await self._inner.take(stream, kind, owner, now_ms, lease_ms, steal=steal)
        await self._points.pass_by("take:after")
        return claim

    async def release(self, claims: Sequence[Claim], until_ms: int | None) -> None:
        await self._points.pass_by("release:before")
        await self._inner.release(claims, until_ms)
        await self._points.pass_by("release:after")

    async def claim(
        self, partition: str, kinds: Sequence[str], owner: str, limit: int, now_ms: int, lease_ms: int
    ) -> list[Claim]:
        return await self._inner.claim(partition, kinds, owner, limit, now_ms, lease_ms)

    async def renew(self, claims: Sequence[Claim], now_ms: int, lease_ms: int) -> list[bool]:
        await self._points.gate()
        return await self._inner.renew(claims, now_ms, lease_ms)

    async def due(self, partition: str | None, kinds: Sequence[str], now_ms: int) -> int | None:
        return await self._inner.due(partition, kinds, now_ms)

    async def ready(self, kinds: Sequence[str], now_ms: int, after: str, limit: int) -> list[str]:
        return await self._inner.ready(kinds, now_ms, after, limit)

    async def holder(self, stream: str, now_ms: int) -> Claim | None:
        return await self._inner.holder(stream, now_ms)


class World:
    """What survives every process: the store's content and the outside. One run, one plan.

    `plan` makes the plan anew for each process, as a fresh interpreter would.
    """

    def __init__(
        self,
        plan: Callable[[], Plan | ExecutionPlan],
        given: Any = None,
        *,
        config: RunConfig | None = None,
        policy: RetryPolicy | None = None,
        settings: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
        faults: Callable[[Outside], None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self._given = given
        self._config = config or RunConfig(retry_policy=policy or RetryPolicy())
        self._settings = settings
        self._content = MemoryStore(owner="content")
        self._processes: list[Points] = []
        self.outside = Outside()
        faults(self.outside)
        self.log: list[Recorded] = []
        self.result: RunResult | None = None

    def process(self, points: Points | None = None) -> App:
        """A new process on the world."""
        points = points or Points()
        self._processes.append(points)
        number = len(self._processes)
        store = points.store = self._content.reopen(f"process {number}", faults=points.reach)
        store.artifacts = PointedArtifacts(store.artifacts, points)
        store.activations = PointedActivations(store.activations, points)
        transport = OutsideTransport(self.outside, points.reach, points.gate)
        return memory_app(store, transports={"outside": transport}, settings=self._settings, seed=number)

    def points(self, app: App) -> Points:
        """Those of the process that runs `app`."""
        return next(points for points in self._processes if points.store is app.store)

    def kill(self, app: App) -> None:
        """End a process where it stands."""
        self.points(app).kill()

    async def live(self, crash_at: int | None = None, *, crash_on: str | None = None) -> Points:
        """One process's life: start the run if there is none, else resume it; then check what it left."""
        points = Points(crash_at, crash_on)
        app = self.process(points)
        self.result = None
        try:
            self.result = await self.drive(app)
        except BaseException:
            if not points.dead:
                raise
        await self.check()
        return points

    async def drive(self, app: App) -> RunResult:
        """Start or resume the run, as an operator would."""
        plan = self.plan()
        if await read_run(app, RUN_ID):
            return await app.runs.resume(RUN_ID, plan=plan)
        return await app.runs.start(plan, self._given, run_id=RUN_ID, config=self._config)

    async def check(self) -> None:
        """Read the log anew and hold it against every invariant."""
        observer = memory_app(self._content.reopen("observer"))
        log = await read_run(observer, RUN_ID)
        made = self.plan()
        plan = made.build() if isinstance(made, Plan) else made
        check_run(log, plan=plan, policy=self._config.retry_policy, earlier=self.log, result=self.result)
        await check_artifacts(log, observer.store.artifacts)
        if log and isinstance(log[-1].record, e.RunCompleted):
            due_ms = await observer.store.activations.due("default", ["run"], 0)
            assert due_ms is None, "a run that has ended still wants an owner"
        self.log = log

    def lose(self, artifact: str) -> bytes:
        """Take an artifact out of the store, as a lost file would be; return its bytes."""
        blobs = self._content._handle.data.blobs
        content = blobs.get(artifact)
        assert content is not None
        blobs.drop(artifact)
        return content

    def restore(self, artifact: str, content: bytes) -> None:
        """Put an artifact back."""
        self._content._handle.data.blobs.put(artifact, content)

    async def context(self) -> dict[str, Any]:
        """The context of the run at its checkpoint."""
        return await self.process().runs.read.context(RUN_ID)

    async def read(self) -> list[Any]:
        """The records of the run as they stand now."""
        return records(await read_run(self.process(), RUN_ID))


def records(log: Sequence[Recorded]) -> list[Any]:
    """The records of a log."""
    return [event.record for event in log]


def error_of(world: World) -> str | None:
    """The code of the last failure of the run; None if nothing failed."""
    codes = [each.error.info.code for each in records(world.log) if isinstance(each, e.StateFailed)]
    return codes[-1] if codes else None


def effective(log: Sequence[Recorded]) -> list[tuple[str, Any]]:
    """Domain events of attempts that completed, in order: what a reader of the run may act on."""
    kept: list[tuple[str, Any]] = []
    attempt: list[Any] = []
    for record in records(log):
        match record:
            case e.StateEntered():
                attempt = []
            case e.DomainEmitted() | e.ArtifactWritten():
                attempt.append(record)
            case e.StateCompleted():
                kept += [(record.state_id, each) for each in attempt]
            case _:
                pass
    return kept


def facts(log: Sequence[Recorded]) -> dict[str, str]:
    """The payload of each fact."""
    return {each.key: each.payload_id for each in records(log) if isinstance(each, e.FactRecorded)}
