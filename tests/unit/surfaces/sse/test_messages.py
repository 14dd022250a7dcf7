"""Messages of the live feed, byte by byte."""

from __future__ import annotations

from interlock.journal.errors import FEED_HOLE
from interlock.surfaces.sse.messages import HEARTBEAT, Place, ended, message, moved, snapshot, untold


def test_a_message_has_a_name_an_id_and_its_data() -> None:
    assert message("event", b'{"a":1}', "c1.x") == b'event: event\nid: c1.x\ndata: {"a":1}\n\n'
    assert message("event", b"{}") == b"event: event\ndata: {}\n\n"


def test_line_ends_of_the_data_begin_lines_of_the_message() -> None:
    assert message("event", b'{\n"a":\r\n1\r}') == b'event: event\ndata: {\ndata: "a":\ndata: 1\ndata: }\n\n'


def test_the_snapshot_says_where_the_stream_begins_and_when_to_come_back() -> None:
    assert snapshot("c1.x", Place("default/run/a", 3)) == (
        b'retry: 2000\nevent: snapshot\nid: c1.x\ndata: {"cursor":"c1.x","head":{"stream":"default/run/a","seq":3}}\n\n'
    )


def test_a_heartbeat_is_a_comment_or_says_how_far_the_reader_is() -> None:
    assert HEARTBEAT == b": heartbeat\n\n"
    assert moved("c1.x") == b"event: heartbeat\nid: c1.x\ndata: {}\n\n"


def test_what_cannot_be_told_and_what_ends_a_stream_say_why() -> None:
    fault = FEED_HOLE.error("the feed misses a position")

    assert untold("default/run/a#1", fault, "c1.x") == (
        b"event: untold\nid: c1.x\n"
        b'data: {"key":"default/run/a#1","code":"feed_hole","message":"the feed misses a position"}\n\n'
    )
    assert ended(fault) == (
        b'event: error\ndata: {"code":"feed_hole","message":"the feed misses a position","retryable":false}\n\n'
    )
