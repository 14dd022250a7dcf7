"""The first thing that an owner of a fork does: record what the fork inherits.

What it does: folds the states that a fork inherits into its run as if they had just completed, with their facts, on
the fork's own first context, in as many appends as it takes. What it does not do: it chooses nothing; position and
choices stand in `RunForked`.

Rules: what is recorded follows from `RunForked` and the source up to there, so whoever owns the fork next, in whatever
process, goes on where the one before was cut off; no state of the fork is entered before all of it is recorded. With
another input each inherited state's writes are joined onto it; with the same one, snapshots are the source's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing

from msgspec import Struct

from interlock.base.merkle_map import Value
from interlock.engine import events as e
from interlock.engine.branches import read_writes
from interlock.engine.context import RunContext
from interlock.engine.decide import completed_states
from interlock.engine.errors import PLAN_DRIFTED, RUN_CORRUPT
from interlock.engine.lineage.fork import Heritage, Inherited, heritage
from interlock.engine.pipelines.boundaries import completion_boundaries, entry_boundaries
from interlock.engine.plan import read_outline
from interlock.engine.run_state import StepStatus
from interlock.engine.schedule import ReadyStates
from interlock.engine.session import Session
from interlock.journal.journal import Journal
from interlock.journal.ports import Blob
from interlock.journal.streams import stream_id, tenant_of

INHERITED_RECORDS_MAX = 1000
"""Records of inherited states that share an append."""


async def source_records(journal: Journal, stream: str, up_to_seq: int | None = None) -> list[Struct | None]:
    """The records of a run, verified, up to an event; all where that is None."""
    records: list[Struct | None] = []
    async with aclosing(journal.read(stream)) as pages:
        async for page in pages:
            records += [event.record for event in page]
            if up_to_seq is not None and len(records) >= up_to_seq:
                break
    return records[:up_to_seq]


async def read_heritage(journal: Journal, stream: str, seq: int, from_state: str) -> Heritage:
    """What a fork of the run `stream`, as it stood at `seq`, inherits at a position."""
    records = await source_records(journal, stream, seq)
    plans = [each.fingerprint for each in records if isinstance(each, e.PlanRecorded | e.PlanMigrated)]
    [content] = await journal.store.artifacts.get([plans[-1]])
    return heritage(records, read_outline(content), from_state)


async def inherit(session: Session) -> None:
    """Record what the session's run inherits and has not recorded yet; the last of it is folded, not flushed."""
    fork = session.state.fork
    if fork is None or not session.state.is_inheriting:
        return
    source = stream_id(tenant_of(session.state.stream), e.RUN, fork.run_id)
    found = await read_heritage(session.journal, source, fork.seq, fork.from_state)
    if len(found.inherited) != fork.inherits:
        raise RUN_CORRUPT.error("the source of this fork holds other states than were to be inherited")
    for each in found.inherited:
        if each.state_id not in session.plan.index:
            raise PLAN_DRIFTED.error(f"the fork inherits a state that the plan lacks: {each.state_id}")
        step = session.state.steps.get(each.state_id)
        if step is None or step.status is not StepStatus.COMPLETED:
            await _inherit_state(session, each)
    session.ready = ReadyStates(session.plan, completed_states(session.state), session.state.steps)


async def _inherit_state(session: Session, each: Inherited) -> None:
    base = await _entered(session, each)
    for record in each.records:
        if _is_missing(session, record):
            session.fold([record])
            await _flush_if_full(session)
    await _completed(session, each, base)
    await _flush_if_full(session)


async def _entered(session: Session, each: Inherited) -> RunContext:
    """The state entered in the fork, if it is not yet; the context that it starts from there."""
    state = session.state
    if each.state_id in state.steps:
        return session.context_at(state.steps[each.state_id].base)
    base, blobs = session.context, list[Blob]()
    if not session.is_sequential:
        base, blobs = await session.branches.base_of(session.plan.index[each.state_id], state)
    boundaries = entry_boundaries(state, session.plan, each.state_id, session.config.event_profile)
    session.fold([e.StateEntered(0, base.snapshot_id, each.state_id), *boundaries], blobs)
    return base


def _is_missing(session: Session, record: Struct) -> bool:
    """Whether an earlier owner of the fork did not come as far as this record."""
    facts = session.state.facts
    match record:
        case e.FactRecorded():
            return record.key not in facts
        case e.EffectIntended():
            return record.fact_key not in facts and record.fact_key not in session.state.intents
        case e.EffectSettled():
            return record.fact_key in session.state.intents
        case _:
            return False


async def _completed(session: Session, each: Inherited, base: RunContext) -> None:
    records: list[Struct] = []
    if session.is_sequential and base.snapshot_id == each.base:
        context, blobs = session.context_at(each.snapshot), list[Blob]()
    elif session.is_sequential:
        context, blobs = await session.context.updated(await _writes(session, each))
    else:
        place, writes = session.plan.index[each.state_id], await _writes(session, each)
        joined = await session.branches.join(place, base, session.context, writes, session.state)
        context, blobs, records = joined.checkpoint, joined.blobs, [joined.record]
    records += completion_boundaries(session.state, session.plan, each.state_id, session.config.event_profile)
    session.context = context
    session.fold([*records, e.StateCompleted(context.snapshot_id, each.state_id)], blobs)


async def _writes(session: Session, each: Inherited) -> Mapping[str, Value | None]:
    """What a state of the source changed in the context."""
    if each.writes_id is not None:
        [content] = await session.journal.store.artifacts.get([each.writes_id])
        return read_writes(content)
    before, after = session.context_at(each.base), session.context_at(each.snapshot)
    return {key: value for key, (_, value) in (await before.changes(after)).items()}


async def _flush_if_full(session: Session) -> None:
    if session.pending >= INHERITED_RECORDS_MAX:
        await session.flush()
