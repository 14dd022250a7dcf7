"""The input of a command in the parts of a request, and out of them again.

What it does: makes the members of an input of path, query and body, and for a client the path, query and body of an
input. What it does not do: it checks no value beyond its form (`client` does, by the record), and reads no socket.

Rules: a member is given once, in its own place; keys of a path are percent-encoded texts; in a query flags are `true`
and `false`, members that repeat are given again, and JSON is its text; a body is one JSON object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
from msgspec import Raw, Struct
from starlette.datastructures import Headers

from interlock.base.canonical import parse
from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.surfaces.client import at_member
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.routes import Route
from interlock.surfaces.members import Kind, Member, members_of

FLAGS: Final = {"true": True, "false": False}
INTEGER_CHARACTERS_MAX: Final = 20


class Parts(Struct, frozen=True):
    """What a client sends: the query is a list of pairs, the body a JSON object where the route has one."""

    path: str
    query: list[tuple[str, str]]
    body: dict[str, Any] | None


def given_of(
    route: Route, keys: Mapping[str, str], query: Iterable[tuple[str, str]], body: bytes | None
) -> dict[str, Any]:
    """The members that a request gives. Raises: `input_invalid`, `json_…`, with the place."""
    members = {member.name: member for member in members_of(route.command.input)}
    given: dict[str, Any] = {name: key_of(name, text) for name, text in keys.items()}
    if route.body:
        found = {} if not body else parse(body)
        if not isinstance(found, dict):
            raise INPUT_INVALID.error("`body`: a JSON object is expected", place="body")
        _unique(given, found)
        return given | found
    texts: dict[str, list[str]] = {}
    for name, text in query:
        texts.setdefault(name, []).append(text)
    _unique(given, texts)
    return given | {name: _value(members.get(name), name, each) for name, each in texts.items()}


def header_of(headers: Headers, name: str) -> str | None:
    """The value of a header that means one thing; None where it is absent. Raises: `input_invalid` for several."""
    values = headers.getlist(name)
    if len(values) > 1:
        raise INPUT_INVALID.error(f"`{name}` is given more than once", place=name)
    return values[0] if values else None


def key_of(name: str, text: str) -> str:
    """A key of a path, which was percent-encoded. Raises: `input_invalid`."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise INPUT_INVALID.error(f"`{name}`: not UTF-8", place=name) from None


def _unique(given: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    for name in more:
        if name in given:
            raise INPUT_INVALID.error(f"`{shown(name)}` stands in the path already", place=shown(name))


def _value(member: Member | None, name: str, texts: list[str]) -> Any:
    """The value of a member in a query; of one that is not known the text, which the client then refuses by name."""
    if member is None:
        return texts[0]
    if member.repeated:
        return [value_of(member, text) for text in texts]
    if len(texts) > 1:
        raise INPUT_INVALID.error(f"`{name}` is given more than once", place=name)
    return value_of(member, texts[0])


def value_of(member: Member, text: str) -> Any:
    """The value of a member that is given as text. Raises: `input_invalid`, `json_…`."""
    match member.kind:
        case Kind.FLAG:
            if text not in FLAGS:
                raise INPUT_INVALID.error(f"`{member.name}`: true or false is expected", place=member.name)
            return FLAGS[text]
        case Kind.INTEGER:
            digits = text.removeprefix("-")
            if not digits.isascii() or not digits.isdigit() or len(text) > INTEGER_CHARACTERS_MAX:
                raise INPUT_INVALID.error(f"`{member.name}`: a whole number is expected", place=member.name)
            return int(text)
        case Kind.JSON:
            try:
                return parse(text)
            except InterlockError as fault:
                raise at_member(fault, member.name) from None
        case _:
            return text


def parts_of(route: Route, given: Mapping[str, Any]) -> Parts:
    """Where and what a client sends for an input, whose values are JSON. Raises: `input_invalid` for a missing key."""
    rest = {name: value for name, value in given.items() if name not in route.keys}
    path = route.path
    for key in route.keys:
        if not given.get(key):
            raise INPUT_INVALID.error(f"`{key}`: it is needed", place=key)
        path = path.replace(f"{{{key}}}", quote(str(given[key]), safe=""))
    if route.body:
        return Parts(path, [], {name: _plain(value) for name, value in rest.items()})
    members = {member.name: member for member in members_of(route.command.input)}
    query = [
        (name, _text(members.get(name), each))
        for name, value in rest.items()
        for each in (value if _is_many(members.get(name), value) else [value])
        if each is not None
    ]
    return Parts(path, query, None)


def _is_many(member: Member | None, value: Any) -> bool:
    return member is not None and member.repeated and isinstance(value, list | tuple)


def _plain(value: Any) -> Any:
    return msgspec.json.decode(bytes(value)) if isinstance(value, Raw) else value


def _text(member: Member | None, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Raw):
        return bytes(value).decode()
    if isinstance(value, str) and (member is None or member.kind is not Kind.JSON):
        return value
    return msgspec.json.encode(value).decode()
