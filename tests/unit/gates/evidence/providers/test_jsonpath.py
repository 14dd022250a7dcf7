"""JSONPath: what it selects, and that a hostile path ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.gates.evidence.providers.jsonpath import PathFault, selected

DEEP: Any = list(range(50_000))
for _ in range(50):
    DEEP = [DEEP]
DOCUMENT: Any = {
    "list": list(range(50_000)),
    "pairs": [{"n": each, "t": "x" * 20} for each in range(1_000)],
    "deep": DEEP,
    "text": "a" * 100_000,
    "texts": [f"\\p{{L}}\\p{{L}}{each}" for each in range(1_000)],
}
HOSTILE = [
    "$..*..*..*..*",
    "$..[?@..[?@..[?@..n]]]",
    "$..[" + "0," * 1_900 + "0]",
    "$.pairs[?@ == $.pairs]",
    "$.list[?$.pairs == $.pairs]",
    "$.list[?$.text == $.text]",
    "$.list[?count($..*) > 1]",
    "$.list[?$.list[?@.b]]",
    "$.list[?" + "@.b||" * 150 + "@.b]",
    "$.list[?" + 'match("a","b")||' * 200 + "@.b]",
    "$.list[?search($.text, '(((a+)+)+)+b')]",
    "$.pairs[?" + "||".join(f"match(@.t,'\\\\p{{L}}\\\\p{{L}}{each}')" for each in range(120)) + "]",
    "$.texts[?match('x', @)]",
    "$..[?@..[?@..['zz']]]",
]
SENSELESS = [
    "",
    "list",
    "$.",
    "$[",
    "$..",
    "$[?@.a == 1e999999999]",
    "$[?@.a == " + "9" * 4_000 + "]",
    "$[9007199254740992]",
    "$[?nothing(@)]",
    "$[?match(@.a)]",
    "$" + "[?@" * 400 + "]" * 400,
    "$[?" + "(" * 1_500 + "@.a" + ")" * 1_500 + "]",
    "$." + "a" * 5_000,
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_asks_for_too_much_work_ends(path: str) -> None:
    with pytest.raises(PathFault, match="too much work"):
        selected(path, DOCUMENT, 1 << 20)


@pytest.mark.parametrize("path", SENSELESS)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(PathFault):
        selected(path, DOCUMENT, 1 << 20)


def test_a_value_that_is_selected_again_and_again_is_refused_before_it_is_written() -> None:
    with pytest.raises(OverflowError):
        selected("$['text','text','text']", DOCUMENT, 200_000)
    with pytest.raises(OverflowError):
        selected("$['k','k','k']", {"k": {"x" * 1_000: [1, "y"]}}, 2_000)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a.c", "abc", True),
        ("a.c", "a\nc", False),
        ("a.c", "a\rc", False),
        ("a[.]c", "a.c", True),
        ("a[.]c", "abc", False),
        (r"a\.c", "abc", False),
        (r"[\]x].", "]z", True),
        (r"\p{Lu}+", "ÄÖ", True),
        (r"\p{Cn}", "a", False),
        ("(ab){2,3}", "abab", True),
        ("b", "abc", False),
        ("(?i)a", "A", False),
        (r"\d", "1", False),
        ("a{1,1000}{1,1000}", "a", False),
        ("((a{1,1000}){1,1000}){1,1000}", "a", False),
        ("a" * 600, "a" * 600, False),
    ],
)
def test_regular_expressions_are_those_of_rfc_9485(pattern: str, text: str, matches: bool) -> None:
    document = [{"t": text, "p": pattern}]

    assert bool(selected("$[?match(@.t, @.p)]", document, 10_000)) is matches


def test_search_finds_a_part_and_neither_takes_what_is_no_text() -> None:
    assert selected("$[?search(@, 'b.')]", ["abc", "xyz", 1, None], 1_000) == ["abc"]
    assert selected("$[?match(@, $[1])]", ["abc", 7], 1_000) == []


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$[?!@.a]", [{"b": 1}]),
        ("$[?@.a == @.b || @.a == 1].a", [1]),
        ("$[?@.a && @.a < 2].a", [1]),
        ("$[?length(@) == 2]", [{"a": 1, "c": 2}]),
        ("$[?value(@..c) == 2].a", [1]),
        ("$[?$[0].a == @.a].c", [2]),
        ("$[?true == false]", []),
        ("$[0:1].c", [2]),
    ],
)
def test_conditions_are_decided_as_the_library_has_them(path: str, values: list[Any]) -> None:
    assert selected(path, [{"a": 1, "c": 2}, {"b": 1}][: 2 if "!@" in path or "length" in path else 1], 1_000) == values


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
PATHS = st.lists(
    st.sampled_from([".a", ".b", "[0]", "[-1]", "[*]", ".*", "..a", "..*", "[?@.a]", "[?@==1]", "[?@.a<$.b]", "[0:2]"]),
    max_size=4,
)


@given(PATHS, JSON)
def test_counting_changes_no_answer(steps: list[str], document: Any) -> None:
    import jsonpath_rfc9535

    path = "$" + "".join(steps)
    assert selected(path, document, 1 << 20) == jsonpath_rfc9535.find(path, document).values()
