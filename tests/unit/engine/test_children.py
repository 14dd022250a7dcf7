"""Child runs: each with a stream of its own, started once, waited for as any other fact."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from interlock import App, Io, Plan, StateFailure
from interlock.base.canonical import canonical
from interlock.base.principal import local_principal
from interlock.base.secret_scan import scan_bytes
from interlock.engine import events as e
from interlock.engine import runs
from interlock.engine.config import BuildProvenance
from interlock.testing.app import dump, memory_app, read_run
from interlock.testing.loop import run

ADA = local_principal("ada")
TOKEN = "ghp" + "_" + "a1B2c3D4e5F6" * 3
RUN = "11111111-1111-4111-8111-111111111111"


def child(outcome: str) -> Plan:
    plan = Plan("kid")

    @plan.state
    async def work(io: Io, n: int) -> Any:
        if outcome == "fail":
            raise StateFailure("no_luck", "it did not work")
        if outcome == "wait":
            return await io.wait("go")
        return n * 10

    return plan


def parent(kid: Plan, *, detached: bool = False) -> Plan:
    plan = Plan("parent")

    @plan.state
    async def spawn(io: Io) -> Any:
        if detached:
            return await io.spawn(kid, {"n": 1}, name="one", detached=True)
        ended = await io.child(kid, {"n": 1}, name="one")
        return [ended.status, await io.output(ended, "work")]

    return plan


async def kid_of(app: App) -> str:
    [run_id] = (await app.runs.read.state(RUN)).children
    return run_id


def test_a_parent_waits_for_its_child_and_reads_what_it_returned() -> None:
    async def main() -> None:
        app = memory_app()
        assert (await app.runs.start(parent(child("work")), run_id=RUN)).phase == "completed"
        assert await app.runs.read.output(RUN, "spawn") == ["completed", 10]

    run(main())


def test_a_child_that_fails_is_an_outcome_that_its_parent_decides_about() -> None:
    """H5."""

    async def main() -> None:
        app = memory_app()
        assert (await app.runs.start(parent(child("fail")), run_id=RUN)).phase == "completed"
        assert await app.runs.read.output(RUN, "spawn") == ["failed", None]

    run(main())


def test_a_child_that_still_runs_is_never_recorded_as_an_outcome() -> None:
    """H4, D10."""

    async def main() -> None:
        app = memory_app()
        waiting = await app.runs.start(parent(child("wait")), run_id=RUN)
        assert waiting.waiting is not None
        assert waiting.waiting.kind == "suspended"
        assert not [x for x in await read_run(app, RUN) if isinstance(x.record, e.ChildRunCompleted)]
        await app.runs.control.signal(await kid_of(app), "work", "go", 7, principal=ADA)

        assert (await app.runs.resume(RUN)).phase == "completed"
        assert await app.runs.read.output(RUN, "spawn") == ["completed", 7]

    run(main())


def test_a_parent_that_waits_names_its_child_and_the_line_that_says_why_it_waits() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(parent(child("wait")), run_id=RUN)
        kid = await kid_of(app)
        [reason] = await app.runs.read.why(RUN)

        assert (reason.kind, reason.explanation) == ("child", f"spawn waits for its child run one, {kid}")
        assert reason.release == (f"interlock run why {kid}",)
        [reason] = await app.runs.read.why(kid)
        assert reason.kind == "signal"

    run(main())


def test_the_fact_and_the_link_of_a_child_are_one_append() -> None:
    """H2, D11: and no profile drops the link."""

    async def main() -> None:
        app = memory_app()
        await app.runs.start(parent(child("work")), run_id=RUN)
        records = [x.record for x in await read_run(app, RUN)]
        at = next(place for place, record in enumerate(records) if isinstance(record, e.ChildRunSpawned))
        fact = records[at - 1]
        assert isinstance(fact, e.FactRecorded)
        assert fact.key == "child:parent.spawn.main:one"
        link = records[at]
        assert isinstance(link, e.ChildRunSpawned)
        assert (link.parent_run_id, link.child_run_id) == (RUN, await kid_of(app))
        linked = [x.record for x in await read_run(app, link.child_run_id) if isinstance(x.record, e.ParentLinked)]
        assert [(each.parent_run_id, each.depth) for each in linked] == [(RUN, 1)]

    run(main())


def test_what_is_recorded_of_a_child_is_canonical_and_holds_no_secret() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(parent(child("work")), run_id=RUN)
        told = [each for each in await app.store.events.feed("default", 0, 100) if b"child_run_" in each.envelope]

        assert len(told) == 2
        for event in told:
            assert event.data is not None
            assert canonical(msgspec.json.decode(event.data)) == event.data
            assert scan_bytes(event.data) is None

    run(main())


def test_a_child_whose_name_is_a_secret_is_refused_and_stands_nowhere() -> None:
    """I13: the name is part of its fact, its wait and its link."""
    plan = Plan("parent")

    @plan.state
    async def spawn(io: Io) -> str:
        return await io.spawn(child("work"), {"n": 1}, name=TOKEN)

    async def main() -> None:
        app = memory_app()
        result = await app.runs.start(plan, run_id=RUN)
        assert result.error is not None
        assert result.error.code == "secrets_detected"
        assert (await app.runs.read.state(RUN)).children == {}
        assert not [place for place, content in await dump(app.store) if TOKEN.encode() in content]

    run(main())


def test_children_end_with_their_parent_unless_they_are_detached() -> None:
    async def main() -> None:
        for detached, phase in ((False, "cancelled"), (True, "running")):
            app = memory_app()
            await app.runs.start(parent(child("wait"), detached=detached), run_id=RUN)
            kid = await kid_of(app)
            if not detached:
                await app.runs.control.cancel(RUN, "enough", principal=ADA)
            await asyncio.sleep(1)
            assert (await app.runs.read.result(kid)).phase == phase
            await app.close()

    run(main())


def test_the_same_name_with_another_input_is_a_conflict() -> None:
    plan = Plan("twice")
    kid = child("work")

    @plan.state
    async def spawn(io: Io) -> None:
        await io.child(kid, {"n": 1}, name="one")
        await io.child(kid, {"n": 2}, name="one")

    async def main() -> None:
        result = await memory_app().runs.start(plan, run_id=RUN)
        assert result.error is not None
        assert result.error.code == "child_run_conflict"

    run(main())


def test_code_may_change_while_a_child_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that is entered again finds its child, whatever commit, lock or interpreter it is entered with."""

    async def main() -> None:
        one = memory_app()
        await one.runs.start(parent(child("wait")), run_id=RUN)
        kid = await kid_of(one)
        await one.runs.control.signal(kid, "work", "go", 7, principal=ADA)
        await one.close()
        monkeypatch.setattr(runs, "provenance", lambda _folder=None: BuildProvenance(git_commit="b" * 40))
        other = memory_app(one.store.reopen())  # type: ignore[attr-defined]
        other.runs.plans.add(child("wait"))

        assert (await other.runs.resume(RUN, plan=parent(child("wait")))).phase == "completed"
        assert await other.runs.read.output(RUN, "spawn") == ["completed", 7]

    run(main())


