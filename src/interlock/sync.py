"""The application for programs without an event loop.

What it does: runs an `App` on a loop in a thread of its own, and gives its verbs as plain calls that wait.
What it does not do: it adds nothing to the product; everything is `App` and `Runs`.

Rule: a call that is interrupted is cancelled, and has ended before the application closes: its run can be resumed.

Example:
    with interlock.open_sync("store.db") as app:
        result = app.start(plan, {"name": "Ada"})
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from interlock.app import App
from interlock.base.principal import ENGINE
from interlock.engine.authoring import Plan
from interlock.engine.events import Resolution
from interlock.engine.lineage.diff import RunDifference
from interlock.engine.lineage.forking import ForkResult
from interlock.engine.owners.work import Worked
from interlock.engine.plan import ExecutionPlan
from interlock.engine.replay.report import ReplayReport
from interlock.engine.reports.records import Reason, RunReport, RunResult
from interlock.journal.store_name import MEMORY, StoreName

Result = TypeVar("Result")


class SyncApp:
    """An opened application whose calls wait. Use it as a context manager; safe to call from several threads."""

    def __init__(self, store: StoreName = MEMORY) -> None:
        self._store = store
        self._stack = AsyncExitStack()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="interlock", daemon=True)
        self._app: App | None = None
        self._calls: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._app = self._wait(self._stack.enter_async_context(App.open(self._store)))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait(self._close())
        finally:
            self._stop()

    async def _close(self) -> None:
        """End the calls that somebody was interrupted in, then close what was opened."""
        calls = self._calls - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        if calls:
            await asyncio.wait(calls)
        await self._stack.aclose()

    @property
    def app(self) -> App:
        """The application itself, for code that runs on its loop."""
        if self._app is None:
            raise RuntimeError("enter the application first: `with interlock.open_sync(…) as app:`")
        return self._app

    def start(self, plan: Plan | ExecutionPlan, input: Any = None, **options: Any) -> RunResult:  # noqa: A002
        """`Runs.start`, waiting for its result."""
        return self._wait(self.app.runs.start(plan, input, **options))

    def resume(self, run_id: str, **options: Any) -> RunResult:
        """`Runs.resume`, waiting for its result."""
        return self._wait(self.app.runs.resume(run_id, **options))

    def signal(self, run_id: str, step: str | None, name: str, value: Any = None, **options: Any) -> bool:
        """`Control.signal`: answer a wait, by step and name or (step None) by its token."""
        return self._wait(self.app.runs.control.signal(run_id, step, name, value, **_by(options)))

    def cancel(self, run_id: str, reason: str, **options: Any) -> None:
        """`Control.cancel`: ask a run to end."""
        self._wait(self.app.runs.control.cancel(run_id, reason, **_by(options)))

    def cancel_now(self, run_id: str, reason: str, **options: Any) -> RunResult:
        """`Runs.cancel_now`: end a run, whoever drives it."""
        return self._wait(self.app.runs.cancel_now(run_id, reason, **_by(options)))

    def pause(self, run_id: str, reason: str, **options: Any) -> None:
        """`Control.pause`: let a run enter no more steps."""
        self._wait(self.app.runs.control.pause(run_id, reason, **_by(options)))

    def unpause(self, run_id: str, reason: str, **options: Any) -> None:
        """`Control.unpause`: let a paused run go on."""
        self._wait(self.app.runs.control.unpause(run_id, reason, **_by(options)))

    def skip(self, run_id: str, step: str, reason: str, **options: Any) -> None:
        """`Control.skip`: pass a step over."""
        self._wait(self.app.runs.control.skip(run_id, step, reason, **_by(options)))

    def retry(self, run_id: str, step: str, reason: str, **options: Any) -> None:
        """`Control.retry`: try a failed step again now."""
        self._wait(self.app.runs.control.retry(run_id, step, reason, **_by(options)))

    def edit(self, run_id: str, step: str, reason: str, **options: Any) -> None:
        """`Control.edit`: give a step another retry policy or time limit."""
        self._wait(self.app.runs.control.edit(run_id, step, reason, **_by(options)))

    def resolve(self, run_id: str, step: str, action: Resolution, reason: str, **options: Any) -> None:
        """`Control.resolve`: decide a parked step."""
        self._wait(self.app.runs.control.resolve(run_id, step, action, reason, **_by(options)))

    def work_until_idle(self, concurrency: int = 64) -> Worked:
        """`Worker.work` until nothing is due: drives whatever runs want an owner."""
        return self._wait(self.app.runs.worker.work(concurrency=concurrency, until_idle=True))

    def call(self, name: str, given: Mapping[str, object], *, command_id: str | None = None) -> Any:
        """Any command of the catalogue, such as `run.list`, as the engine itself."""
        return self._wait(self.app.client(ENGINE).call(name, given, command_id=command_id))

    def replay(self, run_id: str, plan: Plan | ExecutionPlan | None = None) -> ReplayReport:
        """`Runs.replay`, waiting for its report."""
        return self._wait(self.app.runs.replay(run_id, plan))

    def fork(self, source_run_id: str, step: str | None = None, **options: Any) -> ForkResult:
        """`Runs.fork`, waiting for its result."""
        return self._wait(self.app.runs.fork(source_run_id, step, **options))

    def diff(self, a: str, b: str) -> RunDifference:
        """`Runs.diff`."""
        return self._wait(self.app.runs.diff(a, b))

    def report(self, run_id: str) -> RunReport:
        """`RunReader.report`."""
        return self._wait(self.app.runs.read.report(run_id))

    def why(self, run_id: str) -> list[Reason]:
        """`RunReader.why`."""
        return self._wait(self.app.runs.read.why(run_id))

    def output(self, run_id: str, step: str) -> Any:
        """`RunReader.output`."""
        return self._wait(self.app.runs.read.output(run_id, step))

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(self._call(work), self._loop).result()

    async def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = asyncio.current_task()
        if task is not None:
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        return await work

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _by(options: dict[str, Any]) -> dict[str, Any]:
    """The options with somebody who acts: the engine itself, unless the caller says who."""
    return {"principal": ENGINE, **options}


def open_sync(store: StoreName = MEMORY) -> SyncApp:
    """An application on `store` for programs without an event loop."""
    return SyncApp(store)
