"""Runs that wait, run states at once and have children, watched at every append.

`Family` is a `World` of a root run and its children, whose processes know the plans of all. A `Monitor` looks at each
append as it commits, so that what must be in one append is seen to be; `check` then looks at every run as a whole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from interlock.app import App
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import FanOutJoin, RunConfig, read_manifest
from interlock.engine.plan import ExecutionPlan
from interlock.engine.run_state import RunState
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Recorded, read_envelope, read_record
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app, read_run
from interlock.testing.checker import InvariantBroken, Walk, check_artifacts, check_branches, check_left, check_run
from interlock.testing.clock import VirtualClock
from tests.simulation.crashes import RUN_ID, Points, World

PERSON = local_principal("ada")
ROOT = f"default/run/{RUN_ID}"
ROUNDS_MAX = 40
Plans = Callable[[], Sequence[Plan]]


def at_once(limit: int, **options: Any) -> RunConfig:
    """A configuration under which states run at once."""
    return RunConfig(execution_mode=FanOutJoin.of(limit), **options)


class Monitor:
    """Walks the log of every run in a store, append by append. What it finds is raised by `check`."""

    def __init__(self, content: MemoryStore, plans: dict[str, ExecutionPlan]) -> None:
        self._data = content._handle.data
        self._catalogue = EventCatalogue(e.EVENTS)
        self._plans = plans
        self._walks: dict[str, Walk] = {}
        self.fault: InvariantBroken | None = None

    def committed(self) -> None:
        """An append was committed."""
        try:
            for stream in list(self._data.streams):
                if not stream.endswith("/inbox") and stream.split("/")[1] == e.RUN:
                    self._look(stream)
        except InvariantBroken as fault:
            self.fault = self.fault or fault

    def events(self, stream: str) -> Sequence[Any]:
        """The events of a stream that are committed."""
        return self._data.streams.get(stream, [])

    def _look(self, stream: str) -> None:
        events = self._data.streams[stream]
        walk = self._walks.get(stream)
        if walk is None:
            walk = self._walks[stream] = self._begun(events[0])
        if walk.seq == len(events):
            return
        for event in events[walk.seq :]:
            envelope = read_envelope(event)
            record = read_record(self._catalogue, envelope, event)
            assert record is not None
            walk.seq, walk.at_ms = walk.seq + 1, envelope.at_ms
            walk.step(record)
        walk.boundary()

    def _begun(self, event: Any) -> Walk:
        record = read_record(self._catalogue, read_envelope(event), event)
        assert isinstance(record, e.RunStarted)
        content = self._data.blobs.get(record.manifest_id)
        assert content is not None
        policy = read_manifest(record.manifest_id, content).run_config.retry_policy
        return Walk(self._plans[record.op_id], policy)


class Family(World):
    """A root run of `plan`, and children of the plans that `children` makes."""

    def __init__(self, plan: Callable[[], Plan], children: Plans = lambda: (), **options: Any) -> None:
        super().__init__(plan, **options)
        self.children = children
        self.plans = {each.op_id: each.build() for each in (plan(), *children())}
        self.monitor = Monitor(self._content, self.plans)
        self.logs: dict[str, list[Recorded]] = {}

    def process(self, points: Points | None = None) -> App:
        """A new process, which knows every plan."""
        points = points or Points()
        points.committed = self.monitor.committed
        app = super().process(points)
        for plan in (self.plan(), *self.children()):
            app.runs.plans.add(plan)
        return app

    def observer(self) -> App:
        """A process that only looks."""
        return memory_app(self._content.reopen("observer"))

    async def runs(self) -> list[str]:
        """Ids of all runs, the root first."""
        ids = [name.split("/")[2] for name in self._content._handle.data.streams if not name.endswith("/inbox")]
        return sorted(ids, key=lambda each: each != RUN_ID)

    async def check(self) -> None:
        """Hold every log against every rule, and what the store keeps against the logs."""
        if self.monitor.fault is not None:
            raise self.monitor.fault
        observer = self.observer()
        for run_id in await self.runs():
            log = await read_run(observer, run_id)
            manifest = await observer.runs.read.manifest(await observer.runs.read.state(run_id))
            plan = self.plans[manifest.op_id]
            is_root = run_id == RUN_ID
            check_run(
                log,
                plan=plan,
                policy=manifest.run_config.retry_policy,
                earlier=self.logs.get(run_id, ()),
                result=self.result if is_root else None,
            )
            await check_artifacts(log, observer.store.artifacts)
            await check_branches(log, plan, observer.store.artifacts)
            self.logs[run_id] = log
        await check_left(self._content.reopen("auditor"), now_ms=VirtualClock().now_ms(), claims=False)
        self.log = self.logs.get(RUN_ID, [])

    async def state(self, run_id: str = RUN_ID) -> RunState:
        """A run as it stands."""
        return await self.observer().runs.read.state(run_id)

    async def waits(self) -> list[tuple[str, str, str]]:
        """What runs wait for that somebody outside can answer: run, state and name."""
        return [
            (run_id, state_id, name)
            for run_id in await self.runs()
            for state_id, waits in (await self.state(run_id)).waits.items()
            for name, wait in waits.items()
            if wait.kind == "signal"
        ]

    async def answer_all(self, answer: Callable[[str, str], Any] = lambda _step, name: name) -> int:
        """Answer everything that runs wait for; return how many answers that were."""
        waits = await self.waits()
        app = self.process()
        for run_id, state_id, name in waits:
            step = state_id.split(".")[1]
            await app.runs.control.signal(run_id, step, name, answer(step, name), principal=PERSON)
        return len(waits)

    async def finish(self, between: Callable[[], Awaitable[Any]] | None = None) -> None:
        """Live on, and answer what is waited for, until the root run has ended."""
        for _ in range(ROUNDS_MAX):
            await self.live()
            if self.result is not None and self.result.phase != "running":
                return
            await (self.answer_all() if between is None else between())
        raise AssertionError(f"the run does not come to its end: {self.result}")

    async def work(self) -> None:
        """Let a worker of a process of its own do whatever is due."""
        await self.process().runs.worker.work(until_idle=True)
        await self.check()
