"""The life of a scenario run, as seed 000 has it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.gates.control.service import check_payload
from interlock.gates.records import NextRequest, RunConfig, StatusRequest, SubmitRequest
from interlock.gates.spec import (
    Branch,
    BranchRule,
    BytesPayload,
    Fixed,
    JsonPayload,
    Linear,
    Terminal,
    TimeoutSpec,
)
from interlock.gates.values import Logical, Timestamp, UnixMillis
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import ADA, Said, Scene, outcome, spec, stage


def test_a_run_begins_in_the_first_stage_without_a_decision() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        state = await scene.begun(spec(stage("one", "a"), stage("two")))

        assert (state.current_stage_id, state.status) == ("one", "active")
        assert (state.triggers, state.decisions, state.packets, state.tool_calls) == ([], [], [], [])

    run(main())


@pytest.mark.parametrize("at", [UnixMillis(2**53), UnixMillis(-(2**53)), Logical(2**64 - 1)])
def test_a_time_that_no_double_is_is_refused_before_anything_is_written(at: Timestamp) -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said(a=True))
        await scene.begun(spec(stage("one", "a"), stage("two")))
        submitted = SubmitRequest("r1", 1, 2, "s1", JsonPayload(1), "application/json", at)
        config = RunConfig(1, 2, "r2", "release", [], [])
        calls = [
            scene.trigger("t1", at),
            scene.runs.next("release", NextRequest("r1", 1, 2, "t2", "a1", at), principal=ADA),
            scene.runs.status("release", StatusRequest("r1", 1, 2, at), principal=ADA),
            scene.runs.submit("release", submitted, principal=ADA),
            scene.runs.start("release", config, at, issue_entry_packets=False, principal=ADA),
        ]
        for call in calls:
            with pytest.raises(InterlockError) as caught:
                await call
            assert caught.value.code == "gate_input_invalid"
        state = await scene.state()
        assert (state.triggers, state.tool_calls, state.submissions) == ([], [], [])
        await scene.trigger("t3", Logical(2**53 - 1))

    run(main())


def test_a_tenant_that_no_double_is_is_refused_before_anything_is_written() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said(a=True))
        await scene.begun(spec(stage("one", "a")))
        config = RunConfig(2**53 + 1, 2, "r2", "release", [], [])
        with pytest.raises(InterlockError) as caught:
            await scene.runs.start("release", config, Logical(1), issue_entry_packets=False, principal=ADA)
        assert caught.value.code == "gate_input_invalid"

    run(main())


def test_a_stage_without_gates_that_its_time_ended_did_not_open() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        timed = stage("one", timeout=TimeoutSpec(1_000, []), on_timeout="advance_with_flag")
        await scene.begun(spec(timed, stage("two")))
        late = await scene.trigger("t1", 2_000, kind="tick")
        assert (outcome(late)["timeout"], late.opened) == (True, False)
        assert (await scene.trigger("t2", 2_001)).opened

    run(main())


def test_a_stage_opens_only_if_every_gate_is_true() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said(a=True, b=None))
        await scene.begun(spec(stage("one", "a", "b"), stage("two", to=Terminal())))
        held = await scene.trigger("t1")
        assert outcome(held) == {
            "kind": "hold",
            "summary": {"status": "hold", "unmet_gates": ["b"], "retry_hint": "await_evidence", "policy_tags": []},
        }
        scene.said.said["b"] = True
        opened = await scene.trigger("t2", 2)
        assert outcome(opened) == {"kind": "advance", "from_stage": "one", "to_stage": "two", "timeout": False}
        assert opened.decision.stage_id == "one"
        ended = await scene.trigger("t3", 3)
        assert outcome(ended) == {"kind": "complete", "stage_id": "two"}
        assert ended.status == "completed"
        assert scene.said.asked == [("t1", ["a", "b"]), ("t2", ["a", "b"]), ("t3", [])]

    run(main())


def test_a_repeated_trigger_gets_its_decision_and_asks_for_nothing() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said(a=True))
        await scene.begun(spec(stage("one", "a"), stage("two", "b", packets=["p"])))
        first = await scene.trigger("t1")
        await scene.trigger("t2", 2)
        again = await scene.trigger("t1", 7)

        assert (again.decision, again.packets) == (first.decision, first.packets)
        assert len(first.packets) == 1
        assert [each for each, _ in scene.said.asked] == ["t1", "t2"]
        state = await scene.state()
        assert len(state.decisions) == 2
        assert [each.call_id for each in state.tool_calls] == ["call-1", "call-2", "call-3"]
        assert state.tool_calls[0].response_hash == state.tool_calls[2].response_hash

    run(main())


def test_a_run_that_has_ended_answers_any_trigger_with_its_last_decision() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        await scene.begun(spec(stage("one", to=Terminal())))
        last = await scene.trigger("t1")
        assert (await scene.trigger("another", 5)).decision == last.decision
        assert len((await scene.state()).triggers) == 1

    run(main())


def test_status_is_recorded_and_shows_why_a_run_holds() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        await scene.begun(spec(stage("one", "a", packets=["p"])), packets=True)
        await scene.trigger("t1")
        status = await scene.status()

        assert (status.current_stage_id, status.status, status.issued_packet_ids) == ("one", "active", ["p"])
        assert status.safe_summary.unmet_gates == ["a"]
        assert [each.method for each in (await scene.state()).tool_calls] == ["scenario.trigger", "scenario.status"]

    run(main())


def test_the_start_with_packets_is_a_trigger_and_a_decision_of_its_own() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        state = await scene.begun(spec(stage("one", "a", packets=["p", "q"])), packets=True)

        [trigger] = state.triggers
        assert (trigger.seq, trigger.event.trigger_id, trigger.event.source_id) == (1, "init", "system")
        assert [each.decision_id for each in state.decisions] == ["decision-1"]
        assert [each.envelope.packet_id for each in state.packets] == ["p", "q"]
        [receipt] = state.packets[0].receipts
        assert (receipt.dispatch_id, receipt.dispatcher) == ("mcp-p", "mcp")
        assert state.tool_calls == []

    run(main())


def test_a_submission_is_kept_once_and_its_id_belongs_to_its_content() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        await scene.begun(spec(stage("one", "a")))
        first = await scene.submit("s1", {"n": 1})
        assert await scene.submit("s1", {"n": 1}) == first
        with pytest.raises(InterlockError) as fault:
            await scene.submit("s1", {"n": 2})
        assert fault.value.code == "submission_conflict"
        state = await scene.state()
        assert len(state.submissions) == 1
        assert [each.error and each.error.code for each in state.tool_calls] == [None, None, "submission_conflict"]

    run(main())


@pytest.mark.parametrize(
    ("on_timeout", "expected", "status"),
    [
        ("fail", {"kind": "fail", "reason": "timeout"}, "failed"),
        ("advance_with_flag", {"kind": "advance", "from_stage": "one", "to_stage": "yes", "timeout": True}, "active"),
        ("alternate_branch", {"kind": "advance", "from_stage": "one", "to_stage": "late", "timeout": True}, "active"),
    ],
)
def test_a_tick_after_the_time_of_a_stage_evaluates_nothing(on_timeout: str, expected: object, status: str) -> None:
    to = Branch([BranchRule("a", "true", "yes"), BranchRule("a", "unknown", "late")])

    async def main() -> None:
        scene = Scene(memory_app(), Said(a=False))
        first = stage("one", "a", to=to, timeout=TimeoutSpec(10, []), on_timeout=on_timeout)
        await scene.begun(spec(first, stage("yes", "b"), stage("late", "b")))
        assert outcome(await scene.trigger("early", 9, kind="tick"))["kind"] == "hold"
        assert outcome(await scene.trigger("other", 99))["kind"] == "hold"
        late = await scene.trigger("late", 10, kind="tick")
        assert (outcome(late), late.status, late.gates) == (expected, status, [])
        assert [each for each, _ in scene.said.asked] == ["early", "other"]

    run(main())


def test_an_error_records_nothing_of_a_trigger_which_may_be_tried_again() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said(a=True))
        to = Branch([BranchRule("a", "false", "one")])
        await scene.begun(spec(stage("one", "a", to=to)))
        before = await scene.state()
        with pytest.raises(InterlockError) as fault:
            await scene.trigger("t1")
        assert fault.value.code == "gate_resolution_failed"
        assert await scene.state() == before
        scene.said.said["a"] = False
        assert outcome(await scene.trigger("t1"))["kind"] == "hold"

    run(main())


def test_what_moved_while_evidence_was_gathered_is_decided_anew() -> None:
    """Another process decides the stage meanwhile: evidence for a stage that was left is never used."""

    async def main() -> None:
        app = memory_app()
        scene, other = Scene(app, Said(a=True, b=False)), Scene(memory_app(app.store.reopen()), Said(a=True))  # type: ignore[attr-defined]
        await scene.begun(spec(stage("one", "a"), stage("two", "b"), stage("three", "c")))

        async def meanwhile() -> None:
            scene.said.before = None
            await other.trigger("theirs")

        scene.said.before = meanwhile
        answer = await scene.trigger("ours", 2)
        assert (answer.decision.stage_id, outcome(answer)["kind"]) == ("two", "hold")
        assert scene.said.asked == [("ours", ["a"]), ("ours", ["b"])]
        assert [each.trigger_id for each in (await scene.state()).decisions] == ["theirs", "ours"]

    run(main())


def test_fixed_and_linear_lead_where_they_say() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        await scene.begun(spec(stage("one", to=Fixed("three")), stage("two"), stage("three", to=Linear())))
        assert outcome(await scene.trigger("t1"))["to_stage"] == "three"
        assert outcome(await scene.trigger("t2", 2)) == {"kind": "complete", "stage_id": "three"}

    run(main())


def test_a_trigger_costs_as_many_reads_late_as_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call reads what a run has behind it."""

    async def main() -> None:
        scene = Scene(memory_app(), Said())
        await scene.begun(spec(stage("one", "a")))
        log = scene.app.store.events
        counted, read, appended = Counter[str](), log.read, log.append

        async def reading(*given: Any) -> Any:
            page = await read(*given)
            counted["events read"] += len(page)
            return page

        async def appending(appends: Any) -> Any:
            counted["events written"] += sum(len(each.events) for append in appends for each in append.streams)
            counted["rows"] += sum(len(append.rows) for append in appends)
            return await appended(appends)

        monkeypatch.setattr(log, "read", reading)
        monkeypatch.setattr(log, "append", appending)
        costs = []
        for number in range(300):
            counted.clear()
            await scene.trigger(f"t{number}", number)
            costs.append(dict(counted))
        assert costs[299] == costs[0] == {"events written": 4, "rows": 1}
        assert sum(each.get("events read", 0) for each in costs) == 0

    run(main())


