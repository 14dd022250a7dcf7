"""What would have to change for a requirement to pass: the smallest sets, and their bounds."""

from __future__ import annotations

import pytest

from interlock.gates.logic.changes import (
    CHANGED_CONDITIONS_MAX,
    CHANGES_MAX,
    SEARCHED_NODES_MAX,
    Changes,
    changes_to_pass,
)
from interlock.gates.logic.evaluate import evaluate
from interlock.gates.logic.status import Status
from interlock.gates.logic.text import requirement_from
from interlock.gates.logic.tree import And, Condition, Group, Not, Or, RequireGroup, Requirement

T, F, U = Status.TRUE, Status.FALSE, Status.UNKNOWN
NOTHING = Changes((), complete=True)


def said(changes: Changes) -> list[str]:
    """Sets of changes as `+a -b`: a would have to hold, and b not."""
    return [
        " ".join(f"{'+' if each.becomes is T else '-'}{each.condition_id}" for each in changed)
        for changed in changes.sets
    ]


@pytest.mark.parametrize(
    ("text", "statuses", "sets"),
    [
        ("a", {"a": F}, ["+a"]),
        ("a", {}, ["+a"]),
        ("not a", {"a": U}, ["-a"]),
        ("a and b", {"a": T, "b": F}, ["+b"]),
        ("a and b", {}, ["+a +b"]),
        ("a or b", {"b": F}, ["+a", "+b"]),
        ("a and (b or c)", {"a": T}, ["+b", "+c"]),
        ("a or (b and c)", {"a": F, "b": T}, ["+a", "+c"]),
        ("(b and c) or a", {}, ["+a", "+b +c"]),
        ("at_least(2, a, b, c)", {"a": T}, ["+b", "+c"]),
        ("at_least(2, a, b, c)", {}, ["+a +b", "+a +c", "+b +c"]),
        ("not at_least(2, a, b, c)", {"a": T, "b": T, "c": F}, ["-a", "-b"]),
        ("not at_least(1, a, b)", {}, ["-a -b"]),
        ("not (a and b)", {"a": T, "b": T}, ["-a", "-b"]),
        ("not (a or not b)", {"a": U, "b": F}, ["-a +b"]),
        ("(a and b) or (a and b and c)", {}, ["+a +b"]),
        ("a and at_least(0)", {}, ["+a"]),
    ],
)
def test_the_smallest_sets_that_are_enough(text: str, statuses: dict[str, Status], sets: list[str]) -> None:
    found = changes_to_pass(requirement_from(text), statuses)

    assert (said(found), found.complete) == (sets, True)


@pytest.mark.parametrize(
    ("text", "statuses", "sets"),
    [
        ("(a and not b) or (b and not a)", {"a": T, "b": T}, ["-a", "-b"]),
        ("(a and not b) or (b and not a)", {"a": F, "b": F}, ["+a", "+b"]),
        ("(a and b) or (not a and c)", {"a": T, "b": F, "c": F}, ["+b", "-a +c"]),
        ("a or not a", {}, ["+a", "-a"]),
        ("at_least(2, a, not a, b)", {"a": T, "b": F}, ["+b"]),
    ],
)
def test_a_condition_that_counts_both_ways_is_never_wanted_both_ways(
    text: str, statuses: dict[str, Status], sets: list[str]
) -> None:
    found = changes_to_pass(requirement_from(text), statuses)

    assert (sorted(said(found)), found.complete) == (sorted(sets), True)


@pytest.mark.parametrize(
    "requirement",
    [
        And(),
        Or(),
        And((Condition("a"), Or())),
        Not(And()),
        And((Condition("a"), Not(Condition("a")))),
        RequireGroup(Group(2, (Condition("a"),))),
        Not(RequireGroup(Group(0, (Condition("a"),)))),
    ],
)
def test_where_all_is_well_or_nothing_helps_there_is_no_set(requirement: Requirement) -> None:
    assert changes_to_pass(requirement, {"a": F}) == NOTHING


def test_nothing_helps_where_the_depth_makes_it_unknown() -> None:
    requirement: Requirement = Condition("a")
    for _ in range(900):
        requirement = Not(requirement)

    assert changes_to_pass(requirement, {}) == NOTHING


def many(count: int) -> tuple[Requirement, ...]:
    return tuple(Condition(f"c{index:03}") for index in range(count))


def test_of_many_sets_the_first_are_given_and_it_says_that_there_are_more() -> None:
    found = changes_to_pass(Or(many(CHANGES_MAX + 1)), {})

    assert said(found) == [f"+c{index:03}" for index in range(CHANGES_MAX)]
    assert not found.complete
    assert changes_to_pass(Or(many(CHANGES_MAX)), {}).complete


def test_a_set_has_no_more_conditions_than_its_bound() -> None:
    found = changes_to_pass(And(many(CHANGED_CONDITIONS_MAX)), {})
    assert (len(found.sets[0]), found.complete) == (CHANGED_CONDITIONS_MAX, True)

    assert changes_to_pass(And(many(CHANGED_CONDITIONS_MAX + 1)), {}) == Changes((), complete=False)


def test_a_tree_beyond_the_bound_is_not_searched() -> None:
    assert len(changes_to_pass(Or(many(SEARCHED_NODES_MAX - 1)), {}).sets) == CHANGES_MAX
    assert changes_to_pass(Or(many(SEARCHED_NODES_MAX)), {}) == Changes((), complete=False)


@pytest.mark.parametrize(
    "requirement",
    [
        RequireGroup(Group(30, many(900))),
        And(tuple(Or(many(400)[index * 20 : index * 20 + 20]) for index in range(20))),
        RequireGroup(Group(10, tuple(And(many(90)[index * 3 : index * 3 + 3]) for index in range(30)))),
    ],
)
def test_a_search_that_would_take_too_long_follows_fewer_ways_and_what_it_finds_is_true(
    requirement: Requirement,
) -> None:
    found = changes_to_pass(requirement, {})

    assert found.sets
    assert not found.complete
    for changed in found.sets:
        becoming = {each.condition_id: each.becomes for each in changed}
        assert evaluate(requirement, becoming).status is T
        for name in becoming:
            rest = {other: status for other, status in becoming.items() if other != name}
            assert evaluate(requirement, rest).status is not T


def test_what_one_change_does_for_two_parts_is_not_done_twice_though_the_search_was_cut_short() -> None:
    parts = RequireGroup(Group(20, many(900))), requirement_from("p or q"), requirement_from("q or z")

    found = changes_to_pass(And(parts), {})

    assert said(found) == [" ".join(f"+c{index:03}" for index in range(20)) + " +q"]
    assert not found.complete
