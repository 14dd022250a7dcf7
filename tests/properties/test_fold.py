"""The fold against the independent checker, over histories that were damaged at random."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from interlock.base.errors import Corruption
from interlock.engine import events as e
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.decide import decide
from interlock.engine.schedule import ReadyStates
from interlock.testing.checker import InvariantBroken, check_run
from tests.simulation.histories import START_MS, chain_plan, folded, full_history, recorded

FULL = full_history()
PLACES = st.integers(min_value=0, max_value=len(FULL) - 1)
# The fold takes what the contract tolerates: domain events between attempts, a fact bound again to the same payload.
# Edges and attempts allowed are the plan's, which it does not know.
BEYOND_THE_FOLD = ("I9", "I11", "P9")
TOLERATED = (e.DomainEmitted, e.ArtifactWritten, e.FactRecorded)


@st.composite
def damaged(draw: st.DrawFn) -> list[Struct]:
    """The full history with one or two changes: an event dropped, doubled, moved, swapped, or taken for another."""
    history = list(FULL)
    for _ in range(draw(st.integers(min_value=1, max_value=2))):
        one, two = draw(PLACES) % len(history), draw(PLACES) % len(history)
        match draw(st.sampled_from(["drop", "double", "move", "swap", "replace", "cut"])):
            case "drop":
                del history[one]
            case "double":
                history.insert(one, history[one])
            case "move":
                history.insert(two, history.pop(one))
            case "swap":
                history[one], history[two] = history[two], history[one]
            case "replace":
                history[one] = history[two]
            case "cut":
                history = history[: max(one, 1)]
    return history


@given(damaged())
def test_what_the_checker_refuses_the_fold_refuses_as_corrupt_and_never_otherwise(history: list[Struct]) -> None:
    """D6, I1, I2, I3, I4, I5, I6, I7, I10, I12, I16: two descriptions of the same rules agree."""
    broken = None
    try:
        check_run(recorded(history), policy=RetryPolicy.fixed(2))
    except InvariantBroken as fault:
        broken = fault
    refused = False
    try:
        folded(history)
    except Corruption as fault:
        refused = fault.code == "run_corrupt"

    if broken is not None and broken.invariant not in BEYOND_THE_FOLD:
        tolerated = isinstance(history[broken.seq - 1], TOLERATED)
        assert refused or tolerated, broken


@given(st.lists(st.integers(min_value=0, max_value=2**53 - 1), min_size=len(FULL), max_size=len(FULL)), PLACES)
def test_recorded_times_change_no_decision(times_ms: list[int], length: int) -> None:
    """P7, M8: any times, in any order, lead to the same decision."""
    plan, config = chain_plan(), RunConfig(retry_policy=RetryPolicy.fixed(2))
    decisions = []
    for times in (None, times_ms):
        state = folded(FULL[: length + 1], times)
        done = {state_id for state_id, step in state.steps.items() if step.status == "completed"}
        decisions.append(decide(state, plan, ReadyStates(plan, done, state.steps), config, START_MS, 5))

    assert decisions[0] == decisions[1]


@given(st.sets(PLACES))
def test_dropping_domain_events_changes_nothing_that_a_run_depends_on(chosen: set[int]) -> None:
    """P6."""
    kept = [
        record for place, record in enumerate(FULL) if place not in chosen or not isinstance(record, e.DomainEmitted)
    ]
    full, less = folded(FULL), folded(kept)
    less.seq = full.seq

    for state in (full, less):
        for step in state.steps.values():
            step.error = None
    assert less == full
