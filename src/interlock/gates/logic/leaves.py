"""The conditions of scenarios as `explain` tells them: their evidence, lane, age, comparator and expected value.

What it does: makes of a condition and its recorded evidence the leaf of an explanation. What it does not do: it
compares nothing again, and knows no policy: the caller says what may be disclosed.

Rules: a value, of evidence or expected, is withheld unless it is disclosed, and `withheld` says so; an error is told by
its code, never by its message; the reason itself holds no value.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from interlock.base.ids import shown
from interlock.gates.evidence.records import EvidenceResult
from interlock.gates.logic.explain import Leaf
from interlock.gates.logic.status import Status
from interlock.gates.records import EvidenceRecord
from interlock.gates.spec import Comparator, ConditionSpec, Lane
from interlock.gates.values import HashDigest, Value

_VALUE_CHARACTERS_MAX = 80


class Disclosure(Struct, frozen=True, kw_only=True):
    """Whether the values of a condition may be seen: that of its evidence, and the expected one."""

    evidence: bool = False
    expected: bool = False


class EvidenceDetail(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What may be shown of a condition; `withheld` names what is there and may not."""

    provider_id: str
    check_id: str
    comparator: Comparator
    params: Any | UnsetType = UNSET
    expected: Any | UnsetType = UNSET
    lane: Lane | UnsetType = UNSET
    age_ms: int | UnsetType = UNSET
    value: Value | UnsetType = UNSET
    evidence_hash: HashDigest | UnsetType = UNSET
    error: str | UnsetType = UNSET
    withheld: tuple[str, ...] = ()


def leaf_of(
    condition: ConditionSpec, record: EvidenceRecord | None, disclosure: Disclosure, *, age_ms: int | None = None
) -> Leaf[EvidenceDetail]:
    """The leaf of a condition: `record` is its evidence, if there is any, of this age when it was decided."""
    result = EvidenceResult() if record is None else record.result
    params = condition.query.params
    there = {
        "params": bool(params),
        "expected": condition.expected is not None,
        "value": result.value is not None,
    }
    open_to = {"params": disclosure.expected, "expected": disclosure.expected, "value": disclosure.evidence}
    detail = EvidenceDetail(
        provider_id=condition.query.provider_id,
        check_id=condition.query.check_id,
        comparator=condition.comparator,
        params=params if params and disclosure.expected else UNSET,
        expected=condition.expected if there["expected"] and disclosure.expected else UNSET,
        lane=UNSET if record is None else result.lane,
        age_ms=UNSET if age_ms is None else age_ms,
        value=UNSET if result.value is None or not disclosure.evidence else result.value,
        evidence_hash=UNSET if result.evidence_hash is None else result.evidence_hash,
        error=UNSET if result.error is None else result.error.code,
        withheld=tuple(name for name, is_there in there.items() if is_there and not open_to[name]),
    )
    status = Status.UNKNOWN if record is None else record.status
    return Leaf(status, _why(condition, record, status), detail)


def _why(condition: ConditionSpec, record: EvidenceRecord | None, status: Status) -> str:
    if record is None:
        return "there is no evidence"
    if record.result.error is not None:
        return f"its evidence is an error, {shown(record.result.error.code)}"
    if status is not Status.UNKNOWN:
        return f"{condition.comparator} {'holds' if status is Status.TRUE else 'does not hold'}"
    if record.result.value is None:
        return "its evidence has no value"
    return f"{condition.comparator} cannot compare what is there with what is expected"


def told(detail: EvidenceDetail) -> str:
    """A detail in one line."""
    parts = [f"{shown(detail.provider_id)}.{shown(detail.check_id)}"]
    if detail.params is not UNSET:
        parts[0] += f" {_brief(detail.params)}"
    if detail.lane is not UNSET:
        parts.append(detail.lane)
    if detail.age_ms is not UNSET:
        parts.append(f"{detail.age_ms} ms old")
    if detail.value is not UNSET:
        parts.append(f"is {_brief(detail.value.value)}")
    if detail.expected is not UNSET:
        parts.append(f"expects {detail.comparator} {_brief(detail.expected)}")
    if detail.withheld:
        parts.append(f"not disclosed: {', '.join(detail.withheld)}")
    return ", ".join(parts)


def _brief(value: Any) -> str:
    return shown(msgspec.json.encode(value).decode(), _VALUE_CHARACTERS_MAX)
