"""The checker on runs that wait, run states at once, have children and are told things: each seeded bug is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import Raw, Struct

from interlock.base.canonical import canonical, digest
from interlock.base.events import SetTimer
from interlock.base.principal import ENGINE
from interlock.engine import events as e
from interlock.engine.config import RetryPolicy
from interlock.engine.plan import DependencyEdge, ExecutionPlan
from interlock.journal.ports import Blob
from interlock.stores.activation import Activation
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app
from interlock.testing.checker import InvariantBroken, Walk, check_branches, check_left, check_run
from interlock.testing.loop import run
from tests.simulation.families import Family
from tests.simulation.histories import (
    AFTER_A,
    AFTER_B,
    AFTER_C,
    INITIAL,
    PAYLOAD,
    START_MS,
    A,
    B,
    C,
    claimed,
    completed,
    ended,
    entered,
    failed,
    node,
    orphaned,
    recorded,
    snap,
    started,
)
from tests.simulation.plans import numbers

TOKEN, KID = snap(50), "01890a5d-ac96-774b-bcce-b302099a8059"
PLAN = ExecutionPlan("demo", "1", (node(A), node(B), node(C)), (DependencyEdge(A, C), DependencyEdge(B, C)))
Mutation = Callable[[list[Struct]], list[Struct]]


def wait(name: str, due_ms: int | None = None, kind: str = "signal") -> e.OpenWait:
    return e.OpenWait(None, due_ms, kind, name, Raw(b"null"), TOKEN if due_ms else snap(51))


def suspended(state_id: str, *waits: e.OpenWait) -> e.StateSuspended:
    return e.StateSuspended(state_id, waits)


def signal(state_id: str, name: str, code: str | None = None, payload: str = PAYLOAD) -> e.SignalReceived:
    return e.SignalReceived("local:ada", code, name, payload, state_id)


def bound(key: str, payload: str = PAYLOAD) -> e.FactRecorded:
    return e.FactRecorded(key, "json", payload, None)


def spawned() -> e.ChildRunSpawned:
    return e.ChildRunSpawned(True, snap(60), KID, "child:kid", "parent", B)


def kid_ended(status: e.RunStatus = e.RunStatus.COMPLETED) -> e.ChildRunCompleted:
    return e.ChildRunCompleted(KID, None, status)


def branch(state_id: str) -> e.BranchCompleted:
    return e.BranchCompleted(state_id, snap(70), snap(71))


def good() -> list[Struct]:
    """A run of two places in which a signal, a deadline, a child, a pause and a crash came."""
    return [
        started(),  # 1
        e.RunLimits(START_MS, 2),
        claimed(1),
        entered(A, 0, INITIAL),
        entered(B, 0, INITIAL),  # 5
        suspended(A, wait("go"), wait("late", START_MS)),
        bound("child:demo.b.main:kid"),
        spawned(),
        suspended(B, wait("child:kid", kind="child")),
        e.RunPaused("local:ada", "so"),  # 10
        signal(A, "go"),
        bound(f"wait:{A}:go"),
        e.InboxTaken(1),
        e.RunUnpaused("local:ada", "so"),
        e.WaitExpired("late", A, TOKEN),  # 15
        bound(f"wait:{A}:late", snap(52)),
        e.InboxTaken(2),
        entered(A, 1, INITIAL),
        branch(A),
        completed(A, AFTER_A),  # 20
        kid_ended(),
        bound(f"wait:{B}:child:kid", snap(53)),
        entered(B, 1, INITIAL),
        claimed(2),
        orphaned(B),  # 25
        entered(B, 2, INITIAL),
        branch(B),
        completed(B, AFTER_B),
        entered(C, 0, snap(72)),
        branch(C),  # 30
        completed(C, AFTER_C),
        e.TimersCleared(("deadline",)),
        ended(AFTER_C),
    ]


def replaced(number: int, *records: Struct) -> Mutation:
    return lambda history: [*history[: number - 1], *records, *history[number:]]


def dropped(*numbers: int) -> Mutation:
    return lambda history: [each for place, each in enumerate(history, 1) if place not in numbers]


def added(number: int, *records: Struct) -> Mutation:
    return lambda history: [*history[:number], *records, *history[number:]]


def cut(number: int, *records: Struct) -> Mutation:
    return lambda history: [*history[:number], *records]


CANCELLING = e.RunCancelling("local:ada", "so")
TIMED_OUT = e.RunTimedOut(START_MS)
BROKEN: dict[str, tuple[Mutation, str, int]] = {
    "more open than may be": (replaced(2, e.RunLimits(START_MS, 1)), "I4", 5),
    "three open in two places": (added(5, entered(C, 0, INITIAL)), "B1", 6),
    "before both predecessors": (cut(26, branch(B), completed(A, AFTER_A)), "I4", 28),
    "entered again with nothing there": (cut(9, entered(A, 1, INITIAL)), "W1", 10),
    "entered for another state's fact": (cut(22, suspended(A, wait("x"))), "I4", 23),
    "suspended without waits": (replaced(6, suspended(A)), "W1", 6),
    "suspended while not open": (added(6, suspended(A, wait("go"))), "I4", 7),
    "suspension spends the budget": (replaced(18, entered(A, 2, INITIAL)), "I4", 18),
    "another base after a wait": (replaced(18, entered(A, 1, AFTER_A)), "I5", 18),
    "answer without a signal": (dropped(11), "W2", 11),
    "answer of a refused signal": (replaced(11, signal(A, "go", "signal_invalid")), "W2", 12),
    "answer with another payload": (replaced(12, bound(f"wait:{A}:go", snap(9))), "W2", 12),
    "answered twice": (added(12, bound(f"wait:{A}:go")), "I12", 13),
    "deadline without a timer": (replaced(6, suspended(A, wait("go"), wait("late"))), "W2", 15),
    "deadline without its value": (dropped(16), "I4", 16),
    "deadline twice": (added(16, e.WaitExpired("late", A, TOKEN)), "W2", 17),
    "timer left at the end": (dropped(15, 16), "W3", 31),
    "inbox taken twice": (replaced(17, e.InboxTaken(1)), "W4", 17),
    "entered while paused": (dropped(14), "O1", 17),
    "child without its fact": (dropped(7), "H2", 7),
    "fact without its child": (dropped(8), "I4", 8),
    "child linked twice": (added(8, bound("child:demo.b.main:two"), spawned()), "H2", 10),
    "child ended twice": (added(22, kid_ended()), "H4", 23),
    "child ended before it was linked": (added(5, kid_ended()), "H4", 6),
    "child's result while it runs": (dropped(21), "W2", 21),
    "completed without a branch": (dropped(19), "B3", 19),
    "cancelled and entered": (cut(17, CANCELLING, entered(A, 1, INITIAL)), "O2", 19),
    "closed as cancelled and entered": (cut(18, failed(A, "run_cancelled"), entered(B, 1, INITIAL)), "O2", 20),
    "cancelled and completed": (added(31, CANCELLING), "K7", 34),
    "cancelled without having been": (cut(22, ended(AFTER_A, e.RunStatus.CANCELLED)), "K7", 23),
    "cancelled with an attempt open": (cut(23, CANCELLING, ended(AFTER_A, e.RunStatus.CANCELLED)), "I3", 25),
    "failed without a failure": (cut(22, ended(AFTER_A, e.RunStatus.FAILED)), "I10", 23),
    "timed out and entered": (cut(17, TIMED_OUT, entered(A, 1, INITIAL)), "O2", 19),
    "another deadline": (cut(17, e.RunTimedOut(START_MS + 1)), "O2", 18),
    "skipped after it completed": (added(20, e.StepSkipped("local:ada", "so", A)), "I10", 21),
    "parked twice": (cut(24, failed(B), e.RunParked("c", None, B), e.RunParked("c", None, B)), "I4", 27),
    "entered while it is parked": (cut(24, orphaned(B), e.RunParked("c", None, B), entered(B, 2, INITIAL)), "I4", 27),
}


@pytest.mark.parametrize("length", range(34))
def test_every_beginning_of_a_good_log_passes(length: int) -> None:
    check_run(recorded(good()[:length]), plan=PLAN)


@pytest.mark.parametrize(("mutation", "invariant", "seq"), BROKEN.values(), ids=BROKEN)
def test_a_log_that_breaks_a_rule_of_the_outside_is_refused(mutation: Mutation, invariant: str, seq: int) -> None:
    """W1 to W4, B1, B3, H2, H4, K7, O1, O2, D10, D11, I3, I4, I5, I10, I12."""
    with pytest.raises(InvariantBroken) as caught:
        check_run(recorded(mutation(good())), plan=PLAN)
    assert (caught.value.invariant, caught.value.seq) == (invariant, seq)


@pytest.mark.parametrize(
    ("records", "rule"),
    [
        ([*good()[:7]], "I4"),
        ([*good()[:15]], "I4"),
        ([*good()[:17], CANCELLING], "K7"),
        ([*good()[:17], TIMED_OUT], "K7"),
    ],
)
def test_what_belongs_into_one_append_and_stands_in_two_is_refused(records: Sequence[Struct], rule: str) -> None:
    """H2, K7, D11: a fact without its link, a deadline without its value, an order without its end."""
    walk = Walk(PLAN, RetryPolicy())
    for record in records:
        walk.seq, walk.at_ms = walk.seq + 1, START_MS
        walk.step(record)
    with pytest.raises(InvariantBroken) as caught:
        walk.boundary()
    assert caught.value.invariant == rule


def context(**members: int) -> bytes:
    return canonical({key: ["v", value] for key, value in members.items()})


def joining(base_c: bytes, final: bytes, writes_b: bytes = context(b=2)) -> tuple[list[Struct], list[bytes]]:
    """A diamond's lower half: two roots that write, and a state after both."""
    contents = [context(i=0), context(i=0, a=1), context(a=1), context(i=0, b=2), writes_b, context(i=0, a=1, b=2)]
    contents += [base_c, final, context(c=3), context(i=0, a=1, b=2, c=3)]
    at = {content: digest(content) for content in contents}
    initial = at[contents[0]]
    history: list[Struct] = [
        e.RunStarted(initial, initial, "demo"),
        e.RunLimits(None, 2),
        entered(A, 0, initial),
        entered(B, 0, initial),
        e.BranchCompleted(A, at[contents[1]], at[contents[2]]),
        completed(A, at[contents[1]]),
        e.BranchCompleted(B, at[contents[3]], at[writes_b]),
        completed(B, at[contents[5]]),
        entered(C, 0, at[base_c]),
        e.BranchCompleted(C, at[contents[9]], at[contents[8]]),
        completed(C, at[final]),
        ended(at[final]),
    ]
    return history, contents


