"""The list of runs: at every event it says of a run what the run's own events say."""

from __future__ import annotations

import asyncio

from msgspec import Raw, Struct

from interlock import App, Context, Io, Plan, RunConfig
from interlock.base.events import Place
from interlock.engine import events as e
from interlock.engine.config import FanOutJoin
from interlock.engine.events import RunStatus
from interlock.engine.fold import RUN_FOLD, evolve
from interlock.engine.reports.records import waiting_of
from interlock.engine.run_state import RunState, wait_key
from interlock.engine.views import ATTRIBUTES_MAX, RUNS, RunRow, term_of
from interlock.testing.app import memory_app, read_run
from interlock.testing.loop import over_seeds
from tests.unit.engine.search.plans import ADA, IDS, asking, call, failing


def expected(state: RunState) -> str:
    """What the list must say: the phase, or why nothing moves, were nobody to drive the run."""
    if state.status is not None:
        return state.status.value
    if state.cancelling is not None:
        return "cancelling"
    waiting = waiting_of(state, None)
    return "running" if waiting is None or waiting.kind == "queued" else waiting.kind


async def told(app: App, run_id: str) -> list[str]:
    """The states that the list went through, each checked against the run as its events tell it."""
    state, row, found = RUN_FOLD.initial(f"default/run/{run_id}"), None, list[str]()
    for event in await read_run(app, run_id):
        assert event.record is not None
        state = evolve(state, event.record, event.place)
        if event.envelope.type in RUNS.types and RUNS.key(event.place, event.record) is not None:
            row = RUNS.evolve(row, event.place, event.record)
        assert isinstance(row, RunRow)
        assert row.state == expected(state), event.record
        if not found or found[-1] != row.state:
            found.append(row.state)
    return found


@over_seeds(3)
async def test_a_run_that_waits_is_suspended_until_something_came() -> None:
    app = memory_app()
    control = app.runs.control
    await app.runs.start(asking(), run_id=IDS[0])
    await control.signal(IDS[0], "decide", "first", 1, principal=ADA)
    await app.runs.resume(IDS[0])
    await control.signal(IDS[0], "decide", "second", 2, principal=ADA)
    await app.runs.resume(IDS[0])

    assert await told(app, IDS[0]) == ["running", "suspended", "running", "suspended", "running", "completed"]


@over_seeds(3)
async def test_an_answer_that_comes_before_the_question_suspends_nothing() -> None:
    app = memory_app()
    await app.runs.start(asking(), run_id=IDS[0], detach=True)
    for name in ("second", "first"):
        await app.runs.control.signal(IDS[0], "decide", name, 1, principal=ADA)
    await app.runs.resume(IDS[0])

    assert (await told(app, IDS[0]))[-1] == "completed"


@over_seeds(0)
async def test_pause_and_cancel_show_while_they_count() -> None:
    app = memory_app()
    control = app.runs.control
    await app.runs.start(asking(), run_id=IDS[0])
    await control.pause(IDS[0], "lunch", principal=ADA)
    assert (await call(app, "run.list", state="paused")).items[0].run_id == IDS[0]
    await control.unpause(IDS[0], "back", principal=ADA)
    await control.cancel(IDS[0], "no need", principal=ADA)

    assert await told(app, IDS[0]) == ["running", "suspended", "paused", "suspended", "cancelling", "cancelled"]


@over_seeds(0)
async def test_a_failed_step_backs_off_and_its_code_is_that_of_the_run_that_failed() -> None:
    app = memory_app()
    result = await app.runs.start(failing(attempts=2), run_id=IDS[0])
    assert result.waiting is not None
    [row] = (await call(app, "run.list", state="backoff")).items
    assert row.error_code == "net_down"
    await app.runs.control.retry(IDS[0], "fetch", "now", principal=ADA)
    await app.runs.resume(IDS[0])

    assert await told(app, IDS[0]) == ["running", "backoff", "running", "failed"]
    [row] = (await call(app, "run.list", failed_with="net_down")).items
    assert (row.state, row.error_code) == ("failed", "net_down")


@over_seeds(3)
async def test_branches_that_wait_and_work_at_once_are_told_as_the_run_stands() -> None:
    plan = Plan("fan")
    for name in "abc":

        @plan.state(name=name)
        async def ask(io: Io, ctx: Context, name: str = name) -> None:
            await asyncio.sleep(0.01)
            if name != "c":
                await io.wait("go", object)

    app = memory_app()
    await app.runs.start(plan, run_id=IDS[0], config=RunConfig(execution_mode=FanOutJoin.of(3)))
    for step in "ab":
        await app.runs.control.signal(IDS[0], step, "go", principal=ADA)
    await app.runs.resume(IDS[0])

    assert (await told(app, IDS[0]))[-1] == "completed"


@over_seeds(0)
async def test_a_child_names_its_parent_and_is_found_by_it() -> None:
    parent = Plan("parent")

    @parent.state
    async def spawn(io: Io) -> str:
        return (await io.child(asking("kid"), {"name": "x"}, name="one")).status

    app = memory_app()
    await app.runs.start(parent, run_id=IDS[0])
    [kid] = (await call(app, "run.list", parent=IDS[0])).items

    assert (kid.op_id, kid.parent_run_id, kid.state) == ("kid", IDS[0], "suspended")
    assert await told(app, IDS[0]) == ["running", "suspended"]
    report = await app.runs.read.report(IDS[0])
    assert [(child.run_id, child.step, child.name, child.status) for child in report.children] == [
        (kid.run_id, "spawn", "one", "running")
    ]
    assert (await app.runs.read.report(kid.run_id)).parent_run_id == IDS[0]


@over_seeds(0)
async def test_the_terms_of_a_run_are_bounded() -> None:
    app = memory_app()
    attributes = {f"key{number}": "x" * 200 for number in range(ATTRIBUTES_MAX)}
    await app.runs.start(asking(), run_id=IDS[0], attributes=attributes)
    [row] = (await call(app, "run.list", attribute=[f"key3={'x' * 200}"])).items

    assert len(row.attributes) == ATTRIBUTES_MAX
    assert max(len(term_of(value)) for value in ["x" * 1000, 5, True, None]) == 200
    assert [status.value for status in RunStatus] == ["completed", "failed", "cancelled"]


def waiting_at_once(width: int) -> list[Struct]:
    """A run whose states are all entered, wait, are answered, entered again and completed, each together."""
    some, ids = "0" * 64, [f"fan.s{number}.main" for number in range(width)]
    wait = e.OpenWait(some, 5, "signal", "go", Raw(b"{}"), some)
    return [
        e.RunStarted(some, some, "fan"),
        *(e.StateEntered(0, some, each) for each in ids),
        *(e.StateSuspended(each, (wait,)) for each in ids),
        *(e.FactRecorded(wait_key(each, "go"), "json", some, None) for each in ids),
        *(e.StateEntered(1, some, each) for each in ids),
        *(e.StateCompleted(some, each) for each in ids),
    ]


def test_an_event_of_a_wide_run_is_listed_without_copying_how_its_states_stand() -> None:
    place, row = Place(f"default/run/{IDS[0]}", 1, 1, "local:ada", None), None
    stood: dict[str, object] = {}
    copied = 0
    for record in waiting_at_once(400):
        row = RUNS.evolve(row, place, record)
        assert row is not None
        copied += len([status for status, group in row.states.items() if group is not stood.get(status, group)])
        stood = dict(row.states)
    assert row is not None
    assert not any(row.states.values())
    assert copied == 0
