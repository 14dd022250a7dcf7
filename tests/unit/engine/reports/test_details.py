"""What a report says beside the steps: waits, children, orders, and effects that are in doubt for ever."""

from __future__ import annotations

from msgspec import Raw, Struct

from interlock.base.events import Claim
from interlock.engine import events as e
from interlock.engine.reports.details import SHOWN_MAX, children_of, in_doubt, orders_of, waits_of
from interlock.engine.reports.reasons import reasons_of
from interlock.engine.reports.records import steps_of, waiting_of
from tests.simulation.crashes import RUN_ID
from tests.simulation.histories import INITIAL, START_MS, STREAM, A, B, entered, failed, folded, intended, started

OWNER = Claim(STREAM, "run", "process 1", 1, START_MS + 30_000)
BEGUN: list[Struct] = [started(), entered(A, 0, INITIAL)]


def wait(name: str, kind: str = "signal", due_ms: int | None = None) -> e.OpenWait:
    return e.OpenWait(None, due_ms, kind, name, Raw(b'{"type":"object"}'), f"token of {name}")


def test_a_wait_has_its_deadline_its_schema_and_the_line_that_answers_it() -> None:
    state = folded(
        [*BEGUN, e.StateSuspended(A, (wait("who's there", due_ms=START_MS + 5), wait("child:one", "child")))]
    )
    signal, child = waits_of(RUN_ID, state)

    assert (signal.name, signal.until_ms, signal.schema) == ("who's there", START_MS + 5, {"type": "object"})
    assert signal.answer is not None
    assert signal.answer.endswith("""'who'"'"'s there' --value JSON""")
    assert child.answer is None


def test_effects_of_a_cancelled_run_that_may_have_happened_are_named() -> None:
    history = [*BEGUN, intended("pay", A), e.RunCancelling("local:ada", "wrong"), failed(A, "run_cancelled")]
    running = folded(history)
    assert in_doubt(running) == []
    assert [each.kind for each in reasons_of(RUN_ID, running, waiting_of(running, OWNER), OWNER)] == [
        "cancelling",
        "running",
    ]
    assert [each.kind for each in reasons_of(RUN_ID, running, waiting_of(running, None), None)] == [
        "cancelling",
        "queued",
    ]

    ended = folded([*history, e.RunCompleted(None, e.RunStatus.CANCELLED)])
    assert [(effect.fact_key, effect.step) for effect in in_doubt(ended)] == [("pay", "a")]
    cancelled, doubt = reasons_of(RUN_ID, ended, None, None)
    assert (cancelled.kind, cancelled.explanation) == ("cancelled", "local:ada cancelled it: wrong")
    assert (doubt.kind, "the effect pay of a happened" in doubt.explanation) == ("in_doubt", True)


def test_orders_that_count_name_who_and_why() -> None:
    state = folded([*BEGUN, e.RunPaused("local:ada", "lunch"), e.StepSkipped("local:bob", "known", B)])

    assert [(each.order, each.step, each.actor, each.reason) for each in orders_of(state)] == [
        ("paused", None, "local:ada", "lunch"),
        ("skip", "b", "local:bob", "known"),
    ]


def test_of_many_children_those_that_run_are_shown_first_and_the_list_is_bounded() -> None:
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(SHOWN_MAX + 10)]
    spawned = [e.ChildRunSpawned(True, "0" * 64, run_id, f"child:{run_id}", RUN_ID, A) for run_id in ids]
    ended = [e.ChildRunCompleted(run_id, None, e.RunStatus.COMPLETED) for run_id in ids[:-1]]
    state = folded([*BEGUN, *spawned, *ended])
    shown = children_of(state)

    assert len(shown) == SHOWN_MAX
    assert [(shown[0].run_id, shown[0].status), shown[1].status] == [(ids[-1], "running"), "completed"]


def test_a_step_that_the_configuration_passes_over_shows_as_skipped_once_it_is_done() -> None:
    state = folded([*BEGUN, e.StateCompleted(INITIAL, A)])

    assert [step.status for step in steps_of(state, [A, B], {A, B})] == ["skipped", "pending"]
    assert [step.status for step in steps_of(state, [A, B])] == ["completed", "pending"]
