"""Domain events and artifacts: what a handler puts on record, and what it may not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import apsw
import pytest
from msgspec import Raw

from interlock import App, Io, Plan
from interlock.base.bounds import EVENTS_PER_APPEND_MAX
from interlock.base.canonical import Json, digest
from interlock.engine import events as e
from interlock.engine.attempt import RESERVED_NAMES, DomainEvent, Recorder
from interlock.engine.config import RunConfig
from interlock.testing.app import dump
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import World, error_of, records
from tests.simulation.plans import Handler, single

TOKEN = "ghp" + "_" + "a1B2c3D4e5F6" * 3


async def lived(handler: Handler, **options: Any) -> World:
    world = World(single(handler), **options)
    await world.live()
    return world


def emitted(world: World) -> list[tuple[str, bytes]]:
    return [(each.name, bytes(each.payload)) for each in records(world.log) if isinstance(each, e.DomainEmitted)]


@over_seeds(2)
async def test_an_event_is_recorded_within_its_attempt_as_canonical_json() -> None:
    async def only(rec: Recorder) -> None:
        await rec.emit("measured", {"b": 1, "a": [None, "ü"]})

    world = await lived(only)

    assert emitted(world) == [("measured", '{"a":[null,"ü"],"b":1}'.encode())]


@over_seeds(2)
async def test_a_batch_is_one_append() -> None:
    """C12, F5, M19: another reader sees all of it or none, and in the order in which it was given."""
    seen: list[int] = []

    async def only(rec: Recorder) -> None:
        await rec.emit_many([DomainEvent("part", number) for number in range(20, 0, -1)])

    world = World(single(only))
    watcher = asyncio.create_task(watch(world, seen))
    await world.live()
    watcher.cancel()

    assert emitted(world) == [("part", b"%d" % number) for number in range(20, 0, -1)]
    assert set(seen) <= {0, 20}


async def watch(world: World, seen: list[int]) -> None:
    """Count the events of the batch at every chance."""
    while True:
        seen.append(sum(isinstance(record, e.DomainEmitted) for record in await world.read()))
        await asyncio.sleep(0)


def test_a_batch_commits_at_one_point() -> None:
    """M19."""

    async def commits(count: int) -> int:
        async def only(rec: Recorder) -> None:
            await rec.emit_many([DomainEvent("part", number) for number in range(count)])

        points = await World(single(only)).live()
        return points.reached.count("append:after_commit")

    assert run(commits(1)) == run(commits(50)) == run(commits(0)) + 1


@over_seeds(0)
async def test_nothing_of_a_batch_with_one_bad_event_is_recorded() -> None:
    """M19."""

    async def only(rec: Recorder) -> None:
        await rec.emit_many([DomainEvent("good"), DomainEvent("bad", {"password": "hunter2 hunter2"})])

    world = await lived(only)

    assert emitted(world) == []
    assert error_of(world) == "secrets_detected"


def test_a_batch_that_no_append_can_hold_fails_its_attempt() -> None:
    """M19: it is not cut into several, and the run does not stand still."""

    async def only(rec: Recorder) -> None:
        await rec.emit_many([DomainEvent("part")] * (EVENTS_PER_APPEND_MAX + 1))

    world = run(lived(only))
    assert world.result is not None
    assert world.result.phase == "failed"
    assert emitted(world) == []


@pytest.mark.parametrize("name", [*sorted(RESERVED_NAMES), "interlock.run_parked"])
def test_a_name_of_the_engine_is_refused(name: str) -> None:
    async def only(rec: Recorder) -> None:
        await rec.emit(name)

    assert error_of(run(lived(only))) == "event_name_invalid"


@pytest.mark.parametrize("name", ["password_reset_sent", "tokens:counted", "The secret of good software", "seed"])
def test_a_name_that_only_speaks_of_secrets_is_an_ordinary_name(name: str) -> None:
    """P17, D15: ordinary text passes."""

    async def only(rec: Recorder) -> None:
        await rec.emit(name)

    assert emitted(run(lived(only))) == [(name, b"null")]


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        (TOKEN, None),
        ("event", TOKEN),
        ("event", {"password": "hunter2 hunter2"}),
        ("event", {TOKEN: 1}),
        ("event", [{"deep": ["in", {"api_key": "a1b2c3d4e5f6"}]}]),
    ],
)
def test_a_secret_is_refused_and_stands_nowhere(name: str, payload: Json) -> None:
    """P17, I13."""

    async def scenario() -> None:
        async def only(rec: Recorder) -> None:
            await rec.emit(name, payload)

        world = await lived(only)
        assert error_of(world) == "secrets_detected"
        places = await dump(world.process().store)
        assert not [place for place, content in places if TOKEN.encode() in content or b"hunter2" in content]

    run(scenario())


@pytest.mark.parametrize("profile", ["Minimal", "Normal", "Verbose"])
@pytest.mark.parametrize("payload", [{"password": "hunter2 hunter2"}, float("nan"), object(), "x" * 2_000_000])
def test_what_cannot_be_recorded_fails_the_attempt_in_every_profile(profile: Any, payload: Any) -> None:
    """P5: a dropped event is validated all the same."""

    async def only(rec: Recorder) -> None:
        await rec.emit("event", payload)

    world = run(lived(only, config=RunConfig(event_profile=profile)))

    assert world.result is not None
    assert world.result.phase == "failed"
    assert error_of(world) in {"secrets_detected", "json_non_finite", "json_type", "event_too_large"}


@pytest.mark.unproved("the minimal profile keeps artifacts and not the events that name them", but=["no_orphan"])
@over_seeds(0)
async def test_the_minimal_profile_drops_what_is_for_people() -> None:
    async def only(rec: Recorder) -> None:
        await rec.emit("event", 1)
        await rec.artifact("Output", b"bytes")

    world = await lived(only, config=RunConfig(event_profile="Minimal"))

    assert not [each for each in records(world.log) if isinstance(each, e.OPTIONAL)]


@over_seeds(2)
async def test_an_artifact_is_there_before_the_event_that_names_it() -> None:
    """M5, I8, C9."""

    async def only(rec: Recorder) -> str:
        return await rec.artifact("Output", b"some bytes", {"name": "log"})

    world = await lived(only)

    [written] = [each for each in records(world.log) if isinstance(each, e.ArtifactWritten)]
    assert written == e.ArtifactWritten(digest(b"some bytes"), "Output", Raw(b'{"name":"log"}'), "demo.only.main")
    assert await world.context() == {"only": digest(b"some bytes")}
    points = (await World(single(only)).live()).reached
    assert points.index("put:after") < points.index("append:before", points.index("put:after"))


@over_seeds(0)
async def test_an_event_may_refer_to_an_artifact() -> None:
    async def only(rec: Recorder) -> None:
        stored = await rec.artifact("Output", b"large")
        await rec.emit("measured", {"size": 5}, stored)

    world = await lived(only)

    assert [each.payload_ref for each in records(world.log) if isinstance(each, e.DomainEmitted)] == [digest(b"large")]


@over_seeds(0)
async def test_an_event_that_refers_to_something_else_than_an_artifact_is_refused() -> None:
    async def only(rec: Recorder) -> None:
        await rec.emit("measured", None, "../../etc/passwd")

    assert error_of(await lived(only)) == "id_invalid"


@pytest.mark.parametrize("profile", ["Minimal", "Normal"])
@over_seeds(3)
async def test_a_recorder_refuses_once_its_attempt_has_ended(profile: Literal["Minimal", "Normal"]) -> None:
    """I4: what comes too late stands in no other attempt, and an artifact that comes too late is not stored."""
    kept: list[Recorder] = []
    faults: list[BaseException] = []

    async def only(rec: Recorder) -> None:
        kept.append(rec)

    world = await lived(only, config=RunConfig(event_profile=profile))
    for late in (kept[0].emit("late"), kept[0].artifact("Output", b"late")):
        try:
            await late
        except Exception as fault:  # noqa: BLE001 - compared below
            faults.append(fault)

    assert [getattr(fault, "code", fault) for fault in faults] == ["attempt_closed", "attempt_closed"]
    assert await world.read() == records(world.log)
    assert await world.process().store.artifacts.exists([digest(b"late")]) == [False]


@over_seeds(20)
async def test_an_event_of_a_task_that_the_handler_left_behind_is_recorded_in_its_attempt_or_not_at_all() -> None:
    """I4, G7: and the run goes on with its owner."""
    left: list[asyncio.Task[None]] = []

    async def only(rec: Recorder) -> None:
        left.extend(asyncio.create_task(rec.emit("left", number)) for number in range(3))
        await asyncio.sleep(0)

    world = await lived(only)
    await asyncio.gather(*left, return_exceptions=True)
    await world.check()

    assert world.result is not None
    assert world.result.phase == "completed"
    assert not [each for each in records(world.log) if isinstance(each, e.StateFailed)]


def test_an_artifact_is_kept_under_its_kind(tmp_path: Path) -> None:
    """The kinds of the contract but for what is sealed, one of the handler's own, and that of the plan's outline."""
    plan = Plan("demo")

    @plan.state
    async def only(rec: Recorder, io: Io) -> None:
        for kind in ("Output", "Photograph"):
            await rec.artifact(kind, kind.encode())
        await io.record_value("key", 1)

    async def main() -> None:
        async with App.open(tmp_path / "store") as app:
            assert (await app.runs.start(plan, {"a": 1})).phase == "completed"

    asyncio.run(main())
    connection = apsw.Connection(str(tmp_path / "store"))
    kinds = {kind for (kind,) in connection.execute("SELECT kind FROM artifact")}
    connection.close()
    contract = {"Manifest", "ContextSnapshot", "FactPayload", "Output"}
    assert kinds == {*contract, "Photograph", "Plan"}
