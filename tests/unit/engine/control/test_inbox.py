"""What an operator decides about a parked step, and how it reaches the run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.events import Place
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.control import inbox_events as i
from interlock.engine.control.inbox import consequence
from interlock.engine.fold import evolve
from interlock.engine.io.live import LiveIo
from interlock.engine.run_state import RunState
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import RUN_ID, World, records
from tests.simulation.histories import (
    INITIAL,
    PAYLOAD,
    STREAM,
    A,
    entered,
    failed,
    folded,
    intended,
    orphaned,
    snap,
    started,
)
from tests.simulation.outside import TIMED_OUT
from tests.simulation.plans import single, unkeyed, write

ADA = local_principal("ada")
PARKED: list[Struct] = [
    started(),
    entered(A, 0, INITIAL),
    intended("pay", A),
    failed(A, "side_effect_outcome_unknown"),
    e.RunParked("side_effect_outcome_unknown", "pay", A),
]


def entry(
    action: e.Resolution, *, key: str | None = "pay", state_id: str = A, payload: str | None = None, seq: int = 1
) -> tuple[Place, Struct]:
    request = i.ResolutionRequested(action, key, payload, "I looked", STREAM, state_id)
    return Place(f"{STREAM}/inbox", seq, 0, "local:ada", None), request


def consequences(state: RunState, entries: Sequence[tuple[Place, Struct]]) -> list[Struct]:
    """What the owner records for entries, as it takes them one after the other."""
    taken: list[Struct] = []
    for place, each in entries:
        for record in consequence(state, place, each, {}):
            state = evolve(state, record, Place(STREAM, state.seq + 1, 0, "system:engine", None))
            taken.append(record)
    return [*taken, *([e.InboxTaken(entries[-1][0].seq)] if entries else [])]


def test_an_empty_inbox_has_no_consequence() -> None:
    assert consequences(folded(PARKED), []) == []


def test_an_adopted_result_is_bound_as_the_fact_of_the_request_that_was_intended() -> None:
    taken = consequences(folded(PARKED), [entry(e.Resolution.ADOPT, payload=PAYLOAD)])

    assert taken == [
        e.EffectResolved(e.Resolution.ADOPT, "local:ada", "pay", PAYLOAD, "I looked", A),
        e.FactRecorded("pay", "json", PAYLOAD, snap(90)),
        e.InboxTaken(1),
    ]


@pytest.mark.parametrize("action", [e.Resolution.RETRY, e.Resolution.ABANDON])
def test_a_decision_is_recorded_with_who_made_it_and_why(action: e.Resolution) -> None:
    taken = consequences(folded(PARKED), [entry(action)])

    assert taken == [e.EffectResolved(action, "local:ada", "pay", None, "I looked", A), e.InboxTaken(1)]


def test_a_second_decision_is_taken_and_ignored() -> None:
    entries = [entry(e.Resolution.RETRY, seq=4), entry(e.Resolution.ABANDON, seq=5)]
    taken = consequences(folded(PARKED), entries)

    assert [type(each) for each in taken] == [e.EffectResolved, e.InboxTaken]
    assert taken[-1] == e.InboxTaken(5)


@pytest.mark.parametrize(
    "stray",
    [
        entry(e.Resolution.RETRY, key="other"),
        entry(e.Resolution.RETRY, state_id="demo.b.main"),
        entry(e.Resolution.RETRY, key=None),
    ],
)
def test_a_decision_about_something_else_is_taken_and_ignored(stray: tuple[Place, Struct]) -> None:
    assert consequences(folded(PARKED), [stray]) == [e.InboxTaken(1)]


def test_a_decision_that_finds_nothing_parked_is_taken_and_ignored() -> None:
    assert consequences(folded(PARKED[:3]), [entry(e.Resolution.RETRY)]) == [e.InboxTaken(1)]


def test_a_state_that_was_parked_for_its_crashes_goes_on() -> None:
    state = folded([started(), entered(A, 0, INITIAL), orphaned(A), e.RunParked("crash_budget_spent", None, A)])
    taken = consequences(state, [entry(e.Resolution.RETRY, key=None)])

    assert [type(each) for each in taken] == [e.EffectResolved, e.InboxTaken]


async def parked() -> World:
    """A run whose payment nobody knows the outcome of; it was made."""
    world = World(unkeyed, faults=lambda outside: outside.fail("pay", TIMED_OUT, applied=True))
    await world.live()
    assert world.result is not None
    assert world.result.waiting is not None
    assert world.result.waiting.kind == "parked"
    return world


async def resolved(world: World, action: e.Resolution, *, adopt: object = None) -> None:
    runs = world.process().runs
    await runs.control.resolve(RUN_ID, "pay", action, "I looked", adopt=adopt, principal=ADA)
    await world.live()


@over_seeds(3)
async def test_an_adopted_result_is_what_the_call_gives_and_nothing_is_sent_again() -> None:
    """C7: table of side effects, no key, outcome unknown."""
    world = await parked()
    await resolved(world, e.Resolution.ADOPT, adopt={"name": "pay", "state": "I saw it"})

    assert world.result is not None
    assert (world.result.phase, world.outside.count("pay")) == ("completed", 1)
    assert await world.context() == {"before": 1, "pay": 2, "after": 3}


@over_seeds(3)
async def test_a_retried_effect_is_sent_again() -> None:
    world = await parked()
    await resolved(world, e.Resolution.RETRY)

    assert world.result is not None
    assert (world.result.phase, world.outside.count("pay")) == ("completed", 2)


@over_seeds(3)
async def test_an_abandoned_effect_fails_the_run_and_nothing_is_sent_again() -> None:
    world = await parked()
    await resolved(world, e.Resolution.ABANDON)

    assert world.result is not None
    assert (world.result.phase, world.outside.count("pay")) == ("failed", 1)
    assert records(world.log)[-1].status is e.RunStatus.FAILED


@over_seeds(0)
async def test_a_parked_run_stays_parked_until_somebody_decides() -> None:
    world = await parked()
    for _ in range(3):
        await world.live()

    assert world.result is not None
    assert world.result.waiting is not None
    assert (world.result.waiting.kind, world.outside.count("pay")) == ("parked", 1)


@over_seeds(0)
async def test_a_retried_effect_whose_outcome_is_unknown_again_parks_again() -> None:
    world = await parked()
    world.outside.fail("pay", TIMED_OUT)
    await resolved(world, e.Resolution.RETRY)
    assert isinstance(records(world.log)[-1], e.RunParked)

    await resolved(world, e.Resolution.ADOPT, adopt={"name": "pay", "state": "done"})
    assert world.result is not None
    assert (world.result.phase, world.outside.count("pay")) == ("completed", 2)


@over_seeds(0)
async def test_a_step_is_named_by_its_short_or_its_whole_name() -> None:
    world = await parked()
    await world.process().runs.control.resolve(RUN_ID, "unkeyed.pay.main", e.Resolution.RETRY, "go", principal=ADA)
    await world.live()

    assert world.result is not None
    assert world.result.phase == "completed"


async def refusal(world: World, step: str, action: e.Resolution, adopt: object = None) -> str:
    with pytest.raises(InterlockError) as caught:
        await world.process().runs.control.resolve(RUN_ID, step, action, "I looked", adopt=adopt, principal=ADA)
    return caught.value.code


@over_seeds(0)
async def test_only_a_parked_step_is_resolved() -> None:
    world = await parked()
    assert await refusal(world, "before", e.Resolution.RETRY) == "resolve_invalid"
    await resolved(world, e.Resolution.RETRY)

    assert await refusal(world, "pay", e.Resolution.RETRY) == "resolve_invalid"


@over_seeds(0)
async def test_an_order_that_is_refused_leaves_nothing_of_its_value() -> None:
    world = await parked()
    artifacts = world.process().store.artifacts
    before = await artifacts.scan("", 100)

    assert await refusal(world, "before", e.Resolution.ADOPT, {"name": "nobody's"}) == "resolve_invalid"
    assert await artifacts.scan("", 100) == before


def test_a_run_that_does_not_exist_is_not_resolved() -> None:
    assert run(refusal_without_run()) == "run_not_found"


async def refusal_without_run() -> str:
    return await refusal(World(unkeyed), "pay", e.Resolution.RETRY)


@over_seeds(0)
async def test_a_secret_is_not_adopted() -> None:
    """P17."""
    world = await parked()

    assert await refusal(world, "pay", e.Resolution.ADOPT, {"password": "hunter2 hunter2"}) == "secrets_detected"


@over_seeds(0)
async def test_a_command_that_is_given_twice_decides_once() -> None:
    world = await parked()
    runs = world.process().runs
    for _ in range(2):
        await runs.control.resolve(RUN_ID, "pay", e.Resolution.RETRY, "go", principal=ADA, command_id="once")
    with pytest.raises(InterlockError, match="command_id_conflict"):
        await runs.control.resolve(RUN_ID, "pay", e.Resolution.ABANDON, "no", principal=ADA, command_id="once")
    await world.live()

    assert [each for each in records(world.log) if isinstance(each, e.InboxTaken)] == [e.InboxTaken(1)]


@over_seeds(0)
async def test_a_state_that_kept_crashing_has_no_effect_to_adopt() -> None:
    """D3."""

    async def only(io: LiveIo) -> None:
        await io.call(write("a", idempotency_key="key"))

    world = World(single(only, side_effects="apply_side_effect"), settings={"engine": {"crash_budget": 1}})
    for _ in range(2):
        await world.live(crash_on="send:after")
    await world.live()
    last = records(world.log)[-1]
    assert isinstance(last, e.RunParked)
    assert last.code == "crash_budget_spent"

    assert await refusal(world, "only", e.Resolution.ADOPT, {}) == "resolve_invalid"
    await world.process().runs.control.resolve(RUN_ID, "only", e.Resolution.RETRY, "mended", principal=ADA)
    await world.live()
    assert world.result is not None
    assert (world.result.phase, world.outside.applied["a"]) == ("completed", 1)
