"""The text of a token: one spelling, and a digest for that token alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.access.tokens.text import TokenPlace, id_of, id_under, place_of, token_digest, token_text

TENANTS = st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,62}\Z")
PLACES = st.builds(TokenPlace, TENANTS, st.binary(min_size=8, max_size=8).map(id_of))
SECRETS = st.binary(min_size=32, max_size=32)
TEXT = token_text(TokenPlace("default", "0123456789abcdef"), b"\xff" * 32)


def test_a_text_names_its_tenant_and_its_id_and_holds_32_bytes() -> None:
    assert TEXT == "ilk_default.0123456789abcdef.__________________________________________8"
    assert re.fullmatch(r"ilk_[^.]+\.[^.]+\.[A-Za-z0-9_-]{43}", TEXT)


@given(PLACES, SECRETS)
def test_what_is_written_is_found_again(place: TokenPlace, secret: bytes) -> None:
    assert place_of(token_text(place, secret)) == place


@given(PLACES, PLACES, SECRETS, SECRETS)
def test_no_two_tokens_have_one_digest(a: TokenPlace, b: TokenPlace, first: bytes, second: bytes) -> None:
    same = (a, first) == (b, second)

    assert (token_digest(token_text(a, first)) == token_digest(token_text(b, second))) is same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ilk_",
        TEXT[:-1],
        f"{TEXT}A",
        f"{TEXT}\n",
        f" {TEXT}",
        TEXT.upper(),
        TEXT.replace("ilk_", "ilk-"),
        TEXT.replace("default", "De fault"),
        TEXT.replace("default", "../default"),
        TEXT.replace("default", "d" * 64),
        TEXT.replace("0123456789abcdef", "0123456789abcdeg"),
        TEXT.replace("0123456789abcdef", "0123456789abcde"),
        TEXT.replace("_8", "=="),
        TEXT.replace("_8", "é8"),
        "x" * 100_000,
        "\x00",
        "\ud800",
    ],
)
def test_another_text_is_no_token(text: str) -> None:
    assert place_of(text) is None


@given(st.text(max_size=200))
def test_any_text_at_all_is_answered(text: str) -> None:
    place_of(text)


@given(st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable()))
def test_the_id_of_a_command_is_its_own_in_each_tenant(command_id: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", id_under("default", command_id))
    assert id_under("default", command_id) == id_under("default", command_id)
    assert id_under("default", command_id) != id_under("staging", command_id)
