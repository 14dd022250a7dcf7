"""P11: an identifier is accepted exactly by its grammar, and decoding accepts exactly what construction does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unicodedata import category

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base import ids
from interlock.base.errors import Invalid

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
HEX = DIGITS + "abcdef"


# The grammars once more, without a regular expression.
def is_segment(text: str) -> bool:
    return 1 <= len(text) <= 63 and text[0] in LETTERS and all(c in LETTERS + DIGITS + "_" for c in text)


def is_segments(count: int) -> Callable[[str], bool]:
    return lambda text: text.count(".") == count - 1 and all(map(is_segment, text.split(".")))


def is_uuid(text: str) -> bool:
    return [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12] and all(c in HEX + "-" for c in text)


def is_digest(text: str) -> bool:
    return len(text) == 64 and all(c in HEX for c in text)


def is_name(length_max: int) -> Callable[[str], bool]:
    return lambda text: 1 <= len(text) <= length_max and not any(category(c) in {"Cc", "Cs"} for c in text)


def is_tenant(text: str) -> bool:
    first, others = text[:1], text[1:]
    return bool(first) and first in LETTERS + DIGITS and len(text) <= 63 and set(others) <= set(LETTERS + DIGITS + "_-")


GRAMMAR: dict[str, tuple[Any, Callable[[str], bool]]] = {
    "op_id": (ids.OpId, is_segment),
    "op_path": (ids.OpPath, is_segments(2)),
    "state_id": (ids.StateId, is_segments(3)),
    "run_id": (ids.RunId, is_uuid),
    "artifact_id": (ids.ArtifactId, is_digest),
    "fact_key": (ids.FactKey, is_name(512)),
    "context_key": (ids.ContextKey, is_name(512)),
    "command_id": (ids.CommandId, is_name(200)),
    "tenant": (ids.Tenant, is_tenant),
}

# Sound values with one place replaced: near the border of every grammar, on both sides of it.
SEGMENT = st.text(LETTERS, min_size=1, max_size=1).flatmap(
    lambda first: st.text(LETTERS + DIGITS + "_", max_size=3).map(lambda rest: first + rest)
) | st.sampled_from(["a" * 62, "a" * 63, "a" * 64, ""])
SOUND = st.one_of(
    st.lists(SEGMENT, min_size=1, max_size=4).map(".".join),
    st.uuids().map(str),
    st.text(HEX, min_size=63, max_size=65),
    st.text(max_size=20),
    st.sampled_from([199, 200, 201, 511, 512, 513]).flatmap(
        lambda size: st.text("aé\U0001f600").map(lambda t: (t + "b" * size)[:size])
    ),
)
SCRAP = st.text("aA0_-./ \n\r\t\x00\x1f\x7f\x80\x9f\xa0é\u0661\uff11\u2028\ud800\udfff\U0001f600", max_size=2)


@st.composite
def near(draw: st.DrawFn) -> str:
    text = draw(SOUND)
    begin = draw(st.integers(0, len(text)) | st.just(len(text)))
    end = draw(st.integers(begin, min(begin + 1, len(text))))
    return text[:begin] + draw(SCRAP | st.just("")) + text[end:]


def accepts(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (Invalid, msgspec.MsgspecError):
        return False
    return True


@pytest.mark.parametrize("kind", GRAMMAR)
@given(text=near())
def test_an_identifier_is_accepted_exactly_by_its_grammar_decoded_or_constructed(kind: str, text: str) -> None:
    annotated, grammar = GRAMMAR[kind]
    escaped = json.dumps(text)  # two halves of a pair, one after the other, are one character in JSON

    assert accepts(lambda: getattr(ids, kind)(text)) == grammar(text)
    assert accepts(lambda: msgspec.convert(text, annotated)) == grammar(text)
    assert accepts(lambda: msgspec.json.decode(escaped, type=annotated)) == grammar(json.loads(escaped))
