"""Strong Kleene logic, table by table, with traces (seed 000)."""

from __future__ import annotations

from itertools import product

import pytest

from interlock.gates.logic.evaluate import DEPTH_MAX, Evaluated, combined, evaluate, needed
from interlock.gates.logic.status import Status
from interlock.gates.logic.tree import And, Condition, Group, Not, Or, RequireGroup, Requirement
from interlock.gates.records import Traced

OF = {"T": Status.TRUE, "F": Status.FALSE, "?": Status.UNKNOWN}
A, B, C = Condition("a"), Condition("b"), Condition("c")


def decided(requirement: Requirement, letters: str) -> Status:
    """What a requirement over a, b, c, … is where they are as the letters say."""
    return evaluate(requirement, {name: OF[letter] for name, letter in zip("abcdef", letters, strict=False)}).status


@pytest.mark.parametrize(
    ("one", "other", "both", "either"),
    [
        ("T", "T", "T", "T"),
        ("T", "F", "F", "T"),
        ("T", "?", "?", "T"),
        ("F", "T", "F", "T"),
        ("F", "F", "F", "F"),
        ("F", "?", "F", "?"),
        ("?", "T", "?", "T"),
        ("?", "F", "F", "?"),
        ("?", "?", "?", "?"),
    ],
)
def test_and_and_or(one: str, other: str, both: str, either: str) -> None:
    assert decided(And((A, B)), one + other) is OF[both]
    assert decided(Or((A, B)), one + other) is OF[either]


@pytest.mark.parametrize(("one", "opposite"), [("T", "F"), ("F", "T"), ("?", "?")])
def test_not(one: str, opposite: str) -> None:
    assert decided(Not(A), one) is OF[opposite]


@pytest.mark.parametrize("letters", ["".join(each) for each in product("TF?", repeat=3)])
@pytest.mark.parametrize("least", range(6))
def test_a_group_counts_what_holds_and_what_may_still_hold(least: int, letters: str) -> None:
    holding, unknown = letters.count("T"), letters.count("?")
    if least == 0 or holding >= least:
        wanted = "T"
    elif holding + unknown < least:
        wanted = "F"
    else:
        wanted = "?"

    assert decided(RequireGroup(Group(least, (A, B, C))), letters) is OF[wanted]


def test_a_group_that_asks_for_more_than_it_has_never_holds_and_is_no_error() -> None:
    assert decided(RequireGroup(Group(255, (A,))), "T") is Status.FALSE
    assert decided(RequireGroup(Group(255, (A,))), "?") is Status.FALSE
    assert decided(RequireGroup(Group(1, ())), "") is Status.FALSE
    assert decided(RequireGroup(Group(0, ())), "") is Status.TRUE
    assert decided(RequireGroup(Group(0, (A,))), "F") is Status.TRUE


def test_without_members_an_and_holds_and_an_or_does_not() -> None:
    assert decided(And(), "") is Status.TRUE
    assert decided(Or(), "") is Status.FALSE
    assert decided(Not(Or()), "") is Status.TRUE


def test_a_condition_that_nobody_says_anything_about_is_unknown() -> None:
    assert evaluate(A, {}) == Evaluated(Status.UNKNOWN, [Traced("a", Status.UNKNOWN)])


def test_every_leaf_is_traced_in_the_order_of_the_tree_though_the_first_one_decides() -> None:
    tree = Or((A, And((B, Not(A))), RequireGroup(Group(0, (C,)))))

    found = evaluate(tree, {"a": Status.TRUE, "b": Status.FALSE})

    assert found.status is Status.TRUE
    assert [(each.condition_id, each.status) for each in found.trace] == [
        ("a", Status.TRUE),
        ("b", Status.FALSE),
        ("a", Status.TRUE),
        ("c", Status.UNKNOWN),
    ]


def nested(levels: int, innermost: Requirement = A) -> Requirement:
    for _ in range(levels):
        innermost = Not(innermost)
    return innermost


def test_the_last_level_is_still_looked_at() -> None:
    assert evaluate(nested(DEPTH_MAX), {"a": Status.TRUE}).status is Status.TRUE


def test_beyond_the_last_level_the_whole_is_unknown_though_another_part_decides() -> None:
    """The trace ends where the depth was found, as that of the contract does."""
    tree = Or((B, nested(DEPTH_MAX), C))

    found = evaluate(tree, {"a": Status.TRUE, "b": Status.TRUE, "c": Status.TRUE})

    assert found == Evaluated(Status.UNKNOWN, [Traced("b", Status.TRUE)])


def test_no_tree_exhausts_the_stack() -> None:
    assert evaluate(nested(5_000), {}).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("requirement", "number"),
    [(And(), 0), (And((A, B)), 2), (Or(()), 1), (Or((A, B)), 1), (RequireGroup(Group(7, (A,))), 7), (Not(A), 1)],
)
def test_how_many_must_hold(requirement: Requirement, number: int) -> None:
    assert needed(requirement) == number


def test_what_is_below_decides_without_another_look_at_it() -> None:
    assert combined(Not(A), [Status.FALSE]) is Status.TRUE
    assert combined(And((A, B)), [Status.TRUE, Status.UNKNOWN]) is Status.UNKNOWN
