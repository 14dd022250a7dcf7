"""What becomes of attempts: failures, back-off, time limits, skipping, interruption, and damage met on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from interlock.base.canonical import digest
from interlock.base.errors import InterlockError
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import ErrorCategory, StateFailure
from interlock.engine.io.live import LiveIo
from interlock.journal.errors import DISK_FULL
from interlock.stores.memory import MemoryStore
from interlock.testing.app import dump, memory_app, read_run
from interlock.testing.checker import check_run
from interlock.testing.clock import VirtualClock
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import RUN_ID, World, effective, error_of, records
from tests.simulation.outside import BUSY
from tests.simulation.plans import dry, failing, flaky, numbers, read, release, single
from tests.unit.engine.lives import lived, phase

TOKEN = "ghp" + "_" + "a1B2c3D4e5F6" * 3
OTHER_ID = "01890a5d-ac96-774b-bcce-b302099a8058"


@over_seeds(0)
async def test_a_failing_state_fails_the_run_and_raises_nothing() -> None:
    world = await lived(failing)

    assert (phase(world), error_of(world)) == ("failed", "broken")
    assert await world.context() == {"before": 1}


@over_seeds(2)
async def test_a_retryable_failure_is_tried_again_with_the_same_base() -> None:
    """M1, M11, I5, I7: though a diagnostic snapshot was kept."""
    world = await lived(flaky, faults=lambda outside: outside.fail("service", BUSY, BUSY))
    kept = [each for each in records(world.log) if isinstance(each, e.StateFailed)]
    bases = {
        each.base_snapshot_id
        for each in records(world.log)
        if isinstance(each, e.StateEntered) and each.state_id.endswith("calling.main")
    }

    assert phase(world) == "completed"
    assert len(kept) == 2
    assert len(bases) == 1
    assert {each.failure_snapshot_id for each in kept} - bases
    assert await world.context() == {"before": 1, "calling": 2, "after": 3}


@over_seeds(0)
async def test_a_state_that_wants_none_keeps_no_diagnostic_snapshot() -> None:
    world = await lived(failing)

    assert [each.failure_snapshot_id for each in records(world.log) if isinstance(each, e.StateFailed)] == [None]


@over_seeds(0)
async def test_a_long_back_off_is_given_back_and_taken_up_when_it_is_due() -> None:
    """C18, F12, P9: release until the time, no timer needed."""
    tried: list[int] = []

    async def only() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise StateFailure("broke", "it broke", retryable=True)

    world = await lived(single(only, retry=RetryPolicy.fixed(2, 3_600_000)))
    app = world.process()
    due_ms = await app.store.activations.due("default", ["run"], 0)
    assert world.result is not None
    assert world.result.waiting is not None
    assert world.result.waiting.kind == "backoff"
    assert due_ms == world.result.waiting.until_ms == world.log[-1].envelope.at_ms + 3_600_000

    await world.live()
    assert (len(tried), world.result.waiting.kind) == (1, "backoff")

    await asyncio.sleep(3_600)
    await world.live()
    assert (len(tried), phase(world)) == (2, "completed")


def test_a_delay_beyond_all_time_still_leaves_a_run_that_can_be_read() -> None:
    """P9."""

    async def scenario() -> None:
        async def only() -> None:
            raise StateFailure("broke", "it broke", retryable=True)

        world = await lived(single(only, retry=RetryPolicy.fixed(2, 2**53 - 1)))
        assert world.result is not None
        assert world.result.waiting is not None
        assert world.result.waiting.kind == "backoff"

    run(scenario())


@over_seeds(0)
async def test_a_state_that_takes_too_long_fails_and_may_be_tried_again() -> None:
    tried: list[int] = []

    async def only() -> None:
        tried.append(1)
        if len(tried) == 1:
            await asyncio.sleep(60)

    world = await lived(single(only, timeout_ms=1_000, retry=RetryPolicy.fixed(2)))

    assert (phase(world), error_of(world), len(tried)) == ("completed", "state_timeout", 2)


@over_seeds(0)
async def test_a_time_out_of_the_handlers_own_is_not_taken_for_the_states() -> None:
    async def only() -> None:
        raise TimeoutError("its own")

    assert error_of(await lived(single(only, timeout_ms=1_000))) == "handler_exception"


@over_seeds(0)
async def test_skipped_states_call_nothing_and_keep_their_base() -> None:
    """P13, M15: a dry run makes no effect."""
    world = await lived(dry, config=RunConfig(skip_tags=("apply_side_effect", "slow")))
    entered = {each.state_id: each.base_snapshot_id for each in records(world.log) if isinstance(each, e.StateEntered)}
    done = {
        each.state_id: each.context_snapshot_id for each in records(world.log) if isinstance(each, e.StateCompleted)
    }

    assert phase(world) == "completed"
    assert world.outside.deliveries == []
    assert [state_id for state_id in done if entered[state_id] == done[state_id]] == [
        "dry.apply_it.main",
        "dry.slow.main",
    ]
    assert [name for name, _ in effective(world.log)] == ["dry.apply_it.main", "dry.slow.main"]


@over_seeds(10)
async def test_cancelling_the_task_that_drives_leaves_an_orphan_that_the_next_owner_closes() -> None:
    """G7, C6, C5: and the claim is given back at once."""

    async def only(io: LiveIo) -> str:
        await io.call(read("a"))
        await io.call(read("slow"))
        return "done"

    world = World(single(only), faults=lambda outside: outside.slow("slow", 3_600))
    driving = asyncio.create_task(world.drive(world.process()))
    await asyncio.sleep(60)
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert [type(each) for each in await world.read()][-1] is e.FactRecorded
    world.outside.slow("slow", 0)
    await world.live()

    assert (phase(world), error_of(world)) == ("completed", "orphan_attempt_recovered")
    assert world.outside.count("a") == 1


@over_seeds(0)
async def test_an_interrupt_in_a_handler_is_no_failure_of_its_state() -> None:
    """G7: who drives gets it, and the attempt stays open."""
    tried: list[int] = []

    async def only() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise GeneratorExit

    world = World(single(only))
    with pytest.raises(GeneratorExit):
        await world.drive(world.process())
    assert isinstance((await world.read())[-1], e.StateEntered)
    await world.live()

    assert (phase(world), error_of(world)) == ("completed", "orphan_attempt_recovered")


FAILURES: dict[str, Callable[[], Exception]] = {
    "an exception": lambda: ValueError(f"the text of {TOKEN}"),
    "a failure": lambda: StateFailure("broke", f"the text of {TOKEN}", details={"api_key": TOKEN}),
    "details that are no JSON": lambda: StateFailure("broke", "it broke", details={"a": object()}),
    "a code that is none": lambda: StateFailure("Not A Code", "it broke"),
    "an unknown category": lambda: StateFailure("broke", "it broke", category="Bogus"),  # type: ignore[arg-type]
    "half a character": lambda: StateFailure("broke", "it \ud800 broke", details={"a": "\ud800"}),
    "a message without end": lambda: StateFailure("broke", "x" * 3_000_000),
    "details without end": lambda: StateFailure("broke", "it broke", details={"a": "x" * 3_000_000}),
    "the engine's own code": lambda: StateFailure("orphan_attempt_recovered", "it broke", retryable=True),
    "another of its codes": lambda: StateFailure("side_effect_outcome_unknown", "it broke", retryable=True),
}


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
def test_whatever_a_handler_raises_becomes_a_failure_that_can_be_read(fault: Callable[[], Exception]) -> None:
    """M17, I13, P17, P18, M11: nothing bricks the run, nothing leaks, nothing is tried for ever."""

    async def scenario() -> None:
        tried: list[int] = []

        async def only() -> None:
            tried.append(1)
            raise fault()

        world = await lived(single(only))
        assert phase(world) == "failed"
        assert len(tried) == 1
        assert not [place for place, content in await dump(world.process().store) if TOKEN.encode() in content]

    run(scenario(), callbacks_max=5_000)


def test_a_failure_keeps_what_its_author_wrote() -> None:
    async def only() -> None:
        raise StateFailure("not_enough", "three are missing", category=ErrorCategory.OFF_CHAIN, details={"missing": 3})

    async def scenario() -> None:
        world = await lived(single(only))
        [info] = [each.error.info for each in records(world.log) if isinstance(each, e.StateFailed)]
        assert (info.code, info.message, info.category, info.retryable) == (
            "not_enough",
            "three are missing",
            ErrorCategory.OFF_CHAIN,
            False,
        )
        assert bytes(info.details) == b'{"missing":3}'

    run(scenario())


@pytest.mark.unproved("the minimal profile keeps artifacts and not the events that name them", but=["no_orphan"])
@over_seeds(3)
async def test_a_profile_changes_no_kernel_event_and_no_snapshot() -> None:
    """P5, M7."""
    logs = []
    for profile in ("Minimal", "Normal", "Verbose"):
        world = await lived(release, config=RunConfig(event_profile=profile))
        logs.append([each for each in records(world.log) if isinstance(each, e.KERNEL)][1:])

    assert logs[0] == logs[1] == logs[2]


@over_seeds(0)
async def test_a_long_run_goes_on_from_its_fold_snapshot() -> None:
    """I15: the cached fold and the whole log say the same."""

    def long() -> Plan:
        plan = Plan("long")
        for number in range(40):

            async def step(ctx: Context, number: int = number) -> None:
                ctx.write("last", number)

            plan.state(name=f"s{number}", after=[f"s{number - 1}"] if number else [])(step)
        return plan

    world = World(long, settings={"engine": {"fold_snapshot_events": 10}})
    await world.live(60)
    assert world.result is None
    await world.live()
    index = [content for place, content in await dump(world.process().store) if place == "index fold"]

    assert phase(world) == "completed"
    assert await world.context() == {"last": 39}
    assert len(index) == 1


def test_a_disk_that_is_full_is_an_error_of_the_store_and_no_failure_of_the_run() -> None:
    """F21, S9: what is stored can be read, and with room again the run goes on."""

    async def scenario(full_at: int) -> None:
        reached: list[str] = []

        def faults(point: str) -> None:
            reached.append(point)
            if point == "append:before" and reached.count(point) == full_at:
                raise DISK_FULL.error("no room is left")

        store = MemoryStore(faults=faults)
        app = memory_app(store)
        with pytest.raises(InterlockError, match="disk_full"):
            await app.runs.start(numbers(), {"start": 1}, run_id=RUN_ID)
        result = await app.runs.start(numbers(), {"start": 1}, run_id=RUN_ID)
        assert result.phase == "completed"
        assert (await app.runs.read.context(RUN_ID))["sum"] == 7

    for full_at in range(1, 5):
        run(scenario(full_at))


@over_seeds(0)
async def test_a_loose_snapshot_in_the_store_is_never_adopted() -> None:
    """M4, C14: however new it is; only an event makes a checkpoint."""
    world = World(numbers, {"start": 1})
    await world.live(6)
    loose = b'{"one":["v",99],"start":["v",99],"two":["v",99]}'
    world.restore(digest(loose), loose)
    await world.live()

    assert phase(world) == "completed"
    assert (await world.context())["two"] == 3
    named = {each.base_snapshot_id for each in records(world.log) if isinstance(each, e.StateEntered)}
    assert digest(loose) not in named


@pytest.mark.parametrize("jump_ms", [-3_600_000, 3_600_000])
def test_a_clock_that_jumps_changes_nothing_but_times(jump_ms: int) -> None:
    """P7, M8: recorded time never runs backwards, and orders nothing."""

    async def scenario() -> None:
        clock = VirtualClock()
        app = memory_app(clock=clock)
        tried: list[int] = []
        plan = Plan("demo")

        @plan.state(retry=RetryPolicy.fixed(2, 1_000))
        async def one() -> int:
            clock.jump(jump_ms)
            tried.append(1)
            if len(tried) == 1:
                raise StateFailure("broke", "it broke", retryable=True)
            return 1

        @plan.state
        async def two(one: int) -> int:
            clock.jump(jump_ms)
            return one + 1

        result = await app.runs.start(plan, run_id=RUN_ID)
        log = await read_run(app, RUN_ID)
        check_run(log, plan=plan.build(), result=result)
        times = [event.envelope.at_ms for event in log]
        assert times == sorted(times)
        assert await app.runs.read.context(RUN_ID) == {"one": 1, "two": 2}

    run(scenario())


@over_seeds(0)
async def test_a_missing_checkpoint_stops_the_run_and_changes_nothing_of_it() -> None:
    """S4, G5: it never falls back to an older one, and goes on once the artifact is back."""
    world = World(numbers, {"start": 1})
    await world.live(6)
    checkpoint = records(world.log)[-1].base_snapshot_id
    content = world.lose(checkpoint)
    with pytest.raises(InterlockError, match="artifact_not_found"):
        await world.drive(world.process())
    kinds = {type(each) for each in (await world.read())[len(world.log) :]}
    assert kinds <= {e.OwnerClaimed, e.StateFailed, e.StateEntered}
    assert error_of(world) in {None, "orphan_attempt_recovered"}

    world.restore(checkpoint, content)
    await world.live()
    assert phase(world) == "completed"


@over_seeds(0)
async def test_a_missing_payload_of_a_fact_is_an_error_and_the_outside_is_not_asked_again() -> None:
    """S8, R3."""

    async def only(io: LiveIo) -> str:
        await io.call(read("a"))
        await io.call(read("b"))
        return "done"

    world = World(single(only))
    await world.live(crash_on="send:after")
    await world.live(8)
    [payload] = [each.payload_id for each in records(world.log) if isinstance(each, e.FactRecorded)]
    content = world.lose(payload)
    with pytest.raises(InterlockError, match="artifact_not_found"):
        await world.drive(world.process())
    calls = world.outside.count("a")

    world.restore(payload, content)
    await world.live()
    assert (phase(world), world.outside.count("a")) == ("completed", calls)


@pytest.mark.unproved("it loses an artifact, to see the loss refused")
@over_seeds(0)
async def test_a_damaged_manifest_leaves_a_run_that_cannot_resume_and_is_untouched() -> None:
    """S7."""
    world = World(numbers, {"start": 1})
    await world.live(4)
    manifest = records(world.log)[0].manifest_id
    world.lose(manifest)
    with pytest.raises(InterlockError, match="artifact_not_found"):
        await world.drive(world.process())

    assert await world.read() == records(world.log)


@pytest.mark.unproved("it loses an artifact that no step needs")
@over_seeds(0)
async def test_a_lost_snapshot_that_no_step_needs_any_more_stops_nothing() -> None:
    """S5, S6."""
    world = World(numbers, {"start": 1})
    await world.live(6)
    world.lose(records(world.log)[0].initial_snapshot_id)
    await world.drive(world.process())

    assert [type(each) for each in await world.read()][-1] is e.RunCompleted
