"""What the events of a run mean, and which histories are impossible."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from msgspec import Struct

from interlock.base.errors import Corruption
from interlock.base.events import Place
from interlock.engine import events as e
from interlock.engine.control import inbox_events as i
from interlock.engine.fold import RUN_FOLD, evolve
from interlock.engine.run_state import RunState, StepStatus
from tests.simulation.histories import (
    AFTER_A,
    AFTER_B,
    AFTER_C,
    DIAGNOSTIC,
    INITIAL,
    MANIFEST,
    PAYLOAD,
    START_MS,
    STREAM,
    A,
    B,
    C,
    claimed,
    completed,
    ended,
    entered,
    fact,
    failed,
    folded,
    full_history,
    intended,
    noted,
    orphaned,
    snap,
    started,
)

Mutation = Callable[[list[Struct]], list[Struct]]


def test_a_run_that_does_not_exist_has_no_state() -> None:
    assert not RUN_FOLD.initial(STREAM).exists


def test_a_full_history_ends_as_its_events_say() -> None:
    """I15, I16."""
    state = folded(full_history())

    assert (state.status, state.final_snapshot_id, state.checkpoint) == ("completed", AFTER_C, AFTER_C)
    assert (state.op_id, state.manifest_id, state.initial_snapshot_id) == ("demo", MANIFEST, INITIAL)
    assert (state.epoch, state.owner, state.inbox_seq, state.completed) == (3, "owner 3", 1, 3)
    assert set(state.facts) == {"read", "write", "publish"}
    assert state.intents == {}
    assert state.parked == {}


def test_ordinary_failures_and_crashes_of_a_state_are_counted_apart() -> None:
    """D2, M10."""
    steps = folded(full_history()).steps

    assert (steps[B].attempts, steps[B].failures, steps[B].orphans) == (2, 1, 0)
    assert (steps[C].attempts, steps[C].failures) == (3, 0)


def test_a_decision_of_an_operator_gives_a_state_its_crash_budget_back() -> None:
    history = [started(), entered(A, 0, INITIAL), orphaned(A), entered(A, 1, INITIAL), orphaned(A)]
    parked = [*history, e.RunParked("crash_budget_spent", None, A)]
    resolved = e.EffectResolved(e.Resolution.RETRY, "local:ada", None, None, "again", A)

    assert folded(parked).steps[A].orphans == 2
    assert folded([*parked, resolved]).steps[A].orphans == 0


def test_only_a_completed_state_moves_the_checkpoint() -> None:
    """M1, I7: a diagnostic snapshot of a failure is no boundary."""
    state = folded([started(), entered(A, 0, INITIAL), failed(A, snapshot=DIAGNOSTIC)])

    assert (state.checkpoint, state.steps[A].base) == (INITIAL, INITIAL)
    assert state.steps[A].status is StepStatus.FAILED


def test_a_settled_effect_is_no_longer_in_doubt() -> None:
    state = folded([started(), entered(A, 0, INITIAL), intended("write", A)])
    assert set(state.intents) == {"write"}

    settled = evolve(state, e.EffectSettled("outside_refused", "write"), place(4))
    assert settled.intents == {}


def place(seq: int) -> Place:
    return Place(STREAM, seq, START_MS, "system:engine", None)


def test_abandoning_an_effect_is_remembered_until_the_run_has_ended() -> None:
    history = full_history()[:24]
    state = folded([*history, e.EffectResolved(e.Resolution.ABANDON, "local:ada", "publish", None, "no", C)])

    assert state.abandoned == C
    assert not state.parked
    assert not state.intents


def test_events_for_people_change_nothing_but_their_place() -> None:
    """P6."""
    history = [started(), entered(A, 0, INITIAL)]
    noise = [noted(), e.ArtifactWritten(snap(70), "Other", msgspec.Raw(b"{}"))]
    plain, noisy = folded(history), folded([*history, *noise])

    assert noisy.seq == 4
    noisy.seq = plain.seq
    assert noisy == plain


@pytest.mark.parametrize("length", range(1, 31))
def test_a_snapshot_of_any_state_restores_to_the_same_state(length: int) -> None:
    """I15: a cached fold is the fold."""
    assert RUN_FOLD.save is not None
    assert RUN_FOLD.restore is not None
    state = folded(full_history()[:length])

    assert RUN_FOLD.save(RUN_FOLD.restore(RUN_FOLD.save(state))) == RUN_FOLD.save(state)
    assert without_errors(RUN_FOLD.restore(RUN_FOLD.save(state))) == without_errors(state)


def without_errors(state: RunState) -> RunState:
    """Errors hold raw JSON, which compares by identity."""
    for step in state.steps.values():
        step.error = None
    return state


def replaced(number: int, record: Struct) -> Mutation:
    return lambda history: [*history[: number - 1], record, *history[number:]]


def dropped(number: int) -> Mutation:
    return lambda history: history[: number - 1] + history[number:]


def doubled(number: int) -> Mutation:
    return lambda history: history[:number] + history[number - 1 :]


def added(number: int, record: Struct) -> Mutation:
    return lambda history: [*history[:number], record, *history[number:]]


IMPOSSIBLE: dict[str, Mutation] = {
    "I2 no start": dropped(1),
    "I2 start after another event": lambda history: [history[1], history[0], *history[2:]],
    "D6 doubled start": doubled(1),
    "D6 start again at the end of an attempt": added(7, started()),
    "D6 event after the end": added(30, noted()),
    "M18 doubled end": doubled(30),
    "I3 end with an open attempt": replaced(29, ended(AFTER_B)),
    "I16 another final snapshot": replaced(30, ended(AFTER_B)),
    "I16 the diagnostic snapshot at the end": replaced(30, ended(DIAGNOSTIC)),
    "I4 doubled entry": doubled(4),
    "M9 entry while the orphan is open": dropped(19),
    "M2 first attempt is number 1": replaced(4, entered(A, 1, INITIAL)),
    "I4 attempt number left out": replaced(13, entered(B, 2, AFTER_A)),
    "I4 attempt number used again": replaced(13, entered(B, 0, AFTER_A)),
    "I5 first base is not the initial snapshot": replaced(4, entered(A, 0, AFTER_A)),
    "I5 retry from another base": replaced(13, entered(B, 1, INITIAL)),
    "M1 retry from the diagnostic snapshot": replaced(13, entered(B, 1, DIAGNOSTIC)),
    "I6 first base is not the checkpoint": replaced(8, entered(B, 0, INITIAL)),
    "I4 completed without entry": dropped(4),
    "I4 another state completes": replaced(7, completed(B, AFTER_A)),
    "I4 another state fails": replaced(11, failed(A)),
    "I4 doubled completion": doubled(7),
    "I4 doubled failure": doubled(11),
    "I10 a completed state is entered again": added(7, entered(A, 1, INITIAL)),
    "I12 a fact is bound to another payload": added(5, fact("read", snap(66))),
    "I4 an effect is intended outside of an attempt": added(7, intended("late", A)),
    "I4 an effect is intended for another state": replaced(9, intended("write", A)),
    "an effect is settled that nobody intended": dropped(9),
    "I4 an effect is settled outside of an attempt": lambda history: [*history[:9], history[10], history[9]],
    "a retry is scheduled for a state that did not fail": replaced(12, e.RetryScheduled(START_MS, A)),
    "a retry is scheduled for a state that was never entered": replaced(12, e.RetryScheduled(START_MS, C)),
    "an owner's epoch is left out": replaced(18, claimed(3)),
    "an owner's epoch is used again": replaced(18, claimed(1)),
    "the plan is recorded twice": doubled(2),
    "I4 parked while an attempt is open": dropped(22),
    "I4 entered while parked": dropped(25),
    "a decision about another effect": replaced(
        25, e.EffectResolved(e.Resolution.ADOPT, "local:ada", "other", PAYLOAD, "I looked", C)
    ),
    "a decision about another state": replaced(
        25, e.EffectResolved(e.Resolution.ADOPT, "local:ada", "publish", PAYLOAD, "I looked", A)
    ),
    "a decision about nothing": dropped(23),
    "a decision twice": doubled(25),
    "parked twice": doubled(23),
    "parked at a state that was never entered": lambda history: [
        *history[:22],
        e.RunParked("side_effect_outcome_unknown", "publish", "demo.x.main"),
        e.EffectResolved(e.Resolution.RETRY, "local:ada", "publish", None, "again", "demo.x.main"),
    ],
    "the inbox is taken twice": doubled(27),
    "I11 entered again after a failure that cannot be retried": replaced(11, failed(B, retryable=False)),
    "I10 completed while a state has failed": lambda history: [*history[:11], ended(AFTER_A)],
    "a record of the inbox": replaced(6, i.ResolutionRequested(e.Resolution.RETRY, None, None, "", STREAM, A)),
}


@pytest.mark.parametrize("mutation", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_history_that_breaks_one_rule_is_refused_with_its_place(mutation: Mutation) -> None:
    """D6, I1, I2, I3, I4, I5, I6, I7, I10, I11, I12, M1, M2, M9, M18."""
    with pytest.raises(Corruption) as caught:
        folded(mutation(full_history()))

    assert caught.value.code == "run_corrupt"
    assert isinstance(caught.value.details["seq"], int)


def test_a_retry_that_fails_for_good_ends_the_counting_of_attempts() -> None:
    """M11: what fails without a retry stays failed."""
    state = folded([started(), entered(A, 0, INITIAL), failed(A, retryable=False), ended(INITIAL, e.RunStatus.FAILED)])

    assert (state.status, state.steps[A].attempts, state.steps[A].failures) == ("failed", 1, 1)
