"""One attempt at a state, from its handler's first line to the events that say how it ended.

What it does: gives the handler its tools, holds it to its time, and folds what came of it: completed, failed, suspended
or parked. What it does not do: it chooses no state and flushes nothing; the loop does.

Rules: the handler works on an overlay, and its tools close with it; success joins the overlay into the checkpoint,
failure and suspension drop it. Whatever is not an `Exception` and not a `Suspend` (cancellation, interrupt of the
process) leaves the attempt open for the next owner (G7).
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw, Struct

from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError
from interlock.base.merkle_node import MAP_NODE_CORRUPT
from interlock.base.secret_scan import redact_error_message, scan_bytes
from interlock.engine import events as e
from interlock.engine.attempt import Attempt, Recorder, ended
from interlock.engine.authoring import TOOLS, FunctionState
from interlock.engine.context import RunContext
from interlock.engine.decide import closure, failure, timeout_of
from interlock.engine.errors import (
    EFFECT_UNKNOWN,
    NO_DETAILS,
    RUN_HELD,
    RUN_TIMED_OUT,
    STATE_TIMEOUT,
    ErrorInfo,
    StateFailure,
    error_info,
)
from interlock.engine.frames import frames_of_user
from interlock.engine.io.live import LiveIo
from interlock.engine.io.router import Router
from interlock.engine.io.secret_facts import KEY_FAULTS
from interlock.engine.pipelines.boundaries import completion_boundaries
from interlock.engine.session import Session
from interlock.engine.spawning import Spawner
from interlock.engine.waits import early_answers, suspension
from interlock.journal.errors import ERRORS as JOURNAL_ERRORS
from interlock.journal.errors import EVENT_TOO_LARGE
from interlock.journal.ports import Blob

_LOG = logging.getLogger("interlock.engine")
PENDING_MAX = 1_000
"""Records of attempts that ended together after which they are appended: an append is bounded."""

NOT_THE_STATES = frozenset({RUN_HELD, MAP_NODE_CORRUPT, *KEY_FAULTS, *JOURNAL_ERRORS} - {EVENT_TOO_LARGE})
"""The run is no longer ours to write, we lack its key, or its store cannot or is damaged: no failure of a state.

Nothing is recorded."""


async def perform(session: Session, router: Router, spawner: Spawner, place: int, base: RunContext) -> None:
    """Run one attempt and fold what came of it; the loop's next flush makes it durable."""
    node = session.plan.states[place]
    attempt = Attempt(session, node, session.state.steps[node.id].attempts - 1, base)
    session.attempts[node.id] = attempt
    fault: Exception | None = None
    try:
        if not session.is_roomy:
            session.check_budget()
        await _handled(session, router, spawner, attempt)
    except Exception as raised:  # noqa: BLE001 - whatever a handler raises is an outcome of its attempt
        fault = _timely(session, attempt, raised)
    finally:
        del session.attempts[node.id]
    if session.state.max_concurrency == 1 and not session.turn.locked():
        await _end(session, attempt, place, fault)
        return
    # The turn comes when no call of this attempt is appending any more, nor another attempt ends.
    async with session.turn:
        await _end(session, attempt, place, fault)
        if session.pending >= PENDING_MAX:
            await session.flush()


async def _end(session: Session, attempt: Attempt, place: int, fault: Exception | None) -> None:
    """Fold what came of an attempt. One that asked for what is not there yet waits, also if its handler went on."""
    if fault is None and attempt.doubts:
        fault = EFFECT_UNKNOWN.error("the handler went on past an effect in doubt")
    if fault is None and attempt.waits:
        await _suspend(session, attempt)
        return
    if fault is None:
        try:
            await _complete(session, attempt, place)
        except Exception as raised:  # noqa: BLE001 - what cannot be joined is an outcome, too
            fault = raised
    if fault is not None:
        await _fail(session, attempt, fault)


async def _handled(session: Session, router: Router, spawner: Spawner, attempt: Attempt) -> None:
    """Let the handler work until it has ended, or ended to wait."""
    attempt.limit = asyncio.timeout(_seconds_left(session, attempt))
    try:
        async with attempt.limit:
            state = attempt.node.state
            # A function that takes neither gets neither made.
            used = state.tools if isinstance(state, FunctionState) else TOOLS
            io = LiveIo(attempt, router, spawner) if "io" in used else None
            rec = Recorder(attempt) if "rec" in used else None
            await ended(state.handle(attempt.context, io, rec), attempt.waits)
    finally:
        attempt.closed = True


def _seconds_left(session: Session, attempt: Attempt) -> float | None:
    """How long the attempt may take: its own limit, and no longer than its run may."""
    if attempt.interrupted is not None:
        return 0
    limits = [] if (own := timeout_of(attempt.node, session.state)) is None else [own]
    if session.state.deadline_ms is not None:
        limits.append(max(session.state.deadline_ms - session.clock.now_ms(), 0))
    return min(limits) / 1000 if limits else None


def _timely(session: Session, attempt: Attempt, fault: Exception) -> Exception:
    """What the handler raised, or that its time was over."""
    if attempt.interrupted is not None or attempt.limit is None or not attempt.limit.expired():
        return fault
    deadline_ms = session.state.deadline_ms
    if deadline_ms is not None and session.clock.now_ms() >= deadline_ms:
        attempt.interrupted = RUN_TIMED_OUT
        return fault
    return STATE_TIMEOUT.error(f"no end within {timeout_of(attempt.node, session.state)} ms")


