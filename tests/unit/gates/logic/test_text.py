"""The text form of requirements, both ways, and each of its errors with its byte (seed 000)."""

from __future__ import annotations

import pytest

from interlock.base.errors import Invalid
from interlock.gates.logic.check import REQUIREMENT_BYTES_MAX
from interlock.gates.logic.text import requirement_from, text_of
from interlock.gates.logic.tree import And, Condition, Group, Not, Or, RequireGroup, Requirement

A, B, C, D = map(Condition, "abcd")


@pytest.mark.parametrize(
    ("text", "requirement"),
    [
        ("a", A),
        (" \t\r\n a \n", A),
        ("_x9", Condition("_x9")),
        ("a and b", And((A, B))),
        ("a && b&&c", And((A, B, C))),
        ("a or b", Or((A, B))),
        ("a||b || c", Or((A, B, C))),
        ("not a", Not(A)),
        ("!a", Not(A)),
        ("not not !a", Not(Not(Not(A)))),
        ("not(a)", Not(A)),
        ("a or b and c", Or((A, And((B, C))))),
        ("a and b or c and d", Or((And((A, B)), And((C, D))))),
        ("not a and b", And((Not(A), B))),
        ("not a or not b", Or((Not(A), Not(B)))),
        ("(a or b) and c", And((Or((A, B)), C))),
        ("(a and b) and c", And((And((A, B)), C))),
        ("not (a and b)", Not(And((A, B)))),
        ("((a))", A),
        ("all()", And()),
        ("all(a)", And((A,))),
        ("all(a, b or c)", And((A, Or((B, C))))),
        ("and(a, b)", And((A, B))),
        ("any()", Or()),
        ("any (a)", Or((A,))),
        ("or(a, b) and c", And((Or((A, B)), C))),
        ("at_least(2, a, b, c)", RequireGroup(Group(2, (A, B, C)))),
        ("require_group(1,a)", RequireGroup(Group(1, (A,)))),
        ("at_least(0)", RequireGroup(Group(0, ()))),
        ("at_least(001, a and b)", RequireGroup(Group(1, (And((A, B)),)))),
        ("all and any or at_least", Or((And((Condition("all"), Condition("any"))), Condition("at_least")))),
        ('"a b" or "and"', Or((Condition("a b"), Condition("and")))),
        (r'"\u00e9\"\\"', Condition('é"\\')),
        ('"approval.granted"', Condition("approval.granted")),
    ],
)
def test_a_text_is_read_as_its_tree_and_the_tree_is_written_so_that_it_reads_back(
    text: str, requirement: Requirement
) -> None:
    assert requirement_from(text) == requirement
    assert requirement_from(text_of(requirement)) == requirement


@pytest.mark.parametrize(
    ("requirement", "text"),
    [
        (Or((And((A, B)), Not(C))), "a and b or not c"),
        (And((Or((A, B)), Not(Or((C, D))))), "(a or b) and not (c or d)"),
        (And((And((A, B)), C)), "(a and b) and c"),
        (Or((A, Or((B, C)))), "a or (b or c)"),
        (Not(Not(And((A,)))), "not not all(a)"),
        (RequireGroup(Group(2, (A, Or((B, C)), Or()))), "at_least(2, a, b or c, any())"),
        (Condition("not"), '"not"'),
        (Condition("1a"), '"1a"'),
        (Condition("a\n"), r'"a\n"'),
        (Condition(""), '""'),
    ],
)
def test_a_tree_is_written_with_as_few_parentheses_as_it_needs(requirement: Requirement, text: str) -> None:
    assert text_of(requirement) == text


