"""Gates that close again: evidence becomes too old, a timer notices, and an event says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.app import App
from interlock.base.bounds import INTEGER_MAX
from interlock.gates.control import closing
from interlock.gates.control import events as e
from interlock.gates.control.closing import GateEnd, gate_ends
from interlock.gates.control.decide import RUNS, EvidenceTooOld
from interlock.gates.control.evaluation import gates_of
from interlock.gates.control.keys import run_stream
from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.logic.evaluate import evaluate
from interlock.gates.logic.status import Status
from interlock.gates.logic.tree import And, Condition, Group, Not, Or, RequireGroup, Requirement
from interlock.gates.records import EvidenceRecord
from interlock.gates.spec import ConditionSpec, GateSpec, ScenarioSpec, StageSpec, Terminal, TimeoutSpec
from interlock.gates.values import Logical, Timestamp, UnixMillis
from interlock.testing.app import memory_app
from interlock.testing.clock import VirtualClock
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import ADA, Scene, stage
from tests.unit.gates.control.test_timing import begun
from tests.unit.gates.control.test_verbs import condition as clock
from tests.unit.gates.control.test_verbs import document as scenario_file
from tests.unit.gates.redecide.lives import Told, condition, scenario_of
from tests.unit.gates.test_steps import plan, started

BEGUN = UnixMillis(1_000)
A, B, C = (Condition(each) for each in "abc")
STREAM = run_stream("default", 1, 2, "r1")


def document(*stages: StageSpec, conditions: list[ConditionSpec]) -> ScenarioSpec:
    return ScenarioSpec("release", 2, "1", list(stages), conditions, [], [])


def ends(
    requirement: Requirement,
    ages: dict[str, int],
    observed: dict[str, int | None],
    at: Timestamp = BEGUN,
    **statuses: Status,
) -> list[int]:
    """When the gate of a requirement closes, over conditions that are all true but those of `statuses`."""
    names = "abc"
    conditions = [condition(each, **({"max_age_ms": ages[each]} if each in ages else {})) for each in names]
    one = StageSpec("one", [], [GateSpec("g", requirement)], Terminal(), "fail")
    records = [EvidenceRecord(each, statuses.get(each, Status.TRUE), EvidenceResult()) for each in names]
    gates = gates_of(one, "t1", records)
    return [end.at_ms for end in gate_ends(scenario_of(document(one, conditions=conditions)), gates, observed, at)]


def test_a_gate_closes_when_the_evidence_that_it_needs_is_too_old() -> None:
    aged = {"a": 100, "b": 200}
    assert ends(A, {}, {}) == []
    assert ends(A, aged, {"a": 950}) == [1_051]
    assert ends(A, aged, {}) == [1_101], "asked for at the trigger, where nobody says when it was observed"
    assert ends(And((A, B, C)), aged, {"a": 1_000, "b": 500}) == [701]
    assert ends(Or((A, B)), aged, {"a": 950, "b": 950}) == [1_151]
    assert ends(Or((A, C)), aged, {"a": 950}) == []
    assert ends(RequireGroup(Group(2, (A, B, C))), aged, {"a": 950, "b": 990}) == [1_191]
    assert ends(Not(A), aged, {"a": 950}, a=Status.FALSE) == [1_051]
    assert ends(A, aged, {"a": 950}, a=Status.UNKNOWN) == [], "a gate that is not true cannot close"
    assert ends(A, aged, {}, Logical(5)) == []
    assert ends(A, {"a": INTEGER_MAX}, {"a": 950}) == [INTEGER_MAX]


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 50)),
    st.dictionaries(st.sampled_from("abc"), st.integers(950, 1_000)),
    st.sampled_from([A, And((A, B)), Or((A, B)), And((A, Or((B, C)))), RequireGroup(Group(2, (A, B, C)))]),
)
def test_a_gate_is_true_until_the_millisecond_before_it_closes(
    ages: dict[str, int], observed: dict[str, int | None], requirement: Requirement
) -> None:
    """What is found by the walk over ages is what a look at that millisecond would decide."""

    def is_true(at_ms: int) -> bool:
        since = {name: observed.get(name, 1_000) or 0 for name in ages}
        fresh = [name for name in "abc" if name not in ages or at_ms - since[name] <= ages[name]]
        records = [EvidenceRecord(each, Status.TRUE, EvidenceResult()) for each in fresh]
        one = StageSpec("one", [], [GateSpec("g", requirement)], Terminal(), "fail")
        return gates_of(one, "t1", records)[0].evaluation.status is Status.TRUE

    found = ends(requirement, ages, observed)
    truth = [at_ms for at_ms in range(1_000, 1_060) if not is_true(at_ms)]
    assert found == [] if not truth else found[0] == truth[0] or found[0] < 1_000


async def aged(told: Told, *, at_ms: int = 5_500) -> tuple[App, Scene]:
    """A run whose first stage has opened on evidence that counts for a second; the second has no limit."""
    app = memory_app()
    scene = Scene(app, told)
    first = stage("one", "a", "b")
    await begun(
        app,
        document(
            first,
            stage("two", "c"),
            conditions=[condition("a", max_age_ms=1_000), condition("b", max_age_ms=300), condition("c")],
        ),
    )
    await scene.trigger("t1", UnixMillis(at_ms))
    return app, scene


async def closed(app: App) -> list[e.GatesClosed]:
    found = []
    async for page in app.journal.read(STREAM):
        found += [event.record for event in page if isinstance(event.record, e.GatesClosed)]
    return found


def test_each_gate_of_a_passed_stage_is_said_to_be_closed_once() -> None:
    async def main() -> None:
        app, scene = await aged(Told(a="yes", b="yes"))
        assert (await scene.state()).current_stage_id == "two"
        assert await app.store.timers.next_due("default") == 5_801
        assert await app.timers.fire_due("default", 5_800) == 0
        assert await app.timers.fire_due("default", 6_000) == 1
        assert await app.timers.fire_due("default", 9_000) == 1
        assert await closed(app) == [
            e.GatesClosed(5_801, ("b",), 6_501, "one"),
            e.GatesClosed(6_501, ("a",), None, "one"),
        ]
        assert await app.store.timers.next_due("default") is None
        state = await scene.state()
        assert (state.current_stage_id, len(state.triggers)) == ("two", 1), "a stage that was passed stays passed"

    run(main())


def test_a_new_look_at_a_stage_gives_its_gates_new_times() -> None:
    async def main() -> None:
        told = Told(a="yes", b="no")
        app, scene = await aged(told)
        assert await app.store.timers.next_due("default") == 6_501
        told.told["a"] = "no"
        await scene.trigger("t2", UnixMillis(5_600))
        assert await app.store.timers.next_due("default") is None
        told.told["a"] = "yes"
        await scene.trigger("t3", UnixMillis(5_700))
        assert await app.store.timers.next_due("default") == 6_701
        await app.timers.fire_due("default", 6_700)
        assert await closed(app) == []
        await app.timers.fire_due("default", 6_701)
        told.told["a"] = "no"
        await scene.trigger("t4", UnixMillis(6_800))
        assert [each.gates for each in await closed(app)] == [("a",)]

    run(main())


def test_gates_without_an_age_leave_nothing_in_the_stream() -> None:
    async def main() -> None:
        app = memory_app()
        scene = Scene(app, Told(a="no"))
        await begun(app, document(stage("one", "a"), conditions=[condition("a")]))
        await scene.trigger("t1", UnixMillis(5_500))
        untils = []
        async for page in app.journal.read(STREAM):
            untils += [event.record.until for event in page if isinstance(event.record, e.ScenarioDecided)]
        assert untils == [None]

    run(main())


def test_a_timer_that_a_decision_has_moved_meanwhile_takes_no_other_away() -> None:
    """Somebody reads a due timer, a decision sets it anew, and then the firing is executed."""

    async def main() -> None:
        app, _ = await aged(Told(a="yes", b="yes"))
        seen = await app.runner.look(RUNS, STREAM, lambda state: state.document_id)
        stale = EvidenceTooOld(STREAM, await app.definitions.of_document(seen), "one", 5_000)
        assert list(await app.runner.execute(RUNS, stale, ADA)) == []
        assert await app.store.timers.next_due("default") == 5_801

    run(main())


def test_a_timer_that_a_decision_has_moved_closes_no_gate_at_another_time_than_its_own() -> None:
    """The decision's time is a caller's, and lies before what was due: the new end is earlier than the old one."""

    async def main() -> None:
        app, scene = await aged(Told(a="yes", b="no"))
        [timer] = await app.store.timers.due("default", 6_501, 10)
        stale = await app.scenarios.due(timer)
        await scene.trigger("t2", UnixMillis(5_400))
        assert list(await app.runner.execute(RUNS, stale, ADA)) == []
        assert await app.timers.fire_due("default", 6_501) == 1
        assert [each.at_ms for each in await closed(app)] == [6_401]

    run(main())


def test_many_ages_are_looked_at_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def counted(*given: Any) -> Any:
        nonlocal looks
        looks += 1
        return evaluate(*given)

    monkeypatch.setattr(closing, "evaluate", counted)
    names = [f"c{n}" for n in range(1_000)]
    conditions = [condition(name, max_age_ms=n + 1) for n, name in enumerate(names)]
    one = StageSpec("one", [], [GateSpec("g", Or(tuple(map(Condition, names))))], Terminal(), "fail")
    records = [EvidenceRecord(name, Status.TRUE, EvidenceResult()) for name in names]
    gates = gates_of(one, "t1", records)
    scenario = scenario_of(document(one, conditions=conditions))
    assert gate_ends(scenario, gates, {}, BEGUN) == (GateEnd(2_001, "g"),)
    assert looks < 15


def test_a_stage_timer_that_a_decision_has_moved_meanwhile_takes_no_other_away() -> None:
    """The first stage's tick was due, and a trigger opened the stage before the firing was executed."""

    async def main() -> None:
        app = memory_app()
        scene = Scene(app, Told(a="yes"))
        timed: dict[str, Any] = {"timeout": TimeoutSpec(1_000, []), "auto_tick": True}
        stages = (stage("one", "a", **timed), stage("two", "b", **timed))
        await begun(app, document(*stages, conditions=[condition("a"), condition("b")]))
        [timer] = await app.store.timers.due("default", 6_000, 10)
        stale = await app.scenarios.due(timer)
        await scene.trigger("t1", UnixMillis(5_500))
        assert list(await app.runner.execute(RUNS, stale, ADA)) == []
        assert await app.store.timers.next_due("default") == 6_500
        assert await app.timers.fire_due("default", 6_500) == 1
        assert (await scene.state()).status == "failed"

    run(main())


