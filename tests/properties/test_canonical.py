"""P10: canonical JSON keeps the value, forgets the order of keys, is a fixed point, and agrees with two others."""

from __future__ import annotations

import enum
import json
import random
import uuid
from collections.abc import Callable

import jcs_admit
import pytest
import rfc8785
from hypothesis import assume, example, given
from hypothesis import strategies as st

from interlock.base.bounds import INTEGER_MAX
from interlock.base.canonical import Json, canonical, canonical_digest, is_canonical, parse
from interlock.base.errors import Invalid

# Keys collide on what decides their order: code points around the surrogates, and shared beginnings.
EDGES = "a\x7f\u0080é\ud7ff\ue000\ufb33\uffff\U00010000\U0001f600\U0010ffff"
TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.text(EDGES, max_size=4)
INTEGER = st.integers(-INTEGER_MAX, INTEGER_MAX)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | INTEGER | TEXT
Values = st.SearchStrategy[Json]


def values(leaves: Values) -> Values:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=5), max_leaves=20
    )


JSON = values(PLAIN | FLOAT)
# What the door gives back: a float that is written like an integer beyond 53 bits is refused there.
READABLE = values(PLAIN | FLOAT.filter(lambda number: not 2**53 <= abs(number) < 1e21))


@given(READABLE)
def test_what_is_written_is_read_back_as_the_same_value(value: Json) -> None:
    assert parse(canonical(value)) == value


@given(READABLE)
def test_writing_what_was_read_changes_nothing(value: Json) -> None:
    content = canonical(value)

    assert canonical(parse(content)) == content
    assert canonical(parse(content.decode())) == content


@given(JSON)
def test_what_is_written_is_canonical_and_no_other_spelling_is(value: Json) -> None:
    content = canonical(value)
    other = json.dumps(value, ensure_ascii=True).encode()

    assert is_canonical(content)
    assert is_canonical(other) == (other == content)


@given(JSON, st.randoms(use_true_random=False))
def test_the_order_in_which_keys_were_given_is_forgotten(value: Json, chance: random.Random) -> None:
    assert canonical(shuffled(value, chance)) == canonical(value)
    assert canonical_digest(shuffled(value, chance)) == canonical_digest(value)


@given(JSON)
def test_it_agrees_with_two_independent_implementations(value: Json) -> None:
    content = canonical(value)

    assert content == rfc8785.dumps(value)
    assert content == jcs_admit.admit(json.dumps(value).encode())


@given(st.dictionaries(st.text(EDGES, min_size=1, max_size=3), st.text(EDGES, max_size=2), max_size=8))
@example({"\ufb33": "", "\U0001f600": ""})
@example({"": "", "a": "\U0001f600", "\ufb33": ""})
def test_members_stand_in_the_order_of_utf_16_units(value: dict[str, str]) -> None:
    written = json.loads(canonical(value), object_pairs_hook=list)

    assert written == sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))


@given(values(PLAIN), st.data())
def test_one_value_that_is_not_json_is_refused_wherever_it_stands(value: Json, data: st.DataObject) -> None:
    bad, code = data.draw(st.sampled_from(BAD))
    planted = plant(value, bad, data.draw)

    for beside in (0, 0.5):
        with pytest.raises(Invalid) as refusal:
            canonical([beside, planted])
        assert refusal.value.code == code


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A JSON text with one place replaced, so that it stays sound about as often as not."""
    text = json.dumps(draw(JSON), ensure_ascii=draw(st.booleans()))
    begin = draw(st.integers(0, len(text)))
    end = draw(st.integers(begin, min(begin + 4, len(text))))
    scrap = draw(st.text('{}[]",:\\u0189adfnt-+.eE \n\x00\u00a0\ufeff', max_size=4) | st.sampled_from(SCRAPS))
    return text[:begin] + scrap + text[end:]


SCRAPS = ["NaN", "-Infinity", "1e400", "9007199254740992", '"a":1,"a":2,', "\\ud800", "\\ud83d\\ude00", "-0", "\ud800"]


@given(damaged())
@example("[" * 64 + "]" * 64)
@example("[" * 65 + "]" * 65)
def test_the_door_lets_in_exactly_what_the_strict_oracle_admits(text: str) -> None:
    try:
        admitted = jcs_admit.admit_with(text.encode("utf-8", "surrogatepass"), max_depth=64, safe_integers=True)
    except jcs_admit.JcsError:
        admitted = None
    try:
        ours = canonical(parse(text))
    except Invalid:
        ours = None
    # The oracle calls each integral number an integer, we only those that are written as one.
    assume(admitted is not None or ours is None or not any(mark in text for mark in ".eE"))

    assert ours == admitted


class Word(enum.StrEnum):
    A = "a"


BAD: list[tuple[object, str]] = [
    (float("nan"), "json_non_finite"),
    (float("-inf"), "json_non_finite"),
    (2**53, "json_integer_range"),
    (-(2**70), "json_integer_range"),
    ("a\ud800", "json_surrogate"),
    ({"\udfff": 1}, "json_surrogate"),
    ({1: 1}, "json_type"),
    (Word.A, "json_type"),
    (uuid.UUID(int=1), "json_type"),
    (b"a", "json_type"),
]


def plant(value: Json, bad: object, draw: Callable[[st.SearchStrategy[int]], int]) -> object:
    """`value` with `bad` put somewhere into it, or around it."""
    if isinstance(value, dict) and value:
        key = sorted(value)[draw(st.integers(0, len(value) - 1))]
        return {**value, key: plant(value[key], bad, draw)}
    if isinstance(value, list) and value:
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], plant(value[index], bad, draw), *value[index + 1 :]]
    return [value, bad]


def shuffled(value: Json, chance: random.Random) -> Json:
    if isinstance(value, dict):
        members = [(key, shuffled(item, chance)) for key, item in value.items()]
        chance.shuffle(members)
        return dict(members)
    if isinstance(value, list):
        return [shuffled(item, chance) for item in value]
    return value
