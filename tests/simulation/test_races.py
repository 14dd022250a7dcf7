"""Every order of two things that happen to one run at once, up to a depth: nothing is lost, and nothing is done twice.

The scenes are those in which the outside and an owner, or two owners, meet: an answer and a suspension, a cancellation
and a completion, a claim and its end, a pause, two commands, a child and its parent, a reader and an append, two that
store one artifact (K1 to K8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from interlock.app import App
from interlock.base.canonical import digest
from interlock.base.errors import InterlockError, NotFound
from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.io.live import LiveIo
from interlock.journal.ports import Blob
from interlock.testing.app import read_run
from interlock.testing.explorer import explore
from tests.simulation.crashes import RUN_ID, records
from tests.simulation.families import PERSON, ROOT, Family, at_once
from tests.simulation.plans import single

pytestmark = pytest.mark.unproved(
    "answers that are refused, or come too late, are kept as bytes that no event names", but=["no_orphan"]
)

DEPTH_MAX = 14
LOOKS = 40
SHARED = b"what two states write"
SCHEDULES_MAX = 40

Scene = Callable[[], Coroutine[Any, Any, Family]]


async def asking(io: LiveIo) -> object:
    return await io.wait("go", int, timeout_ms=1_000, default=0)


async def quick() -> int:
    return 1


async def begun(family: Family) -> None:
    """Wait until the run exists."""
    while not await family.runs():
        await asyncio.sleep(0)


async def together(family: Family, *others: Callable[[], Awaitable[object]]) -> Family:
    """An owner who drives the run, and what others do as soon as it exists."""

    async def other(act: Callable[[], Awaitable[object]]) -> None:
        await begun(family)
        with suppress(InterlockError):  # the run may have ended before
            await act()

    results = await asyncio.gather(family.drive(family.process()), *map(other, others))
    family.result = results[0]
    await family.check()
    return family


async def signal_against_suspend() -> Family:
    family = Family(single(asking))
    control = family.process().runs.control
    return await together(family, lambda: control.signal(RUN_ID, "only", "go", 7, principal=PERSON))


async def signal_against_suspend_of_a_branch() -> Family:
    def plan() -> Plan:
        plan = Plan("demo")
        plan.state(name="only")(asking)
        plan.state(name="other")(quick)
        return plan

    family = Family(plan, config=at_once(2))
    control = family.process().runs.control
    return await together(family, lambda: control.signal(RUN_ID, "only", "go", 7, principal=PERSON))


async def two_signals() -> Family:
    family = Family(single(asking))
    controls = [family.process().runs.control for _ in range(2)]
    acts = [lambda c=c, n=n: c.signal(RUN_ID, "only", "go", n, principal=PERSON) for n, c in enumerate(controls)]
    return await together(family, *acts)


async def cancel_against_complete() -> Family:
    family = Family(single(quick))
    control = family.process().runs.control
    return await together(family, lambda: control.cancel(RUN_ID, "no need", principal=PERSON))


async def seizing_against_complete() -> Family:
    family = Family(single(quick))
    runs = family.process().runs
    return await together(family, lambda: runs.cancel_now(RUN_ID, "no need", principal=PERSON))


async def pause_against_enter() -> Family:
    family = Family(single(quick))
    control = family.process().runs.control

    async def order() -> None:
        await control.pause(RUN_ID, "so", principal=PERSON)
        await control.unpause(RUN_ID, "so", principal=PERSON)

    family = await together(family, order)
    if family.result is not None and family.result.phase == "running":
        await family.live()
    return family


async def claim_against_expiry() -> Family:
    """An owner that stands still until its claim ends, and two that want the run then."""
    family = Family(single(quick), settings={"engine": {"claim_lease_ms": 100}})
    first = family.process()
    points = family.points(first)
    driving = asyncio.create_task(family.drive(first))
    await begun(family)
    points.freeze(frozen=True)
    await asyncio.sleep(0.2)
    driven = [asyncio.create_task(family.drive(family.process())) for _ in range(2)]
    points.freeze(frozen=False)
    results = await asyncio.gather(driving, *driven)
    assert len({repr(each) for each in results}) == 1
    family.result = results[0]
    await family.check()
    return family


async def reader_against_appends() -> Family:
    """A reader that asks again and again, anew and from its cache, while an owner appends and somebody answers."""
    family = Family(single(asking))
    owner, other, reader = family.process(), family.process(), family.observer()
    ends, seen = {0}, set[int]()

    def watch(app: App) -> None:
        points, inner = family.points(app), family.points(app).committed

        def committed() -> None:
            inner()
            ends.add(len(family.monitor.events(ROOT)))

        points.committed = committed

    async def look() -> None:
        for _ in range(LOOKS):
            seen.add(len(await read_run(reader, RUN_ID)))
            with suppress(NotFound):  # until it has begun
                seen.add((await reader.runs.read.report(RUN_ID)).events)
            await asyncio.sleep(0)

    async def answer() -> None:
        await begun(family)
        with suppress(InterlockError):  # the run may have ended before
            await other.runs.control.signal(RUN_ID, "only", "go", 7, principal=PERSON)

    watch(owner)
    watch(other)
    family.result, _, _ = await asyncio.gather(family.drive(owner), look(), answer())
    await family.check()
    assert seen <= ends, f"a reader saw a part of an append: {sorted(seen - ends)}"
    assert len(seen) > 2, "the reader saw nothing grow"
    return family


async def one_artifact_of_many() -> Family:
    """Two states and another process store the same bytes; who sees them sees them whole."""

    async def writing(rec: Recorder) -> str:
        return await rec.artifact("note", SHARED)

    def plan() -> Plan:
        plan = Plan("demo")
        plan.state(name="only")(writing)
        plan.state(name="other")(writing)
        return plan

    family = Family(plan, config=at_once(2))
    other, blob = family.process().store.artifacts, Blob(digest(SHARED), "note", SHARED)
    given: list[str] = []

    async def put() -> None:
        given.extend(await other.put([blob]))

    async def look() -> None:
        for _ in range(LOOKS):
            [is_there] = await other.exists([blob.id])
            await asyncio.sleep(0)
            assert not is_there or await other.get([blob.id]) == [SHARED]

    family = await together(family, put, put, look)
    context = await family.context()
    assert {context["only"], context["other"], *given} == {blob.id}
    assert (await other.scan("", 1_000)).count(blob.id) == 1
    return family


async def child_against_parent() -> Family:
    def kid() -> Plan:
        return single(quick)()

    def parent() -> Plan:
        plan = Plan("parent")

        async def only(io: LiveIo) -> str:
            return (await io.child(kid(), name="kid")).status

        plan.state(name="only")(only)
        return plan

    family = Family(parent, lambda: [kid()])
    worker = family.process().runs.worker
    return await together(family, lambda: worker.work(until_idle=True))


def phase_in(*phases: str) -> Callable[[Family], None]:
    def check(family: Family) -> None:
        assert family.result is not None
        assert family.result.phase in phases, family.result

    return check


def answered(family: Family) -> None:
    phase_in("completed")(family)
    taken = [each for each in records(family.log) if isinstance(each, e.FactRecorded)]
    assert len(taken) == 1
    assert not any(isinstance(each, e.WaitExpired) for each in records(family.log)), "the answer was lost"


SCENES: dict[str, tuple[Scene, Callable[[Family], None]]] = {
    "signal against suspend": (signal_against_suspend, answered),
    "signal against suspend of a branch": (signal_against_suspend_of_a_branch, answered),
    "two signals": (two_signals, answered),
    "cancel against complete (K7)": (cancel_against_complete, phase_in("completed", "cancelled")),
    "seizing against complete (K7, K2)": (seizing_against_complete, phase_in("completed", "cancelled")),
    "pause against enter": (pause_against_enter, phase_in("completed")),
    "claim against expiry (K1, K2, K3)": (claim_against_expiry, phase_in("completed")),
    "reader against appends (K4)": (reader_against_appends, phase_in("completed")),
    "one artifact of many (K6)": (one_artifact_of_many, phase_in("completed")),
    "child against parent (K5, K8)": (child_against_parent, phase_in("completed")),
}


@pytest.mark.parametrize("scene", SCENES)
def test_two_things_that_happen_at_once_keep_every_rule_in_any_order(scene: str) -> None:
    """K1 to K8, W1, W2, H4: every rule on every append."""
    scenario, check = SCENES[scene]

    explore(scenario, check, depth_max=DEPTH_MAX, schedules_max=SCHEDULES_MAX)


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_two_things_that_happen_at_once_keep_every_rule_in_all_orders_up_to_a_depth(scene: str) -> None:
    """K1 to K8."""
    scenario, check = SCENES[scene]

    explore(scenario, check, depth_max=DEPTH_MAX, schedules_max=600)
