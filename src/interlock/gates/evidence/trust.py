"""How far evidence is believed: lanes, anchors, signatures, age.

What it does: holds what a provider answered against what the configuration, the condition and the gate ask for. What it
does not do: it asks nobody, reads no key file (`sources`), and compares no value.

Rules (seed 000): requirements only tighten; what fails a requirement is an error, and evidence with an error is
Unknown; an error leaves no value behind, but for `trust_lane` and `evidence_stale`, which say of a value that it does
not count; the hash of a value is computed here, whatever the provider said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from interlock.base.canonical import parse
from interlock.base.ed25519 import verifies
from interlock.base.errors import InterlockError
from interlock.gates.errors import EVIDENCE_TOO_LARGE
from interlock.gates.evidence.config import AnchorRequirement, DevSettings, TrustSettings
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceError, EvidenceResult, failed
from interlock.gates.logic.status import Status
from interlock.gates.records import EvidenceRecord
from interlock.gates.spec import Comparator, ConditionSpec, Lane, TrustRequirement
from interlock.gates.values import BytesValue, HashDigest, JsonValue, Timestamp, UnixMillis, Value, hash_of, wire

VALUE_BYTES_MAX: Final = 1024 * 1024
"""Bytes of a value of evidence, canonical or raw."""

LEVELS_AROUND: Final = 16
"""Levels of nesting that are kept for what evidence is recorded in."""

_RANK: Final[dict[Lane, int]] = {"asserted": 0, "verified": 1}
_SIGNATURE_SCHEME: Final = "ed25519"

PROVIDER_ERROR: Final = "provider_error"
ANCHOR_INVALID: Final = "anchor_invalid"
TRUST_LANE: Final = "trust_lane"
EVIDENCE_STALE: Final = "evidence_stale"

Trust = TrustRequirement | UnsetType | None
Compare = Callable[[Comparator, Value | None, Any], Status]
"""A comparator's verdict: its name, the value of the evidence, what is expected."""


class Requirements(Struct, frozen=True):
    """What is asked of the evidence of one provider: its anchor, and the keys that may sign, by path.

    `keys` is None where nothing needs to be signed.
    """

    anchor: AnchorRequirement | None = None
    keys: Mapping[str, bytes] | None = None


class ProviderRules(Struct, frozen=True):
    """What is asked of a provider's evidence: its lane at least, its anchor, and the keys that may sign, by path.

    `keys` is None where nothing needs to be signed.
    """

    floor: Lane
    anchor: AnchorRequirement | None = None
    keys: Mapping[str, bytes] | None = None


def strictest(*lanes: Lane) -> Lane:
    """The strictest of several requirements."""
    return max(lanes, key=_RANK.__getitem__)


def floor_of(provider_id: str, trust: TrustSettings, dev: DevSettings) -> Lane:
    """The lane that the configuration asks of a provider."""
    if dev.permissive and provider_id not in dev.permissive_exempt_providers:
        return "asserted"
    return trust.min_lane


def required_lane(floor: Lane, *requirements: Trust) -> Lane:
    """The lane that is required in all."""
    return strictest(floor, *(each.min_lane for each in requirements if isinstance(each, TrustRequirement)))


def judged(condition: ConditionSpec, result: EvidenceResult, floor: Lane, compare: Compare) -> EvidenceRecord:
    """What a condition is, given its evidence and the lane that its provider's must come from.

    The same for evidence of now and evidence of the record; a gate's own requirement comes after (`held_to_gate`).
    """
    status = Status.UNKNOWN
    if result.error is None:
        status = compare(condition.comparator, result.value, condition.expected)
    record = EvidenceRecord(condition.condition_id, status, result)
    return held_to_lane(record, required_lane(floor, condition.trust))


def held_to_lane(record: EvidenceRecord, required: Lane) -> EvidenceRecord:
    """A record as it counts where a lane is required: what comes from a lower one is Unknown, and says so."""
    result = record.result
    if _RANK[result.lane] >= _RANK[required]:
        return record
    error = result.error or EvidenceError(
        TRUST_LANE,
        f"evidence is {result.lane}, and {required} is required",
        {"lane": result.lane, "required": required},
    )
    return EvidenceRecord(record.condition_id, Status.UNKNOWN, replace(result, error=error))


def held_to_gate(record: EvidenceRecord, trust: Trust) -> EvidenceRecord:
    """A record as it counts for a gate."""
    return held_to_lane(record, trust.min_lane) if isinstance(trust, TrustRequirement) else record


def settled(answer: EvidenceResult, requirements: Requirements) -> EvidenceResult:
    """What a provider answered, as it is recorded: signature and anchor checked, its hash computed.

    Raises: `evidence_too_large`.
    """
    content = _content(answer)
    if isinstance(content, str):
        return _without_value(replace(answer, error=EvidenceError(PROVIDER_ERROR, content)))
    computed = None if content is None else hash_of(content)
    if answer.error is None and requirements.keys is not None:
        fault = signature_fault(answer, computed, requirements.keys)
        if fault is not None:
            error = EvidenceError(PROVIDER_ERROR, fault, {"code": "signature_invalid"})
            return _without_value(replace(answer, error=error))
    if answer.error is None and requirements.anchor is not None:
        fault = anchor_fault(answer.evidence_anchor, requirements.anchor)
        if fault is not None:
            return failed(ANCHOR_INVALID, fault)
    if answer.error is not None:
        return _without_value(answer)
    if content is None or computed is None:
        return answer
    return replace(answer, value=_as_recorded(answer.value, content), evidence_hash=computed)


