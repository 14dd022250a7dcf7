"""Making a fork of a run: what it needs to know of its source before it exists, and what its caller is told.

What it does: reads the source, settles position and choices (`fork`), and describes the fork's opening and what it
inherits. What it does not do: it starts and drives nothing (`runs`), and records nothing (`inheriting`).

Rule: a fork that exists is described from its own `RunForked`, so asking again tells the same, whatever its source has
become.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from interlock.base.ids import step_name
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RunConfig
from interlock.engine.decide import check_fits, check_order
from interlock.engine.errors import RUN_CONFLICT, STEP_NOT_READY
from interlock.engine.flow.limits import Needs
from interlock.engine.lineage.fork import (
    AGAIN,
    Choices,
    ForkEffect,
    ForkWait,
    Heritage,
    Inherited,
    child_effect,
    children_of,
    choose,
    position,
)
from interlock.engine.lineage.inheriting import read_heritage, source_records
from interlock.engine.pipelines.namespaces import RUN_INPUT
from interlock.engine.plan import ExecutionPlan
from interlock.engine.reports.reader import RunReader
from interlock.engine.reports.records import RunFailure, RunResult, Waiting
from interlock.engine.run_state import WAIT_PREFIX, Fork, RunState
from interlock.engine.sources import Plans, absolute_source
from interlock.engine.spawning import SpawnedChild
from interlock.journal.journal import Journal
from interlock.journal.streams import stream_id


class InheritedStep(Struct, frozen=True):
    """A step that the fork does not run again: keys of its facts, and names of its waits that were answered."""

    step: str
    state_id: str
    facts: list[str]
    answers: list[str]


class ForkChild(Struct, frozen=True):
    """A child run of the source that the fork does not share: it starts one of its own."""

    step: str
    name: str
    run_id: str
    effects: int


class ForkResult(Struct, frozen=True):
    """A fork as it stands, what it inherited, and what it does anew."""

    run_id: str
    phase: str
    waiting: Waiting | None
    final_snapshot_id: str | None
    error: RunFailure | None
    source_run_id: str
    from_step: str
    has_other_plan: bool
    inherited: list[InheritedStep]
    asks_again: list[ForkWait]
    effects: list[ForkEffect]
    children: list[ForkChild]
    detached: bool = False


class Forked(NamedTuple):
    """A fork that may not exist yet: how it opens, and what its caller is told."""

    plan: ExecutionPlan
    input: Any
    config: RunConfig
    source: str | None
    attributes: Raw
    event: e.RunForked
    needs: Needs | None
    found: Heritage
    effects: tuple[ForkEffect, ...]
    children: list[ForkChild]
    has_other_plan: bool


class Forking:
    """Prepares forks of the runs of one journal."""

    def __init__(self, journal: Journal, read: RunReader, plans: Plans) -> None:
        self._journal = journal
        self._read = read
        self._plans = plans

    async def prepare(
        self,
        source_run_id: str,
        run_id: str,
        step: str | None,
        choices: Choices,
        plan: Plan | ExecutionPlan | None,
        given: Any,
        source: str | None,
        tenant: str,
    ) -> Forked:
        """The fork `run_id` of a run, as it is or is to be. `given` None keeps the source's input.

        Raises: `run_not_found`, `step_unknown`, `fork_position_needed`, `fork_choice_needed`, `fork_choice_invalid`,
        `plan_not_found`, `plan_drifted`, `run_conflict`.
        """
        state = await self._read.state(source_run_id, tenant=tenant)
        if state.is_inheriting:
            raise STEP_NOT_READY.error("the source is a fork that has not recorded all that it inherits: resume it")
        outline = await self._read.outline(source_run_id, tenant=tenant)
        known = await self._known(run_id, source_run_id, tenant)
        if known is not None and known.fork is not None:
            from_state, seq = known.fork.from_state, known.fork.seq
            if step is not None and outline.named(step) != from_state:
                raise RUN_CONFLICT.error("this run id belongs to a fork from another step", run_id=run_id)
        else:
            from_state, seq = position(state, outline) if step is None else outline.named(step), state.seq
        found = await read_heritage(self._journal, state.stream, seq, from_state)
        effects, children = await self._children(found, tenant)
        if known is None:
            effects = choose(effects, choices)
        else:
            mine = {key for key, each in known.again.items() if each == run_id}
            effects = tuple(_as_recorded(effect, mine) for effect in effects)
        manifest = await self._read.manifest(state)
        execution = (await self._plan(state, plan, source)).under(manifest.run_config)
        done = [each.state_id for each in found.inherited]
        check_fits(done, done, execution)
        check_order(done, execution)
        params = manifest.input_params
        if given is None:
            given = params.get(RUN_INPUT) if outline.pipeline is not None else params
        attributes = await self._attributes(state)
        event = e.RunForked(_sent_again(found, effects, run_id), from_state, len(found.inherited), source_run_id, seq)
        named = source if source is not None or plan is not None else state.plan_source
        return Forked(
            execution,
            given,
            manifest.run_config,
            named,
            attributes,
            event,
            state.needs,
            found,
            effects,
            children,
            execution.fingerprint != state.fingerprint,
        )

    async def _known(self, run_id: str, source_run_id: str, tenant: str) -> RunState | None:
        """The run of that id, if there is one. Raises: `run_conflict` where it is no fork of the source."""
        [head] = await self._journal.store.events.heads([stream_id(tenant, e.RUN, run_id)])
        if head.seq == 0:
            return None
        state = await self._read.state(run_id, tenant=tenant)
        if state.fork is None or state.fork.run_id != source_run_id:
            raise RUN_CONFLICT.error("this run id belongs to a run that is no fork of the source", run_id=run_id)
        return state

    async def _plan(self, state: RunState, plan: Plan | ExecutionPlan | None, source: str | None) -> ExecutionPlan:
        if plan is not None:
            return self._plans.add(plan)
        if source is not None:
            return self._plans.add(self._plans.load(absolute_source(source)))
        return await self._plans.of_run(state, self._journal.store.artifacts)

    async def _attributes(self, state: RunState) -> Raw:
        """The attributes of the source, by which the fork can be found, too."""
        records = await source_records(self._journal, state.stream, 2)
        return next(each.attributes for each in records if isinstance(each, e.PlanRecorded))

    async def _children(self, found: Heritage, tenant: str) -> tuple[tuple[ForkEffect, ...], list[ForkChild]]:
        """The effects of the fork, those of its children as one each, and the children that it starts anew."""
        effects, children = list(found.effects), list[ForkChild]()
        for key, payload_id in found.children.items():
            child_id = await self._child_id(payload_id)
            intents = await self._intents(child_id, tenant)
            _, state_id, name = key.split(":", 2)
            children.append(ForkChild(step_name(state_id), name, child_id, len(intents)))
            effect = child_effect(key, intents)
            effects += [] if effect is None else [effect]
        return tuple(effects), children

    async def _child_id(self, payload_id: str) -> str:
        [content] = await self._journal.store.artifacts.get([payload_id])
        return msgspec.json.decode(content, type=SpawnedChild).child_run_id

    async def _intents(self, run_id: str, tenant: str) -> list[e.EffectIntended]:
        """The effects of a run and of all runs below it, each once."""
        waiting, found = [run_id], dict[tuple[str, str], e.EffectIntended]()
        while waiting:
            run_id = waiting.pop()
            records = await source_records(self._journal, stream_id(tenant, e.RUN, run_id))
            found |= {(run_id, each.fact_key): each for each in records if isinstance(each, e.EffectIntended)}
            waiting += [await self._child_id(payload_id) for payload_id in children_of(records)]
        return list(found.values())


def _as_recorded(effect: ForkEffect, again: set[str]) -> ForkEffect:
    """An effect with the choice that the fork was made with."""
    if len(effect.options) == 1:
        return msgspec.structs.replace(effect, choice=effect.options[0])
    return msgspec.structs.replace(effect, choice=AGAIN if effect.fact_key in again else "absorb")


def _sent_again(found: Heritage, effects: tuple[ForkEffect, ...], run_id: str) -> tuple[e.SentAgain, ...]:
    """Which run's id ends the key of an effect: this one's where it is sent again, else as in the source."""
    ends = dict(found.sent_again)
    ends |= {each.fact_key: run_id for each in effects if each.choice == AGAIN and each.idempotency_key is not None}
    return tuple(e.SentAgain(key, each) for key, each in sorted(ends.items()))


def fork_of(event: e.RunForked) -> Fork:
    """What the fold makes of the event."""
    return Fork(event.source_run_id, event.from_state, event.source_seq, event.inherits)


def fork_result(result: RunResult, forked: Forked) -> ForkResult:
    """What the caller of a fork is told."""
    return ForkResult(
        result.run_id,
        result.phase,
        result.waiting,
        result.final_snapshot_id,
        result.error,
        forked.event.source_run_id,
        step_name(forked.event.from_state),
        forked.has_other_plan,
        [_step(each) for each in forked.found.inherited],
        list(forked.found.waits),
        list(forked.effects),
        forked.children,
        result.detached,
    )


def _step(each: Inherited) -> InheritedStep:
    answers = [key.split(":", 2)[2] for key in each.facts if key.startswith(WAIT_PREFIX)]
    facts = [key for key in each.facts if not key.startswith(WAIT_PREFIX)]
    return InheritedStep(step_name(each.state_id), each.state_id, facts, answers)
