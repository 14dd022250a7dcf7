"""Random plans, forked at any step: a fork comes to the same end as its source."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interlock.engine import events as e
from interlock.engine.config import FanOutJoin, RunConfig
from interlock.engine.fold import RUN_FOLD
from interlock.engine.lineage.fork import heritage
from interlock.engine.plan import read_outline
from interlock.testing.app import read_run
from interlock.testing.checker import check_artifacts, check_run
from interlock.testing.loop import run
from tests.properties.test_runs import NAMES, Script, ended, scripts
from tests.simulation.crashes import RUN_ID, World, records

FORK_ID, NEXT_ID = "01890a5d-ac96-774b-bcce-b302099a8058", "01890a5d-ac96-774b-bcce-b302099a8059"


@given(scripts(), st.integers(0, 2**16))
def test_a_fork_at_any_step_with_absorbed_effects_ends_as_its_source(script: Script, seed: int) -> None:
    """I2, I4, I5, I6, I8, I9, I10, I12, I16: also of a fork of that fork, at any step that it inherited or ran."""

    async def scenario() -> None:
        world = await ended(script.world())
        assert world.result is not None
        applied = dict(world.outside.applied)
        for number, _ in enumerate(script.states):
            app = world.process()
            app.runs.plans.add(script.plan())
            first, second = f"{FORK_ID[:-1]}{number}", f"{NEXT_ID[:-2]}1{number}"
            for source, run_id, step in ((RUN_ID, first, number), (first, second, len(script.states) - 1 - number)):
                fork = await app.runs.fork(source, f"s{step}", run_id=run_id, absorb_all=True)
                log = await read_run(app, run_id)
                check_run(log, plan=script.plan().build())
                await check_artifacts(log, app.store.artifacts)
                assert (fork.phase, fork.final_snapshot_id) == ("completed", world.result.final_snapshot_id)
                assert {each.step for each in fork.inherited} == {f"s{each}" for each in range(step)}
        assert {name: world.outside.applied[f"write {name}"] for name in NAMES} == {
            name: applied.get(f"write {name}", 0) for name in NAMES
        }

    run(scenario(), seed=seed)


@given(scripts(), st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 2**16))
def test_a_fork_of_whatever_a_crash_left_ends_as_its_source_would(
    script: Script, crashes: list[int], seed: int
) -> None:
    """The source is any prefix of a run; the fork begins where it stands, and no effect happens twice."""

    async def scenario() -> None:
        calm = await ended(script.world())
        assert calm.result is not None
        world = script.world()
        for number, crash_at in enumerate(crashes):
            await world.live(crash_at)
            state = RUN_FOLD.initial("none") if not world.log else await world.process().runs.read.state(RUN_ID)
            if not state.exists or state.status is not None:
                continue
            app, run_id = world.process(), f"{FORK_ID[:-1]}{number}"
            app.runs.plans.add(script.plan())
            fork = await app.runs.fork(RUN_ID, run_id=run_id, absorb_all=True)
            log = await read_run(app, run_id)
            check_run(log, plan=script.plan().build())
            assert (fork.phase, fork.final_snapshot_id) == ("completed", calm.result.final_snapshot_id)
        await ended(world)
        for name in NAMES:
            assert world.outside.applied[f"write {name}"] == calm.outside.applied[f"write {name}"]

    run(scenario(), seed=seed)


@st.composite
def disjoint(draw: st.DrawFn) -> Script:
    """A plan whose states write keys of their own, so that they can run at once."""
    script = draw(scripts())
    states = []
    for number, (operations, before, skipped) in enumerate(script.states):
        own = tuple(
            each for each in operations if each[0] not in ("write", "add", "delete", "value", "emit", "artifact")
        )
        states.append(((*own, ("write", f"k{number}", number)), before, skipped))
    return Script(tuple(states), script.busy)


@given(disjoint(), st.integers(0, 2**16))
def test_a_fork_of_states_at_once_inherits_what_did_not_wait_for_its_step(script: Script, seed: int) -> None:
    async def scenario() -> None:
        world: World = script.world()
        app = world.process()
        config = RunConfig(execution_mode=FanOutJoin.of(3), skip_tags=("skipped",))
        source = await app.runs.start(script.plan(), run_id=RUN_ID, config=config)
        before = {f"s{number}": {f"s{each}" for each in edges} for number, (_, edges, _) in enumerate(script.states)}
        for number, _ in enumerate(script.states):
            fork = await app.runs.fork(RUN_ID, f"s{number}", run_id=f"{FORK_ID[:-1]}{number}", absorb_all=True)
            gone = {f"s{number}"}
            for step, edges in before.items():  # predecessors have smaller numbers
                if edges & gone:
                    gone.add(step)
            assert {each.step for each in fork.inherited} == set(before) - gone
            assert (fork.phase, fork.final_snapshot_id) == ("completed", source.final_snapshot_id)

    run(scenario(), seed=seed)


@given(scripts(), st.integers(0, 2**16))
def test_a_fork_inherits_exactly_the_facts_that_were_bound_before_its_step(script: Script, seed: int) -> None:
    async def scenario() -> None:
        log = records((await ended(script.world())).log)
        outline = read_outline(script.plan().build().outline)
        for number, _ in enumerate(script.states):
            found = heritage(log, outline, f"script.s{number}.main")
            # A sequential run binds facts of one state after the other.
            first = next(i for i, each in enumerate(log) if getattr(each, "state_id", None) == f"script.s{number}.main")
            bound = [each.key for each in log[:first] if isinstance(each, e.FactRecorded)]
            assert [key for each in found.inherited for key in each.facts] == bound

    run(scenario(), seed=seed)
