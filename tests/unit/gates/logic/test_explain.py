"""The reasons of a requirement, as records and as text."""

from __future__ import annotations

import msgspec
import pytest

from interlock.gates.logic.explain import Leaf, Reason, as_text, explain
from interlock.gates.logic.status import Status
from interlock.gates.logic.text import requirement_from
from interlock.gates.logic.tree import And, Condition, Not, Or, Requirement

T, F, U = Status.TRUE, Status.FALSE, Status.UNKNOWN
LEAVES = {
    "tests": Leaf(T, "equals holds", 7),
    "review": Leaf(F, "equals does not hold", 8),
    "frozen": Leaf[int](U, "there is no evidence"),
}


def test_each_part_says_what_it_is_and_why() -> None:
    found = explain(requirement_from("tests and at_least(1, review, late) and not frozen"), LEAVES)

    assert found.status is U
    assert found.reason == Reason(
        "all",
        U,
        "1 of 3 true, 2 unknown; needs 3",
        reasons=(
            Reason("condition", T, "equals holds", "tests", 7),
            Reason(
                "at_least",
                U,
                "0 of 2 true, 1 unknown; needs 1",
                reasons=(
                    Reason("condition", F, "equals does not hold", "review", 8),
                    Reason("condition", U, "nothing is known of it", "late"),
                ),
            ),
            Reason(
                "not",
                U,
                "the opposite of what follows",
                reasons=(Reason("condition", U, "there is no evidence", "frozen"),),
            ),
        ),
    )


def test_an_explanation_is_json_without_what_it_does_not_know() -> None:
    told = msgspec.json.decode(msgspec.json.encode(explain(requirement_from("tests or review"), LEAVES)))

    assert told == {
        "status": "True",
        "reason": {
            "kind": "any",
            "status": "True",
            "why": "1 of 2 true; needs 1",
            "reasons": [
                {
                    "kind": "condition",
                    "status": "True",
                    "why": "equals holds",
                    "condition_id": "tests",
                    "detail": 7,
                },
                {
                    "kind": "condition",
                    "status": "False",
                    "why": "equals does not hold",
                    "condition_id": "review",
                    "detail": 8,
                },
            ],
        },
        "would_pass": {"sets": [], "complete": True},
    }


def test_the_text_is_an_indented_tree_with_what_would_help() -> None:
    found = explain(requirement_from("tests and (review or not frozen)"), LEAVES)

    assert as_text(found, lambda detail: f"number {detail}").splitlines() == [
        "Unknown  all: 1 of 2 true, 1 unknown; needs 2",
        "  True  tests: equals holds; number 7",
        "  Unknown  any: 0 of 2 true, 1 unknown; needs 1",
        "    False  review: equals does not hold; number 8",
        "    Unknown  not: the opposite of what follows",
        "      Unknown  frozen: there is no evidence",
        "It would pass if:",
        "  review became True",
        "  or frozen became False",
    ]


@pytest.mark.parametrize(
    ("requirement", "last"),
    [
        (requirement_from("tests"), "True  tests: equals holds; 7"),
        (And((Condition("review"), Condition("frozen"))), "  review became True and frozen became True"),
        (Or(), "Nothing would make it pass."),
        (And(tuple(Condition(f"c{index}") for index in range(40))), "What would make it pass is too much to list."),
        (Or(tuple(Condition(f"c{index}") for index in range(40))), "  … and other ways"),
    ],
)
def test_the_text_ends_with_what_would_help_as_far_as_it_can_be_listed(requirement: Requirement, last: str) -> None:
    assert as_text(explain(requirement, LEAVES), str).splitlines()[-1] == last


def test_a_requirement_that_is_too_deep_is_unknown_and_nothing_else_is_said_of_it() -> None:
    requirement: Requirement = Condition("tests")
    for _ in range(2_000):
        requirement = Not(requirement)

    found = explain(requirement, LEAVES)

    assert found.reason == Reason("not", U, "nested deeper than 32 levels")
    assert as_text(found, str).splitlines() == [
        "Unknown  not: nested deeper than 32 levels",
        "Nothing would make it pass.",
    ]


def test_a_name_is_safe_for_a_terminal() -> None:
    text = as_text(explain(Condition("\x1b[31m\n" + "x" * 500), {}), str)

    assert "\x1b" not in text
    assert len(text.splitlines()) == 3
    assert len(text) < 400
