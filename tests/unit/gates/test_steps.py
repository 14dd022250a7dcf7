"""The step `gate`: a run of a plan that waits for a scenario's stage, and keeps decision and reasons in its history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.engine.io.transports.port import TransportContext
from interlock.gates.calling import GatesTransport
from interlock.gates.records import TriggerEvent
from interlock.gates.values import UnixMillis
from interlock.testing.app import memory_app
from interlock.testing.clock import VirtualClock
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import ADA
from tests.unit.gates.control.test_verbs import document

PLAN = """
pipeline: rel
version: "1"
steps:
  - name: checks
    handler: gate
    with: {with}
"""


def plan(folder: Path, given: str) -> str:
    path = folder / "plan.yaml"
    path.write_text(PLAN.replace("{with}", given))
    return str(path)


async def started(app: App, path: str, **more: object) -> Any:
    answer = await app.client(ADA).call("run.start", {"plan": path, **more})
    return msgspec.json.decode(msgspec.json.encode(answer))


async def output(app: App, run_id: str) -> Any:
    return await app.runs.read.output(run_id, "checks")


def test_a_step_sleeps_between_looks_until_the_stage_opens(tmp_path: Path) -> None:
    async def main() -> None:
        app = memory_app()
        now_ms = VirtualClock().now_ms()
        document(tmp_path / "release.json", now_ms + 150_000)
        result = await started(app, plan(tmp_path, "{document: release.json, run: r1, stage: one, every: 60s}"))
        assert result["phase"] == "completed"
        found = await output(app, result["run_id"])
        assert (found["looks"], found["decision"]["outcome"]["from_stage"]) == (4, "one")
        assert found["gates"][0]["explanation"]["status"] == "True"
        state = await app.scenarios.state("release", 1, 1, "r1", principal=ADA)
        assert [each.event.kind for each in state.triggers] == ["tick"] * 4
        assert state.triggers[3].event.trigger_id == f"{result['run_id']}:rel.checks.main#4"
        report = await app.runs.replay(result["run_id"])
        assert report.identical

    run(main())


def test_several_runs_may_wait_for_one_run_of_a_scenario(tmp_path: Path) -> None:
    async def main() -> None:
        app = memory_app()
        document(tmp_path / "release.json", 0)
        path = plan(tmp_path, "{document: release.json, run: r1, stage: one}")
        first = await started(app, path)
        second = await started(app, plan(tmp_path, "{scenario: release, run: r1, stage: two, looks: 1}"))
        assert (first["phase"], second["phase"]) == ("completed", "failed")
        said = second["error"]["message"]
        assert said.startswith("the stage stayed closed (looks: 1): "), said
        assert said.endswith(" is False"), said
        assert len((await app.scenarios.state("release", 1, 1, "r1", principal=ADA)).decisions) == 2

    run(main())


@pytest.mark.parametrize(
    "leaves",
    [
        {"timeout": {"timeout_ms": 5_000, "policy_tags": []}, "on_timeout": "advance_with_flag"},
        {
            "on_hold": "branch",
            "advance_to": {
                "kind": "branch",
                "branches": [{"gate_id": "gate-one", "outcome": "false", "next_stage_id": "two"}],
                "default": "two",
            },
        },
    ],
)
def test_a_stage_that_is_left_without_its_gates_passes_nothing(tmp_path: Path, leaves: dict[str, Any]) -> None:
    stages = json.loads(Path(document(tmp_path / "release.json", 2**52)).read_text())["stages"]
    stages[0] |= leaves
    document(tmp_path / "release.json", 2**52, stages=stages)

    async def main() -> None:
        app = memory_app()
        result = await started(app, plan(tmp_path, "{document: release.json, run: r1, stage: one, every: 6s}"))
        assert (result["phase"], result["error"]["code"]) == ("failed", "gate_not_passed")
        assert "had not opened" in result["error"]["message"]
        again = await started(app, plan(tmp_path, "{scenario: release, run: r1, stage: one, every: 6s}"))
        assert (again["phase"], again["error"]["code"]) == ("failed", "gate_not_passed")

    run(main())


def test_a_run_that_came_back_to_a_stage_and_failed_in_it_passes_nothing(tmp_path: Path) -> None:
    one, two = json.loads(Path(document(tmp_path / "release.json", 0)).read_text())["stages"]
    one |= {"timeout": {"timeout_ms": 5_000, "policy_tags": []}, "on_timeout": "fail"}
    two |= {"gates": [], "advance_to": {"kind": "fixed", "stage_id": "one"}}
    document(tmp_path / "release.json", 0, stages=[one, two])

    async def main() -> None:
        app = memory_app()
        await started(app, plan(tmp_path, "{document: release.json, run: r1, stage: one}"))
        await started(app, plan(tmp_path, "{scenario: release, run: r1, stage: two}"))
        late = {"scenario": "release", "run": "r1", "kind": "tick", "time": "4070908800000"}
        ended = msgspec.to_builtins(await app.client(ADA).call("scenario.trigger", late))
        assert ended["status"] == "failed"
        result = await started(app, plan(tmp_path, "{scenario: release, run: r1, stage: one}"))
        assert (result["phase"], result["error"]["code"]) == ("failed", "gate_not_passed")

    run(main())


def test_an_end_that_no_gate_opened_passes_nothing(tmp_path: Path) -> None:
    stages = json.loads(Path(document(tmp_path / "release.json", 2**52)).read_text())["stages"]
    ends = {"timeout": {"timeout_ms": 5_000, "policy_tags": []}, "on_timeout": "advance_with_flag"}
    document(tmp_path / "release.json", 2**52, stages=[stages[0] | ends | {"advance_to": {"kind": "terminal"}}])

    async def main() -> None:
        app = memory_app()
        result = await started(app, plan(tmp_path, "{document: release.json, run: r1, every: 6s}"))
        assert (result["phase"], result["error"]["code"]) == ("failed", "gate_not_passed")

    run(main())


def test_a_stage_that_another_opened_before_is_passed_and_nothing_is_moved(tmp_path: Path) -> None:
    async def main() -> None:
        app = memory_app()
        document(tmp_path / "release.json", 0)
        await started(app, plan(tmp_path, "{document: release.json, run: r1, stage: one}"))
        before = (await app.scenarios.state("release", 1, 1, "r1", principal=ADA)).triggers
        result = await started(app, plan(tmp_path, "{scenario: release, run: r1, stage: one}"))
        found = await output(app, result["run_id"])
        assert (result["phase"], found["looks"], found["opened"]) == ("completed", 1, True)
        assert found["decision"]["outcome"]["from_stage"] == "one"
        assert [gate["gate_id"] for gate in found["gates"]] == ["gate-one"]
        assert (await app.scenarios.state("release", 1, 1, "r1", principal=ADA)).triggers == before

    run(main())


def test_a_stage_that_somebody_opens_while_a_look_asks_is_found(tmp_path: Path) -> None:
    """The look's trigger then decides about the next stage, and says nothing of the one that is waited for."""

    async def main() -> None:
        app = memory_app()
        other = memory_app(app.store.reopen())  # type: ignore[attr-defined]
        document(tmp_path / "release.json", 0)
        ask, asked = app.scenarios._evidence.gather, 0

        async def gather(*given: Any, **more: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked == 1:
                event = TriggerEvent("t1", 1, 1, "r1", "external_event", UnixMillis(1), "somebody")
                await other.scenarios.trigger("release", event, principal=ADA)
            return await ask(*given, **more)

        app.scenarios._evidence.gather = gather  # type: ignore[method-assign]
        result = await started(app, plan(tmp_path, "{document: release.json, run: r1, stage: one, looks: 1}"))
        assert (result["phase"], asked) == ("completed", 2)
        found = await output(app, result["run_id"])
        assert (found["decision"]["trigger_id"], found["decision"]["outcome"]["from_stage"]) == ("t1", "one")

    run(main())


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("{document: release.json, run: r1, stage: two, every: 1s, looks: 3}", "gate_not_passed"),
        ("{document: nowhere.json, run: r1}", "scenario_invalid"),
        ("{document: other.json, run: r1}", "scenario_run_exists"),
        ("{scenario: nobody, run: r1}", "scenario_not_found"),
        ("{run: r1}", "scenario_call_invalid"),
        ("{document: release.json, run: r2, to: [nobody]}", "scenario_call_invalid"),
    ],
)
def test_what_cannot_pass_fails_the_step_with_its_reason(tmp_path: Path, given: str, code: str) -> None:
    async def main() -> None:
        app = memory_app()
        document(tmp_path / "release.json", 0)
        document(tmp_path / "other.json", 0, scenario_id="other")
        await started(app, plan(tmp_path, "{document: release.json, run: r1, stage: one}"))
        result = await started(app, plan(tmp_path, given))
        assert (result["phase"], result["error"]["code"]) == ("failed", code)

    run(main())


def test_a_scenario_that_fails_fails_the_step(tmp_path: Path) -> None:
    stages = json.loads(Path(document(tmp_path / "release.json", 2**52)).read_text())["stages"]
    stages[0] |= {"timeout": {"timeout_ms": 5_000, "policy_tags": []}, "on_timeout": "fail"}
    document(tmp_path / "release.json", 2**52, stages=stages)

    async def main() -> None:
        app = memory_app()
        result = await started(app, plan(tmp_path, "{document: release.json, run: r1, every: 2s}"))
        assert (result["phase"], result["error"]["code"]) == ("failed", "gate_not_passed")
        assert "failed" in result["error"]["message"]

    run(main())


def test_a_document_is_read_for_the_user_of_this_machine_alone(tmp_path: Path) -> None:
    path = document(tmp_path / "release.json", 0)
    request: Any = {"kind": "begin_v1", "run": "r1", "tenant": 1, "namespace": 1, "document": path}
    context = TransportContext("11111111-1111-4111-8111-111111111111", "rel.checks.main", 0)

    async def main() -> None:
        with pytest.raises(InterlockError) as fault:
            await GatesTransport(memory_app()).call(request, context)
        assert fault.value.code == "scenario_call_invalid"

    run(main())
