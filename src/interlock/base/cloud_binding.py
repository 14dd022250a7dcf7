"""The HTTP binding of CloudEvents 1.0, as a receiver reads it. Pure.

What it does: says by the headers of a request in which mode its events are and how long it may be, and reads the
events. What it does not do: it reads from no connection, and knows no source (`journal.ingest`).

Rules: structured and batched events are JSON that our strict reader takes; in binary mode attributes are the headers
`ce-…`, unquoted and percent-decoded once, and the body is the data; nothing is guessed: what is neither is refused.
Source: CloudEvents 1.0.2, HTTP protocol binding (section 3) and JSON format.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from interlock.base.canonical import Json, canonical, parse
from interlock.base.cloud_attributes import CLOUD_EVENT_MALFORMED, DATA, Incoming, incoming, malformed
from interlock.base.cloudevents import MEDIA_TYPE
from interlock.base.errors import Category, ErrorCode, InterlockError

CLOUD_EVENT_UNSUPPORTED = ErrorCode(
    "cloud_event_unsupported",
    Category.INVALID,
    "Send JSON in UTF-8: `application/cloudevents+json`, its batch, or any content type with headers `ce-…`.",
)
CLOUD_EVENT_TOO_LARGE = ErrorCode(
    "cloud_event_too_large", Category.INVALID, "Send fewer events at once, or store the content and send its address."
)
ERRORS = (CLOUD_EVENT_MALFORMED, CLOUD_EVENT_UNSUPPORTED, CLOUD_EVENT_TOO_LARGE)

BATCH_TYPE: Final = "application/cloudevents-batch+json"
EVENT_BYTES_MAX: Final = 256 * 1024
"""Bytes of one event: its document, or in binary mode its headers and its data."""

BATCH_BYTES_MAX: Final = 1024 * 1024
BATCH_EVENTS_MAX: Final = 100
_PREFIX: Final = "ce-"
_FAMILY: Final = "application/cloudevents"
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_CHARSET = re.compile(r';[ \t]*charset[ \t]*=[ \t]*"?([^";\s]*)', re.IGNORECASE)
_PRINTABLE = re.compile(r"[\x20-\x7e\t]*")


class Mode(StrEnum):
    """How events stand in a request."""

    STRUCTURED = "structured"
    BINARY = "binary"
    BATCH = "batch"


class Form(Struct, frozen=True):
    """What the headers of a request say of its events. `attributes` are those of binary mode."""

    mode: Mode
    bytes_max: int
    attributes: Mapping[str, str] = {}


Headers = Iterable[tuple[str, str]]
"""Names in any case and values, in the order of the request."""


def is_cloud_event(headers: Headers) -> bool:
    """Whether a request says of itself that it holds CloudEvents, whatever its address is."""
    kind, _ = media_type(_value(headers, "content-type") or "")
    return kind.startswith(_FAMILY) or _value(headers, "ce-specversion") is not None


def form_of(headers: Headers) -> Form:
    """How to read a request. Raises: `cloud_event_unsupported`, `cloud_event_malformed`, `cloud_event_too_large`."""
    headers = [(name.lower(), value) for name, value in headers]
    kind, charset = media_type(_value(headers, "content-type") or "")
    if kind in {MEDIA_TYPE, BATCH_TYPE}:
        if charset not in {"", "utf-8", "us-ascii"}:
            raise CLOUD_EVENT_UNSUPPORTED.error("events in JSON are read in UTF-8 alone")
        if kind == BATCH_TYPE:
            return Form(Mode.BATCH, BATCH_BYTES_MAX)
        return Form(Mode.STRUCTURED, EVENT_BYTES_MAX)
    if kind.startswith(_FAMILY):
        raise CLOUD_EVENT_UNSUPPORTED.error("events are read in JSON alone")
    if _value(headers, "ce-specversion") is None:
        raise CLOUD_EVENT_UNSUPPORTED.error("neither the content type nor the headers are those of a CloudEvent")
    return _binary_form(headers)


def read_events(form: Form, body: bytes) -> tuple[Incoming, ...]:
    """The events of a request, in their order. Raises: `cloud_event_malformed`, `cloud_event_too_large`."""
    if len(body) > form.bytes_max:
        raise CLOUD_EVENT_TOO_LARGE.error(f"more than {form.bytes_max} bytes", limit_bytes=form.bytes_max)
    if form.mode is Mode.BINARY:
        return (_binary(form, body),)
    document = _json(body, "the body")
    if form.mode is Mode.STRUCTURED:
        return (_structured(document, ""),)
    if not isinstance(document, list):
        raise malformed("a batch is an array of events", "the body")
    if len(document) > BATCH_EVENTS_MAX:
        raise CLOUD_EVENT_TOO_LARGE.error(f"more than {BATCH_EVENTS_MAX} events", limit=BATCH_EVENTS_MAX)
    return tuple(_structured(each, f"{number}/") for number, each in enumerate(document))


# Structured mode


def _structured(document: Json, place: str) -> Incoming:
    """An event of the JSON format. A member that is null is one that is not there."""
    if not isinstance(document, dict):
        raise malformed("an event is an object", place + "the event")
    given = {name: value for name, value in document.items() if value is not None}
    if given.keys() >= DATA:
        raise malformed("both `data` and `data_base64`", place + "data")
    data, encoded = given.pop("data", None), given.pop("data_base64", None)
    event = incoming(
        given,
        place,
        None if data is None else canonical(data),
        None if encoded is None else _decoded(encoded, f"{place}data_base64"),
    )
    if place and len(canonical(document)) > EVENT_BYTES_MAX:
        raise CLOUD_EVENT_TOO_LARGE.error(f"an event of more than {EVENT_BYTES_MAX} bytes", limit_bytes=EVENT_BYTES_MAX)
    return event


def _decoded(text: Json, place: str) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise malformed("not base64", place) from None


def _json(body: bytes, place: str) -> Json:
    try:
        return parse(body)
    except InterlockError as fault:
        raise CLOUD_EVENT_MALFORMED.error(f"{place}: {fault.message}", **{**fault.details, "place": place}) from None


# Binary mode


def _binary_form(headers: Headers) -> Form:
    """The form of a request in binary mode; what its attributes take, its data cannot."""
    attributes: dict[str, str] = {}
    size_bytes = 0
    for header, value in headers:
        if header == "content-type":
            name, text = "datacontenttype", value.strip()
        elif header.startswith(_PREFIX):
            name, text = header[len(_PREFIX) :], _unescaped(value, header)
            if name == "datacontenttype":
                raise malformed("this attribute is the header Content-Type", header)
        else:
            continue
        if name in attributes:
            raise malformed("an attribute that is there already", header[:80])
        attributes[name] = text
        size_bytes += len(header) + len(value)
    return Form(Mode.BINARY, max(EVENT_BYTES_MAX - size_bytes, 0), attributes)


def _unescaped(value: str, header: str) -> str:
    """An attribute's value: quotes are taken away first, then one round of percent-encoding."""
    value = value.strip(" \t")
    if _PRINTABLE.fullmatch(value) is None:
        raise malformed("a character that must be percent-encoded", header[:80])
    bare = _QUOTED.sub(lambda found: re.sub(r"\\(.)", r"\1", found[1]), value)
    if _ESCAPE.search(bare):
        raise malformed("a percent sign that begins no code", header[:80])
    try:
        return unquote_to_bytes(bare).decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("percent-encoded bytes that are not UTF-8", header[:80]) from None


