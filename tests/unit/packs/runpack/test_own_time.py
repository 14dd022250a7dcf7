"""What only our own events say of a run: when evidence was observed, and stages that end by themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.app import App
from interlock.base.canonical import canonical
from interlock.gates.evidence.port import CallMade
from interlock.gates.logic.tree import And, Condition
from interlock.gates.records import StatusRequest
from interlock.gates.spec import Branch, BranchRule, GateSpec, ScenarioSpec, StageSpec, Terminal, TimeoutSpec
from interlock.gates.values import UnixMillis
from interlock.packs.export import export
from interlock.packs.survey import Wanted
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import ADA, Scene, spec, stage
from tests.unit.gates.control.test_timing import begun
from tests.unit.gates.redecide.lives import Life, Told, condition
from tests.unit.packs import making
from tests.unit.packs.making import codes, members, rechained, unpacked
from tests.unit.packs.runpack.making import verdict as runpack_verdict
from tests.unit.packs.runpack.test_container import STREAM, kind_of, packed, verdict

CALLS = (CallMade("http", "1" * 64, "2" * 64), CallMade("exec", "3" * 64, "4" * 64))


async def observed() -> Life:
    """A run whose evidence is fresh, then too old, then of no known age."""
    both = And((Condition("b"), Condition("a")))
    stages = [StageSpec("one", [], [GateSpec("g", both)], Terminal(), "fail")]
    conditions = [condition("a", max_age_ms=10), condition("b")]
    life = Life(Told(a="yes", b="no"), ScenarioSpec("release", 2, "1", stages, conditions, [], []))
    life.told.calls = CALLS
    await life.begin(packets=False)
    for number, seen in enumerate((5, 1, None)):
        life.told.observed_ms = seen
        await life.scene.trigger(f"t{number}", UnixMillis(10 + 5 * number))
    return life


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("aged") / "aged.pack", observed)


def test_events_say_when_evidence_was_observed_and_a_runpack_alone_does_not(aged: Path, tmp_path: Path) -> None:
    found = verdict(aged)
    assert (found.errors, found.not_rederivable) == ([], ())
    statuses = [
        each["evidence"][0]["status"] for each in json.loads(members(aged)["runpack/artifacts/gate_evals.json"])
    ]
    assert statuses == ["True", "Unknown", "True"]

    alone = runpack_verdict(unpacked(aged, tmp_path) / "runpack")
    assert alone.errors == []
    assert "evidence_age" in {each.what for each in alone.not_rederivable}


def rewritten(pack: Path, out: Path, change: Callable[[list[list[bytes]]], object]) -> Path:
    """The pack with other events, all digests fitting again."""

    def forge(content: dict[str, bytes], manifest: dict[str, Any]) -> None:
        events = making.lines(content[STREAM])
        change(events)
        content[STREAM], head = rechained(events)
        manifest["streams"][0] |= {"events": len(events), "head": head}

    return making.forged(pack, out, forge)


def at(events: list[list[bytes]], kind: str, number: int) -> int:
    return [place for place, event in enumerate(events) if kind_of(event) == kind][number]


def edit(kind: str, number: int, change: Callable[[dict[str, Any]], object]) -> Callable[[list[list[bytes]]], object]:
    def apply(events: list[list[bytes]]) -> None:
        event = events[at(events, kind, number)]
        data = json.loads(event[1])
        change(data)
        event[1] = canonical(data)

    return apply


def swap(events: list[list[bytes]]) -> None:
    """Two conditions of one trigger that change places."""
    place = at(events, "evidence_asked", 0)
    events[place], events[place + 1] = events[place + 1], events[place]


def late(events: list[list[bytes]]) -> None:
    """Evidence that is said to be observed behind the decision."""
    events.insert(at(events, "decided", 0) + 1, events.pop(at(events, "evidence_asked", 0)))


AGES: dict[str, tuple[Callable[[list[list[bytes]]], object], str]] = {
    "fresh evidence that was old": (
        edit("evidence_asked", 1, lambda data: data.update(observed_ms=-9)),
        "runpack_evidence_wrong",
    ),
    "old evidence that was fresh": (
        edit("evidence_asked", 3, lambda data: data.update(observed_ms=14)),
        "runpack_evidence_wrong",
    ),
    "old evidence of another age": (
        edit("evidence_asked", 3, lambda data: data.update(observed_ms=2)),
        "runpack_evidence_wrong",
    ),
    "no word of old evidence": (lambda events: events.pop(at(events, "evidence_asked", 3)), "runpack_evidence_wrong"),
    "a condition of nobody": (
        edit("evidence_asked", 0, lambda data: data.update(condition_id="z")),
        "runpack_sequence_wrong",
    ),
    "calls in another order": (
        edit("evidence_asked", 0, lambda data: data["calls"].reverse()),
        "runpack_sequence_wrong",
    ),
    "nothing to say": (edit("evidence_asked", 4, lambda data: data.update(calls=[])), "runpack_sequence_wrong"),
    "two that changed places": (swap, "runpack_sequence_wrong"),
    "one behind the decision": (late, "runpack_sequence_wrong"),
}


@pytest.mark.parametrize("what", AGES)
def test_another_word_of_when_evidence_was_observed_is_noticed(what: str, aged: Path, tmp_path: Path) -> None:
    change, code = AGES[what]
    assert code in codes(rewritten(aged, tmp_path / "forged.pack", change))


def limited(name: str, gate: str, **members: Any) -> StageSpec:
    """A stage that ends by itself after a second."""
    return stage(name, gate, timeout=TimeoutSpec(1_000, []), auto_tick=True, **members)


async def ticking() -> App:
    """A run whose stages end by themselves, with calls before, between and after."""
    app = memory_app()
    scene = Scene(app, Told(a="no", b="no"))
    await begun(app, spec(limited("one", "a", on_timeout="advance_with_flag"), limited("two", "b")))

    async def status(at_ms: int) -> None:
        await scene.runs.status("release", StatusRequest("r1", 1, 2, UnixMillis(at_ms)), principal=ADA)

    await status(5_100)
    await scene.trigger("t1", UnixMillis(5_500))
    await app.timers.fire_due("default", 6_500)
    await status(6_100)
    await scene.trigger("t1", UnixMillis(6_200))
    await scene.trigger("t2", UnixMillis(6_300))
    await app.timers.fire_due("default", 10_000)
    await scene.trigger("t3", UnixMillis(11_000))
    await status(12_000)
    return app


@pytest.fixture(scope="module")
def ticked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ticked") / "ticked.pack"

    async def main() -> None:
        app = await ticking()
        await export(app.journal, Wanted("default", "1:2:r1", kind="scenario_run"), out)

    run(main())
    return out


def test_decisions_that_nobody_called_for_are_decided_again(ticked: Path, tmp_path: Path) -> None:
    found = verdict(ticked)
    assert found.errors == []
    assert [each.what for each in found.not_rederivable] == ["call_requests"]
    decisions = json.loads(members(ticked)["runpack/artifacts/decisions.json"])
    assert [each["trigger_id"] for each in decisions] == ["t1", "auto_tick:one:2", "t2", "auto_tick:two:4"]

    alone = runpack_verdict(unpacked(ticked, tmp_path) / "runpack")
    assert alone.errors == []


TICKS: dict[str, tuple[Callable[[list[list[bytes]]], object], str]] = {
    "a timer at another time": (
        edit("run_started", 0, lambda data: data["timer"].update(at_ms=9)),
        "runpack_sequence_wrong",
    ),
    "no timer of a stage": (edit("decided", 1, lambda data: data.update(timer=None)), "runpack_sequence_wrong"),
    "a tick at another time": (
        edit("triggered", 1, lambda data: data["record"]["event"]["time"].update(value=6_001)),
        "runpack_decision_wrong",
    ),
    "a tick of somebody": (
        edit("triggered", 1, lambda data: data["record"]["event"].update(source_id="me")),
        "runpack_call_wrong",
    ),
    "a timer that fired in vain and was not due": (
        lambda events: events.insert(
            at(events, "triggered", 1),
            [
                events[0][0].replace(b"run_started", b"stage_time_passed"),
                canonical({"at_ms": 5_999, "code": "gate_resolution_failed"}),
                b"",
            ],
        ),
        "runpack_sequence_wrong",
    ),
}


@pytest.mark.parametrize("what", TICKS)
def test_another_word_of_stages_that_end_by_themselves_is_noticed(what: str, ticked: Path, tmp_path: Path) -> None:
    change, code = TICKS[what]
    assert code in codes(rewritten(ticked, tmp_path / "forged.pack", change))


def test_a_decision_that_nobody_called_for_may_be_the_next_or_the_last_one(tmp_path: Path) -> None:
    async def main() -> None:
        app = memory_app()
        scene = Scene(app, Told(a="no", b="no"))
        await begun(app, spec(limited("one", "a", on_timeout="advance_with_flag"), limited("two", "b")))
        await app.timers.fire_due("default", 6_500)
        await scene.trigger("t1", UnixMillis(6_600))
        await app.timers.fire_due("default", 10_000)
        await export(app.journal, Wanted("default", "1:2:r1", kind="scenario_run"), tmp_path / "quiet.pack")

    run(main())
    found = verdict(tmp_path / "quiet.pack")
    assert (found.errors, found.not_rederivable) == ([], ())


def test_a_timer_that_fired_in_vain_is_part_of_the_run(tmp_path: Path) -> None:
    """The timer of a stage that cannot be left: no branch leads on."""
    way = Branch([BranchRule("a", "false", "one")], None)

    async def main() -> None:
        app = memory_app()
        scene = Scene(app, Told(a="no"))
        await begun(app, spec(limited("one", "a", to=way, on_timeout="alternate_branch"), stage("two", "b")))
        await app.timers.fire_due("default", 6_500)
        await scene.trigger("t1", UnixMillis(6_600))
        await export(app.journal, Wanted("default", "1:2:r1", kind="scenario_run"), tmp_path / "vain.pack")

    run(main())
    assert b"stage_time_passed" in members(tmp_path / "vain.pack")[STREAM]
    assert verdict(tmp_path / "vain.pack").errors == []


async def closing() -> App:
    """A run whose first stage opened on evidence that becomes too old, one condition after the other."""
    app = memory_app()
    scene = Scene(app, Told(a="yes", b="yes", c="no"))
    conditions = [condition("a", max_age_ms=1_000), condition("b", max_age_ms=300), condition("c")]
    stages = [stage("one", "a", "b"), stage("two", "c", to=Terminal())]
    await begun(app, ScenarioSpec("release", 2, "1", stages, conditions, [], []))
    await scene.trigger("t1", UnixMillis(5_500))
    await app.timers.fire_due("default", 6_000)
    await scene.trigger("t2", UnixMillis(6_100))
    await app.timers.fire_due("default", 7_000)
    return app


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shut") / "shut.pack"

    async def main() -> None:
        app = await closing()
        await export(app.journal, Wanted("default", "1:2:r1", kind="scenario_run"), out)

    run(main())
    return out


def test_gates_that_closed_by_themselves_are_part_of_the_run(shut: Path, tmp_path: Path) -> None:
    assert members(shut)[STREAM].count(b"gates_closed") == 2
    found = verdict(shut)
    assert (found.errors, found.not_rederivable) == ([], ())
    assert runpack_verdict(unpacked(shut, tmp_path) / "runpack").errors == []


CLOSINGS: dict[str, Callable[[list[list[bytes]]], object]] = {
    "a gate that did not close": edit("gates_closed", 0, lambda data: data.update(gates=["a", "b"])),
    "a gate that closed twice": lambda events: events.insert(
        at(events, "gates_closed", 1), list(events[at(events, "gates_closed", 0)])
    ),
    "gates that closed together": lambda events: (
        events.pop(at(events, "gates_closed", 0)),
        edit("gates_closed", 0, lambda data: data.update(gates=["a", "b"]))(events),
    ),
    "a gate of another stage": edit("gates_closed", 1, lambda data: data.update(stage_id="two")),
    "a gate that closed at another time": edit("gates_closed", 0, lambda data: data.update(at_ms=5_802)),
    "no time for the next one": edit("gates_closed", 0, lambda data: data.update(next_ms=None)),
    "a gate that stays open": edit("decided", 0, lambda data: data.update(until=None)),
    "a gate that closes later": edit("decided", 0, lambda data: data["until"]["ends"][0].update(at_ms=5_900)),
}


@pytest.mark.parametrize("what", CLOSINGS)
def test_another_word_of_gates_that_closed_is_noticed(what: str, shut: Path, tmp_path: Path) -> None:
    assert "runpack_sequence_wrong" in codes(rewritten(shut, tmp_path / "forged.pack", CLOSINGS[what]))
