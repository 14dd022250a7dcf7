"""Orders to all runs that a filter matches.

What it does: counts what matches, settles the runs in a batch, tells each, and records what came of it. What it does
not do: it judges no order; each run takes or refuses its own (`control.service`).

Rules: a batch acts only on the number of runs that its author saw; each run is told under a command id made of the
batch's, so a batch that was interrupted is completed by the same call again, and no run is told twice; only runs that
have not ended are meant.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from interlock.base import ids
from interlock.base.canonical import canonical, digest
from interlock.base.errors import Corruption, InterlockError, RateLimited, StorageFailure
from interlock.base.principal import Principal
from interlock.base.secret_scan import refuse_secrets
from interlock.engine.errors import STEP_NOT_READY
from interlock.engine.run_state import RunState, StepStatus
from interlock.engine.runs import Runs
from interlock.engine.search.batch import (
    BATCH_FOLD,
    BATCH_KEPT,
    BatchAction,
    BatchEnded,
    BatchStarted,
    BatchState,
    EndBatch,
    StartBatch,
    batch_stream,
    is_same,
)
from interlock.engine.search.errors import BATCH_CONFLICT, BATCH_COUNT_CHANGED, BATCH_NOT_FOUND, BATCH_TOO_LARGE
from interlock.engine.search.pages import Search
from interlock.engine.search.where import Where, check
from interlock.engine.views import RunRow
from interlock.journal.journal import Journal
from interlock.journal.ports import Blob
from interlock.journal.runner import Runner

RUNS_KIND, OUTCOMES_KIND = "BatchRuns", "BatchOutcomes"
TOLD = "told"


BATCH_RUNS_LIMIT = 10_000
"""What the setting can be raised to."""


class SearchSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of searching."""

    batch_runs_max: Annotated[
        int, Meta(ge=1, le=BATCH_RUNS_LIMIT, description="Runs that one batch may act on; more are refused, never cut.")
    ] = 1000


class Outcome(Struct, frozen=True):
    """What came of a batch for one run: `told`, or the code with which the order was refused."""

    run_id: str
    outcome: str


class Target(Struct, frozen=True):
    """A run that a batch acts on, and the steps that it retries."""

    run_id: str
    steps: tuple[str, ...] = ()


class Order(Struct, frozen=True):
    """What somebody wants of all runs that match."""

    action: BatchAction
    where: Where
    reason: str
    reset: bool = False


