"""Cursors: strings that are kept, given back whole, and refused when they are anything else."""

from __future__ import annotations

import base64
import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.errors import InterlockError, Invalid
from interlock.journal.cursor import listing, read_cursor, read_own_cursor, read_page, write_cursor, write_page

STORE = "000102030405060708090a0b0c0d0e0f"
OTHER = "ff0102030405060708090a0b0c0d0e0f"
# From decision 0001: {"p":{"default":1234},"s":STORE}, then 4 bytes of its SHA-256. For ever.
GOLDEN = "c1.eyJwIjp7ImRlZmF1bHQiOjEyMzR9LCJzIjoiMDAwMTAyMDMwNDA1MDYwNzA4MDkwYTBiMGMwZDBlMGYifb4C0iI"
# The same of {"k":[1767225600000,"a/b"],"s":STORE}.
GOLDEN_PAGE = "c1.eyJrIjpbMTc2NzIyNTYwMDAwMCwiYS9iIl0sInMiOiIwMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZiJ9JMUuwQ"
ALPHABET = string.ascii_letters + string.digits + "-_"


def made(content: bytes, check: bytes | None = None) -> str:
    """A cursor of any content whose check bytes are right, as someone could make who knows the form."""
    check = hashlib.sha256(content).digest()[:4] if check is None else check
    return "c1." + base64.urlsafe_b64encode(content + check).decode().rstrip("=")


def code_of(cursor: str, store: str = STORE) -> str:
    with pytest.raises(Invalid) as caught:
        read_cursor(store, "default", cursor)
    assert cursor[3:] not in str(caught.value) or len(cursor) < 30  # short text may be words of the message
    return caught.value.code


def test_a_cursor_is_this_string_for_ever() -> None:
    assert write_cursor(STORE, "default", 1234) == GOLDEN
    assert read_cursor(STORE, "default", GOLDEN) == 1234


def test_a_page_cursor_is_this_string_for_ever() -> None:
    assert write_page(STORE, (1767225600000, "a/b")) == GOLDEN_PAGE
    assert read_page(STORE, GOLDEN_PAGE) == (1767225600000, "a/b")


@given(st.integers(0, 2**53 - 1))
def test_every_position_comes_back(position: int) -> None:
    assert read_cursor(STORE, "default", write_cursor(STORE, "default", position)) == position


@given(st.integers(1 - 2**53, 2**53 - 1), st.text(st.characters(codec="utf-8"), max_size=50))
def test_every_place_of_a_listing_comes_back(order: int, key: str) -> None:
    assert read_page(STORE, write_page(STORE, (order, key))) == (order, key)


def test_a_partition_that_the_cursor_does_not_name_begins_at_its_start() -> None:
    assert read_cursor(STORE, "acme", GOLDEN) == 0


def test_a_cursor_over_several_partitions_gives_each_its_position() -> None:
    vector = made(b'{"p":{"acme":7,"default":9},"s":"' + STORE.encode() + b'"}')

    assert [read_cursor(STORE, partition, vector) for partition in ("acme", "default")] == [7, 9]


def test_another_stores_cursor_is_refused() -> None:
    assert code_of(GOLDEN, OTHER) == "cursor_foreign"
    with pytest.raises(InterlockError) as caught:
        read_page(OTHER, GOLDEN_PAGE)
    assert caught.value.code == "cursor_foreign"


def test_every_changed_character_is_refused() -> None:
    for place, character in enumerate(GOLDEN):
        for other in ALPHABET + ".=+/ é":
            if other != character:
                assert code_of(GOLDEN[:place] + other + GOLDEN[place + 1 :]) == "cursor_invalid"


def test_every_cut_and_every_addition_is_refused() -> None:
    for length in range(len(GOLDEN)):
        assert code_of(GOLDEN[:length]) == "cursor_invalid"
    for more in ("A", "=", "==", "\n", " ", "\x00", "."):
        assert code_of(GOLDEN + more) == "cursor_invalid"
        assert code_of(more + GOLDEN) == "cursor_invalid"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b'{"p":{"default":1}}',
        b'{"p":{"default":-1},"s":"x"}',
        b'{"p":{"default":1.5},"s":"x"}',
        b'{"p":{"default":9007199254740992},"s":"x"}',
        b'{"p":{"default":' + b"9" * 40 + b'},"s":"x"}',
        b'{"p":{"default":"1"},"s":"x"}',
        b'{"p":{"\xff":1},"s":"x"}',
        b'{"p":{"default":1},"s":"\xff"}',
        b'{"p":{"default":1},"s":"x","t":1}',
        b'{"k":[1,"a"],"s":"x"}',
    ],
)
def test_another_content_is_refused_even_with_right_check_bytes(content: bytes) -> None:
    assert code_of(made(content), "x") == "cursor_invalid"


@pytest.mark.parametrize(
    "content",
    [
        b'{"k":[1],"s":"x"}',
        b'{"k":["a",1],"s":"x"}',
        b'{"k":[1,"a",2],"s":"x"}',
        b'{"k":[9007199254740992,"a"],"s":"x"}',
        b'{"k":[1,"\xff"],"s":"x"}',
        b'{"p":{"default":1},"s":"x"}',
    ],
)
def test_a_page_cursor_of_another_content_is_refused(content: bytes) -> None:
    with pytest.raises(InterlockError) as caught:
        read_page("x", made(content))
    assert caught.value.code == "cursor_invalid"


def test_a_cursor_is_bounded_in_length() -> None:
    assert code_of(made(b'{"p":{"' + b"x" * 4000 + b'":1},"s":"x"}'), "x") == "cursor_invalid"


@given(st.text(max_size=60))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    for cursor in (text, "c1." + text):
        assert code_of(cursor) == "cursor_invalid"


def test_a_cursor_of_another_tenant_is_foreign_where_only_ones_own_is_taken() -> None:
    assert read_own_cursor(STORE, "default", GOLDEN) == 1234
    for store, partition in ((STORE, "other"), (OTHER, "default")):
        with pytest.raises(Invalid) as caught:
            read_own_cursor(store, partition, GOLDEN)
        assert caught.value.code == "cursor_foreign"


def test_a_page_cursor_of_a_listing_is_foreign_in_another_tenant() -> None:
    cursor = write_page(listing(STORE, "acme"), (1, "a"))

    assert read_page(listing(STORE, "acme"), cursor) == (1, "a")
    for other in (listing(STORE, "globex"), listing(OTHER, "acme"), STORE):
        with pytest.raises(Invalid) as caught:
            read_page(other, cursor)
        assert caught.value.code == "cursor_foreign"
