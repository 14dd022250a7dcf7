"""Messages of a stream, as the HTML standard has them, however their bytes arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.errors import InterlockError
from interlock.client.stream import MESSAGE_BYTES_MAX, Messages, ServerEvent

STREAM = (
    b'\xef\xbb\xbf: hello\n\nid: 1\nevent: run\ndata: {"a":\ndata: 1}\n\n'
    b'data: 2\r\n\r\nid:3\rdata:  ["x"]\r\rretry: 1500\nid: 4\n\nother: x\ndata\n: \ndata: 5\n\ndata: 6\n'
)
EVENTS = [
    ServerEvent("1", "run", {"a": 1}),
    ServerEvent("1", "message", 2),
    ServerEvent("3", "message", ["x"]),
    ServerEvent("4", "message", 5),
]


def test_messages_have_their_ids_types_and_data() -> None:
    reader = Messages()

    assert list(reader.feed(STREAM)) == EVENTS
    assert (reader.last_id, reader.retry_ms) == ("4", 1500)


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_where_the_bytes_are_cut_makes_no_difference(cuts: list[int]) -> None:
    reader, ends = Messages(), [0, *sorted(cuts), len(STREAM)]
    found = [each for a, b in pairwise(ends) for each in reader.feed(STREAM[a:b])]

    assert found == EVENTS


def test_a_message_that_had_not_ended_is_dropped_with_its_connection() -> None:
    reader = Messages("before")
    assert list(reader.feed(b"retry: 99999999\nid: 7\ndata: 1\n")) == []
    after = reader.resumed()

    assert list(after.feed(b"data: 2\n\n")) == [ServerEvent("7", "message", 2)]
    assert after.retry_ms == 60_000


@pytest.mark.parametrize("bad", [b"id: a\0b\n", b"id: gr\xc3\xbcn\n", b"id: " + b"x" * 5000 + b"\n", b"retry: x\n"])
def test_an_id_that_no_header_can_hold_is_not_taken(bad: bytes) -> None:
    reader = Messages("before")
    list(reader.feed(bad + b"data: 1\n\n"))

    assert (reader.last_id, reader.retry_ms) == ("before", None)


@pytest.mark.parametrize("line", [b"data: " + b"1" * 1_000_000 + b"\n", b"1" * 1_000_000])
def test_a_message_without_end_is_refused(line: bytes) -> None:
    reader = Messages()

    with pytest.raises(InterlockError) as caught:
        [list(reader.feed(line)) for _ in range(2 * MESSAGE_BYTES_MAX // len(line))]
    assert caught.value.code == "client_answer_invalid"


def test_data_that_is_no_json_is_refused() -> None:
    with pytest.raises(InterlockError) as caught:
        list(Messages().feed(b"data: {\n\n"))
    assert caught.value.code == "client_answer_invalid"