WHOLE, END = context(i=0, a=1, b=2), context(i=0, a=1, b=2, c=3)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ((WHOLE, END), None),
        ((context(i=0, a=1), END), "B2"),
        ((context(i=0, a=1, b=2, z=9), END), "B2"),
        ((WHOLE, context(i=0, a=1, b=2)), "B3"),
        ((WHOLE, END, context(b=2, a=7)), "B3"),
    ],
)
def test_bases_and_joins_are_computed_anew_from_what_was_written(given: Any, rule: str | None) -> None:
    """B2, B3, I6, I16: an ancestor left out, a neighbour let in, writes lost, two who differ."""

    async def scenario() -> None:
        history, contents = joining(*given)
        store = MemoryStore()
        await store.artifacts.put([Blob(digest(each), "Other", each) for each in contents])
        await check_branches(recorded(history), PLAN, store.artifacts)

    if rule is None:
        run(scenario())
        return
    with pytest.raises(InvariantBroken) as caught:
        run(scenario())
    assert caught.value.invariant == rule


@pytest.mark.unproved("it leaves a unit with a run that has ended")
def test_the_timer_of_a_unit_that_is_held_is_none_of_a_run() -> None:
    async def scenario() -> None:
        app = memory_app()
        await app.leases.acquire("rate/k", holder="h", request_id="r", lease_ms=9, capacity=1, principal=ENGINE)
        await check_left(app.store, now_ms=0)

    run(scenario())


@pytest.mark.unproved("it leaves something behind, to see it found")
@pytest.mark.parametrize("left", ["claim", "timer", "activation"])
def test_what_a_run_that_has_ended_leaves_behind_is_found(left: str) -> None:
    """W3, I3: a claim that is held, a timer that is set, a wish for an owner."""

    async def scenario() -> None:
        family = Family(numbers, given={"start": 1})
        await family.finish()
        store, stream = family.observer().store, "default/run/01890a5d-ac96-774b-bcce-b302099a8057"
        await check_left(store, now_ms=0)
        data = family._content._handle.data
        match left:
            case "claim":
                await store.activations.take(stream, "run", "somebody", 0, 1000)
            case "timer":
                data.timers.apply("default", SetTimer("t", stream, 5))
            case _:
                data.agenda.put(stream, Activation(stream, "default", "run", 5))
        with pytest.raises(InvariantBroken):
            await check_left(store, now_ms=0)

    run(scenario())
