"""Bounds of requirements that people write, and what is decided before there is any evidence (seed 000)."""

from __future__ import annotations

import json

import pytest

from interlock.base.errors import Invalid
from interlock.gates.logic.check import (
    REQUIREMENT_BYTES_MAX,
    Fault,
    check,
    complexity,
    dead_groups,
    depth_fault,
    faults_in,
    foregone,
    read_requirement,
)
from interlock.gates.logic.evaluate import DEPTH_MAX
from interlock.gates.logic.status import Status
from interlock.gates.logic.tree import And, Condition, Group, Not, Or, RequireGroup, Requirement

A, B = Condition("a"), Condition("b")
DEAD = RequireGroup(Group(3, (A, B)))
IDLE = RequireGroup(Group(0, (A,)))


def nested(levels: int) -> Requirement:
    requirement: Requirement = A
    for _ in range(levels):
        requirement = Not(requirement)
    return requirement


def test_a_sound_requirement_is_taken() -> None:
    check(And((A, Or(), And(), RequireGroup(Group(0, ())), RequireGroup(Group(2, (A, B))), nested(31))))


@pytest.mark.parametrize(
    ("requirement", "code", "place"),
    [
        (nested(DEPTH_MAX + 1), "requirement_too_deep", "/Not" * (DEPTH_MAX + 1)),
        (And((B, nested(DEPTH_MAX))), "requirement_too_deep", "/And/1" + "/Not" * DEPTH_MAX),
        (DEAD, "requirement_group_invalid", ""),
        (Or((A, Not(DEAD))), "requirement_group_invalid", "/Or/1/Not"),
        (And((IDLE,)), "requirement_group_invalid", "/And/0"),
    ],
)
def test_a_requirement_is_refused_with_the_place_of_its_fault(requirement: Requirement, code: str, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(requirement)

    assert (refused.value.code, refused.value.details) == (code, {"place": place})
    assert refused.value.message.endswith(f"at {place or 'the top'}")


@pytest.mark.parametrize("empty", [And(), Or()])
def test_parts_without_members_are_taken_unless_the_caller_says_otherwise(empty: Requirement) -> None:
    check(Not(empty))

    with pytest.raises(Invalid, match="without members") as refused:
        check(Not(empty), empty_allowed=False)

    assert (refused.value.code, refused.value.details) == ("requirement_empty", {"place": "/Not"})
    check(And((A,)), empty_allowed=False)


def test_the_depth_comes_before_every_other_fault_and_hides_them() -> None:
    tree = And((DEAD, nested(DEPTH_MAX)))

    assert [fault.kind.code for fault in faults_in(tree)] == ["requirement_too_deep"]


def test_all_other_faults_are_found_at_once_in_the_order_of_the_tree() -> None:
    tree = And((IDLE, Or((DEAD, Or()))))

    found = list(faults_in(tree, empty_allowed=False))

    assert [(fault.kind.code, fault.place) for fault in found] == [
        ("requirement_group_invalid", "/And/0"),
        ("requirement_group_invalid", "/And/1/Or/0"),
        ("requirement_empty", "/And/1/Or/1"),
    ]
    assert isinstance(found[0], Fault)
    assert depth_fault(tree) is None


def test_a_requirement_of_more_than_a_mebibyte_is_refused() -> None:
    check(Condition("x" * (REQUIREMENT_BYTES_MAX - len(b'{"Condition":""}'))))

    with pytest.raises(Invalid) as refused:
        check(Condition("x" * REQUIREMENT_BYTES_MAX))

    assert refused.value.code == "requirement_too_large"
    assert refused.value.details == {"limit_bytes": REQUIREMENT_BYTES_MAX}


def test_a_requirement_is_read_from_json() -> None:
    text = json.dumps({"And": [{"Condition": "a"}, {"Not": {"Condition": "b"}}]})

    assert read_requirement(text) == read_requirement(text.encode()) == And((A, Not(B)))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "json_invalid"),
        ('{"And": [}', "json_invalid"),
        ('{"And": [], "And": []}', "json_duplicate_key"),
        ('{"And": {}}', "requirement_invalid"),
        ('{"Xor": []}', "requirement_invalid"),
        ('{"Not": ' * 33 + '{"Condition": "a"}' + "}" * 33, "requirement_too_deep"),
        ('{"Not": ' * 80 + '{"Condition": "a"}' + "}" * 80, "json_too_deep"),
        ('{"RequireGroup": {"min": 1, "reqs": []}}', "requirement_group_invalid"),
        ('{"Condition": "' + "x" * REQUIREMENT_BYTES_MAX + '"}', "json_too_large"),
    ],
)
def test_what_is_no_sound_requirement_is_not_read(text: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_requirement(text)

    assert refused.value.code == code


def test_reading_keeps_to_what_the_caller_allows() -> None:
    with pytest.raises(Invalid) as refused:
        read_requirement('{"And": []}', empty_allowed=False)

    assert refused.value.code == "requirement_empty"


@pytest.mark.parametrize(
    ("requirement", "status"),
    [
        (A, Status.UNKNOWN),
        (And(), Status.TRUE),
        (Or(), Status.FALSE),
        (And((And(), And())), Status.TRUE),
        (And((A, Or())), Status.FALSE),
        (Or((A, And())), Status.TRUE),
        (Or((Or(), Or())), Status.FALSE),
        (Not(And()), Status.FALSE),
        (Not(Or()), Status.TRUE),
        (Not(A), Status.UNKNOWN),
        (IDLE, Status.TRUE),
        (DEAD, Status.FALSE),
        (RequireGroup(Group(1, (A, And()))), Status.TRUE),
        (RequireGroup(Group(2, (A, Or()))), Status.FALSE),
        (RequireGroup(Group(1, (A, Or()))), Status.UNKNOWN),
    ],
)
def test_what_a_requirement_is_whatever_the_evidence_will_be(requirement: Requirement, status: Status) -> None:
    assert foregone(requirement) is status


def test_groups_that_can_never_pass_are_found_with_their_places() -> None:
    starved = RequireGroup(Group(2, (A, Or())))
    tree = Or((starved, RequireGroup(Group(1, (A, B))), And((DEAD, A))))

    assert dead_groups(tree) == ["/Or/0", "/Or/2/And/0"]


def test_the_complexity_counts_every_part() -> None:
    assert complexity(A) == 1
    assert complexity(And((A, Not(B), RequireGroup(Group(1, (A, B)))))) == 7
