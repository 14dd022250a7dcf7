"""How far evidence is believed: tables of lanes, anchors, signatures and ages."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.gates.evidence.config import AnchorRequirement, DevSettings, TrustSettings
from interlock.gates.evidence.records import (
    EvidenceAnchor,
    EvidenceError,
    EvidenceRef,
    EvidenceResult,
    EvidenceSignature,
    failed,
)
from interlock.gates.evidence.trust import (
    VALUE_BYTES_MAX,
    Requirements,
    age_fault,
    anchor_fault,
    floor_of,
    held_to_gate,
    held_to_lane,
    required_lane,
    settled,
    strictest,
)
from interlock.gates.logic.status import Status
from interlock.gates.records import EvidenceRecord
from interlock.gates.spec import Lane, TrustRequirement
from interlock.gates.values import BytesValue, HashDigest, JsonValue, Logical, UnixMillis, hash_of, wire

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {"keys/release.pub": KEY.public_key().public_bytes_raw()}
AUDIT = Requirements()
SIGNED = Requirements(keys=KEYS)
LANES: list[Lane] = ["asserted", "verified"]
ANCHOR = AnchorRequirement(provider_id="p", anchor_type="commit", required_fields=("sha", "number"))
PLACE = {"evidence_ref": EvidenceRef("uri"), "evidence_anchor": EvidenceAnchor("t", "v")}


def evidence(value: Any = 1, **more: Any) -> EvidenceResult:
    return EvidenceResult(value=JsonValue(value), content_type="application/json", **more)


def signed(value: Any = 1, *, key: Ed25519PrivateKey = KEY, over: Any = None, **more: Any) -> EvidenceResult:
    digest = hash_of(wire(value if over is None else over))
    signature = EvidenceSignature("ed25519", "keys/release.pub", list(key.sign(wire(digest))))
    return replace(evidence(value, signature=signature), **more)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def record(lane: Lane, **more: Any) -> EvidenceRecord:
    return EvidenceRecord("c", Status.TRUE, evidence(lane=lane, **more))


@pytest.mark.parametrize(
    ("floor", "condition", "gate", "required"),
    [
        (floor, condition, gate, "asserted" if {floor, condition, gate} <= {"asserted", None} else "verified")
        for floor, condition, gate in itertools.product(LANES, [*LANES, None], [*LANES, None])
    ],
)
def test_requirements_only_tighten(floor: Lane, condition: Lane | None, gate: Lane | None, required: Lane) -> None:
    asked = [UNSET if each is None else TrustRequirement(each) for each in (condition, gate)]

    assert required_lane(floor, *asked) == required
    assert required_lane(floor, *asked, None) == required


@given(st.lists(st.sampled_from(LANES), min_size=1))
def test_the_strictest_lane_does_not_depend_on_the_order(lanes: list[Lane]) -> None:
    assert strictest(*lanes) == strictest(*reversed(lanes)) == max(lanes, key=LANES.index)


@pytest.mark.parametrize(
    ("lane", "required", "status"),
    [
        ("verified", "verified", Status.TRUE),
        ("verified", "asserted", Status.TRUE),
        ("asserted", "asserted", Status.TRUE),
        ("asserted", "verified", Status.UNKNOWN),
    ],
)
def test_evidence_from_a_lower_lane_is_unknown_and_keeps_its_value(lane: Lane, required: Lane, status: Status) -> None:
    held = held_to_lane(record(lane), required)

    assert held.status is status
    assert held.result.value == JsonValue(1)
    error = held.result.error
    assert (None if error is None else error.code) == (None if status is Status.TRUE else "trust_lane")


def test_an_error_that_is_there_stays_where_the_lane_is_too_low() -> None:
    held = held_to_lane(EvidenceRecord("c", Status.UNKNOWN, replace(failed("x", "y"), lane="asserted")), "verified")

    assert held.result.error == EvidenceError("x", "y")


def test_a_gate_tightens_for_itself_alone() -> None:
    asserted = record("asserted")

    assert held_to_gate(asserted, UNSET) is asserted
    assert held_to_gate(asserted, TrustRequirement("asserted")) is asserted
    assert held_to_gate(asserted, TrustRequirement("verified")).status is Status.UNKNOWN
    assert asserted.status is Status.TRUE


@pytest.mark.parametrize(
    ("permissive", "lane", "provider", "floor"),
    [
        (False, "verified", "p", "verified"),
        (False, "asserted", "p", "asserted"),
        (True, "verified", "p", "asserted"),
        (True, "verified", "assetcore", "verified"),
        (True, "verified", "assetcore_read", "verified"),
        (True, "asserted", "assetcore", "asserted"),
    ],
)
def test_permissive_rules_lower_the_floor_but_for_who_is_exempt(
    permissive: bool, lane: Lane, provider: str, floor: Lane
) -> None:
    assert floor_of(provider, TrustSettings(min_lane=lane), DevSettings(permissive=permissive)) == floor


@pytest.mark.parametrize("claimed", [None, HashDigest("sha256", "0" * 64)])
@pytest.mark.parametrize(
    ("value", "content"),
    [(JsonValue({"b": 1, "a": 2}), b'{"a":2,"b":1}'), (BytesValue([0, 255]), b"\x00\xff"), (JsonValue(None), b"null")],
)
def test_a_hash_is_computed_here_whatever_the_provider_said(
    value: Any, content: bytes, claimed: HashDigest | None
) -> None:
    result = settled(EvidenceResult(value=value, evidence_hash=claimed), AUDIT)

    assert result.evidence_hash == hash_of(content)
    assert result.value == value


def test_a_value_may_be_nested_as_deep_as_its_record_leaves_room() -> None:
    result = settled(evidence(nested(48)), AUDIT)

    assert result.evidence_hash == hash_of(wire(nested(48)))
    wire({"runs": [{"gate_evals": [{"evidence": [{"result": result}]}]}]})


def test_an_error_leaves_no_value_behind_but_where_it_was() -> None:
    answer = evidence(error=EvidenceError("x", "y"), evidence_hash=hash_of(b"1"), **PLACE)

    result = settled(answer, Requirements(anchor=ANCHOR, keys=KEYS))

    assert result == EvidenceResult(error=EvidenceError("x", "y"), **PLACE)  # type: ignore[arg-type]


def test_no_value_and_no_error_is_what_it_is() -> None:
    assert settled(EvidenceResult(**PLACE), AUDIT) == EvidenceResult(**PLACE)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [JsonValue("x" * (VALUE_BYTES_MAX - 2)), BytesValue([1] * VALUE_BYTES_MAX)])
def test_a_value_is_limited_to_the_byte(value: Any) -> None:
    assert settled(EvidenceResult(value=value), AUDIT).value == value
    larger = replace(value, value=value.value + value.value[:1])
    with pytest.raises(InterlockError) as caught:
        settled(EvidenceResult(value=larger), AUDIT)
    assert caught.value.code == "evidence_too_large"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {1: 2}, object(), 10**400, nested(49)])
def test_a_value_that_is_no_json_is_an_error(value: Any) -> None:
    result = settled(evidence(value), AUDIT)

    assert (result.value, result.evidence_hash) == (None, None)
    assert result.error is not None
    assert result.error.code == "provider_error"


@pytest.mark.parametrize(
    ("anchor", "words"),
    [
        (EvidenceAnchor("commit", '{"sha":"a","number":1,"more":null}'), None),
        (EvidenceAnchor("commit", '{"sha":"","number":1.5}'), None),
        (None, "no anchor"),
        (EvidenceAnchor("tag", '{"sha":"a","number":1}'), "not of the type commit"),
        (EvidenceAnchor("commit", "a"), "no JSON"),
        (EvidenceAnchor("commit", ""), "no JSON"),
        (EvidenceAnchor("commit", '["sha","number"]'), "no JSON object"),
        (EvidenceAnchor("commit", '{"number":1}'), "has no sha"),
        (EvidenceAnchor("commit", '{"sha":true,"number":1}'), "sha of the anchor is a boolean"),
        (EvidenceAnchor("commit", '{"sha":"a","number":null}'), "number of the anchor is null"),
        (EvidenceAnchor("commit", '{"sha":[],"number":1}'), "sha of the anchor is an array"),
        (EvidenceAnchor("commit", '{"sha":{},"number":1}'), "sha of the anchor is an object"),
    ],
)
def test_each_fault_of_an_anchor_has_its_message(anchor: EvidenceAnchor | None, words: str | None) -> None:
    fault = anchor_fault(anchor, ANCHOR)
    result = settled(evidence(evidence_anchor=anchor), Requirements(anchor=ANCHOR))

    if words is None:
        assert fault is None
        assert result.value == JsonValue(1)
    else:
        assert fault is not None
        assert words in fault
        assert result == failed("anchor_invalid", fault)


def test_signed_evidence_counts_with_and_without_its_hash() -> None:
    assert settled(signed(), SIGNED).value == JsonValue(1)
    assert settled(signed(evidence_hash=hash_of(b"1")), SIGNED).value == JsonValue(1)


SIGNATURE = signed().signature
assert SIGNATURE is not None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (evidence(), "not signed"),
        (signed(signature=replace(SIGNATURE, scheme="rsa")), "not of the scheme"),
        (signed(signature=replace(SIGNATURE, key_id="keys/other.pub")), "by a key that is not configured"),
        (replace(signed(), value=None), "has no value"),
        (signed(evidence_hash=hash_of(b"2")), "not that of its value"),
        (signed(over=2), "does not verify"),
        (signed(key=Ed25519PrivateKey.from_private_bytes(bytes(32))), "does not verify"),
        (signed(signature=replace(SIGNATURE, signature=[])), "does not verify"),
        (signed(signature=replace(SIGNATURE, signature=[*SIGNATURE.signature[:-1], 255])), "does not verify"),
        (signed(signature=replace(SIGNATURE, signature=list(KEY.sign(b"1")))), "does not verify"),
    ],
)
def test_each_fault_of_a_signature_is_an_error_and_leaves_no_value(answer: EvidenceResult, words: str) -> None:
    result = settled(answer, SIGNED)

    assert result.error is not None
    assert result.error.code == "provider_error"
    assert words in result.error.message
    assert (result.value, result.evidence_hash) == (None, None)


@pytest.mark.parametrize(
    ("observed_ms", "time", "limit", "is_stale"),
    [
        (None, UnixMillis(1000), 1, False),
        (1000, UnixMillis(1000), UNSET, False),
        (0, UnixMillis(10**15), UNSET, False),
        (900, UnixMillis(1000), 100, False),
        (899, UnixMillis(1000), 100, True),
        (2000, UnixMillis(1000), 100, False),
        (61_000, UnixMillis(1000), 100, False),
        (61_001, UnixMillis(1000), 100, True),
        (None, Logical(5), 100, False),
        (900, Logical(5), 100, True),
    ],
)
def test_evidence_is_too_old_after_its_limit(observed_ms: int | None, time: Any, limit: Any, is_stale: bool) -> None:
    fault = age_fault(observed_ms, time, limit)

    assert (fault is not None) is is_stale
    assert fault is None or fault.code == "evidence_stale"


def test_what_is_compared_is_what_the_record_will_say() -> None:
    """The canonical bytes spell 1.0 and 1 alike, and within a list the two are not equal."""
    found = settled(EvidenceResult(JsonValue({"n": [1.0, 2.5]})), Requirements())
    assert found.value == JsonValue({"n": [1, 2.5]})
    assert isinstance(found.value, JsonValue)
    assert [type(each) for each in found.value.value["n"]] == [int, float]