def _as_recorded(value: Value | None, content: bytes) -> Value | None:
    """The value that its canonical bytes spell: what is compared now is what is compared of the record later.

    They have one spelling for 1 and 1.0, which are two numbers within a list or an object.
    """
    return JsonValue(msgspec.json.decode(content)) if isinstance(value, JsonValue) else value


def _content(answer: EvidenceResult) -> bytes | str | None:
    """The bytes of a value, or why it has none; None where there is no value."""
    if answer.value is None or answer.error is not None:
        return None
    try:
        content = bytes_of(answer.value)
    except InterlockError as fault:
        return f"the provider's value is no JSON of the contract ({fault.code})"
    except (TypeError, ValueError, OverflowError, RecursionError):
        return "the provider's value is no JSON"
    if len(content) > VALUE_BYTES_MAX:
        raise EVIDENCE_TOO_LARGE.error(
            f"evidence of {len(content)} bytes, of {VALUE_BYTES_MAX} at most", limit_bytes=VALUE_BYTES_MAX
        )
    return content


def bytes_of(value: Value) -> bytes:
    """What is hashed of a value: its canonical JSON, or its bytes.

    Raises: as `base.canonical.canonical`, also for a value that leaves no room for the records around it; what a value
    that is no JSON raises.
    """
    match value:
        case BytesValue(content):
            return bytes(content)
        case JsonValue(content):
            for _ in range(LEVELS_AROUND):
                content = [content]
            return wire(content)[LEVELS_AROUND:-LEVELS_AROUND]


def _without_value(result: EvidenceResult) -> EvidenceResult:
    return replace(result, value=None, evidence_hash=None, content_type=None)


def anchor_fault(anchor: EvidenceAnchor | None, required: AnchorRequirement) -> str | None:
    """Why an anchor is not the one that is required; None where it is."""
    if anchor is None:
        return "the evidence has no anchor"
    if anchor.anchor_type != required.anchor_type:
        return f"the anchor is not of the type {required.anchor_type}"
    try:
        fields = parse(anchor.anchor_value, bytes_max=VALUE_BYTES_MAX, wide=True)
    except InterlockError:
        return "the anchor's value is no JSON"
    if not isinstance(fields, dict):
        return "the anchor's value is no JSON object"
    faults = (_field_fault(name, fields) for name in required.required_fields)
    return next((fault for fault in faults if fault is not None), None)


def _field_fault(name: str, fields: dict[str, Any]) -> str | None:
    value = fields.get(name, UNSET)
    if value is UNSET:
        return f"the anchor has no {name}"
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return None
    kind = {bool: "a boolean", type(None): "null", list: "an array", dict: "an object"}[type(value)]
    return f"{name} of the anchor is {kind}, and not a string or a number"


def signature_fault(answer: EvidenceResult, computed: HashDigest | None, keys: Mapping[str, bytes]) -> str | None:
    """Why the signature of evidence does not count; None where it does."""
    signature = answer.signature
    if signature is None:
        return "the evidence is not signed"
    if signature.scheme != _SIGNATURE_SCHEME:
        return f"the signature is not of the scheme {_SIGNATURE_SCHEME}"
    key = keys.get(signature.key_id)
    if key is None:
        return "the signature is by a key that is not configured"
    if computed is None:
        return "the signed evidence has no value"
    if answer.evidence_hash is not None and answer.evidence_hash != computed:
        return "the hash of the evidence is not that of its value"
    if not verifies(key, bytes(signature.signature), wire(computed)):
        return "the signature does not verify"
    return None


SKEW_MS_MAX = 60_000
"""How far the clock of evidence may be ahead of the trigger's."""


def age_fault(observed_ms: int | None, trigger_time: Timestamp, max_age_ms: int | UnsetType) -> EvidenceError | None:
    """Why evidence is too old for a condition; None where it is not, or may be of any age."""
    if max_age_ms is UNSET or observed_ms is None:
        return None
    if not isinstance(trigger_time, UnixMillis):
        return EvidenceError(EVIDENCE_STALE, "the age of the evidence cannot be told: the trigger's time is logical")
    age_ms = trigger_time.value - observed_ms
    if -SKEW_MS_MAX <= age_ms <= max_age_ms:
        return None
    if age_ms < 0:
        return EvidenceError(
            EVIDENCE_STALE,
            f"the evidence is from {-age_ms} ms after the trigger, so that its age cannot be told",
            {"age_ms": age_ms, "max_age_ms": max_age_ms, "observed_ms": observed_ms},
        )
    return EvidenceError(
        EVIDENCE_STALE,
        f"the evidence is {age_ms} ms old, and may be {max_age_ms}",
        {"age_ms": age_ms, "max_age_ms": max_age_ms, "observed_ms": observed_ms},
    )
