"""Reads the values of a command line: JSON that is given inline, in a file, or on standard input.

What it does: turns the text of a free-JSON member into its value, with bounds and strict parsing; `input` may also be
given as KEY=VALUE, once for each of its members, whose values are texts. What it
does not do: it reads nothing that the line does not name, and never more than the bound.

Rule: `@FILE` names a file, `-` is standard input, which can be read once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from interlock.base.bounds import JSON_BYTES_MAX
from interlock.base.canonical import JSON_INVALID, parse
from interlock.base.errors import InterlockError
from interlock.base.part import Command
from interlock.surfaces.client import at_member
from interlock.surfaces.errors import INPUT_UNREADABLE, USAGE_INVALID
from interlock.surfaces.members import Kind, Member, members_of

_WORDS = re.compile(r"[^\W\d][\w .,!?-]{0,200}")
_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,62})=")
_PAIRS_EXPECTED = "`input`: give KEY=VALUE, once for each member, or a JSON object; a KEY is letters, digits and _"
_FILE_NAME = re.compile(r"[\w./-]{1,200}\.json", re.IGNORECASE)


def takes_pairs(member: Member) -> bool:
    """Whether a JSON member may be given as KEY=VALUE, once for each of its own members."""
    return member.kind is Kind.JSON and member.name == "input"


def described(member: Member) -> str:
    """The description of a member as a command line has it: it takes more forms than JSON has."""
    if not takes_pairs(member):
        return member.description
    return f"{member.description.removesuffix('.')}; or KEY=VALUE, given again for each member."


def read_values(command: Command, given: Mapping[str, object]) -> dict[str, object]:
    """The members that were given, with the text of JSON members replaced by its value.

    Raises: `json_…` and `input_unreadable`, naming the member; `usage_invalid` where standard input is named
    twice.
    """
    free = {member.name for member in members_of(command.input) if member.kind is Kind.JSON}
    if sum(given.get(name) == "-" for name in free) > 1:
        raise USAGE_INVALID.error("standard input can be read only once, and two values name it")
    return {name: _json(name, value) if name in free else value for name, value in given.items()}


def _json(name: str, text: object) -> object:
    try:
        if isinstance(text, list) or _PAIR.match(str(text)):
            return _pairs(text if isinstance(text, list) else [text])
        return parse(_content(str(text)))
    except InterlockError as fault:
        if fault.kind is JSON_INVALID and name == "input" and _is_no_json(str(text)):
            raise USAGE_INVALID.error(_PAIRS_EXPECTED, place=name) from None
        if fault.kind is JSON_INVALID and _FILE_NAME.fullmatch(str(text)):
            fault = JSON_INVALID.error(f"{fault.message}; did you mean @{text}?", **fault.details)
        elif fault.kind is JSON_INVALID and _WORDS.fullmatch(str(text)):
            hint = """a text has quotes of its own: '"…"'"""
            fault = JSON_INVALID.error(f"{fault.message}; {hint}", **fault.details)
        raise at_member(fault, name) from None


def _is_no_json(text: str) -> bool:
    """Whether a text was not even meant as JSON, nor names where it stands."""
    return not text.startswith(("{", "[", '"', "@", "-")) and _FILE_NAME.fullmatch(text) is None


def _pairs(texts: Sequence[object]) -> dict[str, object]:
    """The members that are given one by one. Raises: `usage_invalid`."""
    found: dict[str, object] = {}
    for text in map(str, texts):
        match = _PAIR.match(text)
        if match is None or match[1] in found:
            raise USAGE_INVALID.error("`input`: JSON is given once, or KEY=VALUE for each member, each key once")
        found[match[1]] = text[match.end() :]
    return found


def _content(text: str) -> str | bytes:
    if text == "-":
        if sys.stdin is None:
            raise INPUT_UNREADABLE.error("standard input is closed")
        return sys.stdin.buffer.read(JSON_BYTES_MAX + 1)
    if not text.startswith("@"):
        return text
    try:
        with Path(text[1:]).open("rb") as file:
            return file.read(JSON_BYTES_MAX + 1)
    except OSError as fault:
        raise INPUT_UNREADABLE.error(f"the file cannot be read: {fault.strerror}") from None
    except ValueError:  # a path that no file can have
        raise INPUT_UNREADABLE.error("the file cannot be read: not a path") from None
