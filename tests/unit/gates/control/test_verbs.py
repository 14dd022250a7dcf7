"""The verbs of scenarios, as every surface calls them, over evidence that is really asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.gates.control.backtest import Known
from interlock.gates.control.commands import Opened, decided_code
from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.records import Advanced, Completed, Failed, Held, SafeSummary
from interlock.gates.spec import ConditionSpec, EvidenceQuery
from interlock.gates.values import UnixMillis
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import ADA

T0 = 1_000


def condition(name: str, comparator: str, expected: Any, params: Any = None, check: str = "after") -> dict[str, Any]:
    query = {"provider_id": "time", "check_id": check, "params": {"timestamp": T0} if params is None else params}
    return {"condition_id": name, "query": query, "comparator": comparator, "expected": expected, "policy_tags": []}


def stage(name: str, requirement: Any, to: str = "linear") -> dict[str, Any]:
    gates = [{"gate_id": f"gate-{name}", "requirement": requirement}]
    ends = {"timeout": None, "on_timeout": "fail", "advance_to": {"kind": to}}
    return {"stage_id": name, "entry_packets": [], "gates": gates, **ends}


def document(path: Path, threshold: int = T0, **members: Any) -> str:
    """A scenario of two stages: the first opens after a time, the second before it."""
    given = {
        "scenario_id": "release",
        "namespace_id": 1,
        "spec_version": "1",
        "stages": [stage("one", {"Condition": "late"}), stage("two", "not late and early", "terminal")],
        "conditions": [
            condition("late", "equals", True, {"timestamp": threshold}),
            condition("early", "equals", True, {"timestamp": T0}, "before"),
        ],
        "policies": [],
        "schemas": [],
        **members,
    }
    path.write_text(json.dumps(given))
    return str(path)


async def call(app: App, name: str, given: Mapping[str, object]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(await app.client(ADA).call(f"scenario.{name}", given)))


async def begun(tmp_path: Path) -> App:
    app = memory_app()
    await call(app, "define", {"document": document(tmp_path / "release.json")})
    await call(app, "start", {"scenario": "release", "run": "r1", "time": "0", "to": ["agent:a1"]})
    return app


def triggering(name: str, at: int, **more: object) -> dict[str, object]:
    return {"scenario": "release", "run": "r1", "id": name, "time": str(at), **more}


def test_a_scenario_is_defined_listed_run_and_explained(tmp_path: Path) -> None:
    async def main() -> None:
        app = await begun(tmp_path)
        [row] = (await call(app, "list", {}))["items"]
        assert row["scenario"] == "release"

        held = await call(app, "trigger", triggering("t1", T0))
        assert held["outcome"]["summary"]["unmet_gates"] == ["gate-one"]
        opened = await call(app, "trigger", triggering("t2", T0 + 1))
        assert opened["outcome"] == {"kind": "advance", "from_stage": "one", "to_stage": "two", "timeout": False}
        assert await call(app, "trigger", triggering("t2", T0 + 9)) == opened

        status = await call(app, "status", {"scenario": "release", "run": "r1"})
        assert (status["stage"], status["triggers"], status["unmet_gates"]) == ("two", 2, [])
        earlier = await call(app, "status", {"scenario": "release", "run": "r1", "at": 5})
        assert (earlier["stage"], earlier["unmet_gates"], earlier["seq"]) == ("one", ["gate-one"], 5)

        why = await call(app, "explain", {"scenario": "release", "run": "r1", "trigger": "t1"})
        [gate] = why["gates"]
        assert gate["explanation"]["would_pass"]["sets"] == [[{"condition_id": "late", "becomes": "True"}]]
        assert gate["explanation"]["reason"]["detail"]["withheld"] == ["value"]
        await call(app, "next", {"scenario": "release", "run": "r1", "agent": "a1", "id": "n1", "time": "5"})
        why = await call(app, "explain", {"scenario": "release", "run": "r1"})
        assert (why["stage"], why["trigger"]) == ("two", "n1")

    run(main())


def test_a_look_ends_as_the_stage_stands() -> None:
    """8 where it stays closed, 1 where the run has failed, or went on past a time that was over or a closed gate."""
    held = Held(SafeSummary("hold", ["gate-one"], "", []))
    went_on = Advanced("one", "two", timeout=False)

    def code(outcome: Any, *, opened: bool, status: str = "active") -> int:
        return decided_code(Opened("t1", "decision-1", outcome, "one", status, [], [], opened))

    assert [code(each, opened=True) for each in (went_on, Completed("two"))] == [0, 0]
    closed = (held, Failed("timeout"), Advanced("one", "two", timeout=True), went_on, Completed("two"))
    assert [code(each, opened=False) for each in closed] == [8, 1, 1, 1, 1]
    assert code(held, opened=False, status="failed") == 1


def test_a_scenario_that_completes_because_its_time_is_over_did_not_open(tmp_path: Path) -> None:
    timed = stage("one", {"Condition": "late"}, "terminal")
    timed |= {"timeout": {"timeout_ms": 1, "policy_tags": []}, "on_timeout": "advance_with_flag"}

    async def main() -> None:
        app = memory_app()
        path = document(tmp_path / "release.json", 2**52, stages=[timed])
        await call(app, "define", {"document": path})
        await call(app, "start", {"scenario": "release", "run": "r1", "time": "5"})
        late = {"scenario": "release", "run": "r1", "id": "t1", "kind": "tick", "time": "9"}
        answer = await call(app, "trigger", late)
        assert (answer["outcome"]["kind"], answer["status"], answer["opened"]) == ("complete", "completed", False)

    run(main())


def test_the_runs_of_a_scenario_are_listed_page_by_page_each_as_it_stands(tmp_path: Path) -> None:
    async def main() -> None:
        app = memory_app()
        await call(app, "define", {"document": document(tmp_path / "release.json", 2**52)})
        await call(app, "define", {"document": document(tmp_path / "other.json", 2**52, scenario_id="releases")})
        for name in ("r1", "r2", "r:3"):
            await call(app, "start", {"scenario": "release", "run": name, "time": "5"})
        await call(app, "start", {"scenario": "release", "run": "r2", "tenant": 2})
        await call(app, "start", {"scenario": "releases", "run": "r9"})
        await call(app, "trigger", {"scenario": "release", "run": "r2", "id": "t1"})
        page = await call(app, "runs", {"scenario": "release", "limit": 2})
        assert [(each["run"], each["stage"], each["status"], each["triggers"]) for each in page["items"]] == [
            ("r1", "one", "active", 0),
            ("r2", "one", "active", 1),
        ]
        rest = await call(app, "runs", {"scenario": "release", "limit": 2, "cursor": page["next"]})
        assert ([each["run"] for each in rest["items"]], rest["next"]) == (["r:3"], None)
        with pytest.raises(InterlockError) as caught:
            await call(app, "runs", {"scenario": "nobody"})
        assert caught.value.code == "scenario_not_found"

    run(main())


def test_an_event_that_there_is_not_yet_has_no_status(tmp_path: Path) -> None:
    async def main() -> None:
        app = memory_app()
        await call(app, "define", {"document": document(tmp_path / "release.json")})
        await call(app, "start", {"scenario": "release", "run": "r1"})
        assert (await call(app, "status", {"scenario": "release", "run": "r1", "at": 1}))["seq"] == 1
        with pytest.raises(InterlockError) as caught:
            await call(app, "status", {"scenario": "release", "run": "r1", "at": 9})
        assert caught.value.code == "scenario_call_invalid"

    run(main())


def test_what_is_handed_in_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        app = await begun(tmp_path)
        given = {**triggering("s1", 3), "payload": {"notes": [1, 2.5, None]}}
        kept = await call(app, "submit", given)
        assert kept["payload"] == {"kind": "json", "value": {"notes": [1, 2.5, None]}}
        assert await call(app, "submit", given) == kept

    run(main())


@pytest.mark.parametrize(
    ("verb", "given", "code"),
    [
        ("start", {"scenario": "none", "run": "r2"}, "scenario_not_found"),
        ("start", {"scenario": "release", "run": "r1"}, "scenario_run_exists"),
        ("start", {"scenario": "release", "run": "r2", "to": ["nobody"]}, "scenario_call_invalid"),
        ("start", {"scenario": "release", "run": "r2", "to": ["external:jira"]}, "scenario_call_invalid"),
        ("start", {"scenario": "release", "run": "r2", "time": "noon"}, "scenario_call_invalid"),
        ("trigger", {"scenario": "release", "run": "r2"}, "scenario_run_not_found"),
        ("trigger", {"scenario": "release", "run": "r1", "tenant": 2}, "scenario_run_not_found"),
        ("trigger", {"scenario": "release", "run": "r1", "namespace": 2}, "scenario_not_found"),
        ("status", {"scenario": "release", "run": "r2"}, "scenario_run_not_found"),
        ("explain", {"scenario": "release", "run": "r1"}, "scenario_not_evaluated"),
        ("explain", {"scenario": "release", "run": "r1", "trigger": "none"}, "scenario_trigger_not_found"),
        ("explain", {"scenario": "release", "run": "r2"}, "scenario_run_not_found"),
    ],
)
def test_what_cannot_be_is_refused_with_a_code(tmp_path: Path, verb: str, given: dict[str, object], code: str) -> None:
    async def main() -> None:
        app = await begun(tmp_path)
        with pytest.raises(InterlockError) as fault:
            await call(app, verb, given)
        assert fault.value.code == code

    run(main())


def test_targets_and_times_are_spelled_as_people_do(tmp_path: Path) -> None:
    async def main() -> None:
        app = await begun(tmp_path)
        to = ["agent:a", "session:s", "channel:c", "external:jira/ops"]
        started = {"scenario": "release", "run": "r2", "time": "logical:4", "to": to}
        report = await call(app, "start", started)
        assert report["entered_at"] == {"kind": "logical", "value": 4}
        state = await app.scenarios.state("release", 1, 1, "r2", principal=ADA)
        assert [type(each).__name__ for each in state.dispatch_targets] == [
            "AgentTarget",
            "SessionTarget",
            "ChannelTarget",
            "ExternalTarget",
        ]

    run(main())


def test_findings_are_told_by_lint_and_refuse_a_definition(tmp_path: Path) -> None:
    path = document(tmp_path / "wrong.json", stages=[stage("one", {"Condition": "nobody"}, "terminal")])

    async def main() -> None:
        app = memory_app()
        report = await call(app, "lint", {"documents": [path]})
        assert report["errors"] >= 1
        with pytest.raises(InterlockError) as fault:
            await call(app, "define", {"document": path})
        assert fault.value.code == "scenario_invalid"
        with pytest.raises(InterlockError) as fault:
            await call(app, "backtest", {"document": path})
        assert fault.value.code == "scenario_invalid"
        sound = await call(app, "lint", {"documents": [document(tmp_path / "sound.json")]})
        assert sound["errors"] == 0

    run(main())


def test_a_document_of_today_is_held_against_recorded_runs(tmp_path: Path) -> None:
    async def main() -> None:
        app = await begun(tmp_path)
        await call(app, "trigger", triggering("t1", T0))
        await call(app, "trigger", triggering("t2", T0 + 1))
        await call(app, "trigger", triggering("t3", T0 + 2))
        same = await call(app, "backtest", {"document": document(tmp_path / "same.json", spec_version="2")})
        assert (same["runs"], same["decisions"], same["changed"], same["not_recorded"]) == (1, 3, [], 0)

        stricter = [stage("one", {"And": [{"Condition": "late"}, {"Condition": "early"}]}), stage("two", "early")]
        found = await call(app, "backtest", {"document": document(tmp_path / "today.json", stages=stricter)})
        [change] = found["changed"]
        assert (change["trigger"], change["not_recorded"]) == ("t2", ["early"])
        assert (change["recorded"]["kind"], change["today"]["kind"]) == ("advance", "hold")

        gone = [stage("other", "late or early", "terminal")]
        found = await call(app, "backtest", {"document": document(tmp_path / "gone.json", stages=gone)})
        assert {each["fault"] for each in found["changed"]} == {"the document has no such stage"}
        assert [each["today"] for each in found["changed"]] == [None, None, None]

    run(main())


def test_recorded_evidence_is_as_old_for_the_document_of_today_as_it_was() -> None:
    query = EvidenceQuery("json", "path", {"file": "report.json"})
    today = ConditionSpec("fresh", query, "exists", [], max_age_ms=60_000)
    old, young = Known(EvidenceResult(), 1), Known(EvidenceResult(), 1_000_000)
    decided_at = UnixMillis(1_000_000)

    assert [each.as_of(decided_at, today).error is None for each in (old, young)] == [False, True]
    fault = old.as_of(decided_at, today).error
    assert fault is not None
    assert fault.code == "evidence_stale"
    assert old.as_of(decided_at, msgspec.structs.replace(today, max_age_ms=UNSET)).error is None


def test_a_precheck_says_what_given_data_would_come_to(tmp_path: Path) -> None:
    shape = {
        "tenant_id": 1,
        "namespace_id": 1,
        "schema_id": "facts",
        "version": "v1",
        "schema": {"type": "object", "properties": {"late": {"type": "boolean"}, "early": {"type": "boolean"}}},
        "created_at": {"kind": "logical", "value": 1},
    }
    given = {"scenario": "release", "shape": "facts@v1", "payload": {"late": True}}

    async def main() -> None:
        app = await begun(tmp_path)
        await app.client(ADA).call("shape.register", {"record": shape})
        found = await call(app, "precheck", given)
        assert found["decision"]["kind"] == "hold"
        assert found["gate_evaluations"][0]["trace"] == [{"condition_id": "late", "status": "Unknown"}]
        with pytest.raises(InterlockError) as fault:
            await call(app, "precheck", {**given, "shape": "facts@v2"})
        assert fault.value.code == "shape_not_found"

    run(main())


def test_asserted_data_opens_what_asks_for_no_more(tmp_path: Path) -> None:
    shape = {"type": "object", "properties": {"late": {"type": "boolean"}, "early": {"type": "boolean"}}}
    record = {"tenant_id": 1, "namespace_id": 1, "schema_id": "facts", "version": "v1", "schema": shape}

    async def main() -> None:
        app = memory_app(settings={"gates": {"trust": {"min_lane": "asserted"}}})
        await call(app, "define", {"document": document(tmp_path / "release.json")})
        made = {**record, "created_at": {"kind": "logical", "value": 1}}
        await app.client(ADA).call("shape.register", {"record": made})
        given = {"scenario": "release", "shape": "facts@v1", "payload": {"late": True}}
        assert (await call(app, "precheck", given))["decision"]["kind"] == "advance"

    run(main())
