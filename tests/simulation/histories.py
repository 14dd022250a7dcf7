"""Histories of runs written by hand: the raw material of tests of the fold, of decisions and of the checker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
from msgspec import Raw, Struct

from interlock.base.events import Place
from interlock.engine import events as e
from interlock.engine.errors import NO_DETAILS, ErrorCategory, ErrorInfo, StateError
from interlock.engine.fold import RUN_FOLD, evolve
from interlock.engine.meta import StateMeta
from interlock.engine.plan import DependencyEdge, ExecutionPlan, StateNode, StateOutcome
from interlock.engine.run_state import RunState
from interlock.journal.chain import Envelope, Recorded

STREAM = "default/run/01890a5d-ac96-774b-bcce-b302099a8057"
A, B, C = "demo.a.main", "demo.b.main", "demo.c.main"
START_MS = 1_000_000


def snap(number: int) -> str:
    """An artifact id that is easy to tell from the others."""
    return f"{number:064x}"


INITIAL, AFTER_A, AFTER_B, AFTER_C, DIAGNOSTIC, MANIFEST, PAYLOAD = (snap(n) for n in range(1, 8))


class Idle:
    """A state that does nothing."""

    def __init__(self, meta: StateMeta | None = None) -> None:
        self._meta = meta or StateMeta()

    def meta(self) -> StateMeta:
        return self._meta

    async def handle(self, ctx: object, io: object, rec: object) -> StateOutcome | None:
        del ctx, io, rec
        return None


def node(state_id: str, **options: object) -> StateNode:
    """A state of a plan that does nothing."""
    return StateNode(state_id, Idle(), **options)  # type: ignore[arg-type]


def chain_plan(*nodes: StateNode) -> ExecutionPlan:
    """The states one after the other; by default a, b, c."""
    states = nodes or (node(A), node(B), node(C))
    edges = [DependencyEdge(one.id, two.id) for one, two in pairwise(states)]
    return ExecutionPlan("demo", "1", tuple(states), tuple(edges))


def started() -> e.RunStarted:
    return e.RunStarted(INITIAL, MANIFEST, "demo")


def entered(state_id: str, attempt: int, base: str) -> e.StateEntered:
    return e.StateEntered(attempt, base, state_id)


def completed(state_id: str, snapshot: str) -> e.StateCompleted:
    return e.StateCompleted(snapshot, state_id)


def failed(state_id: str, code: str = "broke", *, retryable: bool = True, snapshot: str | None = None) -> e.StateFailed:
    info = ErrorInfo(
        category=ErrorCategory.UNKNOWN, code=code, details=NO_DETAILS, message="it broke", retryable=retryable
    )
    return e.StateFailed(StateError(info, state_id), snapshot, state_id)


def orphaned(state_id: str) -> e.StateFailed:
    return failed(state_id, "orphan_attempt_recovered")


def claimed(epoch: int) -> e.OwnerClaimed:
    return e.OwnerClaimed(epoch, epoch, START_MS + 30_000, f"owner {epoch}")


def intended(key: str, state_id: str, idempotency_key: str | None = None) -> e.EffectIntended:
    return e.EffectIntended(key, idempotency_key, "outside", snap(90), state_id)


def fact(key: str, payload: str = PAYLOAD) -> e.FactRecorded:
    return e.FactRecorded(key, "json", payload, snap(90))


def noted(name: str = "noted") -> e.DomainEmitted:
    return e.DomainEmitted(name, Raw(b"null"), None)


def ended(snapshot: str, status: e.RunStatus = e.RunStatus.COMPLETED) -> e.RunCompleted:
    return e.RunCompleted(snapshot, status)


def full_history() -> list[Struct]:
    """A completed run that has met everything: a retry, a diagnostic snapshot, a crash, a parked effect."""
    return [
        started(),
        e.PlanRecorded(msgspec.Raw(b"{}"), snap(80), "1", None),
        claimed(1),
        entered(A, 0, INITIAL),
        fact("read"),
        noted(),
        completed(A, AFTER_A),
        entered(B, 0, AFTER_A),
        intended("write", B, "key"),
        e.EffectSettled("outside_busy", "write"),
        failed(B, snapshot=DIAGNOSTIC),
        e.RetryScheduled(START_MS, B),
        entered(B, 1, AFTER_A),
        intended("write", B, "key"),
        fact("write"),
        completed(B, AFTER_B),
        entered(C, 0, AFTER_B),
        claimed(2),
        orphaned(C),
        entered(C, 1, AFTER_B),
        intended("publish", C),
        failed(C, "side_effect_outcome_unknown"),
        e.RunParked("side_effect_outcome_unknown", "publish", C),
        claimed(3),
        e.EffectResolved(e.Resolution.ADOPT, "local:ada", "publish", PAYLOAD, "I looked", C),
        fact("publish"),
        e.InboxTaken(1),
        entered(C, 2, AFTER_B),
        completed(C, AFTER_C),
        ended(AFTER_C),
    ]


def folded(history: Iterable[Struct], times_ms: Sequence[int] | None = None) -> RunState:
    """The state after a history; `times_ms` are the recorded times of its events."""
    state = RUN_FOLD.initial(STREAM)
    for seq, record in enumerate(history, 1):
        at_ms = START_MS if times_ms is None else times_ms[seq - 1]
        state = evolve(state, record, Place(STREAM, seq, at_ms, "system:engine", None))
    return state


def recorded(history: Iterable[Struct], stream: str = STREAM) -> list[Recorded]:
    """The history as the journal would give it out; digests are made up."""
    return [
        Recorded(
            Envelope("", START_MS, None, None, None, None, "", 1, None, seq, stream, "engine.event", 1),
            record,
            f"{type(record).__name__}{seq}",
            seq,
        )
        for seq, record in enumerate(history, 1)
    ]
