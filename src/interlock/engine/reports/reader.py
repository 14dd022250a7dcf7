"""Questions about runs: result, status, reasons, context.

What it does: folds a run as of now from a bounded cache and what came since, and answers. What it does not do: it
claims, drives and writes nothing.

Rule: an answer costs what is new since the last one, not the length of the run.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import msgspec

from interlock.base import ids
from interlock.base.events import Claim
from interlock.base.ids import step_name
from interlock.base.merkle_map import MerkleMap
from interlock.engine import events as e
from interlock.engine.budget import BudgetSettings, usage_of
from interlock.engine.config import RunManifest, read_manifest
from interlock.engine.context import RunContext
from interlock.engine.errors import RUN_NOT_FOUND
from interlock.engine.flow.turnstile import Turnstile
from interlock.engine.fold import RUN_FOLD
from interlock.engine.meta import StateMeta
from interlock.engine.plan import PlanOutline, read_outline
from interlock.engine.reports.details import children_of, early_of, in_doubt, orders_of, totals_of, waits_of
from interlock.engine.reports.outputs import StepOutput, last_outputs
from interlock.engine.reports.reasons import failed_states, reasons_of
from interlock.engine.reports.records import (
    Reason,
    RunReport,
    RunResult,
    Standing,
    Waiting,
    result_of,
    steps_of,
    waiting_of,
)
from interlock.engine.run_state import Awaited, RunState
from interlock.journal.journal import Journal, Loaded
from interlock.journal.streams import stream_id

CACHED_RUNS_MAX = 64


class RunReader:
    """Answers about the runs of one journal. One instance serves a process."""

    def __init__(self, journal: Journal, turnstile: Turnstile, budget: BudgetSettings) -> None:
        self._journal = journal
        self._turnstile = turnstile
        self._budget = budget
        self._seen: OrderedDict[str, Loaded[RunState]] = OrderedDict()
        self._turns: dict[str, asyncio.Lock] = {}

    async def result(self, run_id: str, *, tenant: str = "default") -> RunResult:
        """The contract's summary of a run as it stands. Raises: `run_not_found`."""
        state, owner = await self._state(run_id, tenant)
        return result_of(run_id, state, await self._waiting(state, owner))

    async def state(self, run_id: str, *, tenant: str = "default") -> RunState:
        """The folded state of a run; not to be changed. Raises: `run_not_found`."""
        return (await self._state(run_id, tenant))[0]

    async def report(self, run_id: str, *, tenant: str = "default") -> RunReport:
        """A run with its steps. Raises: `run_not_found`."""
        state, owner = await self._state(run_id, tenant)
        manifest = await self.manifest(state)
        result = result_of(run_id, state, await self._waiting(state, owner))
        outline = await self._outline(state)
        return RunReport(
            run_id=run_id,
            op_id=state.op_id,
            phase=result.phase,
            waiting=result.waiting,
            final_snapshot_id=result.final_snapshot_id,
            manifest_id=state.manifest_id,
            started_ms=state.started_ms,
            updated_ms=state.at_ms,
            events=state.seq,
            usage=usage_of(state, self._budget),
            owner=None if owner is None else owner.owner,
            input=manifest.input_params,
            steps=steps_of(state, outline.order(), passed_over(outline, manifest.run_config.skip_tags)),
            parent_run_id=None if state.parent is None else state.parent.run_id,
            forked_from=None if state.fork is None else state.fork.run_id,
            from_step=None if state.fork is None else step_name(state.fork.from_state),
            skips_tags=tuple(manifest.run_config.skip_tags),
            deadline_ms=state.deadline_ms,
            waits=waits_of(run_id, state),
            early=early_of(state),
            orders=orders_of(state),
            in_doubt=in_doubt(state),
            children=children_of(state),
            totals=totals_of(state),
        )

    async def outline(self, run_id: str, *, tenant: str = "default") -> PlanOutline:
        """The plan of a run without its code: states and edges. Raises: `run_not_found`."""
        state, _ = await self._state(run_id, tenant)
        return await self._outline(state)

    async def _outline(self, state: RunState) -> PlanOutline:
        [content] = await self._journal.store.artifacts.get([state.fingerprint])
        return read_outline(content)

    async def why(self, run_id: str, *, tenant: str = "default") -> list[Reason]:
        """Why a run is not moving, or why it failed. Raises: `run_not_found`."""
        state, owner = await self._state(run_id, tenant)
        standings = await self._standings(state)
        outputs = await last_outputs(self._journal, state, failed_states(state))
        return reasons_of(run_id, state, waiting_of(state, owner), owner, standings, outputs)

    async def failed_output(self, run_id: str, state_id: str, *, tenant: str = "default") -> StepOutput | None:
        """What the program of a failed state wrote last, where it is kept. Raises: `run_not_found`."""
        state, _ = await self._state(run_id, tenant)
        return (await last_outputs(self._journal, state, [state_id])).get(state_id)

    async def _waiting(self, state: RunState, owner: Claim | None) -> Waiting | None:
        """Why a run does not move, with its place in the queue as it is now."""
        waiting = waiting_of(state, owner)
        if waiting is None or waiting.place is None:
            return waiting
        standings = await self._standings(state)
        place = standings[0][1].place if standings else None
        return msgspec.structs.replace(waiting, place=place)

    async def _standings(self, state: RunState) -> list[tuple[Awaited, Standing]]:
        """The units that a run waits for. One that has been granted meanwhile is not among them."""
        if state.status is not None:
            return []
        found = [
            (each, await self._turnstile.standing(state.stream, each.lease, each.request_id)) for each in state.queued
        ]
        return [(each, standing) for each, standing in found if standing is not None]

    async def context(self, run_id: str, *, tenant: str = "default") -> dict[str, Any]:
        """The context of a run at its checkpoint: costs its size. Raises: `run_not_found`."""
        state, _ = await self._state(run_id, tenant)
        values = await self.context_at(state.checkpoint).dump()
        return {key: msgspec.json.decode(raw) for key, raw in values.items()}

    async def output(self, run_id: str, step: str, *, tenant: str = "default") -> Any:
        """What a step returned, or None. Raises: `run_not_found`."""
        state, _ = await self._state(run_id, tenant)
        raw = await self.context_at(state.checkpoint).value(step)
        return None if raw is None else msgspec.json.decode(raw)

    async def _state(self, run_id: str, tenant: str) -> tuple[RunState, Claim | None]:
        """A run's state as of now, from the cache and what came since."""
        stream = stream_id(tenant, e.RUN, ids.run_id(run_id))
        async with self._turns.setdefault(stream, asyncio.Lock()):
            try:
                loaded = await self._loaded(stream, run_id)
            finally:
                if stream not in self._seen:  # a run that cannot be read leaves nothing behind
                    self._turns.pop(stream, None)
            while len(self._seen) > CACHED_RUNS_MAX:
                self._turns.pop(self._seen.popitem(last=False)[0], None)
        owner = await self._journal.store.activations.holder(stream, self._journal.now_ms())
        return loaded.state, owner

    async def _loaded(self, stream: str, run_id: str) -> Loaded[RunState]:
        known = self._seen.pop(stream, None)
        if known is None:
            loaded = await self._journal.load(RUN_FOLD, stream)
        else:
            loaded = await self._journal.catch_up(RUN_FOLD, stream, known)
        if not loaded.state.exists:
            raise RUN_NOT_FOUND.error("there is no such run", run_id=run_id)
        self._seen[stream] = loaded
        return loaded

    async def manifest(self, state: RunState) -> RunManifest:
        """The manifest of a run, verified."""
        [content] = await self._journal.store.artifacts.get([state.manifest_id])
        return read_manifest(state.manifest_id, content)

    def context_at(self, snapshot_id: str) -> RunContext:
        """The context of a snapshot; nothing is loaded yet."""
        return RunContext(MerkleMap.load(snapshot_id), self._journal.store.artifacts)


def passed_over(outline: PlanOutline, skip_tags: Collection[str]) -> frozenset[str]:
    """The states whose tags the run's configuration skips."""
    if not skip_tags:
        return frozenset()
    tags = {state_id: msgspec.json.decode(meta, type=StateMeta).tags for state_id, meta, _, _ in outline.states}
    return frozenset(state_id for state_id, own in tags.items() if not set(skip_tags).isdisjoint(own))
