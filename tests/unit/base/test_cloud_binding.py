"""The HTTP binding of CloudEvents: the published cases, eight events in every mode, and whatever else may come."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.canonical import canonical
from interlock.base.cloud_attributes import Incoming
from interlock.base.cloud_binding import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    EVENT_BYTES_MAX,
    Headers,
    form_of,
    is_cloud_event,
    read_events,
)
from interlock.base.errors import InterlockError, Invalid
from tests.cloudevents import BATCH, STRUCTURED, document, event

CODES = {"cloud_event_malformed", "cloud_event_unsupported", "cloud_event_too_large"}
BINARY = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t"}
# The attributes of the published feature of the binding.
PUBLISHED = {
    "specversion": "1.0",
    "type": "com.example.someevent",
    "time": "2018-04-05T03:56:24Z",
    "id": "1234-1234-1234",
    "source": "/mycontext/subcontext",
}
HELLO = {"message": "Hello World!"}


def read(headers: dict[str, str] | Headers, body: bytes) -> tuple[Incoming, ...]:
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    return read_events(form_of(pairs), body)


def refused(headers: dict[str, str] | Headers, body: bytes = b"") -> tuple[str, object]:
    with pytest.raises(Invalid) as caught:
        read(headers, body)
    return caught.value.code, caught.value.details.get("place")


def attributes_of(one: Incoming) -> dict[str, Any]:
    named = ("id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
    core = {name: getattr(one, name) for name in named if getattr(one, name) is not None}
    return {"specversion": "1.0", **core, **one.extensions}


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_the_published_case_of_binary_mode_is_parsed(content_type: str) -> None:
    headers = {"Host": "example.com", **{f"ce-{name}": text for name, text in PUBLISHED.items()}}

    [one] = read({**headers, "Content-Type": content_type}, b'{\n    "message": "Hello World!"\n}')

    assert attributes_of(one) == {**PUBLISHED, "datacontenttype": content_type}
    assert one.data == canonical(HELLO)


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"]
)
def test_the_published_case_of_structured_mode_is_parsed(content_type: str) -> None:
    body = json.dumps({**PUBLISHED, "datacontenttype": "application/json", "data": HELLO}, indent=4)

    [one] = read({"Host": "example.com", "Content-Type": content_type}, body.encode())

    assert attributes_of(one) == {**PUBLISHED, "datacontenttype": "application/json"}
    assert one.data == canonical(HELLO)


# Eight kinds of events: what is sent as data, its type, and what is kept: a JSON value, or bytes.
EIGHT: dict[str, tuple[bytes, str | None, Any]] = {
    "no data": (b"", None, None),
    "JSON": (b'{"world": "hello"}', "application/json", {"world": "hello"}),
    "JSON of another name": (b"[1, 2.5, null]", "application/vnd.example+json", [1, 2.5, None]),
    "text": (b"hello", "text/plain", "hello"),
    "UTF-8": ("Grüß Gott 🦉".encode(), "text/plain; charset=utf-8", "Grüß Gott 🦉"),
    "XML": (b"<much wow='xml'/>", "application/xml", "<much wow='xml'/>"),
    "XML as text": (b"<much wow='xml'/>", "text/xml", "<much wow='xml'/>"),
    "bytes": (bytes(range(256)), "application/octet-stream", bytes(range(256))),
}
EXTENSIONS = {"comexampleextension1": "value", "comexampleextension2": '{"othervalue": 5}'}


@pytest.mark.parametrize(("data", "kind", "kept"), EIGHT.values(), ids=EIGHT)
def test_an_event_is_the_same_in_every_mode(data: bytes, kind: str | None, kept: object) -> None:
    attributes = {**PUBLISHED, **EXTENSIONS, **({} if kind is None else {"datacontenttype": kind})}
    binary = {f"ce-{name}": text.replace('"', "%22") for name, text in attributes.items() if name != "datacontenttype"}
    member: dict[str, Any] = {} if kept is None else {"data": kept}
    if isinstance(kept, bytes):
        member = {"data_base64": base64.b64encode(kept).decode()}
    structured = json.dumps({**attributes, **member}).encode()

    [one] = read({**binary, **({} if kind is None else {"content-type": kind})}, data)
    [two] = read(STRUCTURED, structured)
    [three] = read(BATCH, b"[" + structured + b"]")

    assert one == two == three
    assert attributes_of(one) == attributes
    if isinstance(kept, bytes):
        assert (one.data, one.binary) == (None, kept)
    else:
        assert (one.data, one.binary) == (None if kept is None else canonical(kept), None)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("%65ven what needs none", "even what needs none"),
        ('"in quotes"', "in quotes"),
        (r'"a \"quote\" and \\"', 'a "quote" and \\'),
        ("%2525", "%25"),
        ("%22", '"'),
    ],
)
def test_a_header_is_unquoted_and_percent_decoded_once(value: str, meaning: str) -> None:
    [one] = read({**BINARY, "CE-Subject": value}, b"")

    assert one.subject == meaning


@pytest.mark.parametrize("value", ["%C0%A0", "%ED%A0%80", "100%", "%zz", "gr\xfc\xdf", "%00", "%0A", "a\x01b"])
def test_a_header_that_is_no_text_is_refused_at_its_place(value: str) -> None:
    assert refused({**BINARY, "ce-subject": value}) == ("cloud_event_malformed", "ce-subject")


@pytest.mark.parametrize(
    ("headers", "body", "place"),
    [
        ([*BINARY.items(), ("ce-id", "2")], b"", "ce-id"),
        ([*BINARY.items(), ("content-type", "text/plain"), ("Content-Type", "text/plain")], b"", "content-type"),
        ([*BINARY.items(), ("ce-datacontenttype", "text/plain")], b"", "ce-datacontenttype"),
        ([*BINARY.items(), ("ce-data", "x")], b"", "ce-an attribute"),
        ([*BINARY.items(), ("ce-my_name", "x")], b"", "ce-an attribute"),
        ([*BINARY.items(), ("content-type", "application/json")], b"{", "data"),
        ([*BINARY.items(), ("content-type", "application/json")], b'{"a":1,"a":2}', "data"),
        ([("ce-specversion", "1.0")], b"", "ce-id"),
        (STRUCTURED, b"", "the body"),
        (STRUCTURED, b"\xff", "the body"),
        (STRUCTURED, b"7", "the event"),
        (STRUCTURED, document()[:-1] + b', "id": "2"}', "the body"),
        (STRUCTURED, document(data={}, data_base64=""), "data"),
        (STRUCTURED, document(data_base64="a"), "data_base64"),
        (STRUCTURED, document(data_base64=7), "data_base64"),
        (STRUCTURED, document(id=None), "id"),
        (STRUCTURED, document(number=2**53), "the body"),
        (BATCH, document(), "the body"),
        (BATCH, b"[" + document() + b", 7]", "1/the event"),
        (BATCH, b"[" + document() + b"," + document(type=None) + b"]", "1/type"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(headers: Any, body: bytes, place: str) -> None:
    assert refused(headers, body) == ("cloud_event_malformed", place)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json"},
        {"content-type": "application/cloudevents+avro"},
        {"content-type": "application/cloudevents"},
        {"content-type": "application/cloudevents-batch+protobuf"},
        {"content-type": "application/cloudevents+json; charset=utf-16"},
        {"content-type": "application/cloudevents+xml", **BINARY},
    ],
)
def test_another_format_is_unsupported(headers: dict[str, str]) -> None:
    assert refused(headers)[0] == "cloud_event_unsupported"


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=iso-8859-1", "image/png"])
def test_data_that_is_no_text_in_utf_8_is_kept_as_its_bytes(kind: str) -> None:
    [one] = read({**BINARY, "content-type": kind}, b"gr\xfc\xdf")

    assert (one.data, one.binary) == (None, b"gr\xfc\xdf")


def test_a_member_that_is_null_is_one_that_is_not_there() -> None:
    assert read(STRUCTURED, json.dumps({**event(), "subject": None, "data": None}).encode()) == read(
        STRUCTURED, document()
    )


def test_a_batch_may_be_empty_and_holds_a_bounded_number() -> None:
    many = [event(str(number)) for number in range(BATCH_EVENTS_MAX + 1)]

    assert read(BATCH, b"[]") == ()
    assert len(read(BATCH, json.dumps(many[1:]).encode())) == BATCH_EVENTS_MAX
    assert refused(BATCH, json.dumps(many).encode())[0] == "cloud_event_too_large"


def test_size_is_bounded_for_an_event_in_every_mode() -> None:
    fits = document(data="")[:-2] + b"a" * (EVENT_BYTES_MAX - len(document(data=""))) + b'"}'
    large = document(data="a" * EVENT_BYTES_MAX)

    assert len(read(STRUCTURED, fits)) == 1
    assert refused(STRUCTURED, fits + b" ")[0] == "cloud_event_too_large"
    assert refused(BATCH, b"[" + large + b"]")[0] == "cloud_event_too_large"
    assert refused(BATCH, b"[" + b" " * BATCH_BYTES_MAX + b"]")[0] == "cloud_event_too_large"
    assert refused(BINARY, b"a" * EVENT_BYTES_MAX)[0] == "cloud_event_too_large"


@pytest.mark.parametrize(
    ("headers", "is_one"),
    [
        (STRUCTURED, True),
        (BATCH, True),
        (BINARY, True),
        ({"content-type": "application/cloudevents+avro"}, True),
        ({"content-type": "application/json"}, False),
        ({"ce-id": "1"}, False),
        ({}, False),
    ],
)
def test_a_request_says_by_its_headers_that_it_holds_events(headers: dict[str, str], is_one: bool) -> None:
    assert is_cloud_event(headers.items()) is is_one


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["content-type", "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-x"]),
            st.one_of(
                st.sampled_from([*STRUCTURED.values(), *BATCH.values(), "1.0", "application/json", "text/plain"]),
                st.text(st.characters(max_codepoint=255), max_size=12),
            ),
        ),
        max_size=8,
    ),
    st.one_of(
        st.binary(max_size=64),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5)),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_whatever_comes_is_read_or_refused_with_a_code(headers: list[tuple[str, str]], body: bytes) -> None:
    try:
        read(headers, body)
    except InterlockError as fault:
        assert fault.code in CODES
