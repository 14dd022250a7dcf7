"""The checker itself: it passes a good log, and names the rule and the place where another one breaks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import Raw, Struct

from interlock.base.canonical import digest
from interlock.engine import bound_events as b
from interlock.engine import events as e
from interlock.engine.config import RetryPolicy
from interlock.engine.flow.limits import Flow
from interlock.engine.plan import DependencyEdge, ExecutionPlan
from interlock.engine.reports.records import RunResult, Waiting
from interlock.journal.chain import Recorded
from interlock.journal.ports import Blob
from interlock.stores.memory import MemoryStore
from interlock.testing.checker import InvariantBroken, check_artifacts, check_run
from interlock.testing.loop import run
from tests.simulation.histories import (
    AFTER_A,
    AFTER_B,
    AFTER_C,
    DIAGNOSTIC,
    INITIAL,
    PAYLOAD,
    START_MS,
    A,
    B,
    C,
    chain_plan,
    completed,
    ended,
    entered,
    fact,
    failed,
    full_history,
    intended,
    node,
    noted,
    recorded,
    snap,
    started,
)

TWICE = RetryPolicy.fixed(2)
FLOW = Flow(key="k", limit=1)
Mutation = Callable[[list[Struct]], list[Struct]]


def replaced(number: int, record: Struct) -> Mutation:
    return lambda history: [*history[: number - 1], record, *history[number:]]


def dropped(number: int) -> Mutation:
    return lambda history: history[: number - 1] + history[number:]


def added(number: int, record: Struct) -> Mutation:
    return lambda history: [*history[:number], record, *history[number:]]


def broken(log: list[Recorded], **given: object) -> tuple[str, int]:
    with pytest.raises(InvariantBroken) as caught:
        check_run(log, **{"policy": TWICE, **given})  # type: ignore[arg-type]
    return caught.value.invariant, caught.value.seq


@pytest.mark.parametrize("length", range(31))
def test_every_beginning_of_a_good_log_passes(length: int) -> None:
    check_run(recorded(full_history()[:length]), plan=chain_plan(), policy=TWICE)


BROKEN: dict[str, tuple[Mutation, str, int]] = {
    "I2 no start": (dropped(1), "I2", 1),
    "I2 second start": (added(7, started()), "I2", 8),
    "I3 event after the end": (added(30, noted()), "I3", 31),
    "I3 second end": (added(30, ended(AFTER_C)), "I3", 31),
    "I3 end within an attempt": (replaced(29, ended(AFTER_B)), "I3", 29),
    "I4 second entry": (added(4, entered(A, 1, INITIAL)), "I4", 5),
    "I4 attempt begins at 1": (replaced(4, entered(A, 1, INITIAL)), "I4", 4),
    "I4 attempt left out": (replaced(13, entered(B, 2, AFTER_A)), "I4", 13),
    "I4 completed unentered": (replaced(7, completed(B, AFTER_A)), "I4", 7),
    "I4 failed unentered": (replaced(11, failed(A)), "I4", 11),
    "I4 entered while parked": (dropped(25), "I4", 25),
    "I4 event outside of an attempt": (added(7, noted()), "I4", 8),
    "I4 fact outside of an attempt": (added(7, fact("late")), "I4", 8),
    "I4 effect of another state": (replaced(9, intended("write", A, "key")), "I4", 9),
    "I4 retry of what did not fail": (replaced(12, e.RetryScheduled(START_MS, A)), "I4", 12),
    "I5 first base": (replaced(4, entered(A, 0, AFTER_A)), "I5", 4),
    "I5 base of a retry": (replaced(13, entered(B, 1, INITIAL)), "I5", 13),
    "I6 base of a later state": (replaced(8, entered(B, 0, INITIAL)), "I6", 8),
    "I7 retry from a diagnosis": (replaced(13, entered(B, 1, DIAGNOSTIC)), "I7", 13),
    "I7 end on a diagnosis": (replaced(30, ended(DIAGNOSTIC)), "I7", 30),
    "I9 before its predecessor": (replaced(4, entered(B, 0, INITIAL)), "I9", 4),
    "I9 no state of the plan": (replaced(4, entered("demo.x.main", 0, INITIAL)), "I9", 4),
    "I10 entered after completion": (added(7, entered(A, 1, INITIAL)), "I10", 8),
    "I10 completed without a state": (lambda history: [*history[:7], ended(AFTER_A)], "I10", 8),
    "I11 entered after a last failure": (replaced(11, failed(B, retryable=False)), "I11", 13),
    "I12 bound again": (added(5, fact("read")), "I12", 6),
    "I12 bound to another payload": (added(5, fact("read", snap(9))), "I12", 6),
    "I12 intended although recorded": (added(5, intended("read", A)), "I12", 6),
    "I16 another final snapshot": (replaced(30, ended(AFTER_B)), "I16", 30),
    "L1 needs said too late": (added(7, b.FlowRequested(FLOW, None)), "L1", 8),
    "L1 a unit of the run without a need": (added(3, b.UnitAwaited("flow/k", 1, "r", None)), "L1", 4),
    "L1 a unit for what has completed": (added(7, b.UnitAwaited("flow/k", 1, "r", A)), "L1", 8),
    "L1 a unit without a place": (added(7, b.UnitAwaited("flow/k", 0, "r", B)), "L1", 8),
    "L1 counted backwards": (lambda h: [*h[:7], b.ArtifactsCounted(9), b.ArtifactsCounted(8)], "L1", 9),
    "L1 warned of other events": (added(7, b.RunBudgetWarned(1, 6)), "L1", 8),
    "L1 warned twice": (lambda h: [*h[:7], b.RunBudgetWarned(1, 7), b.RunBudgetWarned(1, 8)], "L1", 9),
    "P9 entered too early": (replaced(12, e.RetryScheduled(START_MS + 1, B)), "P9", 13),
}


@pytest.mark.parametrize(("mutation", "invariant", "seq"), BROKEN.values(), ids=BROKEN)
def test_a_log_that_breaks_a_rule_is_refused_with_the_rule_and_the_place(
    mutation: Mutation, invariant: str, seq: int
) -> None:
    """I2, I3, I4, I5, I6, I7, I9, I10, I11, I12, I16, L1, P9."""
    assert broken(recorded(mutation(full_history())), plan=chain_plan()) == (invariant, seq)


def test_more_failures_than_attempts_are_refused() -> None:
    """I11, M11."""
    history = [started(), entered(A, 0, INITIAL), failed(A), entered(A, 1, INITIAL)]

    check_run(recorded(history), policy=TWICE)
    assert broken(recorded(history), policy=RetryPolicy.fixed(1)) == ("I11", 4)
    assert broken(recorded(history), plan=chain_plan(node(A, retry=RetryPolicy.fixed(1)))) == ("I11", 4)


def test_crashes_do_not_count_among_the_failures() -> None:
    """I11, M10."""
    history: list[Struct] = [started()]
    for attempt in range(5):
        history += [entered(A, attempt, INITIAL), failed(A, "orphan_attempt_recovered")]

    check_run(recorded([*history, entered(A, 5, INITIAL)]), policy=RetryPolicy.fixed(1))


def test_a_gap_and_a_foreign_event_are_refused() -> None:
    """I1."""
    log = recorded(full_history())

    assert broken([*log[:4], *log[5:]]) == ("I1", 5)
    assert broken([*log[:4], recorded(full_history(), "default/run/other")[4]]) == ("I1", 5)


def test_a_log_that_was_rewritten_is_refused_at_the_first_difference() -> None:
    """I14."""
    log = recorded(full_history())
    other = recorded(replaced(6, noted("other"))(full_history()))
    changed = [*log[:5], Recorded(other[5].envelope, other[5].record, "another digest", 6), *log[6:]]

    check_run(log, policy=TWICE, earlier=log[:9])
    assert broken(log, earlier=changed) == ("I14", 6)
    assert broken(log[:9], earlier=log[:12]) == ("I14", 10)


@pytest.mark.parametrize(
    ("length", "result"),
    [
        (30, RunResult("r", "completed", None, AFTER_C)),
        (16, RunResult("r", "running", Waiting("queued"), AFTER_B)),
        (23, RunResult("r", "running", Waiting("parked"), AFTER_B)),
    ],
)
def test_a_result_that_says_what_the_log_says_passes(length: int, result: RunResult) -> None:
    """I15."""
    check_run(recorded(full_history()[:length]), policy=TWICE, result=result)


@pytest.mark.parametrize(
    ("length", "result"),
    [
        (30, RunResult("r", "failed", None, AFTER_C)),
        (30, RunResult("r", "completed", None, AFTER_B)),
        (30, RunResult("r", "running", None, AFTER_C)),
        (16, RunResult("r", "completed", None, AFTER_B)),
        (16, RunResult("r", "running", Waiting("parked"), AFTER_B)),
        (23, RunResult("r", "running", Waiting("queued"), AFTER_B)),
    ],
)
def test_a_result_that_says_something_else_is_refused(length: int, result: RunResult) -> None:
    """I15."""
    assert broken(recorded(full_history()[:length]), result=result)[0] == "I15"


def test_a_plan_of_other_edges_allows_another_order() -> None:
    """I9."""
    history = [started(), entered(C, 0, INITIAL)]
    plan = ExecutionPlan("demo", "1", (node(A), node(B), node(C)), (DependencyEdge(A, B),))

    check_run(recorded(history), plan=plan)
    assert broken(recorded(history), plan=chain_plan()) == ("I9", 2)


NODE = b'{"name":["v","Ada"]}'
LARGE = b'"' + b"x" * 5_000 + b'"'
LEAF = b'{"large":["a","%b"]}' % digest(LARGE).encode()
ROOT = b'{"3":["n","%b"]}' % digest(LEAF).encode()


def test_every_artifact_that_an_event_names_must_be_there_and_whole() -> None:
    """I8."""

    async def scenario() -> None:
        store = MemoryStore()
        blobs = [Blob(digest(content), "Other", content) for content in (b"{}", NODE, LARGE, LEAF, ROOT, b"raw")]
        await store.artifacts.put(blobs)
        history: list[Struct] = [
            e.RunStarted(digest(b"{}"), digest(NODE), "demo"),
            entered(A, 0, digest(b"{}")),
            e.ArtifactWritten(digest(b"raw"), "Output", Raw(b"null")),
            e.FactRecorded("draw", "bytes", digest(b"raw"), None),
            e.DomainEmitted("event", Raw(b"null"), digest(b"raw")),
            completed(A, digest(ROOT)),
            ended(digest(ROOT)),
        ]
        await check_artifacts(recorded(history), store.artifacts)
        for missing in (digest(LARGE), digest(LEAF), digest(ROOT)):
            content = store._handle.data.blobs.get(missing)
            assert content is not None
            store._handle.data.blobs.drop(missing)
            with pytest.raises(InvariantBroken, match=missing) as caught:
                await check_artifacts(recorded(history), store.artifacts)
            assert (caught.value.invariant, caught.value.seq) == ("I8", 6)
            store._handle.data.blobs.put(missing, content)

    run(scenario())


@pytest.mark.parametrize("content", [b'{"b": 1}', b'{"b":1,"a":2}', b"1.0"])
def test_a_structured_artifact_that_is_not_canonical_is_refused(content: bytes) -> None:
    """I8."""

    async def scenario() -> None:
        store = MemoryStore()
        await store.artifacts.put([Blob(digest(content), "FactPayload", content), Blob(digest(b"{}"), "Other", b"{}")])
        history = [
            e.RunStarted(digest(b"{}"), digest(b"{}"), "demo"),
            e.FactRecorded("a", "json", digest(content), None),
        ]
        with pytest.raises(InvariantBroken, match=r"I8 .* not canonical"):
            await check_artifacts(recorded(history), store.artifacts)

    run(scenario())


def test_a_damaged_artifact_is_refused() -> None:
    """I8."""

    async def scenario() -> None:
        store = MemoryStore()
        store._handle.data.blobs.put(PAYLOAD, b"other bytes")
        with pytest.raises(InvariantBroken, match="I8"):
            await check_artifacts(recorded([e.ArtifactWritten(PAYLOAD, "Output", Raw(b"null"))]), store.artifacts)

    run(scenario())


def test_a_run_that_says_what_it_needs_and_uses_and_waits_for_it_passes() -> None:
    history = full_history()
    bounds = [
        b.FlowRequested(FLOW, None),
        b.UnitAwaited("flow/k", 2, "r", None),
        b.UnitAwaited("flow/k", 1, "q", A),
        b.ArtifactsCounted(9),
        b.RunBudgetWarned(9, 7),
    ]
    check_run(recorded([*history[:3], *bounds, *history[3:]]), plan=chain_plan(), policy=TWICE)
