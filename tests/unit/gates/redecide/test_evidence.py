"""Evidence decided again: digests, lanes, anchors, signatures, and what the logs leave open."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from interlock.gates.control.policy import DisclosurePolicy
from interlock.gates.control.rules import Rules
from interlock.gates.evidence.config import AnchorRequirement
from interlock.gates.evidence.records import (
    EvidenceAnchor,
    EvidenceRef,
    EvidenceResult,
    EvidenceSignature,
)
from interlock.gates.evidence.trust import ProviderRules
from interlock.gates.logic.status import Status
from interlock.gates.logic.tree import And, Condition
from interlock.gates.records import EvidenceRecord, RunState, TriggerEvent
from interlock.gates.redecide.again import Redecided, redecide
from interlock.gates.redecide.logs import FINDINGS_MAX, Kind, Known, Logs, Notes, Open
from interlock.gates.spec import (
    Fixed,
    GateSpec,
    Linear,
    ScenarioSpec,
    StageSpec,
    Terminal,
    TimeoutSpec,
    TrustRequirement,
)
from interlock.gates.values import JsonValue, UnixMillis, hash_of, wire
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import packet
from tests.unit.gates.redecide.lives import LENIENT, Life, Told, condition, logs_of, scenario_of

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
ANCHOR = AnchorRequirement(provider_id="said", anchor_type="row", required_fields=("id",))


def document(**members: Any) -> ScenarioSpec:
    """One stage, one gate, one condition."""
    trust = members.pop("trust", None)
    stages = [
        StageSpec("one", [], [GateSpec("g", Condition("a"), trust)], Terminal(), "fail", **members.pop("stage", {}))
    ]
    return ScenarioSpec("one-gate", 2, "1", stages, [condition("a", **members)], [], [])


def lived(spec: ScenarioSpec, *calls: str, told: str = "yes", asked: ProviderRules = LENIENT) -> RunState:
    async def main() -> RunState:
        life = Life(Told(asked, a=told), replace(spec, scenario_id="release"))
        await life.begin(packets=False)
        for number, call in enumerate(calls):
            await life.call(call, f"t{number}")
        return await life.state()

    return run(main())


def again(spec: ScenarioSpec, logs: Logs, known: Known | None = None) -> Redecided:
    return redecide(scenario_of(replace(spec, scenario_id="release")), logs, known or Known())


def with_result(logs: Logs, result: EvidenceResult, status: Status | None = None) -> Logs:
    """The logs with another answer of the provider in the first gate."""
    [gate, *rest] = logs.gate_evals
    [record] = gate.evidence
    evidence = [EvidenceRecord(record.condition_id, status or record.status, result)]
    return replace(logs, gate_evals=[replace(gate, evidence=evidence), *rest])


def result_of(logs: Logs) -> EvidenceResult:
    return logs.gate_evals[0].evidence[0].result


def words(found: Redecided) -> list[str]:
    return [each.message for each in found.findings]


def opened(found: Redecided) -> set[str]:
    return {each.what for each in found.not_rederivable}


def ruled(logs: Logs, asked: ProviderRules, **providers: ProviderRules) -> Known:
    rules = Rules(DisclosurePolicy(), providers or {"said": asked})
    return Known(logs.triggers[0].event.time, [], [rules] * len(logs.triggers))


def signed(result: EvidenceResult, key: Ed25519PrivateKey = KEY) -> EvidenceResult:
    assert result.evidence_hash is not None
    signature = key.sign(wire(result.evidence_hash))
    return replace(result, signature=EvidenceSignature("ed25519", "keys/said.pub", list(signature)))


@pytest.mark.parametrize("trust", [TrustRequirement("verified"), None])
def test_evidence_of_a_lane_that_is_too_low_for_the_scenario_counts_nowhere(trust: TrustRequirement | None) -> None:
    spec = document(trust=trust)
    logs = logs_of(lived(spec, "external_event"))
    found = again(spec, with_result(logs, replace(result_of(logs), lane="asserted")))
    lower = "it counts, although its lane is lower than the scenario asks"
    assert (lower in words(found)) == (trust is not None)


def test_evidence_of_a_lane_that_is_too_low_for_the_recorded_rules_counts_nowhere() -> None:
    spec = document()
    logs = logs_of(lived(spec, "external_event", told="asserted"))

    assert again(spec, logs, ruled(logs, LENIENT)).findings == []
    found = again(spec, logs, ruled(logs, ProviderRules("verified")))
    assert {each.kind for each in found.findings} >= {Kind.GATE, Kind.DECISION}


def test_evidence_that_was_refused_for_its_lane_is_refused_again() -> None:
    spec = document()
    logs = logs_of(lived(spec, "external_event", told="asserted", asked=ProviderRules("verified")))

    assert again(spec, logs).findings == []
    assert again(spec, logs, ruled(logs, ProviderRules("verified"))).findings == []
    assert again(spec, logs, ruled(logs, LENIENT)).findings != []


def test_evidence_by_a_provider_that_the_rules_do_not_know_is_named() -> None:
    spec = document()
    logs = logs_of(lived(spec, "external_event"))
    found = again(spec, logs, ruled(logs, LENIENT, other=LENIENT))
    assert words(found) == ["it is by a provider that the rules do not know"]


@pytest.mark.parametrize("anchor", [None, EvidenceAnchor("row", '{"id": true}'), EvidenceAnchor("row", '{"id": 7}')])
def test_an_anchor_is_held_against_what_was_asked_for(anchor: EvidenceAnchor | None) -> None:
    spec = document()
    logs = logs_of(lived(spec, "external_event"))
    logs = with_result(logs, replace(result_of(logs), evidence_anchor=anchor))
    sound = anchor is not None and "7" in anchor.anchor_value

    for known in (Known(anchors={"said": ANCHOR}), ruled(logs, ProviderRules("asserted", ANCHOR))):
        found = again(spec, logs, known)
        assert [each.kind for each in found.findings] == ([] if sound else [Kind.EVIDENCE])


def test_a_signature_is_checked_with_the_keys_that_are_given_and_left_open_without() -> None:
    spec = document()
    logs = logs_of(lived(spec, "external_event"))
    logs = with_result(logs, signed(result_of(logs)))
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()

    assert "signing_keys" in opened(again(spec, logs))
    assert again(spec, logs).findings == []
    known = again(spec, logs, Known(keys={"keys/said.pub": PUBLIC}))
    assert (known.findings, "signing_keys" in opened(known)) == ([], False)
    assert words(again(spec, logs, Known(keys={"keys/said.pub": other}))) == ["the signature does not verify"]


def test_recorded_rules_say_by_which_keys_evidence_had_to_be_signed() -> None:
    spec = document()
    logs = logs_of(lived(spec, "external_event"))
    rules = ruled(logs, ProviderRules("asserted", None, {"keys/said.pub": PUBLIC}))

    assert words(again(spec, logs, rules)) == ["the evidence is not signed"]
    sound = with_result(logs, signed(result_of(logs)))
    assert again(spec, sound, rules).findings == []
    assert "signing_keys" not in opened(again(spec, sound, rules))


def test_evidence_that_may_not_be_old_leaves_its_age_open() -> None:
    spec = document(max_age_ms=5)
    assert "evidence_age" in opened(again(spec, logs_of(lived(spec, "external_event"))))


def test_a_value_is_bounded_and_what_is_not_there_has_no_digest_to_check() -> None:
    spec = document()
    logs = logs_of(lived(spec, "external_event"))
    value = JsonValue("x" * (1024 * 1024))
    large = EvidenceResult(value, evidence_hash=hash_of(wire(value.value)))
    assert "its value has more than 1048576 bytes" in words(again(spec, with_result(logs, large, Status.FALSE)))

    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    nested = with_result(logs, EvidenceResult(JsonValue(deep)), Status.FALSE)
    assert any("json_too_deep" in each for each in words(again(spec, nested)))
    absent = with_result(logs, EvidenceResult(evidence_ref=EvidenceRef("x:y")), Status.UNKNOWN)
    assert {each.kind for each in again(spec, absent).findings} == {Kind.GATE, Kind.DECISION, Kind.CALL}


def test_a_run_without_a_recorded_start_leaves_its_first_time_limit_open() -> None:
    spec = document(stage={"timeout": TimeoutSpec(50, [])})
    logs = logs_of(lived(spec, "tick", "late", told="no"))
    found = again(spec, logs)

    assert found.findings == []
    assert "started_at" in opened(found)
    assert [each.status for each in found.standings] == ["active", "failed"]


def test_a_time_limit_that_was_over_before_it_was_not_is_named() -> None:
    spec = document(stage={"timeout": TimeoutSpec(50, [])})
    logs = logs_of(lived(spec, "tick", "late", told="no"))
    early = replace(logs.triggers[1].event, time=logs.triggers[0].event.time)
    decided = replace(logs.decisions[1], decided_at=early.time)
    forged = replace(
        logs,
        triggers=[logs.triggers[0], replace(logs.triggers[1], event=early)],
        decisions=[logs.decisions[0], decided],
    )
    assert "the time of the stage was over, and at a later time it had not been" in words(again(spec, forged))


@pytest.mark.parametrize("on_timeout", ["fail", "advance_with_flag", "alternate_branch"])
@pytest.mark.parametrize("call", ["late", "tick"])
@pytest.mark.parametrize("last", [True, False])
def test_a_stage_without_gates_is_left_in_time_or_late(on_timeout: Any, call: str, last: bool) -> None:
    stages = [
        StageSpec("one", [], [], Terminal() if last else Linear(), on_timeout, TimeoutSpec(50, [])),
        StageSpec("two", [], [], Terminal(), "fail"),
    ]
    spec = ScenarioSpec("release", 2, "1", stages, [], [], [])
    logs = logs_of(lived(spec, call))
    found = again(spec, logs)
    assert found.findings == []
    assert "started_at" in opened(found)


def test_a_tick_of_another_kind_of_time_can_have_no_decision() -> None:
    spec = document(stage={"timeout": TimeoutSpec(50, [])})
    logs = logs_of(lived(spec, "tick", told="no"))
    event = replace(logs.triggers[0].event, time=UnixMillis(5))
    forged = replace(logs, triggers=[replace(logs.triggers[0], event=event)])
    found = again(spec, forged, ruled(logs, LENIENT))
    assert "no decision can follow from it (trigger_time_mismatch)" in words(found)


def test_receipts_of_another_dispatcher_are_left_open_and_their_targets_are_not() -> None:
    stages = [StageSpec("one", [packet("p"), packet("q")], [], Terminal(), "fail")]
    spec = ScenarioSpec("release", 2, "1", stages, [], [], [])

    async def main() -> RunState:
        life = Life(Told(), spec)
        await life.begin()
        return await life.state()

    logs = logs_of(run(main()))
    foreign = [
        replace(each, receipts=[replace(receipt, dispatcher="broker") for receipt in each.receipts])
        for each in logs.packets
    ]
    found = again(spec, replace(logs, packets=foreign))
    assert (found.findings, "dispatchers" in opened(found)) == ([], True)

    swapped = [foreign[0], replace(foreign[1], receipts=foreign[1].receipts[::-1])]
    assert words(again(spec, replace(logs, packets=swapped))) == [
        "its receipts are not of the targets that other packets went to"
    ]


def test_a_run_of_which_nothing_is_recorded_proves_not_even_whose_it_is() -> None:
    spec = document()
    assert opened(again(spec, logs_of(lived(spec)))) == {"identity"}


def test_findings_are_bounded_and_their_end_is_told() -> None:
    notes = Notes()
    for number in range(FINDINGS_MAX + 1):
        notes.found(Kind.CALL, f"tool_calls/{number}", "wrong")
    notes.left_open(Open.CALL_REQUESTS, 3)
    assert (len(notes.findings), notes.complete) == (FINDINGS_MAX, False)
    assert [(each.what, each.count) for each in notes.not_rederivable] == [("call_requests", 3)]


def test_logs_that_are_shorter_than_their_scenario_cost_no_more_than_they_are_long() -> None:
    many = 20_000
    wide = And(tuple(Condition("a") for _ in range(many)))
    stages = [StageSpec("one", [], [GateSpec("g", wide)], Terminal(), "fail")]
    spec = ScenarioSpec("release", 2, "1", stages, [condition("a")], [], [])
    logs = logs_of(lived(document(), *["external_event"] * 3, told="no"))
    logs = replace(
        logs,
        triggers=[replace(logs.triggers[0], seq=at + 1, event=_named(logs, at)) for at in range(many)],
        gate_evals=[replace(logs.gate_evals[0], trigger_id=f"t{at}") for at in range(many)],
        decisions=[replace(logs.decisions[0], trigger_id=f"t{at}") for at in range(many)],
    )
    found = again(spec, logs)
    assert "its trace is not as long as its requirement makes it" in words(found)
    assert not found.complete


def _named(logs: Logs, at: int) -> TriggerEvent:
    return replace(logs.triggers[0].event, trigger_id=f"t{at}")


def test_packets_and_receipts_that_are_not_there_are_not_made_either() -> None:
    stages = [
        StageSpec("one", [packet("p")], [], Fixed("two"), "fail"),
        StageSpec("two", [packet(f"q{at}") for at in range(1000)], [], Fixed("two"), "fail"),
    ]
    spec = ScenarioSpec("release", 2, "1", stages, [], [], [])

    async def main() -> RunState:
        life = Life(Told(), spec)
        await life.begin()
        await life.call("external_event", "t1")
        return await life.state()

    logs = logs_of(run(main()))
    assert again(spec, logs).findings == []
    fewer = again(spec, replace(logs, packets=logs.packets[:1]))
    assert words(fewer) == ["0 packets are recorded with it, and 1000 follow"]
    uneven = [logs.packets[0], *(replace(each, receipts=[]) for each in logs.packets[1:])]
    assert words(again(spec, replace(logs, packets=uneven))) == [
        "its receipts are not as many as the targets of the run"
    ]
    none = again(spec, replace(logs, packets=[]))
    assert words(none) == ["0 packets are recorded with it, and 1 follow"]
    assert (none.complete, none.standings) == (False, [])
