"""What a run does next, as a pure function of its history."""

from __future__ import annotations

import pytest
from msgspec import Raw, Struct

from interlock.base.errors import InterlockError
from interlock.engine import events as e
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.decide import (
    Decision,
    End,
    Enter,
    Stop,
    check_history,
    completed_states,
    decide,
    failure,
    may_retry,
)
from interlock.engine.errors import own_error
from interlock.engine.meta import StateMeta
from interlock.engine.plan import DependencyEdge, ExecutionPlan, StateNode
from interlock.engine.schedule import ReadyStates
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
    Idle,
    chain_plan,
    completed,
    ended,
    entered,
    fact,
    failed,
    folded,
    intended,
    node,
    orphaned,
    started,
)

TWICE = RunConfig(retry_policy=RetryPolicy.fixed(2))
CRASH_BUDGET = 3


def decided(
    history: list[Struct],
    *,
    plan: ExecutionPlan | None = None,
    config: RunConfig | None = None,
    now_ms: int = START_MS,
) -> Decision:
    plan = plan or chain_plan()
    state = folded(history)
    ready = ReadyStates(plan, completed_states(state), state.steps)
    return decide(state, plan, ready, config or RunConfig(), now_ms, CRASH_BUDGET)


def codes(records: list[Struct]) -> list[str]:
    return [each.error.info.code if isinstance(each, e.StateFailed) else type(each).__name__ for each in records]


def test_a_new_run_enters_its_first_state_as_attempt_0_on_the_initial_snapshot() -> None:
    """C4, I5, M2."""
    assert decided([started()]) == Enter(0, (entered(A, 0, INITIAL),))


def test_after_a_completed_state_the_next_one_enters_on_its_snapshot() -> None:
    """C15, I6."""
    decision = decided([started(), entered(A, 0, INITIAL), completed(A, AFTER_A)])

    assert decision == Enter(1, (entered(B, 0, AFTER_A),))


def test_an_orphan_is_closed_and_entered_again_on_its_base_in_one_append() -> None:
    """C5, C6, C13, C14, C16, F14, D1, D2, M4, M9: one decision holds both events, so one append does."""
    decision = decided([started(), entered(A, 0, INITIAL)])

    assert isinstance(decision, Enter)
    closure, again = decision.records
    assert codes([closure]) == ["orphan_attempt_recovered"]
    assert again == entered(A, 1, INITIAL)


def test_a_second_crash_closes_the_second_attempt_and_enters_the_third() -> None:
    """C23, D1, M9."""
    decision = decided([started(), entered(A, 0, INITIAL), orphaned(A), entered(A, 1, INITIAL)])

    assert isinstance(decision, Enter)
    assert [type(each) for each in decision.records] == [e.StateFailed, e.StateEntered]
    assert decision.records[1] == entered(A, 2, INITIAL)


def test_a_closed_orphan_that_was_not_entered_again_is_entered_as_if_the_crash_had_come_later() -> None:
    """C22, D2: also where one attempt is allowed."""
    decision = decided([started(), entered(A, 0, INITIAL), orphaned(A)])

    assert decision == Enter(0, (entered(A, 1, INITIAL),))


def test_crashes_spend_no_retry_budget() -> None:
    """D2, M10, C16: two crashes and one failure leave a second attempt of two."""
    history = [
        started(),
        entered(A, 0, INITIAL),
        orphaned(A),
        entered(A, 1, INITIAL),
        orphaned(A),
        entered(A, 2, INITIAL),
        failed(A),
    ]

    assert decided(history, config=TWICE) == Enter(0, (entered(A, 3, INITIAL),))


def test_a_failure_before_a_crash_still_counts() -> None:
    """M10, M11."""
    history = [
        started(),
        entered(A, 0, INITIAL),
        failed(A),
        entered(A, 1, INITIAL),
        orphaned(A),
        entered(A, 2, INITIAL),
        failed(A),
    ]

    assert decided(history, config=TWICE) == End((ended(INITIAL, e.RunStatus.FAILED),))


def test_a_state_that_keeps_ending_its_process_is_parked() -> None:
    """D3."""
    history: list[Struct] = [started()]
    for attempt in range(CRASH_BUDGET):
        history += [entered(A, attempt, INITIAL), orphaned(A)]
    decision = decided([*history, entered(A, CRASH_BUDGET, INITIAL)])

    assert isinstance(decision, Stop)
    assert decision.kind == "parked"
    assert codes(list(decision.records)) == ["orphan_attempt_recovered", "RunParked"]
    assert isinstance(decision.records[1], e.RunParked)
    assert (decision.records[1].code, decision.records[1].fact_key) == ("crash_budget_spent", None)