@pytest.mark.parametrize(
    ("text", "code", "byte"),
    [
        ("", "requirement_empty", 0),
        (" \n\t", "requirement_empty", 3),
        ("a &", "requirement_token_unexpected", 2),
        ("a | b", "requirement_token_unexpected", 2),
        ("a = b", "requirement_token_unexpected", 2),
        ("a-b", "requirement_token_unexpected", 1),
        ("é", "requirement_token_unexpected", 0),
        ('"é" and ü', "requirement_token_unexpected", 9),
        ('"a', "requirement_token_unexpected", 0),
        ('"\\x"', "requirement_token_unexpected", 0),
        ('a or "\\ud800"', "requirement_token_unexpected", 5),
        ('"\n"', "requirement_token_unexpected", 0),
        ("and", "requirement_token_unexpected", 3),
        ("or b", "requirement_token_unexpected", 3),
        ("&&(a, b)", "requirement_token_unexpected", 0),
        ("a and", "requirement_token_unexpected", 5),
        ("not", "requirement_token_unexpected", 3),
        ("(a", "requirement_token_unexpected", 2),
        ("()", "requirement_token_unexpected", 1),
        ("7", "requirement_token_unexpected", 0),
        ("not(a, b)", "requirement_token_unexpected", 5),
        ("all(a", "requirement_token_unexpected", 5),
        ("all(a,)", "requirement_token_unexpected", 6),
        ("at_least()", "requirement_token_unexpected", 9),
        ("at_least(a, b)", "requirement_token_unexpected", 9),
        ("at_least(1 a)", "requirement_token_unexpected", 11),
        ("at_least(-1, a)", "requirement_token_unexpected", 9),
        ("xor(a, b)", "requirement_function_unknown", 0),
        ("a and is_alive()", "requirement_function_unknown", 6),
        ("at_least(256, a)", "requirement_number_invalid", 9),
        ("at_least(99999999999999999999, a)", "requirement_number_invalid", 9),
        ("at_least(3, a, b)", "requirement_group_invalid", 9),
        ("a or at_least(0, a)", "requirement_group_invalid", 14),
        ("at_least(1)", "requirement_group_invalid", 9),
        ("a b", "requirement_trailing_input", 2),
        ("a, b", "requirement_trailing_input", 1),
        ("a)", "requirement_trailing_input", 1),
        ('"é" b', "requirement_trailing_input", 5),
        ("(" * 33 + "a" + ")" * 33, "requirement_too_deep", 32),
        ("all(" * 33 + ")" * 33, "requirement_too_deep", 128),
        ("!" * 33 + "a", "requirement_too_deep", 33),
    ],
)
def test_a_text_that_is_no_requirement_is_refused_at_the_byte(text: str, code: str, byte: int) -> None:
    with pytest.raises(Invalid) as refused:
        requirement_from(text)

    assert (refused.value.code, refused.value.details) == (code, {"byte": byte})
    assert refused.value.message.endswith(f"at byte {byte}")


def test_32_levels_of_parentheses_or_of_not_are_read() -> None:
    assert requirement_from("(" * 32 + "a" + ")" * 32) == A
    assert requirement_from("not " * 32 + "a") is not None


def test_a_tree_that_gets_too_deep_by_both_is_refused_with_its_place() -> None:
    with pytest.raises(Invalid) as refused:
        requirement_from("!" * 20 + "(" + "!" * 20 + "(a))")

    assert refused.value.code == "requirement_too_deep"
    assert refused.value.details == {"place": "/Not" * 33}


def test_the_worst_nesting_that_is_read_is_refused_and_no_crash() -> None:
    with pytest.raises(Invalid) as refused:
        requirement_from(("!" * 32 + "(") * 32 + "a" + ")" * 32)

    assert refused.value.code == "requirement_too_deep"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a" * (REQUIREMENT_BYTES_MAX + 1), "requirement_too_large"),
        ("é" * (REQUIREMENT_BYTES_MAX // 2 + 1), "requirement_too_large"),
        ("\ud800", "requirement_token_unexpected"),
    ],
)
def test_a_text_of_more_than_a_mebibyte_or_of_half_characters_is_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        requirement_from(text)

    assert refused.value.code == code


def test_conditions_are_among_those_that_are_known() -> None:
    assert requirement_from('a or "x y"', {"a", "x y"}) == Or((A, Condition("x y")))

    with pytest.raises(Invalid) as refused:
        requirement_from("a or b", {"a"})

    assert (refused.value.code, refused.value.details) == ("requirement_condition_unknown", {"byte": 5})


def test_a_name_is_cut_and_made_safe_in_a_message() -> None:
    with pytest.raises(Invalid) as refused:
        requirement_from('"' + "\\u001b[31m" + "x" * 500 + '"', set())

    assert len(refused.value.message) < 120
    assert "\x1b" not in refused.value.message


def test_what_is_too_deep_is_not_written() -> None:
    requirement: Requirement = A
    for _ in range(33):
        requirement = And((requirement,))

    with pytest.raises(Invalid) as refused:
        text_of(requirement)

    assert refused.value.code == "requirement_too_deep"
