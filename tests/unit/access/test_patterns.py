"""Patterns of permissions take what they say and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.access.patterns import PATTERN, Patterns, takes

WORDS = st.sampled_from(["run", "runs", "token", "read", "new", "a_b", "a-b"])
PERMISSIONS = st.one_of(WORDS, st.builds("{}.{}".format, WORDS, WORDS))
PATTERNS = st.one_of(st.just("*"), PERMISSIONS, st.builds("{}.*".format, WORDS))


@pytest.mark.parametrize(
    ("pattern", "permission", "taken"),
    [
        ("run.read", "run.read", True),
        ("run.read", "run.start", False),
        ("run.*", "run.read", True),
        ("run.*", "runs.read", False),
        ("run.*", "run", False),
        ("run", "run.read", False),
        ("machine", "machine", True),
        ("*", "machine", True),
        ("*", "run.read", True),
    ],
)
def test_a_pattern_takes_what_it_says(pattern: str, permission: str, taken: bool) -> None:
    assert takes(pattern, permission) is taken
    assert Patterns((pattern,)).take(permission) is taken


@given(st.lists(PATTERNS, max_size=6), PERMISSIONS)
def test_several_patterns_take_what_any_of_them_takes(patterns: list[str], permission: str) -> None:
    assert Patterns(tuple(patterns)).take(permission) is any(takes(each, permission) for each in patterns)


@given(st.lists(PATTERNS, max_size=4), st.lists(PATTERNS, max_size=4), st.lists(PERMISSIONS, max_size=8))
def test_more_patterns_never_take_less(some: list[str], more: list[str], permissions: list[str]) -> None:
    assert Patterns(tuple(some)).of(permissions) <= Patterns((*some, *more)).of(permissions)


@pytest.mark.parametrize(
    "text", ["", ".", "run.", ".read", "*.read", "run.r*", "run.*.x", "Run.read", "run.read\n", "**"]
)
def test_other_forms_are_no_patterns(text: str) -> None:
    assert re.match(PATTERN, text) is None


@given(PATTERNS)
def test_every_pattern_has_the_form(pattern: str) -> None:
    assert re.match(PATTERN, pattern) is not None