def test_an_effect_without_a_key_that_may_have_been_sent_parks_the_run() -> None:
    """C7, C8, C9, F6."""
    decision = decided([started(), entered(A, 0, INITIAL), intended("publish", A)])

    assert isinstance(decision, Stop)
    assert codes(list(decision.records)) == ["side_effect_outcome_unknown", "RunParked"]
    assert isinstance(decision.records[1], e.RunParked)
    assert decision.records[1].fact_key == "publish"


@pytest.mark.parametrize("settled_by", [fact("publish"), e.EffectSettled("outside_refused", "publish")])
def test_an_effect_whose_outcome_is_known_is_no_reason_to_park(settled_by: Struct) -> None:
    """C10, F8."""
    decision = decided([started(), entered(A, 0, INITIAL), intended("publish", A), settled_by])

    assert isinstance(decision, Enter)


def test_an_effect_with_a_key_is_sent_again() -> None:
    """C7, F6: the outside absorbs it."""
    assert isinstance(decided([started(), entered(A, 0, INITIAL), intended("publish", A, "key")]), Enter)


def test_a_parked_run_waits() -> None:
    history = [started(), entered(A, 0, INITIAL), orphaned(A), e.RunParked("crash_budget_spent", None, A)]

    assert decided(history) == Stop((), "parked")


@pytest.mark.parametrize("action", [e.Resolution.ADOPT, e.Resolution.RETRY])
def test_a_resolved_effect_lets_its_state_go_on(action: e.Resolution) -> None:
    """The closure of an attempt in doubt spends no retry budget either."""
    history = parked_effect(action)

    assert decided(history) == Enter(0, (entered(A, 1, INITIAL),))


def parked_effect(action: e.Resolution) -> list[Struct]:
    return [
        started(),
        entered(A, 0, INITIAL),
        intended("publish", A),
        failed(A, "side_effect_outcome_unknown"),
        e.RunParked("side_effect_outcome_unknown", "publish", A),
        e.EffectResolved(action, "local:ada", "publish", PAYLOAD, "I looked", A),
    ]


def test_an_abandoned_effect_fails_the_run() -> None:
    assert decided(parked_effect(e.Resolution.ABANDON)) == End((ended(INITIAL, e.RunStatus.FAILED),))


def test_a_failure_that_cannot_be_retried_ends_the_run_without_a_handler() -> None:
    """C19, F13, I11, M11."""
    history = [started(), entered(A, 0, INITIAL), failed(A, retryable=False)]

    assert decided(history, config=TWICE) == End((ended(INITIAL, e.RunStatus.FAILED),))


@pytest.mark.parametrize(("allowed", "failures", "again"), [(1, 1, False), (2, 1, True), (2, 2, False), (3, 2, True)])
def test_the_first_execution_counts_among_the_attempts(allowed: int, failures: int, *, again: bool) -> None:
    """M11, I11."""
    history: list[Struct] = [started()]
    for attempt in range(failures):
        history += [entered(A, attempt, INITIAL), failed(A)]
    config = RunConfig(retry_policy=RetryPolicy.fixed(allowed))

    assert isinstance(decided(history, config=config), Enter) is again


def test_a_state_has_its_own_policy_before_that_of_the_run() -> None:
    plan = chain_plan(node(A, retry=RetryPolicy.fixed(2)))
    history = [started(), entered(A, 0, INITIAL), failed(A)]

    assert isinstance(decided(history, plan=plan), Enter)
    assert isinstance(decided(history, plan=chain_plan(node(A)), config=RunConfig()), End)


def test_a_failed_run_ends_on_the_last_good_snapshot() -> None:
    """I16, M1: never on the diagnostic one."""
    history = [
        started(),
        entered(A, 0, INITIAL),
        completed(A, AFTER_A),
        entered(B, 0, AFTER_A),
        failed(B, retryable=False, snapshot=DIAGNOSTIC),
    ]

    assert decided(history) == End((ended(AFTER_A, e.RunStatus.FAILED),))


def test_a_back_off_is_waited_out_and_then_the_state_is_entered_on_the_same_base() -> None:
    """C18, F12, P9."""
    history = [started(), entered(A, 0, INITIAL), failed(A), e.RetryScheduled(START_MS + 500, A)]

    assert decided(history, config=TWICE, now_ms=START_MS + 499) == Stop((), "backoff", START_MS + 500)
    assert decided(history, config=TWICE, now_ms=START_MS + 500) == Enter(0, (entered(A, 1, INITIAL),))


def test_when_every_state_has_completed_the_run_is_completed_without_a_handler() -> None:
    """C20, F13."""
    history = [started(), entered(A, 0, INITIAL), completed(A, AFTER_A)]
    plan = chain_plan(node(A))

    assert decided(history, plan=plan) == End((ended(AFTER_A),))


