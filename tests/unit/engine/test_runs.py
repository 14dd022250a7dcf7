"""Starting, resuming and attaching: what a caller of `Runs` can rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import FanOutJoin, FanOutLimit, RetryPolicy, RunConfig
from interlock.stores.memory import MemoryStore
from interlock.testing.app import dump, memory_app, read_run
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import RUN_ID, World, records
from tests.simulation.plans import failing, numbers, release
from tests.unit.engine.lives import lived, phase

TOKEN = "ghp" + "_" + "a1B2c3D4e5F6" * 3
OTHER_ID = "01890a5d-ac96-774b-bcce-b302099a8058"


@over_seeds(3)
async def test_a_run_records_what_the_contract_orders() -> None:
    """I2, I3, I4, I5, I6, I10, I16: the whole log of a small run."""
    world = await lived(numbers, {"start": 1})
    kinds = [type(each).__name__ for each in records(world.log)]

    assert kinds == [
        "RunStarted",
        "PlanRecorded",
        "OwnerClaimed",
        *["StateEntered", "StateCompleted"] * 3,
        "RunCompleted",
    ]
    assert phase(world) == "completed"


@over_seeds(0)
async def test_a_run_gets_an_id_of_its_own_unless_the_caller_has_one() -> None:
    app = memory_app()
    one, two = [await app.runs.start(numbers(), {"start": 1}) for _ in range(2)]

    assert one.run_id != two.run_id
    assert one.final_snapshot_id == two.final_snapshot_id


@over_seeds(0)
async def test_starting_a_known_id_with_the_same_manifest_attaches() -> None:
    """K5, C3, C21."""
    app = memory_app()
    first = await app.runs.start(numbers(), {"start": 1}, run_id=RUN_ID)
    log = await read_run(app, RUN_ID)
    again = await app.runs.start(numbers(), {"start": 1}, run_id=RUN_ID)

    assert again == first
    assert await read_run(app, RUN_ID) == log


@pytest.mark.parametrize(
    ("given", "config", "version"),
    [({"start": 2}, None, "1"), ({"start": 1}, RunConfig(skip_tags=("slow",)), "1"), ({"start": 1}, None, "2")],
    ids=["input", "configuration", "version"],
)
def test_starting_a_known_id_with_another_manifest_is_a_conflict(
    given: dict[str, int], config: RunConfig | None, version: str
) -> None:
    """K5, C3."""

    async def scenario() -> None:
        app = memory_app()
        await app.runs.start(numbers(), {"start": 1}, run_id=RUN_ID)
        log = await read_run(app, RUN_ID)
        plan = numbers()
        plan.version = version
        with pytest.raises(InterlockError, match="run_conflict"):
            await app.runs.start(plan, given, run_id=RUN_ID, config=config)
        assert await read_run(app, RUN_ID) == log

    run(scenario())


@over_seeds(20)
async def test_of_concurrent_starts_with_one_id_one_starts_and_the_others_attach() -> None:
    """K5, K8: in one process."""
    app = memory_app()
    results = await asyncio.gather(
        *(app.runs.start(release(), run_id=RUN_ID) for _ in range(3)), return_exceptions=True
    )
    assert not [result for result in results if isinstance(result, BaseException)]

    log = records(await read_run(app, RUN_ID))
    assert sum(isinstance(each, e.RunStarted) for each in log) == 1


@over_seeds(0)
async def test_a_detached_start_is_durable_and_left_to_somebody_else() -> None:
    app = memory_app()
    left = await app.runs.start(numbers(), {"start": 1}, run_id=RUN_ID, detach=True)
    log = records(await read_run(app, RUN_ID))
    again = await app.runs.start(numbers(), {"start": 1}, run_id=RUN_ID, detach=True)

    assert [type(each) for each in log] == [e.RunStarted, e.PlanRecorded]
    assert left.waiting is not None
    assert (left.phase, left.waiting.kind) == ("running", "queued")
    assert again == left
    assert (await app.runs.resume(RUN_ID)).phase == "completed"


@over_seeds(0)
async def test_who_started_a_run_is_recorded_and_the_engine_acts_for_itself_afterwards() -> None:
    app = memory_app()
    await app.runs.start(release_without_io(), run_id=RUN_ID, principal=local_principal("ada"))
    log = await read_run(app, RUN_ID)

    assert log[0].envelope.actor == "local:ada"
    assert log[-1].envelope.actor == "system:engine"
    assert {event.envelope.correlation for event in log} == {RUN_ID}


def release_without_io() -> Plan:
    plan = Plan("demo")

    @plan.state
    async def only(rec: Recorder) -> None:
        await rec.emit("noted")

    return plan


class Given(msgspec.Struct):
    """An input as a record."""

    start: int


@over_seeds(0)
async def test_an_input_may_be_a_record() -> None:
    world = await lived(numbers, Given(1))

    assert (await world.context())["two"] == 3


class Chosen(msgspec.Struct):
    """An input whose type says that it is a set."""

    numbers: set[int]


@over_seeds(0)
async def test_a_set_in_a_record_has_no_order_of_its_own() -> None:
    """P22: equal sets are walked in different orders, and make one manifest."""
    app = memory_app()
    first = await app.runs.start(release_without_io(), Chosen({0, 8}), run_id=RUN_ID)

    assert await app.runs.start(release_without_io(), Chosen({8, 0}), run_id=RUN_ID) == first


async def refused_start(plan: Callable[[], Plan], given: Any, **options: Any) -> str:
    """The code of a refused start, after which nothing at all is stored."""
    store = MemoryStore()
    app = memory_app(store)
    with pytest.raises(InterlockError) as caught:
        await app.runs.start(plan(), given, run_id=RUN_ID, **options)
    assert await dump(store) == []
    assert TOKEN not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([1], "run_input_invalid"),
        ("text", "run_input_invalid"),
        ({"one": 1}, "run_input_invalid"),
        ({"start": object()}, "run_input_invalid"),
        ({"start": float("nan")}, "context_serialize_failed"),
        ({"start": 2**60}, "context_serialize_failed"),
        ({"": 1}, "id_invalid"),
        ({"start": TOKEN}, "secrets_detected"),
        ({"password": "hunter2 hunter2"}, "secrets_detected"),
    ],
)
def test_an_input_that_cannot_be_taken_is_refused_before_anything_is_written(given: object, code: str) -> None:
    """P17, P18, I13."""
    assert run(refused_start(numbers, given)) == code


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(io_mode="Replay"),
        RunConfig(execution_mode=FanOutJoin(FanOutLimit(0))),
        RunConfig(event_profile="minimal"),  # type: ignore[arg-type]
        RunConfig(retry_policy=RetryPolicy.fixed(0)),
    ],
)
def test_a_configuration_that_cannot_be_honoured_is_refused_before_anything_is_written(config: RunConfig) -> None:
    assert run(refused_start(numbers, {"start": 1}, config=config)) == "run_config_unsupported"


def test_a_tag_that_is_a_secret_is_refused_before_anything_is_written() -> None:
    """P17: the manifest is scanned, too."""
    assert run(refused_start(numbers, {"start": 1}, config=RunConfig(skip_tags=(TOKEN,)))) == "secrets_detected"


def test_a_source_that_is_no_text_is_refused_before_anything_is_written() -> None:
    """P18: a file name need not be Unicode."""
    source = "caf\udce9.py:plan"

    assert run(refused_start(numbers, {"start": 1}, source=source)) in {"json_surrogate", "plan_not_found"}


def test_an_invalid_plan_is_refused_before_anything_is_written() -> None:
    """C25, P12."""

    def circular() -> Plan:
        plan = Plan("demo")

        @plan.state
        async def one(two: int) -> int:
            return two

        @plan.state
        async def two(one: int) -> int:
            return one

        return plan

    assert run(refused_start(circular, None)) == "plan_invalid"


@pytest.mark.parametrize("run_id", ["", "1", RUN_ID.upper(), RUN_ID + "\n", "../" + RUN_ID])
def test_a_malformed_run_id_is_refused(run_id: str) -> None:
    async def scenario() -> None:
        app = memory_app()
        for ask in (app.runs.start(numbers(), {"start": 1}, run_id=run_id), app.runs.resume(run_id)):
            with pytest.raises(InterlockError, match="id_invalid"):
                await ask
        assert await dump(app.store) == []

    run(scenario())


def test_a_run_that_was_never_started_is_not_found() -> None:
    """C1, C2."""

    async def scenario() -> None:
        with pytest.raises(InterlockError, match="run_not_found"):
            await memory_app().runs.resume(RUN_ID)

    run(scenario())


@over_seeds(0)
async def test_resuming_a_run_that_has_ended_gives_its_result_and_appends_nothing() -> None:
    """C21, P2, M18: as often as asked."""
    for plan in (numbers, failing):
        world = await lived(plan, {"start": 1})
        first, log = world.result, world.log
        for _ in range(3):
            await world.live()
            assert (world.result, world.log) == (first, log)


@over_seeds(0)
async def test_a_plan_that_this_program_does_not_have_leaves_the_run_to_one_that_has_it() -> None:
    """DR4."""
    world = World(numbers, {"start": 1})
    await world.live(crash_on="append:after_commit")
    log = world.log
    with pytest.raises(InterlockError, match="plan_not_found"):
        await world.process().runs.resume(RUN_ID)
    assert await world.read() == records(log)

    await world.live()
    assert phase(world) == "completed"


def other_edges() -> Plan:
    plan = numbers()
    plan.add("four", plan.build().states[0].state, after=["three"])
    return plan


def fewer_states() -> Plan:
    plan = Plan("numbers")

    @plan.state
    async def other() -> None:
        pass

    return plan


@pytest.mark.parametrize("plan", [other_edges, fewer_states])
def test_another_plan_under_the_same_name_leaves_the_run_untouched(plan: Callable[[], Plan]) -> None:
    """DR1, DR3."""

    async def scenario() -> None:
        world = World(numbers, {"start": 1})
        await world.live(4)
        log = world.log
        with pytest.raises(InterlockError, match="plan_drifted"):
            await world.process().runs.resume(RUN_ID, plan=plan())
        assert await world.read() == records(log)

    run(scenario())


FILE = """
from interlock.engine.authoring import Plan

plan = Plan("from_file")

@plan.state
async def only({parameter}) -> int:
    return 1
"""


def test_a_run_finds_its_plan_again_where_it_was_started_from(tmp_path: Path) -> None:
    """C25, DR4: and one whose plan has become invalid says so, again and again, untouched."""
    file = tmp_path / "plan_in_a_file.py"
    source = f"{file}:plan"

    async def scenario() -> None:
        store = MemoryStore()
        file.write_text(FILE.format(parameter=""))
        await memory_app(store).runs.start(loaded(source), run_id=RUN_ID, source=source, detach=True)
        file.write_text(FILE.format(parameter="other: int") + "plan.state(name='other')(only)\n")
        for _ in range(3):
            with pytest.raises(InterlockError, match=r"plan_invalid|plan_drifted"):
                await memory_app(store).runs.resume(RUN_ID)
        file.write_text(FILE.format(parameter=""))
        result = await memory_app(store).runs.resume(RUN_ID)
        assert result.phase == "completed"

    run(scenario())


def loaded(source: str) -> Any:
    from interlock.engine.sources import load_plan

    return load_plan(source)
