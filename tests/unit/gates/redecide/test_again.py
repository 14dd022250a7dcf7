"""Deciding again: every run that was lived follows from its logs, and what does not follow is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from interlock.gates.control.policy import DisclosurePolicy, PolicyRule, StaticPolicy
from interlock.gates.evidence.trust import ProviderRules
from interlock.gates.records import RunState
from interlock.gates.redecide.again import Redecided, redecide
from interlock.gates.redecide.logs import Kind, Known
from interlock.gates.spec import Branch, BranchRule, ScenarioSpec
from interlock.gates.values import plain
from tests.unit.gates.control.scenes import packet
from tests.unit.gates.redecide.lives import (
    ANSWERS,
    TARGETS,
    Life,
    Told,
    knowing,
    lived,
    logs_of,
    long_life,
    release,
    scenario_of,
)

CALLS = ["external_event", "tick", "next", "late", "status", "submit", "change", "missing", "backend_event"]
DENIES = DisclosurePolicy(
    engine="static",
    static=StaticPolicy(default="permit", rules=[PolicyRule(effect="deny", packet_ids=["go"], target_kinds=["agent"])]),
)


@pytest.fixture(scope="module")
def long() -> tuple[ScenarioSpec, RunState]:
    return lived(long_life)


def opened(found: Redecided) -> set[str]:
    return {each.what for each in found.not_rederivable}


def test_a_run_with_every_kind_of_call_follows_from_its_logs(long: tuple[ScenarioSpec, RunState]) -> None:
    document, state = long
    found = redecide(scenario_of(document), logs_of(state))

    assert found.findings == []
    assert found.complete
    assert [each.answer.decision for each in found.standings] == state.decisions
    assert opened(found) == {"dispatch_targets", "disclosure_policy", "trust_policy", "call_requests"}
    assert found.sources[4:8] == [("repeat", 0), None, ("repeat", 1), None]


def test_what_is_known_beside_the_logs_leaves_nothing_of_the_decisions_open(
    long: tuple[ScenarioSpec, RunState],
) -> None:
    document, state = long
    found = redecide(scenario_of(document), logs_of(state), knowing(state))

    assert found.findings == []
    assert opened(found) == {"call_requests"}


@settings(deadline=None)
@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from(CALLS),
            st.sampled_from(["x1", "x2", "x3", "x4", "x5"]),
            st.dictionaries(st.sampled_from("abcd"), st.sampled_from(sorted(ANSWERS)), max_size=3),
        ),
        max_size=12,
    ),
    packets=st.booleans(),
    targets=st.sampled_from([[], TARGETS[:1], TARGETS]),
    policy=st.sampled_from([DisclosurePolicy(), DENIES]),
    floor=st.sampled_from(["asserted", "verified"]),
)
def test_every_life_is_decided_again_as_it_was(
    calls: list[tuple[str, str, dict[str, str]]],
    packets: bool,
    targets: list[Any],
    policy: DisclosurePolicy,
    floor: Any,
) -> None:
    asked = ProviderRules(floor)

    async def main() -> Life:
        life = Life(Told(asked), release(), policy)
        await life.begin(packets=packets, targets=targets)
        for what, name, told in calls:
            await life.call(what, name, **told)
        return life

    document, state = lived(main)
    alone = redecide(scenario_of(document), logs_of(state))
    knowingly = redecide(scenario_of(document), logs_of(state), knowing(state, policy, asked))
    for found in (alone, knowingly):
        assert found.findings == []
        assert [each.answer.decision for each in found.standings] == state.decisions
    assert opened(knowingly) <= {"call_requests"}


async def denied() -> Life:
    """A run that fails because a packet may not be disclosed."""
    life = Life(Told(a="yes", b="yes"), release(), DENIES)
    await life.begin()
    await life.call("external_event", "t1")
    return life


def test_a_disclosure_that_was_refused_is_left_open_without_the_policy_and_follows_with_it() -> None:
    document, state = lived(denied)
    alone, known = (redecide(scenario_of(document), logs_of(state), each) for each in (Known(), knowing(state, DENIES)))

    assert [plain(each.outcome)["kind"] for each in state.decisions] == ["start", "fail"]
    assert (alone.findings, "disclosure_policy" in opened(alone)) == ([], True)
    assert (known.findings, opened(known)) == ([], set())
    permitted = redecide(scenario_of(document), logs_of(state), knowing(state))
    assert {each.kind for each in permitted.findings} == {Kind.DECISION, Kind.PACKET, Kind.CALL}


@pytest.mark.parametrize("packets", [["go"], []])
def test_only_a_stage_with_packets_can_have_failed_by_its_disclosure(packets: list[str]) -> None:
    document, state = lived(denied)
    stages = [replace(each, entry_packets=[packet(name) for name in packets]) for each in document.stages[1:2]]
    other = replace(document, stages=[document.stages[0], *stages, *document.stages[2:]])
    found = redecide(scenario_of(other), logs_of(state))
    assert (found.findings == []) is bool(packets)


def test_a_branch_that_is_taken_while_gates_do_not_hold_follows() -> None:
    async def life() -> Life:
        document = release()
        branch = Branch([BranchRule("some", "unknown", "four")], None)
        held = replace(document.stages[0], advance_to=branch, on_hold="branch")
        found = Life(Told(a="yes"), replace(document, stages=[held, *document.stages[1:]]))
        await found.begin()
        await found.call("external_event", "t1", a="no", b="no", d="yes")
        await found.call("external_event", "t2", a="yes", b="nothing", d="nothing")
        return found

    document, state = lived(life)
    assert [plain(each.outcome)["kind"] for each in state.decisions] == ["start", "hold", "advance"]
    assert redecide(scenario_of(document), logs_of(state)).findings == []


def test_a_call_that_is_repeated_word_for_word_leaves_nothing_open() -> None:
    async def life() -> Life:
        found = Life(Told(a="yes"))
        await found.begin()
        for _ in range(2):
            await found.scene.trigger("t1", 5)
            await found.scene.submit("s1", 1)
        return found

    document, state = lived(life)
    again = redecide(scenario_of(document), logs_of(state), knowing(state))
    assert (again.findings, again.not_rederivable) == ([], [])
    assert again.sources[2:] == [("repeat", 1), ("repeat", 0)]
