r"""Reads JSON into a tree with places.

What it does: reads one JSON value (RFC 8259) with the place of each key and value. What it does not do: it accepts
nothing beyond JSON. It is its own reader because JSON is no subset of what the YAML reader takes (tabs between tokens,
pairs of `\u` escapes), and the readers of the standard library give no places.

Rules: depth and number of values are bounded; a key that comes twice and a number out of range are findings; a fault of
syntax ends the reading.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # it stands in the module
from typing import Final

from interlock.engine.document import rules
from interlock.engine.document.findings import Findings, Place
from interlock.engine.document.kinds import PLAN, DocumentKind
from interlock.engine.document.tree import Member, Node

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<rest>(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)", re.ASCII)
_WORDS: Final = {"true": True, "false": False, "null": None}
_DIGITS_MAX: Final = 400


class _Stop(Exception):
    """Nothing more can be read."""


def read_json(text: str, findings: Findings, kind: DocumentKind = PLAN) -> Node | None:
    """The tree of a JSON document."""
    reader = _Reader(text, findings, kind)
    try:
        return reader.whole()
    except _Stop:
        return None


class _Reader:
    def __init__(self, text: str, findings: Findings, kind: DocumentKind) -> None:
        self._text = text
        self._findings = findings
        self._kind = kind
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._at = 0
        self._nodes = 0

    def whole(self) -> Node:
        node = self._value(0)
        self._space()
        if self._at < len(self._text):
            raise self._syntax("something follows the value")
        return node

    def _place(self) -> Place:
        line = bisect_right(self._lines, self._at)
        return Place(line, self._at - self._lines[line - 1] + 1)

    def _syntax(self, what: str) -> _Stop:
        self._findings.add(rules.JSON_SYNTAX, self._place(), f"not JSON: {what}")
        return _Stop()

    def _space(self) -> str:
        """Skip white space; the next character, empty at the end."""
        found = _SPACE.match(self._text, self._at)
        self._at = self._at if found is None else found.end()
        return self._text[self._at : self._at + 1]

    def _value(self, depth: int) -> Node:
        first = self._space()
        place = self._place()
        self._nodes += 1
        kind = self._kind
        if self._nodes > kind.values_max:
            self._findings.add(rules.TOO_MANY_NODES, place, f"the document has more than {kind.values_max} values")
            raise _Stop
        if first and first in "[{" and depth >= kind.depth_max:
            self._findings.add(rules.TOO_DEEP, place, f"values are nested more than {kind.depth_max} levels deep")
            raise _Stop
        if first == "{":
            return Node(place, self._object(depth))
        if first == "[":
            return Node(place, self._array(depth))
        return Node(place, self._string() if first == '"' else self._plain())

    def _object(self, depth: int) -> dict[str, Member]:
        members: dict[str, Member] = {}
        most = self._kind.key_characters_max
        self._at += 1
        if self._space() == "}":
            self._at += 1
            return members
        while True:
            if self._space() != '"':
                raise self._syntax("a key in double quotes is expected")
            place = self._place()
            key = self._string()
            if self._space() != ":":
                raise self._syntax("a colon is expected")
            self._at += 1
            value = self._value(depth + 1)
            if key in members:
                self._findings.add(rules.KEY_TWICE, place, f"the key stands already in line {members[key].place.line}")
            elif len(key) > most:
                self._findings.add(rules.KEY_TOO_LONG, place, f"a key has more than {most} characters")
            else:
                members[key] = Member(place, value)
            if self._next("}", "a comma or a closing brace is expected"):
                return members

    def _array(self, depth: int) -> list[Node]:
        items: list[Node] = []
        self._at += 1
        if self._space() == "]":
            self._at += 1
            return items
        while True:
            items.append(self._value(depth + 1))
            if self._next("]", "a comma or a closing bracket is expected"):
                return items

    def _next(self, end: str, what: str) -> bool:
        """Take a comma, or the end of a collection, which is True."""
        found = self._space()
        if found not in {",", end}:
            raise self._syntax(what)
        self._at += 1
        return found == end

    def _string(self) -> str:
        place = self._place()
        try:
            text, self._at = scanstring(self._text, self._at + 1, True)  # noqa: FBT003 - its signature
        except JSONDecodeError as fault:
            self._at = min(fault.pos, len(self._text))
            raise self._syntax("a text has a fault or no end") from None
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._findings.add(rules.SURROGATE, place, "a text holds half a character")
            return ""
        return str(text)

    def _plain(self) -> bool | int | float | None:
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        found = _NUMBER.match(self._text, self._at)
        if found is None:
            raise self._syntax("a value is expected")
        place = self._place()
        self._at = found.end()
        if len(found[0]) > _DIGITS_MAX:
            self._findings.add(rules.NUMBER_RANGE, place, "a number has too many digits")
            return None
        try:
            return self._number(found[0], place)
        except OverflowError:
            self._findings.add(rules.NUMBER_NOT_FINITE, place, "a number is too large")
            return None

    def _number(self, text: str, place: Place) -> int | float | None:
        """What a number of the text is. Raises: `OverflowError` where it is not finite."""
        written: int | float = json.loads(text)
        if isinstance(written, float):
            if not math.isfinite(written):
                raise OverflowError
            return written
        value = self._kind.integer(written)
        if value is None:
            self._findings.add(rules.NUMBER_RANGE, place, "a whole number is beyond ±(2^53-1)")
        return value