def aging(path: Path) -> str:
    """A scenario over the clock, whose first stage rests on evidence that counts for a minute."""
    late = clock("late", "equals", True) | {"max_age_ms": 60_000}
    return scenario_file(path, conditions=[late, clock("early", "equals", True, check="before")])


async def explained(app: App) -> Any:
    answer: Any = await app.client(ADA).call("scenario.explain", {"scenario": "release", "run": "r1"})
    return answer.gates


def test_explain_says_when_a_gate_closes_and_that_it_has(tmp_path: Path) -> None:
    async def main() -> None:
        time = VirtualClock()
        app = memory_app(clock=time)
        client = app.client(ADA)
        await client.call("scenario.define", {"document": aging(tmp_path / "release.json")})
        await client.call("scenario.start", {"scenario": "release", "run": "r1"})
        await client.call("scenario.trigger", {"scenario": "release", "run": "r1", "id": "t1"})
        triggered_ms = time.now_ms()
        [gate] = await explained(app)
        assert (gate.closed, gate.closes_at_ms) == (False, triggered_ms + 60_001)
        time.jump(60_001)
        [gate] = await explained(app)
        assert gate.closed

    run(main())


def test_a_step_is_not_passed_by_a_stage_whose_evidence_is_too_old_by_now(tmp_path: Path) -> None:
    async def main() -> None:
        time = VirtualClock()
        app = memory_app(clock=time)
        aging(tmp_path / "release.json")
        path = plan(tmp_path, "{document: release.json, run: r1, stage: one}")
        assert (await started(app, path))["phase"] == "completed"
        time.jump(60_000)
        assert (await started(app, plan(tmp_path, "{scenario: release, run: r1, stage: one}")))["phase"] == "completed"
        time.jump(1)
        late = await started(app, plan(tmp_path, "{scenario: release, run: r1, stage: one, looks: 1}"))
        assert (late["phase"], late["error"]["code"]) == ("failed", "gate_not_passed")
        assert late["error"]["message"] == "the evidence of a gate has become too old since it opened: gate-one"

    run(main())