@pytest.mark.parametrize(("scan", "told", "kept"), [("off", 0, True), ("warn", 1, True), ("refuse", 0, False)])
def test_payloads_that_look_like_secrets_are_told_of_or_refused(
    scan: Any, told: int, kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """They are kept and exported as they are given."""
    token = "ghp" + "_" + "a1B2c3D4e5F6" * 3

    async def main() -> None:
        scene = Scene(memory_app(), Said(), secret_scan=scan)
        await scene.begun(spec(stage("one", "a")))
        if kept:
            assert (await scene.submit("s1", token)).payload.value == token
        else:
            with pytest.raises(InterlockError) as fault:
                await scene.submit("s1", token)
            assert fault.value.code == "secrets_detected"
        assert len((await scene.state()).submissions) == kept

    run(main())
    assert len(caplog.records) == told
    assert token not in caplog.text
    assert all(
        " looks like a secret: " in each.message and "SecretFinding" not in each.message for each in caplog.records
    )


def test_a_payload_of_bytes_is_searched_for_secrets_as_its_bytes() -> None:
    token = "ghp" + "_" + "a1B2c3D4e5F6" * 3
    with pytest.raises(InterlockError) as fault:
        check_payload(BytesPayload(list(token.encode())), "refuse")
    assert fault.value.code == "secrets_detected"


def test_the_ids_of_a_stages_own_ticks_are_not_to_be_had() -> None:
    """Else a caller could take the place of the tick that ends a stage."""

    async def main() -> None:
        scene = Scene(memory_app(), Said())
        await scene.begun(spec(stage("one", "a")))
        with pytest.raises(InterlockError) as fault:
            await scene.trigger("auto_tick:one:1")
        assert fault.value.code == "scenario_call_invalid"
        assert (await scene.state()).triggers == []

    run(main())


def test_a_payload_has_a_bound() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        await scene.begun(spec(stage("one", "a")))
        with pytest.raises(InterlockError) as fault:
            await scene.submit("s1", "x" * (2 * 1024 * 1024))
        assert fault.value.code == "payload_too_large"

    run(main())
