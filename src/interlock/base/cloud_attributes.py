"""What an attribute of a CloudEvent may be. Pure.

What it does: checks the names and the values of context attributes, and makes the record of an event that came from
outside. What it does not do: it reads no header and no document (`cloud_binding`).

Rules: names are lower-case letters and digits; text has no control characters, surrogates or noncharacters; a value is
never repeated in a message, its place is named. Source: CloudEvents 1.0.2, section "Context Attributes".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from msgspec import Struct

from interlock.base.errors import Category, ErrorCode, InterlockError

CLOUD_EVENT_MALFORMED = ErrorCode(
    "cloud_event_malformed", Category.INVALID, "Correct the event at the place named; it must be a CloudEvent 1.0."
)

ATTRIBUTE_CHARACTERS_MAX: Final = 4_096
"""Characters of one attribute."""

EXTENSIONS_MAX: Final = 64
NAME_CHARACTERS_MAX: Final = 64
INTEGER_MIN, INTEGER_MAX = -(2**31), 2**31 - 1
"""An integer of CloudEvents has 32 bits."""

Attribute = str | int | bool
REQUIRED: Final = ("id", "source", "specversion", "type")
DATA: Final = frozenset({"data", "data_base64"})
"""What no attribute is called: the members that hold the data."""

_NAME = re.compile(rf"[a-z0-9]{{1,{NAME_CHARACTERS_MAX}}}")
_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17))
    + "]"
)
_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_URI = re.compile(rf"[A-Za-z][A-Za-z0-9+.\-]*:{_REFERENCE.pattern}")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,18})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_TOKEN = r"[A-Za-z0-9!#$&^_.+'*`|~%-]+"  # noqa: S105 - the token of RFC 9110
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"[^"\x00-\x1f\x7f]*"))*[ \t;]*')


class Incoming(Struct, frozen=True, kw_only=True):
    """One event from outside, checked. `data` is JSON in canonical bytes, `binary` data that is no JSON value."""

    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, Attribute] = {}
    data: bytes | None = None
    binary: bytes | None = None


def malformed(what: str, place: str) -> InterlockError:
    """The error of an event that is none, at a place such as `source` or `3/time`."""
    return CLOUD_EVENT_MALFORMED.error(f"{what} at {place}", place=place)


def incoming(
    attributes: Mapping[str, object], place: str, data: bytes | None = None, binary: bytes | None = None
) -> Incoming:
    """The event with these attributes. `place` leads to them. Raises: `cloud_event_malformed`."""
    for name in REQUIRED:
        if name not in attributes:
            raise malformed("a required attribute is missing", place + name)
    if attributes["specversion"] != "1.0":
        raise malformed("not the version 1.0", f"{place}specversion")
    for name in attributes:
        if _NAME.fullmatch(name) is None or name in DATA:
            raise malformed("no name of an attribute (a-z 0-9)", f"{place}an attribute")
    extensions = {name: value for name, value in sorted(attributes.items()) if name not in _CHECKS}
    if len(extensions) > EXTENSIONS_MAX:
        raise malformed(f"more than {EXTENSIONS_MAX} extensions", f"{place}extensions")
    core = {name: _core(attributes[name], name, place) for name in _CHECKS if name in attributes}
    del core["specversion"]
    checked = {name: _extension(value, place + name) for name, value in extensions.items()}
    return Incoming(**core, extensions=checked, data=data, binary=binary)


def _core(value: object, name: str, place: str) -> str:
    """An attribute of the specification itself: a text of its own form."""
    text = _text(value, place + name)
    if not text or not _CHECKS[name](text):
        raise malformed(f"not {_FORMS[name]}", place + name)
    return text


def _extension(value: object, place: str) -> Attribute:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            raise malformed("an integer of more than 32 bits", place)
        return value
    return _text(value, place)


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise malformed("neither text, a whole number nor a truth value", place)
    if len(value) > ATTRIBUTE_CHARACTERS_MAX:
        raise malformed(f"more than {ATTRIBUTE_CHARACTERS_MAX} characters", place)
    if _UNFIT.search(value):
        raise malformed("a control character, or half of one", place)
    return value


def _is_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    if found is None:
        return False
    try:
        date.fromisoformat(found[1])
    except ValueError:
        return False
    return True


def _any(_text: str) -> bool:
    return True


_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = {
    "id": _any,
    "source": lambda text: _REFERENCE.fullmatch(text) is not None,
    "specversion": _any,
    "type": _any,
    "subject": _any,
    "time": _is_time,
    "datacontenttype": lambda text: _MEDIA_TYPE.fullmatch(text) is not None,
    "dataschema": lambda text: _URI.fullmatch(text) is not None,
}
_FORMS: Final[Mapping[str, str]] = {
    "id": "a text of at least one character",
    "source": "a reference to a URI (RFC 3986)",
    "specversion": "a version",
    "type": "a text of at least one character",
    "subject": "a text of at least one character",
    "time": "a time of RFC 3339",
    "datacontenttype": "a media type",
    "dataschema": "a URI",
}
