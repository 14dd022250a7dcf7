"""Requirements as JSON, and walking over them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.gates.logic.tree import (
    And,
    Condition,
    Group,
    Not,
    Or,
    RequireGroup,
    children_of,
    conditions_of,
    requirement_of,
    walked,
)

A, B, C = Condition("a"), Condition("b"), Condition("c")


@pytest.mark.parametrize(
    ("json", "tree"),
    [
        ({"Condition": "a"}, A),
        ({"And": []}, And()),
        ({"Or": [{"Condition": "a"}, {"Condition": "b"}]}, Or((A, B))),
        ({"Not": {"Condition": "a"}}, Not(A)),
        ({"RequireGroup": {"min": 255, "reqs": [{"Condition": "a"}]}}, RequireGroup(Group(255, (A,)))),
    ],
)
def test_a_requirement_is_its_own_json(json: Any, tree: Any) -> None:
    assert requirement_of(json) == tree
    assert msgspec.json.decode(msgspec.json.encode(tree)) == json


def test_members_beside_those_of_a_group_mean_nothing() -> None:
    assert requirement_of({"RequireGroup": {"min": 0, "reqs": [], "note": "x"}}) == RequireGroup(Group(0, ()))


@pytest.mark.parametrize(
    ("json", "place"),
    [
        (None, "the top"),
        ([], "the top"),
        ({}, "the top"),
        ({"And": [], "Or": []}, "the top"),
        ({"and": []}, "the top"),
        ({"Condition": 1}, "the top"),
        ({"And": {}}, "/And"),
        ({"Or": [{"Condition": "a"}, {"Xor": []}]}, "/Or/1"),
        ({"Not": {"Not": {"Condition": None}}}, "/Not/Not"),
        ({"Not": []}, "/Not"),
        ({"RequireGroup": []}, "/RequireGroup"),
        ({"RequireGroup": {"min": 1}}, "/RequireGroup"),
        ({"RequireGroup": {"min": True, "reqs": []}}, "/RequireGroup/min"),
        ({"RequireGroup": {"min": 1.0, "reqs": []}}, "/RequireGroup/min"),
        ({"RequireGroup": {"min": 256, "reqs": []}}, "/RequireGroup/min"),
        ({"RequireGroup": {"min": -1, "reqs": []}}, "/RequireGroup/min"),
        ({"RequireGroup": {"min": 1, "reqs": None}}, "/RequireGroup/reqs"),
        ({"RequireGroup": {"min": 1, "reqs": [{"And": [7]}]}}, "/RequireGroup/reqs/0/And/0"),
    ],
)
def test_what_is_no_requirement_is_refused_with_its_place(json: Any, place: str) -> None:
    with pytest.raises(ValueError, match=f", at {place}$"):
        requirement_of(json)


def test_the_children_of_a_requirement_are_those_right_below() -> None:
    assert children_of(A) == ()
    assert children_of(Not(And((A, B)))) == (And((A, B)),)
    assert children_of(RequireGroup(Group(1, (B, A)))) == (B, A)


def test_walking_goes_in_the_order_of_the_tree_and_says_where_it_is() -> None:
    tree = And((Or((A, Not(B))), RequireGroup(Group(1, (C, A)))))

    assert [(place, depth) for place, depth, _ in walked(tree)] == [
        ("", 0),
        ("/And/0", 1),
        ("/And/0/Or/0", 2),
        ("/And/0/Or/1", 2),
        ("/And/0/Or/1/Not", 3),
        ("/And/1", 1),
        ("/And/1/RequireGroup/reqs/0", 2),
        ("/And/1/RequireGroup/reqs/1", 2),
    ]
    assert list(conditions_of(tree)) == ["a", "b", "c", "a"]
