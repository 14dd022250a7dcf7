"""Asking for all that a stage needs: each condition once, within its time, in the order of their names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from interlock.base.errors import InterlockError
from interlock.gates.errors import CHECK_MISSING
from interlock.gates.evidence.builtin import BUILTIN
from interlock.gates.evidence.config import (
    AnchorRequirement,
    DisclosureSettings,
    EvidenceSettings,
    QuerySettings,
    TrustSettings,
)
from interlock.gates.evidence.contracts import Contracts, Registered
from interlock.gates.evidence.port import Answered, CallMade
from interlock.gates.evidence.query import Evidence, Gathered, Source
from interlock.gates.evidence.records import EvidenceContext, EvidenceResult
from interlock.gates.evidence.trust import VALUE_BYTES_MAX, ProviderRules, Requirements
from interlock.gates.logic.status import Status
from interlock.gates.spec import ConditionSpec, EvidenceQuery, Lane, ScenarioSpec
from interlock.gates.values import JsonValue, UnixMillis, hash_of
from tests.unit.gates.evidence.asking import NOW_MS, compare, condition, context, query, value_of

CALL = CallMade("test", "0" * 64, "1" * 64)
ASKED = query("env", "get", {"key": "K"})


class Scripted:
    """A provider that answers what a function of ours says, and notes who asked."""

    def __init__(self, answer: Callable[[EvidenceQuery], Awaitable[Answered]]) -> None:
        self._answer = answer
        self.asked: list[Any] = []
        self.tenants: set[str] = set()
        self.closed = 0

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> Answered:
        self.asked.append(query.params)
        self.tenants.add(tenant)
        return await self._answer(query)

    async def close(self) -> None:
        self.closed += 1


def says(value: Any = True, lane: Lane = "verified", observed_ms: int | None = None) -> Scripted:
    async def answer(_: EvidenceQuery) -> Answered:
        return Answered(EvidenceResult(value=JsonValue(value), lane=lane, content_type="x"), observed_ms, (CALL,))

    return Scripted(answer)


def raises(fault: BaseException) -> Scripted:
    async def answer(_: EvidenceQuery) -> Answered:
        raise fault

    return Scripted(answer)


def service(
    provider: Scripted, *, requirements: Requirements | None = None, allow_raw: bool = False, **settings: Any
) -> Evidence:
    contracts = Contracts(Registered(each, "builtin") for each in BUILTIN.values())
    sources = {"env": Source(provider, requirements or Requirements(), allow_raw)}
    return Evidence(EvidenceSettings(**settings), sources, contracts, compare)


def gather(evidence: Evidence, *conditions: ConditionSpec) -> list[Gathered]:
    return asyncio.run(evidence.gather(conditions, context(), tenant="acme"))


def only(evidence: Evidence, asked: ConditionSpec) -> Gathered:
    [found] = gather(evidence, asked)
    return found


def test_a_condition_is_compared_with_what_its_provider_says() -> None:
    provider = says("on")

    found = only(service(provider), condition("c", ASKED, "equals", "on"))

    assert (found.record.condition_id, found.record.status) == ("c", Status.TRUE)
    assert found.record.result.evidence_hash == hash_of(b'"on"')
    assert (found.observed_ms, found.calls, provider.tenants) == (None, (CALL,), {"acme"})
    assert only(service(provider), condition("c", ASKED, "equals", "off")).record.status is Status.FALSE


def test_each_condition_is_asked_once_and_the_records_stand_in_the_order_of_the_names() -> None:
    async def answer(asked: EvidenceQuery) -> Answered:
        number: Any = asked.params
        await asyncio.sleep(0.001 * (5 - number["key"]))
        return Answered(EvidenceResult(value=JsonValue(number["key"])))

    provider = Scripted(answer)
    names = [0, 1, 2, 1, 3, 4, 0]
    found = gather(service(provider), *(condition(str(each), query("env", "get", {"key": each})) for each in names))

    assert [each.record.condition_id for each in found] == ["0", "1", "2", "3", "4"]
    assert [value_of(each.record.result) for each in found] == [0, 1, 2, 3, 4]
    assert len(provider.asked) == 5


@given(st.permutations(range(4)), st.permutations(range(4)))
def test_a_record_does_not_depend_on_the_order_of_questions_and_answers(asked: list[int], answered: list[int]) -> None:
    turns = [asyncio.Event() for _ in answered]

    async def answer(of: EvidenceQuery) -> Answered:
        params: Any = of.params
        place = answered.index(params["key"])
        if place:
            await turns[place - 1].wait()
        turns[place].set()
        return Answered(EvidenceResult(value=JsonValue(params["key"])))

    conditions = [condition(str(each), query("env", "get", {"key": each}), "equals", 2) for each in asked]
    found = gather(service(Scripted(answer)), *conditions)

    assert [each.record.condition_id for each in found] == [str(each) for each in asked]
    by_name = {each.record.condition_id: each.record for each in found}
    assert [by_name[str(each)].status for each in range(4)] == [Status.FALSE, Status.FALSE, Status.TRUE, Status.FALSE]


def test_so_many_are_asked_at_one_time_and_no_more() -> None:
    running: list[int] = [0, 0]

    async def answer(_: EvidenceQuery) -> Answered:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(0.002)
        running[0] -= 1
        return Answered(EvidenceResult())

    gather(
        service(Scripted(answer), query=QuerySettings(concurrency_max=3)),
        *(condition(str(each), ASKED) for each in range(10)),
    )

    assert running == [0, 3]


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        (RuntimeError("the secret"), None),
        (KeyError("the secret"), None),
        (RecursionError(), None),
        (CHECK_MISSING.error("there is none"), {"code": "check_missing"}),
    ],
)
@pytest.mark.parametrize("comparator", ["equals", "exists", "not_exists"])
def test_what_a_provider_raises_is_an_error_and_unknown(fault: Exception, details: Any, comparator: Any) -> None:
    found = only(service(raises(fault)), condition("c", ASKED, comparator, None))

    assert found.record.status is Status.UNKNOWN
    error = found.record.result.error
    assert error is not None
    assert (error.code, error.details) == ("provider_error", details)
    assert "secret" not in repr(found)


def test_a_provider_that_does_not_answer_in_time_is_an_error() -> None:
    async def answer(_: EvidenceQuery) -> Answered:
        await asyncio.Event().wait()
        raise AssertionError

    found = only(service(Scripted(answer), query=QuerySettings(timeout_ms=20)), condition("c", ASKED))

    assert found.record.status is Status.UNKNOWN
    assert found.record.result.error is not None
    assert found.record.result.error.code == "provider_error"


def test_a_provider_that_is_not_there_is_an_error() -> None:
    found = only(service(says()), condition("c", query("none", "x")))

    assert found.record.status is Status.UNKNOWN
    assert found.record.result.error is not None


def test_a_cancelled_call_stops_asking() -> None:
    begun = asyncio.Event()
    ended: list[bool] = []

    async def answer(_: EvidenceQuery) -> Answered:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
        raise AssertionError

    async def run() -> None:
        task = asyncio.create_task(service(Scripted(answer)).gather([condition("c", ASKED)], context(), tenant="t"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert ended == [True]


def test_a_value_that_is_too_large_ends_the_call() -> None:
    with pytest.raises(InterlockError) as caught:
        gather(service(says("x" * VALUE_BYTES_MAX)), condition("a", ASKED), condition("b", ASKED))

    assert caught.value.code == "evidence_too_large"


@pytest.mark.parametrize(
    ("lane", "floor", "asked", "status"),
    [
        ("asserted", "verified", None, Status.UNKNOWN),
        ("asserted", "verified", "asserted", Status.UNKNOWN),
        ("asserted", "asserted", None, Status.TRUE),
        ("asserted", "asserted", "verified", Status.UNKNOWN),
        ("verified", "verified", "verified", Status.TRUE),
    ],
)
def test_evidence_counts_from_the_lane_that_is_required(
    lane: Lane, floor: Lane, asked: Lane | None, status: Status
) -> None:
    found = only(service(says(lane=lane), trust=TrustSettings(min_lane=floor)), condition("c", ASKED, lane=asked))

    assert found.record.status is status
    assert (found.record.result.error is None) is (status is Status.TRUE)
    assert found.record.result.value == JsonValue(value=True)


@pytest.mark.parametrize(
    ("observed_ms", "limit", "status"),
    [
        (NOW_MS - 1_000, 1_000, Status.TRUE),
        (NOW_MS - 1_001, 1_000, Status.UNKNOWN),
        (NOW_MS - 1_001, UNSET, Status.TRUE),
        (None, 1, Status.TRUE),
    ],
)
def test_evidence_that_is_too_old_is_unknown(observed_ms: int | None, limit: Any, status: Status) -> None:
    found = only(service(says(observed_ms=observed_ms)), condition("c", ASKED, max_age_ms=limit))

    assert found.record.status is status
    assert found.observed_ms == observed_ms
    error = found.record.result.error
    assert (None if error is None else error.code) == (None if status is Status.TRUE else "evidence_stale")


def test_evidence_without_its_anchor_is_an_error() -> None:
    required = AnchorRequirement(provider_id="env", anchor_type="env")

    found = only(service(says(), requirements=Requirements(required)), condition("c", ASKED))

    assert found.record.result.error is not None
    assert found.record.result.error.code == "anchor_invalid"
    assert (found.record.status, found.record.result.value) == (Status.UNKNOWN, None)


def test_what_is_recorded_is_judged_again_the_same() -> None:
    evidence = service(says(lane="asserted"))
    for asked in (
        condition("c", ASKED),
        condition("c", ASKED, "exists", None, "verified"),
        condition("c", query("x", "y")),
    ):
        record = only(evidence, asked).record

        assert evidence.judged(asked, record.result) == record


def scenario(*conditions: ConditionSpec) -> ScenarioSpec:
    return ScenarioSpec("s", 1, "1", [], list(conditions), [], [])


def test_providers_that_are_missing_are_named_with_what_is_asked_of_them() -> None:
    evidence = service(says())
    asked = [query("z", "b"), ASKED, query("a", "x"), query("z", "a"), query("z", "b")]

    missing = evidence.missing(scenario(*(condition(str(index), each) for index, each in enumerate(asked))))

    assert missing is not None
    assert missing.missing_providers == ["a", "z"]
    assert missing.required_capabilities == ["a.x", "z.a", "z.b"]
    assert not missing.blocked_by_policy
    assert evidence.missing(scenario(condition("c", ASKED))) is None
    assert evidence.missing(scenario()) is None


def test_a_scenario_is_checked_condition_by_condition() -> None:
    evidence = service(says())

    evidence.check(scenario(condition("c", ASKED, "equals", "x")))
    with pytest.raises(InterlockError) as caught:
        evidence.check(scenario(condition("a", ASKED, "equals", "x"), condition("b", query("env", "set"))))
    assert (caught.value.code, caught.value.details["condition_id"]) == ("check_missing", "b")


def test_a_contract_is_given_with_its_hash() -> None:
    registered = service(says()).contract("env")

    assert (registered.contract, registered.source) == (BUILTIN["env"], "builtin")
    with pytest.raises(InterlockError) as caught:
        service(says()).contract("none")
    assert caught.value.code == "provider_missing"


@pytest.mark.parametrize("raw", [True, False])
def test_a_query_is_answered_as_far_as_it_may_be_shown(raw: bool) -> None:
    evidence = service(says("the secret"), allow_raw=raw, evidence=DisclosureSettings(allow_raw_values=True))

    result = asyncio.run(evidence.query(ASKED, context(), tenant="t"))

    assert result.evidence_hash == hash_of(b'"the secret"')
    assert result.value == (JsonValue("the secret") if raw else None)
    assert ("secret" in repr(result)) is raw


def test_a_query_is_held_against_the_contract_and_its_error_is_masked() -> None:
    evidence = service(raises(RuntimeError("the secret")))

    result = asyncio.run(evidence.query(ASKED, context(), tenant="t"))
    assert result.error is not None
    assert result.error.code == "provider_error"
    assert asyncio.run(evidence.query(query("time", "now"), context(), tenant="t")).error is not None
    for asked, code in ((query("env", "set"), "check_missing"), (query("env", "get"), "params_missing")):
        with pytest.raises(InterlockError) as caught:
            asyncio.run(evidence.query(asked, context(UnixMillis(1)), tenant="t"))
        assert caught.value.code == code


def test_closing_lets_go_of_every_provider() -> None:
    provider = says()

    asyncio.run(service(provider).close())

    assert provider.closed == 1


def test_what_is_asked_of_each_provider_of_a_scenario_is_told_and_of_no_other() -> None:
    anchor = AnchorRequirement(provider_id="env", anchor_type="env")
    asked = Requirements(anchor)
    evidence = service(says(), requirements=asked)
    conditions = [condition("a", ASKED), condition("b", query("none", "get")), condition("c", ASKED)]
    spec = ScenarioSpec("s", 1, "1", [], conditions, [], [])
    assert evidence.rules(spec) == {"env": ProviderRules("verified", anchor)}