def test_an_ended_run_has_nothing_more_to_record() -> None:
    """C21, M18, P2."""
    history = [started(), entered(A, 0, INITIAL), completed(A, AFTER_A), ended(AFTER_A)]

    assert decided(history, plan=chain_plan(node(A))) == End(())


def test_a_state_with_a_skipped_tag_is_entered_to_be_skipped() -> None:
    """P13, C24, M15: also after a crash in the middle of skipping it."""
    plan = chain_plan(StateNode(A, Idle(StateMeta(tags=("impure", "slow")))))
    config = RunConfig(skip_tags=("other", "slow"))

    histories: list[list[Struct]] = [[started()], [started(), entered(A, 0, INITIAL)]]
    for history in histories:
        decision = decided(history, plan=plan, config=config)
        assert isinstance(decision, Enter)
        assert decision.skip


def test_the_failure_of_an_attempt_with_a_retry_left_schedules_it() -> None:
    """P9."""
    state = folded([started(), entered(A, 0, INITIAL)])
    policy = RetryPolicy.exponential(3, 100, 1_000)
    info = own_error("broke", "it broke", retryable=True)

    records = failure(state, node(A), RunConfig(retry_policy=policy), info, None, START_MS, DIAGNOSTIC)

    assert isinstance(records[0], e.StateFailed)
    assert records[0].failure_snapshot_id == DIAGNOSTIC
    assert records[1] == e.RetryScheduled(START_MS + 100, A)


def test_the_delay_doubles_with_ordinary_failures_and_not_with_crashes() -> None:
    """P9, M10."""
    policy = RetryPolicy.exponential(9, 100, 10_000)
    history = [
        started(),
        entered(A, 0, INITIAL),
        orphaned(A),
        entered(A, 1, INITIAL),
        failed(A),
        entered(A, 2, INITIAL),
    ]
    info = own_error("broke", "it broke", retryable=True)

    records = failure(folded(history), node(A), RunConfig(retry_policy=policy), info, None, START_MS)

    assert records[1] == e.RetryScheduled(START_MS + 200, A)


@pytest.mark.parametrize(("attempts", "retryable"), [(1, True), (2, False)])
def test_the_last_failure_schedules_nothing(attempts: int, *, retryable: bool) -> None:
    """M11."""
    state = folded([started(), entered(A, 0, INITIAL)])
    config = RunConfig(retry_policy=RetryPolicy.fixed(attempts, 100))
    info = own_error("broke", "it broke", retryable=retryable)

    assert len(failure(state, node(A), config, info, None, START_MS)) == 1


def test_a_failure_with_an_effect_in_doubt_parks_whatever_the_handler_raised() -> None:
    """The same rule holds for retries within a process."""
    state = folded([started(), entered(A, 0, INITIAL), intended("publish", A)])
    info = own_error("broke", "it broke", retryable=False)

    records = failure(state, node(A), RunConfig(), info, "publish", START_MS)

    assert codes(records) == ["side_effect_outcome_unknown", "RunParked"]


def test_a_step_that_has_not_failed_has_no_retry() -> None:
    assert not may_retry(folded([started(), entered(A, 0, INITIAL)]).steps[A], RetryPolicy.fixed(9))


def drift(history: list[Struct], plan: ExecutionPlan) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        check_history(folded(history), plan)
    assert caught.value.code == "plan_drifted"
    return caught.value


def test_a_history_with_a_state_that_the_plan_lacks_is_refused_with_its_name() -> None:
    """DR1."""
    fault = drift([started(), entered(A, 0, INITIAL)], chain_plan(node(B)))

    assert fault.details["states"] == [A]


def test_a_history_in_which_a_state_completed_before_its_predecessor_is_refused() -> None:
    """DR2."""
    history = [started(), entered(B, 0, INITIAL), completed(B, AFTER_B)]

    drift(history, ExecutionPlan("demo", "1", (node(A), node(B)), (DependencyEdge(A, B),)))


def test_another_plan_with_the_same_states_is_refused() -> None:
    """DR3."""
    plan = chain_plan()
    history: list[Struct] = [started(), e.PlanRecorded(Raw(b"{}"), plan.fingerprint, "1", None)]

    check_history(folded(history), plan)
    drift(history, ExecutionPlan("demo", "1", plan.states, plan.edges[:1]))


def test_every_completed_history_ends_after_its_last_state() -> None:
    """I10."""
    history: list[Struct] = [started()]
    for state_id, base, after in ((A, INITIAL, AFTER_A), (B, AFTER_A, AFTER_B), (C, AFTER_B, AFTER_C)):
        assert isinstance(decided(history), Enter)
        history += [entered(state_id, 0, base), completed(state_id, after)]

    assert decided(history) == End((ended(AFTER_C),))