class Batches:
    """The batches of one journal."""

    def __init__(self, journal: Journal, runner: Runner, runs: Runs, search: Search, settings: SearchSettings) -> None:
        self._journal = journal
        self._runner = runner
        self._runs = runs
        self._search = search
        self._settings = settings

    async def matching(self, tenant: str, where: Where) -> list[RunRow]:
        """The runs that a batch would act on. Raises: `batch_too_large`, `filter_invalid`, `time_invalid`."""
        open_ones = where if where.state is not None else replace(where, state="open")
        rows = await self._search.every(tenant, open_ones, self._settings.batch_runs_max)
        return [row for row in rows if row.ended_ms is None]

    async def act(self, batch_id: str, order: Order, expect: int, principal: Principal) -> BatchState:
        """Begin a batch and complete it, or complete one that was interrupted.

        Raises: `batch_count_changed` with nothing done; `batch_conflict`, `batch_too_large`, `secrets_detected`.
        """
        check(order.where, self._journal.now_ms())
        refuse_secrets(order.reason.encode("utf-8", "backslashreplace"), "reason")
        refuse_secrets(canonical(msgspec.to_builtins(order.where)), "filter")
        stream = batch_stream(principal.tenant, batch_id)
        state = (await self._journal.load(BATCH_FOLD, stream)).state
        if state.started is None:
            self._check_size(expect)
            rows = await self.matching(principal.tenant, order.where)
            if len(rows) != expect:
                text = f"{expect} runs were expected to match, and {len(rows)} do: nothing was done"
                raise BATCH_COUNT_CHANGED.error(text, expected=expect, found=len(rows))
            runs_id = await self._stored(RUNS_KIND, await self._targets(rows, order.action, principal.tenant))
            await self._runner.execute(BATCH_KEPT, StartBatch(stream, _started(order, expect, runs_id)), principal)
        elif not is_same(state.started, _started(order, 0, "")) or state.started.count != expect:
            raise BATCH_CONFLICT.error("this batch id belongs to another order", batch_id=batch_id)
        return await self.complete(batch_id, principal)

    def _check_size(self, expect: int) -> None:
        limit = self._settings.batch_runs_max
        if expect > limit:
            raise BATCH_TOO_LARGE.error(f"one batch acts on at most {limit} runs, not {expect}", limit=limit)

    async def complete(self, batch_id: str, principal: Principal) -> BatchState:
        """Tell every run of a batch that was not told yet. Raises: `batch_not_found`."""
        stream = batch_stream(principal.tenant, batch_id)
        state = await self.state(principal.tenant, batch_id)
        if state.started is None or state.ended is not None:
            return state
        order = state.started
        outcomes = [
            Outcome(target.run_id, await self._tell(batch_id, order, target, principal))
            for target in await self._settled(order.runs_id)
        ]
        told = sum(each.outcome == TOLD for each in outcomes)
        outcomes_id = await self._stored(OUTCOMES_KIND, outcomes)
        ended = BatchEnded(outcomes_id, len(outcomes) - told, told)
        await self._runner.execute(BATCH_KEPT, EndBatch(stream, ended), principal)
        return await self.state(principal.tenant, batch_id)

    async def state(self, tenant: str, batch_id: str) -> BatchState:
        """A batch as it stands. Raises: `batch_not_found`."""
        state = (await self._journal.load(BATCH_FOLD, batch_stream(tenant, batch_id))).state
        if state.started is None:
            raise BATCH_NOT_FOUND.error("there is no such batch", batch_id=ids.shown(batch_id))
        return state

    async def outcomes(self, state: BatchState) -> list[Outcome]:
        """What came of a batch for each run; of one that is not complete, its runs."""
        if state.ended is not None:
            [content] = await self._journal.store.artifacts.get([state.ended.outcomes_id])
            return msgspec.json.decode(content, type=list[Outcome])
        targets = [] if state.started is None else await self._settled(state.started.runs_id)
        return [Outcome(target.run_id, "") for target in targets]

    async def _targets(self, rows: list[RunRow], action: BatchAction, tenant: str) -> list[Target]:
        if action is not BatchAction.RETRY:
            return [Target(row.run_id) for row in rows]
        states = [await self._runs.read.state(row.run_id, tenant=tenant) for row in rows]
        return [Target(row.run_id, _failed(state)) for row, state in zip(rows, states, strict=True)]

    async def _tell(self, batch_id: str, order: BatchStarted, target: Target, principal: Principal) -> str:
        """Tell one run; what came of it. Faults of the store end the batch here, to be completed later."""
        try:
            await self._told(f"batch:{batch_id}:{target.run_id}", order, target, principal)
        except (StorageFailure, Corruption, RateLimited):
            raise
        except InterlockError as fault:
            return fault.code
        return TOLD

    async def _told(self, once: str, order: BatchStarted, target: Target, principal: Principal) -> None:
        control, run_id, reason = self._runs.control, target.run_id, order.reason
        match order.action:
            case BatchAction.CANCEL:
                await control.cancel(run_id, reason, principal=principal, command_id=once)
            case BatchAction.PAUSE:
                await control.pause(run_id, reason, principal=principal, command_id=once)
            case BatchAction.UNPAUSE:
                await control.unpause(run_id, reason, principal=principal, command_id=once)
            case BatchAction.RETRY if not target.steps:
                raise STEP_NOT_READY.error("no step of this run waited for another attempt", run_id=run_id)
            case BatchAction.RETRY:
                for number, step in enumerate(target.steps):
                    await control.retry(
                        run_id, step, reason, reset=order.reset, principal=principal, command_id=f"{once}:{number}"
                    )

    async def _settled(self, runs_id: str) -> list[Target]:
        [content] = await self._journal.store.artifacts.get([runs_id])
        return msgspec.json.decode(content, type=list[Target])

    async def _stored(self, kind: str, value: object) -> str:
        content = canonical(msgspec.to_builtins(value))
        [stored] = await self._journal.store.artifacts.put([Blob(digest(content), kind, content)])
        return stored


def _started(order: Order, count: int, runs_id: str) -> BatchStarted:
    return BatchStarted(order.action, count, order.reason, order.reset, runs_id, order.where)


def _failed(state: RunState) -> tuple[str, ...]:
    """The steps that wait for another attempt."""
    return tuple(
        state_id
        for state_id, step in state.steps.items()
        if step.status is StepStatus.FAILED and state_id not in state.parked
    )
