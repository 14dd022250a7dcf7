"""Forks of runs that wait, that do several things at once, that have children, and of pipelines."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import FanOutJoin, RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.testing.app import memory_app, read_run
from interlock.testing.checker import check_artifacts
from interlock.testing.loop import run
from tests.simulation.crashes import records
from tests.simulation.operations import sums
from tests.simulation.outside import Outside, OutsideTransport
from tests.simulation.plans import write

ADA = local_principal("ada")
RUN, OTHER = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"
WIDE = RunConfig(execution_mode=FanOutJoin.of(4))


async def _no_gate() -> None:
    pass


async def code_of(call: Any) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        await call
    return caught.value


def asking() -> Plan:
    plan = Plan("asking")

    @plan.state
    async def first(io: LiveIo) -> str:
        return await io.wait("name", str)

    @plan.state
    async def second(first: str, io: LiveIo) -> str:
        return f"{first} {await io.wait('word', str)}"

    return plan


async def answered(app: App, run_id: str, step: str, name: str, value: str) -> None:
    await app.runs.control.signal(run_id, step, name, value, principal=ADA)
    await app.runs.resume(run_id)


def test_answers_of_inherited_states_are_inherited_and_other_waits_ask_again() -> None:
    async def scenario() -> None:
        app = memory_app()
        await app.runs.start(asking(), run_id=RUN)
        await answered(app, RUN, "first", "name", "Ada")
        fork = await app.runs.fork(RUN, run_id=OTHER)
        await answered(app, RUN, "second", "word", "said yes")

        assert fork.waiting is not None
        assert (fork.phase, fork.waiting.kind, fork.from_step) == ("running", "suspended", "second")
        assert [(each.step, each.answers) for each in fork.inherited] == [("first", ["name"])]
        assert [(each.step, each.name) for each in fork.asks_again] == [("second", "word")]
        assert (await app.runs.read.result(OTHER)).phase == "running"
        await answered(app, OTHER, "second", "word", "said no")
        assert await app.runs.read.output(OTHER, "second") == "Ada said no"

    run(scenario())


def test_an_answer_that_was_given_after_the_position_is_asked_for_again() -> None:
    async def scenario() -> None:
        app = memory_app()
        await app.runs.start(asking(), run_id=RUN)
        await answered(app, RUN, "first", "name", "Ada")
        await answered(app, RUN, "second", "word", "said yes")
        fork = await app.runs.fork(RUN, "first", run_id=OTHER)

        assert [(each.step, each.name) for each in fork.asks_again] == [("first", "name"), ("second", "word")]
        assert [each.kind for each in await app.runs.read.why(OTHER)] == ["signal"]

    run(scenario())


def wide() -> Plan:
    """`source` before `left`, `right` and `far`; `left` before `end`."""
    plan = Plan("wide")

    @plan.state
    async def source(ctx: Context) -> None:
        ctx.write("large", "l" * 5000)

    def branch(name: str) -> None:
        async def work(ctx: Context, io: LiveIo) -> str:
            await io.record_value(f"value:{name}", name)
            ctx.write(f"key:{name}", len(str(await ctx.read("large"))))
            return name

        plan.state(name=name, after=["source"])(work)

    for name in ("left", "right", "far"):
        branch(name)

    @plan.state(after=["left"])
    async def end(ctx: Context) -> list[str]:
        return sorted(await ctx.dump())

    @plan.state(after=["end", "right", "far"])
    async def join(ctx: Context) -> list[str]:
        return sorted(await ctx.dump())

    return plan


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ("left", {"source", "right", "far"}),
        ("source", set()),
        ("end", {"source", "left", "right", "far"}),
        ("join", {"source", "left", "right", "far", "end"}),
    ],
)
@pytest.mark.parametrize("given", [None, {"more": 1}])
def test_with_states_at_once_a_fork_inherits_all_that_did_not_wait_for_its_step(
    step: str, kept: set[str], given: dict[str, int] | None
) -> None:
    async def scenario() -> None:
        app = memory_app()
        source = await app.runs.start(wide(), run_id=RUN, config=WIDE)
        fork = await app.runs.fork(RUN, step, run_id=OTHER, input=given)

        assert {each.step for each in fork.inherited} == kept
        assert [each.facts for each in fork.inherited if each.step == "far"] in ([["value:far"]], [])
        if given is None:
            assert (fork.phase, fork.final_snapshot_id) == ("completed", source.final_snapshot_id)
        else:
            values = {**await app.runs.read.context(RUN), **given}
            found = await app.runs.read.context(OTHER)
            names = ("end", "join")
            assert {**found, "end": 0, "join": 0} == {**values, "end": 0, "join": 0}
            assert all("more" in found[name] for name in names if name not in kept)
        await check_artifacts(await read_run(app, OTHER), app.store.artifacts)

    run(scenario())


def family(hold: list[bool], *, key: str | None) -> tuple[Plan, Plan]:
    kid, parent = Plan("kid"), Plan("parent")

    @kid.state(side_effects="apply_side_effect", idempotency=key)
    async def work(io: LiveIo) -> int:
        await io.call(write("kid's work"))
        return 7

    @parent.state
    async def spawn(io: LiveIo) -> object:
        done = await io.child(kid, name="one")
        return await io.output(done, "work")

    @parent.state
    async def last(spawn: int) -> int:
        if hold[0]:
            raise StateFailure("held", "not yet")
        return spawn + 1

    return kid, parent


@pytest.mark.parametrize(("key", "option"), [("kid:1", "absorb_all"), (None, "again_all")])
def test_children_are_never_shared_and_their_effects_need_a_choice(key: str | None, option: str) -> None:
    async def scenario() -> None:
        outside, hold = Outside(), [True]
        app = memory_app(transports={"outside": OutsideTransport(outside, lambda _: None, _no_gate)})
        _, parent = family(hold, key=key)
        await app.runs.start(parent, run_id=RUN)
        hold[0] = False
        fault = await code_of(app.runs.fork(RUN, "spawn", run_id=OTHER))
        options: dict[str, Any] = {option: True}
        fork = await app.runs.fork(RUN, "spawn", run_id=OTHER, **options)
        state = await app.runs.read.state(OTHER)
        [theirs] = (await app.runs.read.state(RUN)).children

        assert fault.details["effects"] == ["child:parent.spawn.main:one"]
        assert fork.phase == "completed"
        assert [(each.step, each.name, each.run_id, each.effects) for each in fork.children] == [
            ("spawn", "one", theirs, 1)
        ]
        assert list(state.children) != [theirs]
        assert outside.applied["kid's work"] == (1 if key else 2)

    run(scenario())


def test_what_a_child_came_to_is_inherited_without_the_child() -> None:
    async def scenario() -> None:
        outside, hold = Outside(), [True]
        app = memory_app(transports={"outside": OutsideTransport(outside, lambda _: None, _no_gate)})
        await app.runs.start(family(hold, key="kid:1")[1], run_id=RUN)
        hold[0] = False
        fork = await app.runs.fork(RUN, run_id=OTHER)

        assert (fork.phase, fork.children, fork.effects) == ("completed", [], [])
        assert (await app.runs.read.state(OTHER)).children == {}
        assert outside.count("kid's work") == 1

    run(scenario())


def test_a_pipeline_is_forked_with_its_boundaries() -> None:
    async def scenario() -> None:
        app = memory_app()
        source = await app.runs.start(sums(), {"count": 3}, run_id=RUN)
        fork = await app.runs.fork(RUN, "sums.end.total", run_id=OTHER)
        logs = [records(await read_run(app, each)) for each in (RUN, OTHER)]
        boundaries = [
            [r.payload for r in log if isinstance(r, e.DomainEmitted) and r.name == "op_boundary"] for log in logs
        ]

        assert (source.phase, fork.phase) == ("completed", "completed")
        assert fork.final_snapshot_id == source.final_snapshot_id
        assert boundaries[0] == boundaries[1]

    run(scenario())