def test_children_that_are_started_at_once_are_numbered_too() -> None:
    """H7: each is counted when it is its turn to be recorded."""
    plan, kid = Plan("many"), child("wait")

    @plan.state
    async def fan(io: Io) -> None:
        await asyncio.gather(*(io.spawn(kid, {"n": number}, name=f"n{number}") for number in range(10)))

    async def main() -> None:
        app = memory_app(settings={"engine": {"children_max": 3}})
        result = await app.runs.start(plan, run_id=RUN)
        assert (result.phase, result.error and result.error.code) == ("failed", "child_limit_exceeded")
        assert len((await app.runs.read.state(RUN)).children) == 3

    run(main())


def test_a_run_that_was_there_before_is_nobodys_child() -> None:
    """It would never tell of its end."""

    async def main() -> None:
        known, app = memory_app(), memory_app()
        await known.runs.start(parent(child("work")), run_id=RUN)
        kid = await kid_of(known)
        await app.runs.start(child("work"), {"n": 1}, run_id=kid)

        result = await app.runs.start(parent(child("work")), run_id=RUN)

        assert result.error is not None
        assert result.error.code == "child_run_conflict"
        assert (await app.runs.read.state(RUN)).children == {}

    run(main())


def test_children_are_nested_and_numbered_only_so_far() -> None:
    """H7: refused with the limit, never cut."""
    plan = Plan("deep")

    @plan.state
    async def spawn(io: Io) -> list[str]:
        return [(await io.child(plan, name="next")).status]

    many = Plan("many")
    kid = child("work")

    @many.state
    async def fan(io: Io) -> None:
        for number in range(5):
            await io.spawn(kid, {"n": number}, name=f"n{number}")

    async def main() -> None:
        app = memory_app(settings={"engine": {"child_depth_max": 3, "children_max": 3}})
        assert (await app.runs.start(plan, run_id=RUN)).phase == "completed"
        depth, stream = 0, RUN
        while kids := list((await app.runs.read.state(stream)).children):
            depth, stream = depth + 1, kids[0]
        assert depth == 3
        deepest = await app.runs.read.result(stream)
        assert (deepest.phase, deepest.error and deepest.error.code) == ("failed", "child_limit_exceeded")

        result = await app.runs.start(many)
        assert (result.phase, result.error and result.error.code) == ("failed", "child_limit_exceeded")

    run(main())


@pytest.mark.parametrize("crash", [True, False])
def test_whoever_resumes_a_parent_resumes_its_child(crash: bool) -> None:
    """H3: another process, which finds the child by the parent alone."""

    async def main() -> None:
        kid = child("wait")
        one = memory_app()
        await one.runs.start(parent(kid), run_id=RUN)
        await one.runs.control.signal(await kid_of(one), "work", "go", 7, principal=ADA)
        if not crash:
            await one.close()
        other = memory_app(one.store.reopen())  # type: ignore[attr-defined]
        other.runs.plans.add(kid)
        assert (await other.runs.resume(RUN, plan=parent(kid))).phase == "completed"
        assert await other.runs.read.output(RUN, "spawn") == ["completed", 7]

    run(main())
