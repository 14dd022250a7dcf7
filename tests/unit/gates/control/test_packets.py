"""Packets: envelopes, hashes of content, receipts, and what a refusal does to a run."""

from __future__ import annotations

import hashlib

import pytest

from interlock.base.errors import InterlockError
from interlock.gates.control.packets import payload_hash
from interlock.gates.control.policy import DisclosurePolicy
from interlock.gates.records import AgentTarget, ChannelTarget
from interlock.gates.spec import BytesPayload, ContentRef, ExternalPayload, JsonPayload, Payload
from interlock.gates.values import HashDigest, hash_of, wire
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import Said, Scene, outcome, spec, stage

ELSEWHERE = HashDigest("sha256", "ab" * 32)


@pytest.mark.parametrize(
    ("payload", "content"),
    [
        (JsonPayload({"b": 1, "a": [True, None]}), b'{"a":[true,null],"b":1}'),
        (JsonPayload(1.0), b"1"),
        (BytesPayload([0, 255, 10]), b"\x00\xff\n"),
    ],
)
def test_the_hash_is_that_of_the_content(payload: Payload, content: bytes) -> None:
    assert payload_hash(payload).value == hashlib.sha256(content).hexdigest()


def test_content_that_lies_elsewhere_has_the_hash_that_is_declared() -> None:
    assert payload_hash(ExternalPayload(ContentRef("file:///a", ELSEWHERE))) == ELSEWHERE


def test_every_target_has_a_receipt_of_the_envelope() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said())
        targets = [AgentTarget("a1"), ChannelTarget("c1")]
        state = await scene.begun(spec(stage("one", "a", packets=["p"])), packets=True, targets=targets)
        [packet] = state.packets
        assert [each.target for each in packet.receipts] == targets
        assert {each.receipt_hash for each in packet.receipts} == {hash_of(wire(packet.envelope))}
        assert {each.dispatched_at for each in packet.receipts} == {packet.envelope.issued_at}

    run(main())


def test_without_targets_a_packet_is_recorded_all_the_same() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said(), DisclosurePolicy(engine="deny_all"))
        state = await scene.begun(spec(stage("one", "a", packets=["p"])), packets=True, targets=[])
        assert [each.receipts for each in state.packets] == [[]]

    run(main())


def test_a_refused_packet_fails_the_run_where_it_stands() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said(a=True), DisclosurePolicy(engine="deny_all"))
        await scene.begun(spec(stage("one", "a"), stage("two", packets=["p"])))
        answer = await scene.trigger("t1")
        assert outcome(answer) == {"kind": "fail", "reason": "policy denied disclosure"}
        state = await scene.state()
        assert (state.status, state.current_stage_id, state.packets) == ("failed", "one", [])

    run(main())


def test_a_refused_packet_lets_no_run_start() -> None:
    async def main() -> None:
        scene = Scene(memory_app(), Said(), DisclosurePolicy(engine="deny_all"))
        document = spec(stage("one", "a", packets=["p"]))
        with pytest.raises(InterlockError) as fault:
            await scene.begun(document, packets=True)
        assert fault.value.code == "policy_denied"
        with pytest.raises(InterlockError) as fault:
            await scene.status()
        assert fault.value.code == "scenario_run_not_found"

    run(main())