def _binary(form: Form, body: bytes) -> Incoming:
    """An event whose data is the body: JSON and text are kept as JSON values, as the JSON format would have them."""
    data: bytes | None = None
    if body:
        kind, charset = media_type(form.attributes.get("datacontenttype", ""))
        if is_json(kind):
            data = canonical(_json(body, "data"))
        elif is_text(kind) and charset in {"", "utf-8", "us-ascii"}:
            data = _as_text(body)
    return incoming(form.attributes, "ce-", data, body if body and data is None else None)


def _as_text(body: bytes) -> bytes | None:
    try:
        return canonical(body.decode("utf-8"))
    except UnicodeDecodeError:
        return None


# Media types


def is_json(kind: str) -> bool:
    """Whether data of this type, without parameters, is JSON."""
    return kind in {"application/json", "text/json"} or kind.endswith("+json")


def is_text(kind: str) -> bool:
    """Whether data of this type, without parameters, is text that a JSON string holds."""
    return kind.startswith("text/") or kind == "application/xml" or kind.endswith("+xml")


def media_type(text: str) -> tuple[str, str]:
    """The type without parameters, and its charset; both in lower case."""
    kind, _, parameters = text.partition(";")
    found = _CHARSET.search(f";{parameters}")
    return kind.strip().lower(), found[1].lower() if found else ""


def _value(headers: Headers, name: str) -> str | None:
    return next((value for each, value in headers if each.lower() == name), None)
