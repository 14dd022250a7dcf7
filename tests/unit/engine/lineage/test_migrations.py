"""Runs that go on with another plan: what is shown, what is refused, and what changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.base.events import Claim
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import FanOutJoin, RetryPolicy, RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.engine.meta import StateMeta
from interlock.engine.pipelines.operations import OpGraph, OpIo, OpRegistry
from interlock.engine.pipelines.pipeline import Pipeline, PipelineStep, plan_pipeline
from interlock.engine.plan import ExecutionPlan, read_outline
from interlock.journal.streams import stream_id
from interlock.testing.app import memory_app, read_run
from interlock.testing.checker import check_run
from interlock.testing.loop import run
from tests.simulation.crashes import World, records
from tests.simulation.plans import read, write

ADA = local_principal("ada")
RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


class Step:
    """A state that notes that it ran; it waits for an answer first, if it is to."""

    def __init__(self, name: str, *, waits: bool = False, tags: tuple[str, ...] = ()) -> None:
        self.name = name
        self.waits = waits
        self.tags = tags

    def meta(self) -> StateMeta:
        return StateMeta(tags=self.tags)

    async def handle(self, ctx: Context, io: LiveIo, rec: Recorder) -> None:
        said = await io.wait("word", str) if self.waits else self.name
        ctx.write(f"did {self.name}", said)


def plan_of(*steps: str, version: str = "1", edges: Sequence[tuple[str, str]] | None = None, op: str = "work") -> Plan:
    """A plan of these steps, one after the other or with these edges; a name that ends with `?` waits."""
    plan = Plan(op, version=version)
    names = [step.rstrip("?") for step in steps]
    pairs = list(pairwise(names)) if edges is None else edges
    for step, name in zip(steps, names, strict=True):
        after = [before for before, follower in pairs if follower == name]
        plan.add(name, Step(name, waits=step.endswith("?")), after=after)
    return plan


async def suspended(app: App, plan: Plan, **options: Any) -> None:
    result = await app.runs.start(plan, run_id=RUN, **options)
    assert result.waiting is not None
    assert result.waiting.kind == "suspended"


async def migrated(app: App, plan: Plan | ExecutionPlan) -> None:
    shown = await app.runs.migration(RUN, plan)
    assert shown.is_possible, shown.objections
    done = await app.runs.control.migrate(RUN, plan, expect=shown.fingerprint, reason="a new version", principal=ADA)
    assert done.is_applied


async def finished(app: App, plan: Plan | ExecutionPlan, *answers: str) -> list[str]:
    """The steps that ran, once the run has had these answers and come to its end."""
    for step in answers:
        await app.runs.control.signal(RUN, step, "word", "yes", principal=ADA)
    result = await app.runs.resume(RUN, plan=plan)
    assert result.phase == "completed", result
    return sorted(key.removeprefix("did ") for key in await app.runs.read.context(RUN) if key.startswith("did "))


async def refused(call: Any) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        await call
    return caught.value


def test_a_suspended_run_goes_on_with_another_plan_and_its_old_wait() -> None:
    async def scenario() -> None:
        app, new = memory_app(), plan_of("a", "b?", "c", "d", version="2")
        await suspended(app, plan_of("a", "b?", "c"))
        before = await app.runs.read.state(RUN)
        tokens = [wait.token for wait in before.waits["work.b.main"].values()]
        manifest_id = before.manifest_id
        await migrated(app, new)
        state = await app.runs.read.state(RUN)

        assert (state.plan_version, state.manifest_id) == ("2", manifest_id)
        assert [wait.token for wait in state.waits["work.b.main"].values()] == tokens
        assert await finished(app, new, "b") == ["a", "b", "c", "d"]
        [record] = [each for each in records(await read_run(app, RUN)) if isinstance(each, e.PlanMigrated)]
        assert (record.actor, record.reason) == (ADA.id, "a new version")

    run(scenario())


def test_the_outline_of_the_new_plan_is_stored_and_used_by_whoever_has_no_code() -> None:
    async def scenario() -> None:
        app, new = memory_app(), plan_of("a", "b?", "late?", version="2")
        await suspended(app, plan_of("a", "b?"))
        await migrated(app, new)
        [content] = await app.store.artifacts.get([new.build().fingerprint])
        assert read_outline(content).version == "2"
        await app.runs.control.signal(RUN, "late", "word", "early", principal=ADA)
        assert list((await app.runs.read.state(RUN)).early) == ["work.late.main"]
        assert await finished(app, new, "b") == ["a", "b", "late"]

    run(scenario())


def test_the_difference_is_shown_and_nothing_is_written() -> None:
    async def scenario() -> None:
        app = memory_app()
        await suspended(app, plan_of("a", "b?", "c"))
        length = len(await read_run(app, RUN))
        other = Plan("work", version="2")
        other.add("a", Step("a", tags=("new",)), timeout_ms=5000)
        other.add("b", Step("b", waits=True), after=["a"], retry=RetryPolicy.fixed(2))
        other.add("d", Step("d"), after=["b"])
        shown = await app.runs.migration(RUN, other)
        found = shown.difference

        assert (shown.is_possible, shown.is_applied, shown.done) == (True, False, ["a"])
        assert (found.version_a, found.version_b, found.states_kept) == ("1", "2", 2)
        assert (found.states_added, found.states_removed) == (["work.d.main"], ["work.c.main"])
        assert [(each.state_id, each.members) for each in found.states_changed] == [
            ("work.a.main", ["tags", "timeout_ms"]),
            ("work.b.main", ["retry"]),
        ]
        assert found.edges_added == ["work.b.main -> work.d.main"]
        assert found.edges_removed == ["work.b.main -> work.c.main"]
        assert len(await read_run(app, RUN)) == length

    run(scenario())


@pytest.mark.parametrize(
    ("plan", "objection"),
    [
        (plan_of("b?", "c", version="2"), "a is completed, and the plan lacks it"),
        (plan_of("a", "c", version="2"), "b is suspended, and the plan lacks it"),
        (plan_of("z", "a", "b?", "c", version="2"), "a was entered before z, which the plan forbids"),
        (plan_of("a", "z", "b?", "c", version="2"), "b was entered before z, which the plan forbids"),
        (plan_of("b?", "a", "c", version="2"), "a was entered before b, which the plan forbids"),
        (plan_of("a", "b?", op="other"), "the plan is of the operation other, the run of work"),
    ],
)
def test_a_plan_that_work_which_is_done_does_not_fit_is_refused(plan: Plan, objection: str) -> None:
    async def scenario() -> None:
        app, old = memory_app(), plan_of("a", "b?", "c")
        await suspended(app, old)
        shown = await app.runs.migration(RUN, plan)
        fault = await refused(app.runs.control.migrate(RUN, plan, expect=shown.fingerprint, reason="no", principal=ADA))

        assert not shown.is_possible
        assert objection in shown.objections
        assert fault.code == "migration_impossible"
        assert await finished(app, old, "b") == ["a", "b", "c"]

    run(scenario())


def test_a_changed_plan_of_the_same_version_is_refused_and_the_run_goes_on_beside_it() -> None:
    """A process that knows both finds only one of them by operation and version."""

    async def scenario() -> None:
        app, old, changed = memory_app(), plan_of("a", "b?", "c"), plan_of("a", "b?", "c", "d")
        await suspended(app, old)
        shown = await app.runs.migration(RUN, changed)
        call = app.runs.control.migrate(RUN, changed, expect=shown.fingerprint, reason="no", principal=ADA)
        fault = await refused(call)

        assert not shown.is_possible
        assert shown.objections == ["the run has another plan of version 1: give the changed plan another version"]
        assert (fault.code, fault.message) == ("migration_impossible", shown.objections[0])
        assert (await app.runs.migration(RUN, old)).is_applied
        assert await finished(app, old, "b") == ["a", "b", "c"]
        await app.runs.replay(RUN, plan=old)

    run(scenario())


def test_a_plan_that_reverses_what_was_done_is_refused() -> None:
    async def scenario() -> None:
        app = memory_app()
        await suspended(app, plan_of("a", "b", "c?", edges=[("b", "c")]))
        shown = await app.runs.migration(RUN, plan_of("b", "a", "c?", edges=[("b", "a"), ("a", "c")], version="2"))
        assert shown.objections == ["work.a.main was done before work.b.main, which the plan forbids"]

    run(scenario())


def test_a_plan_other_than_the_one_that_was_shown_is_refused() -> None:
    async def scenario() -> None:
        app, new = memory_app(), plan_of("a", "b?", version="2")
        await suspended(app, plan_of("a", "b?", "c"))
        shown = await app.runs.migration(RUN, plan_of("a", "b?", version="3"))
        call = app.runs.control.migrate(RUN, new, expect=shown.fingerprint, reason="wrong", principal=ADA)
        assert (await refused(call)).code == "migration_unseen"

    run(scenario())


def test_afterwards_the_old_plan_is_no_longer_the_runs() -> None:
    async def scenario() -> None:
        app, old, new = memory_app(), plan_of("a", "b?", "c"), plan_of("a", "b?", "d", version="2")
        await suspended(app, old)
        await migrated(app, new)
        await app.runs.control.signal(RUN, "b", "word", "yes", principal=ADA)
        assert (await refused(app.runs.resume(RUN, plan=old))).code == "plan_drifted"
        assert await finished(app, new) == ["a", "b", "d"]

    run(scenario())


def test_migrating_twice_changes_nothing_more_and_an_ended_run_not_at_all() -> None:
    async def scenario() -> None:
        app, new = memory_app(), plan_of("a", "b?", version="2")
        await suspended(app, plan_of("a", "b?", "c"))
        await migrated(app, new)
        length = len(await read_run(app, RUN))
        shown = await app.runs.migration(RUN, new)
        again = await app.runs.control.migrate(RUN, new, expect=shown.fingerprint, reason="again", principal=ADA)
        assert again.is_applied
        assert len(await read_run(app, RUN)) == length
        await finished(app, new, "b")
        other = plan_of("a", "b?", "e", version="3")
        shown = await app.runs.migration(RUN, other)
        call = app.runs.control.migrate(RUN, other, expect=shown.fingerprint, reason="late", principal=ADA)
        assert (await refused(call)).code == "run_ended"
        assert shown.objections == ["the run has ended: completed"]

    run(scenario())


WIDE = RunConfig(execution_mode=FanOutJoin.of(3))
DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def test_with_states_at_once_a_run_goes_on_with_more_branches() -> None:
    async def scenario() -> None:
        app = memory_app()
        await suspended(app, plan_of("a", "b", "c?", "d", edges=DIAMOND), config=WIDE)
        new = plan_of("a", "b", "c?", "e", "d", edges=[*DIAMOND, ("b", "e"), ("e", "d")], version="2")
        await migrated(app, new)
        assert await finished(app, new, "c") == ["a", "b", "c", "d", "e"]

    run(scenario())


def test_with_states_at_once_completed_work_keeps_its_ancestors() -> None:
    async def scenario() -> None:
        app = memory_app()
        await suspended(app, plan_of("a", "b", "x", "c?", "d", edges=DIAMOND), config=WIDE)
        for edges in ([*DIAMOND, ("x", "b")], [("a", "c"), ("b", "d"), ("c", "d")]):
            shown = await app.runs.migration(RUN, plan_of("a", "x", "b", "c?", "d", edges=edges, version="2"))
            assert shown.objections == ["b completed after other steps than the plan puts before it"]

    run(scenario())


class Waiting:
    """An operation that waits."""

    op_id, op_version = "waiting", "1"

    def io(self, config: Any) -> OpIo:
        del config
        return OpIo()

    def expand(self, op_path: str, config: Any, run_config: RunConfig) -> OpGraph:
        del run_config
        plan = Plan(self.op_id)
        plan.add("ask", Step("ask", waits=config["waits"]))
        return OpGraph.of_plan(op_path, plan)


def pipeline(version: str, **waits: bool) -> ExecutionPlan:
    steps = tuple(PipelineStep(name, "waiting", "1", {"waits": each}) for name, each in waits.items())
    return plan_pipeline(Pipeline("line", version, steps), OpRegistry([Waiting()]))


def test_a_pipeline_goes_on_with_another_step_at_its_end() -> None:
    async def scenario() -> None:
        app, new = memory_app(), pipeline("2", first=False, second=True, third=False)
        await app.runs.start(pipeline("1", first=False, second=True), {}, run_id=RUN)
        await migrated(app, new)
        assert (await app.runs.migration(RUN, new)).difference.is_same
        await app.runs.control.signal(RUN, "line.second.ask", "word", "yes", principal=ADA)
        result = await app.runs.resume(RUN, plan=new)
        assert result.phase == "completed"
        assert len((await app.runs.read.state(RUN)).steps) == 3

    run(scenario())


def test_a_paused_run_goes_on_with_the_new_plan_once_it_is_unpaused() -> None:
    async def scenario() -> None:
        app, new = memory_app(), plan_of("a", "c", version="2")
        await app.runs.start(plan_of("a", "b"), run_id=RUN, detach=True)
        await app.runs.control.pause(RUN, "wait", principal=ADA)
        await migrated(app, new)
        await app.runs.control.unpause(RUN, "go on", principal=ADA)
        assert await finished(app, new) == ["a", "c"]

    run(scenario())


def test_a_run_that_is_driven_is_to_be_paused_first() -> None:
    async def scenario() -> None:
        app = memory_app()
        plan = Plan("work")

        @plan.state
        async def slow() -> None:
            await asyncio.sleep(5)

        driving = asyncio.create_task(app.runs.start(plan, run_id=RUN))
        await asyncio.sleep(1)
        other = Plan("work", version="2")
        other.state(name="slow")(slow)
        other.add("more", Step("more"), after=["slow"])
        shown = await app.runs.migration(RUN, other)
        call = app.runs.control.migrate(RUN, other, expect=shown.fingerprint, reason="now", principal=ADA)
        assert (await refused(call)).code == "step_not_ready"
        assert (await driving).phase == "completed"

    run(scenario())


def test_a_run_that_is_told_more_at_once_does_not_end_by_its_old_plan() -> None:
    """Unpaused and migrated in one look at the inbox, the old plan has nothing left to do, and the new one has."""

    async def scenario() -> None:
        app, new = memory_app(), Plan("work", version="2")
        old = Plan("work")

        async def slow() -> None:
            await asyncio.sleep(5)

        for plan in (old, new):
            plan.state(slow)
        new.add("more", Step("more"), after=["slow"])
        driving = asyncio.create_task(app.runs.start(old, run_id=RUN))
        await asyncio.sleep(1)
        await app.runs.control.pause(RUN, "wait", principal=ADA)
        assert (await driving).waiting is not None

        stream, now_ms = stream_id("default", "run", RUN), app.journal.now_ms()
        claim = await app.store.activations.take(stream, "run", "somebody", now_ms, 30_000)
        assert isinstance(claim, Claim)
        shown = await app.runs.migration(RUN, new)
        told = await app.runs.control.migrate(RUN, new, expect=shown.fingerprint, reason="more", principal=ADA)
        assert (told.is_applied, told.is_pending) == (False, True)
        await app.runs.control.unpause(RUN, "go on", principal=ADA)
        await app.store.activations.release([claim], None)
        app.runs.plans.add(new)
        await app.runs.worker.work(until_idle=True)
        assert (await app.runs.read.result(RUN)).phase == "completed"
        assert (await app.runs.read.context(RUN))["did more"] == "more"

    run(scenario())


def test_a_run_that_sits_out_a_back_off_goes_on_with_the_new_plan() -> None:
    async def scenario() -> None:
        app, tries = memory_app(), [True, False]
        old, new = Plan("work"), Plan("work", version="2")

        async def flaky() -> int:
            if tries.pop(0):
                raise StateFailure("busy", "not now", retryable=True)
            return 1

        for plan in (old, new):
            plan.state(name="flaky", retry=RetryPolicy.fixed(2, 10_000))(flaky)
        new.add("more", Step("more"), after=["flaky"])
        driving = asyncio.create_task(app.runs.start(old, run_id=RUN))
        await asyncio.sleep(1)
        app.runs.plans.add(new)
        await migrated(app, new)
        assert (await driving).phase == "completed"
        assert (await app.runs.read.context(RUN))["did more"] == "more"

    run(scenario())


def calling(*more: str, version: str, effect: bool = False) -> Plan:
    """A plan whose first state calls the outside, for an effect without a key or to read."""
    plan = Plan("work", version=version)

    @plan.state(side_effects="apply_side_effect" if effect else None)
    async def call(io: LiveIo) -> None:
        await io.call(write("pay") if effect else read("look"))

    for name in more:
        plan.add(name, Step(name), after=["call"])
    return plan


def test_a_run_that_a_dead_process_left_open_is_migrated_between_attempts() -> None:
    async def scenario() -> None:
        world = World(lambda: calling("old", version="1"))
        await world.live(crash_on="send:before")
        await asyncio.sleep(60)  # the claim of the dead process lapses
        app, new = world.process(), calling("new", version="2")
        assert (await app.runs.read.state(RUN)).open == ["work.call.main"]
        await migrated(app, new)
        assert await finished(app, new) == ["new"]
        check_run(await read_run(app, RUN), plan=new.build())
        assert world.outside.count("look") == 1

    run(scenario())


def test_an_effect_in_doubt_is_still_in_doubt_after_a_migration() -> None:
    async def scenario() -> None:
        world = World(lambda: calling(version="1", effect=True))
        await world.live(crash_on="send:after")
        await asyncio.sleep(60)
        app, new = world.process(), calling("new", version="2", effect=True)
        await migrated(app, new)
        result = await app.runs.resume(RUN, plan=new)
        assert result.waiting is not None
        assert result.waiting.kind == "parked"
        await app.runs.control.resolve(RUN, "call", e.Resolution.ADOPT, "I looked", adopt={}, principal=ADA)
        assert await finished(app, new) == ["new"]
        assert world.outside.count("pay") == 1

    run(scenario())
