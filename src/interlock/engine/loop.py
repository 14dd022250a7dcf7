"""The one loop that drives a run: the only ordering of I/O in the engine.

What it does: asks `decide` what comes next, makes that durable, runs the handler, turns what came of it into events.
What it does not do: it chooses nothing (`decide`, `schedule`), knows no store and claims nothing (`runs`).

The procedure, once per state:
 1. decide; the end of one state and the entry of the next share one append
 2. `StateEntered` is durable before the handler starts (K1)
 3. the handler works on an overlay; its tools close with it
 4. success stores the changed snapshot with `StateCompleted`; failure drops the overlay
Whatever is not an `Exception` (cancellation, interrupt) leaves the attempt open for the next owner (G7).
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Iterator

import msgspec
from msgspec import Raw

from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError
from interlock.base.merkle_node import MAP_NODE_CORRUPT
from interlock.base.secret_scan import redact_error_message, scan_bytes
from interlock.engine import events as e
from interlock.engine.attempt import Attempt, Recorder
from interlock.engine.decide import End, Enter, Stop, decide, failure
from interlock.engine.errors import (
    EFFECT_UNKNOWN,
    NO_DETAILS,
    RUN_HELD,
    STATE_TIMEOUT,
    ErrorInfo,
    StateFailure,
    error_info,
)
from interlock.engine.io.live import LiveIo
from interlock.engine.io.router import Router
from interlock.engine.session import Session
from interlock.journal.errors import ERRORS as JOURNAL_ERRORS
from interlock.journal.errors import EVENT_TOO_LARGE
from interlock.journal.ports import Blob

_LOG = logging.getLogger("interlock.engine")
SKIPPED_RECORDS_MAX = 1000
"""Records of skipped states that share an append."""

_NOT_THE_STATES = frozenset({RUN_HELD, MAP_NODE_CORRUPT, *JOURNAL_ERRORS} - {EVENT_TOO_LARGE})
"""The run is no longer ours to write, or its store cannot or is damaged: no failure of a state, nothing is recorded."""


async def drive(session: Session, router: Router) -> Stop | End:
    """Drive a run until it ends or waits. What the session has folded already goes with the first append.

    Raises: `run_held` when another owner took the run; storage errors; cancellation, leaving the attempt open.
    """
    while True:
        decision = decide(
            session.state,
            session.plan,
            session.ready,
            session.config,
            session.clock.now_ms(),
            session.settings.crash_budget,
        )
        session.fold(decision.records)
        if isinstance(decision, Enter) and decision.skip:
            _skip(session, decision.place)
            if session.pending >= SKIPPED_RECORDS_MAX:
                await session.flush()
            continue
        await session.flush()
        if not isinstance(decision, Enter):
            return decision
        await _attempt(session, router, decision.place)


def _skip(session: Session, place: int) -> None:
    """Complete a state whose tag says to skip it: neither handler nor transport is called, nothing changes (P13)."""
    node = session.plan.states[place]
    base = session.state.steps[node.id].base
    tags = sorted(set(session.config.skip_tags).intersection(node.meta.tags))
    if session.config.event_profile != "Minimal":
        session.fold([e.DomainEmitted("state_skipped", Raw(canonical({"state_id": node.id, "tags": tags})), None)])
    session.fold([e.StateCompleted(base, node.id)])
    session.ready.complete(place)


async def _attempt(session: Session, router: Router, place: int) -> None:
    """Run one attempt and fold what came of it; the loop's next flush makes it durable."""
    node = session.plan.states[place]
    attempt = Attempt(session, node, session.state.steps[node.id].attempts - 1)
    limit = asyncio.timeout(None if node.timeout_ms is None else node.timeout_ms / 1000)
    try:
        try:
            async with limit:
                await node.state.handle(attempt.context, LiveIo(attempt, router), Recorder(attempt))
        finally:
            attempt.closed = True
        await session.settle()
        context, blobs = await session.context.updated(attempt.context.writes)
    except Exception as fault:  # noqa: BLE001 - whatever a handler raises is an outcome of its attempt
        await session.settle()
        timely = not limit.expired()
        await _fail(session, attempt, fault if timely else STATE_TIMEOUT.error(f"no end within {node.timeout_ms} ms"))
        return
    if attempt.doubts:
        await _fail(session, attempt, EFFECT_UNKNOWN.error("the handler went on past an effect in doubt"))
        return
    session.context = context
    session.fold([e.StateCompleted(context.snapshot_id, node.id)], blobs)
    session.ready.complete(place)


async def _fail(session: Session, attempt: Attempt, fault: Exception) -> None:
    faults = list(_leaves(fault))
    for each in faults:
        if isinstance(each, InterlockError) and each.kind in _NOT_THE_STATES:
            raise each
    if len(faults) == 1:
        [fault] = faults
    if not isinstance(fault, (InterlockError, StateFailure)):
        # For whoever writes the handler: where it came from. Its text may hold anything, so it is shown nowhere.
        frames = "".join(traceback.format_tb(fault.__traceback__))
        _LOG.warning("%s raised %s\n%s", attempt.node.id, type(fault).__name__, frames)
    info = _redacted(error_info(fault))
    snapshot, blobs = await _diagnosis(session, attempt)
    now_ms = session.clock.now_ms()
    records = failure(
        session.state, attempt.node, session.config, info, min(attempt.doubts, default=None), now_ms, snapshot
    )
    session.fold(records, blobs)


def _leaves(fault: Exception) -> Iterator[Exception]:
    """What was raised, one by one: tasks of a group that failed together arrive as one fault."""
    if isinstance(fault, ExceptionGroup):
        for each in fault.exceptions:
            yield from _leaves(each)
    else:
        yield fault


async def _diagnosis(session: Session, attempt: Attempt) -> tuple[str | None, list[Blob]]:
    """The overlay of a failed attempt as a snapshot, for states that ask for it; never masks the state's own error."""
    if not attempt.node.diagnostic:
        return None, []
    try:
        context, blobs = await session.context.updated(attempt.context.writes)
    except InterlockError:
        return None, []
    return context.snapshot_id, blobs


def _redacted(info: ErrorInfo) -> ErrorInfo:
    """The error without what looks like a secret: the details go, and the message if it trips (M17)."""
    details = info.details
    if scan_bytes(bytes(details)) is not None:
        details = NO_DETAILS
    return msgspec.structs.replace(info, details=details, message=redact_error_message(info.message))
