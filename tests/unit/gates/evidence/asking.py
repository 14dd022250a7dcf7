"""What the tests of evidence share: a context, queries, conditions, and a plain comparator.

It asserts nothing itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import UNSET

from interlock.gates.evidence.port import Answered, EvidenceProvider
from interlock.gates.evidence.records import EvidenceContext, EvidenceResult
from interlock.gates.logic.status import Status
from interlock.gates.spec import Comparator, ConditionSpec, EvidenceQuery, Lane, TrustRequirement
from interlock.gates.values import JsonValue, Timestamp, UnixMillis, Value

NOW_MS = 1_700_000_000_000


def context(
    time: Timestamp = UnixMillis(NOW_MS),  # noqa: B008 - a frozen record
    correlation_id: str | None = None,
) -> EvidenceContext:
    return EvidenceContext(
        tenant_id=1,
        namespace_id=2,
        run_id="run-1",
        scenario_id="scenario",
        stage_id="stage",
        trigger_id="trigger-1",
        trigger_time=time,
        correlation_id=correlation_id,
    )


def query(provider_id: str, check_id: str, params: Any = UNSET) -> EvidenceQuery:
    return EvidenceQuery(provider_id, check_id, params)


def condition(
    name: str,
    asked: EvidenceQuery,
    comparator: Comparator = "equals",
    expected: Any = True,
    lane: Lane | None = None,
    **more: Any,
) -> ConditionSpec:
    trust = UNSET if lane is None else TrustRequirement(lane)
    return ConditionSpec(name, asked, comparator, [], expected=expected, trust=trust, **more)


def compare(comparator: str, value: Value | None, expected: Any) -> Status:
    """The two comparators that these tests need."""
    if comparator == "exists":
        return Status.TRUE if value is not None else Status.FALSE
    if comparator != "equals" or value is None or expected is None:
        return Status.UNKNOWN
    return Status.TRUE if value == JsonValue(expected) else Status.FALSE


def ask(
    provider: EvidenceProvider, asked: EvidenceQuery, of: EvidenceContext | None = None, *, tenant: str = "default"
) -> Answered:
    """One query to a provider, which is closed after it."""

    async def run() -> Answered:
        try:
            return await provider.query(asked, of or context(), tenant=tenant)
        finally:
            await provider.close()

    return asyncio.run(run())


def value_of(answered: Answered | EvidenceResult) -> Any:
    """The JSON value of evidence; fails where there is none."""
    result = answered.result if isinstance(answered, Answered) else answered
    assert result.error is None, result.error
    assert isinstance(result.value, JsonValue), result
    return result.value.value


def code_of(answered: Answered) -> str:
    """The code of evidence's error; fails where there is none, or a value beside it."""
    assert answered.result.error is not None
    assert answered.result.value is None
    return answered.result.error.code


def cause_of(answered: Answered) -> str | None:
    """The code of what failed, in the details of a `provider_error`."""
    assert code_of(answered) == "provider_error"
    assert answered.result.error is not None
    details = answered.result.error.details
    return None if details is None else details["code"]