async def _suspend(session: Session, attempt: Attempt) -> None:
    """Fold that the attempt waits. What was answered meanwhile is taken at once: nobody would look at it again."""
    state_id = attempt.node.id
    found = [each for name in attempt.waits for each in early_answers(session.state, state_id, name)]
    contents = await session.journal.store.artifacts.get(found) if found else []
    answers = dict(zip(found, contents, strict=True))
    session.fold(*suspension(session.state, state_id, list(attempt.waits.values()), answers))


async def _complete(session: Session, attempt: Attempt, place: int) -> None:
    state_id, writes = attempt.node.id, attempt.context.writes
    if session.state.max_concurrency == 1:
        context, blobs = await session.context.updated(writes)
        records: list[Struct] = [e.StateCompleted(context.snapshot_id, state_id)]
    else:
        joined = await session.branches.join(place, attempt.base, session.context, writes, session.state)
        context, blobs = joined.checkpoint, joined.blobs
        records = [joined.record, e.StateCompleted(context.snapshot_id, state_id)]
    if blobs or not session.is_roomy:
        session.check_budget(records, blobs)
    if session.plan.boundaries:
        records[-1:-1] = completion_boundaries(session.state, session.plan, state_id, session.config.event_profile)
    if session.state.waits:
        records[:0] = _leftover(session, state_id)
    session.context = context
    session.fold(records, blobs)
    session.ready.complete(place)


def _leftover(session: Session, state_id: str) -> Sequence[Struct]:
    """Timers of waits that the handler did not need in the end."""
    waits = session.state.waits.get(state_id, {}).values()
    tokens = tuple(wait.token for wait in waits if wait.due_ms is not None)
    return [e.TimersCleared(tokens)] if tokens else []


async def _fail(session: Session, attempt: Attempt, fault: Exception) -> None:
    faults = list(leaves(fault))
    for each in faults:
        if isinstance(each, InterlockError) and each.kind in NOT_THE_STATES:
            raise each
    if attempt.interrupted is not None:
        # An effect in doubt stays recorded as intended: the end of the run does not claim that it did not happen.
        why = "the run was ended while this attempt was under way"
        session.fold([closure(attempt.node.id, attempt.interrupted, why)])
        return
    if len({each.kind if isinstance(each, InterlockError) else each for each in faults}) == 1:
        fault = faults[0]  # also of many tasks that failed alike
    if not isinstance(fault, (InterlockError, StateFailure)):
        # For whoever writes the handler: where it came from. Its text may hold anything, so it is shown nowhere.
        frames = "".join(traceback.format_tb(frames_of_user(fault.__traceback__)))
        _LOG.warning("%s raised %s\n%s", attempt.node.id, type(fault).__name__, frames)
    info = _redacted(error_info(fault))
    snapshot, blobs = await _diagnosis(attempt)
    now_ms = session.clock.now_ms()
    records = failure(
        session.state, attempt.node, session.config, info, min(attempt.doubts, default=None), now_ms, snapshot
    )
    session.fold(records, blobs)


def skip(session: Session, place: int) -> None:
    """Complete a state that is to be skipped: neither handler nor transport is called, nothing changes (P13)."""
    node = session.plan.states[place]
    tags = sorted(set(session.config.skip_tags).intersection(node.meta.tags))
    if session.config.event_profile != "Minimal":
        told: dict[str, object] = {"state_id": node.id, "tags": tags}
        session.fold([e.DomainEmitted("state_skipped", Raw(canonical(told)), None, node.id)])
    if session.state.waits:
        session.fold(_leftover(session, node.id))
    boundaries = completion_boundaries(session.state, session.plan, node.id, session.config.event_profile)
    session.fold([*boundaries, e.StateCompleted(session.state.checkpoint, node.id)])
    session.ready.complete(place)


async def skip_branch(session: Session, place: int, base: RunContext) -> None:
    """As `skip`, where states run at once: the state's view is its base."""
    joined = await session.branches.join(place, base, session.context, {}, session.state)
    session.fold([joined.record], joined.blobs)
    skip(session, place)


def leaves(fault: Exception) -> Iterator[Exception]:
    """What was raised, one by one: tasks of a group that failed together arrive as one fault."""
    if isinstance(fault, ExceptionGroup):
        for each in fault.exceptions:
            yield from leaves(each)
    else:
        yield fault


async def _diagnosis(attempt: Attempt) -> tuple[str | None, list[Blob]]:
    """The overlay of a failed attempt as a snapshot, for states that ask for it; never masks the state's own error."""
    if not attempt.node.diagnostic:
        return None, []
    try:
        context, blobs = await attempt.base.updated(attempt.context.writes)
    except InterlockError:
        return None, []
    return context.snapshot_id, blobs


def _redacted(info: ErrorInfo) -> ErrorInfo:
    """The error without what looks like a secret: the details go, and the message if it trips (M17)."""
    details = info.details
    if scan_bytes(bytes(details)) is not None:
        details = NO_DETAILS
    return msgspec.structs.replace(info, details=details, message=redact_error_message(info.message))
