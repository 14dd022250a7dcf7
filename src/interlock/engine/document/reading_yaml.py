"""Reads YAML 1.2 into a tree with places.

What it does: builds a tree from the events of the parser, and resolves plain scalars by the core schema of YAML 1.2
(section 10.3.2), so that `no`, `on` and `yes` stay texts. What it does not do: it constructs no object, follows no
alias and merges nothing.

Rules: depth and number of values are bounded while they are read; anchors, aliases, tags, keys that are not texts, a
key that comes twice and a second document are findings, and reading goes on; a fault of syntax ends it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

from interlock.engine.document import rules
from interlock.engine.document.findings import Findings, Place
from interlock.engine.document.kinds import PLAN, DocumentKind
from interlock.engine.document.tree import Member, Node

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]+", re.ASCII)
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_DIGITS_MAX: Final = 400


class _Stop(Exception):
    """Nothing more can be read."""


@dataclass(slots=True)
class _Open:
    """A collection that has not ended: its place, and what it has so far."""

    place: Place
    items: list[Node] | None = None
    members: dict[str, Member] | None = None
    key: tuple[str | None, Place] | None = None
    """The key whose value comes next; None within it where the key was refused."""
    expects_key: bool = field(default=True)


def read_yaml(text: str, findings: Findings, kind: DocumentKind = PLAN) -> Node | None:
    """The tree of a YAML document."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    reader = _Reader(findings, kind)
    before = findings.has_errors
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            reader.take(event)
    except _Stop:
        return reader.top  # of a file with two documents, the first
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = Place() if mark is None else Place(mark.line + 1, mark.column + 1)
        problem = re.sub(r"'[^']*'|\"[^\"]*\"", "this", str(fault.problem or fault.context or "it cannot be read"))
        findings.add(rules.YAML_SYNTAX, place, f"not YAML: {problem[:120]}")
        return None
    except (YAMLError, ValueError, OverflowError, RecursionError, AttributeError, IndexError, AssertionError):
        findings.add(rules.YAML_SYNTAX, reader.place, "not YAML: it cannot be read from here on")
        return None
    if reader.top is None and not (findings.has_errors and not before):
        findings.add(kind.empty, Place(), "the file holds no document")
    return reader.top


class _Reader:
    """Builds one tree from events."""

    def __init__(self, findings: Findings, kind: DocumentKind) -> None:
        self._findings = findings
        self._kind = kind
        self._open: list[_Open] = []
        self._nodes = 0
        self._documents = 0
        self.top: Node | None = None
        self.place = Place()

    def take(self, event: Any) -> None:
        """Take the next event of the parser. Raises: `_Stop`."""
        self.place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        match type(event).__name__:
            case "DocumentStartEvent":
                self._document(event)
            case "ScalarEvent":
                self._check(event)
                self._place_value(self._scalar(event))
            case "SequenceStartEvent":
                self._begin(event, _Open(self.place, items=[]))
            case "MappingStartEvent":
                self._begin(event, _Open(self.place, members={}))
            case "SequenceEndEvent" | "MappingEndEvent":
                self._end()
            case "AliasEvent":
                self._findings.add(rules.YAML_ALIAS, self.place, "an alias stands here")
                self._place_value(Node(self.place, None))
            case _:
                pass

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._findings.add(rules.YAML_DOCUMENTS, self.place, "a second document begins here")
            raise _Stop
        if event.version is not None and tuple(event.version) != (1, 2):
            self._findings.add(rules.YAML_VERSION, self.place, "the document says that it is of another version")
        if event.tags:
            self._findings.add(rules.YAML_TAG, self.place, "the document declares tags")

    def _check(self, event: Any) -> None:
        self._nodes += 1
        most = self._kind.values_max
        if self._nodes > most:
            self._findings.add(rules.TOO_MANY_NODES, self.place, f"the document has more than {most} values")
            raise _Stop
        if event.anchor is not None:
            self._findings.add(rules.YAML_ANCHOR, self.place, "an anchor stands here")
        if event.tag is not None:
            self._findings.add(rules.YAML_TAG, self.place, "a tag stands here")

    def _begin(self, event: Any, opened: _Open) -> None:
        self._check(event)
        most = self._kind.depth_max
        if len(self._open) >= most:
            self._findings.add(rules.TOO_DEEP, self.place, f"values are nested more than {most} levels deep")
            raise _Stop
        self._open.append(opened)

    def _end(self) -> None:
        done = self._open.pop()
        self._place_value(Node(done.place, done.items if done.items is not None else done.members or {}))

    def _place_value(self, node: Node) -> None:
        """Put a finished value where it belongs."""
        if not self._open:
            self.top = node
            return
        parent = self._open[-1]
        if parent.items is not None:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = (self._key(parent, node), node.place)
        else:
            key, place = parent.key
            parent.key = None
            if key is not None and parent.members is not None:
                parent.members[key] = Member(place, node)

    def _key(self, parent: _Open, node: Node) -> str | None:
        """The text of a key, None where it is refused."""
        key, most = node.value, self._kind.key_characters_max
        if not isinstance(key, str):
            self._findings.add(rules.KEY_NOT_TEXT, node.place, "a key is not a text")
        elif len(key) > most:
            self._findings.add(rules.KEY_TOO_LONG, node.place, f"a key has more than {most} characters")
        elif key == "<<":
            self._findings.add(rules.YAML_MERGE, node.place, "a merge key stands here")
        elif parent.members is not None and key in parent.members:
            before = parent.members[key].place.line
            self._findings.add(rules.KEY_TWICE, node.place, f"the key stands already in line {before}")
        else:
            return key
        return None

    def _scalar(self, event: Any) -> Node:
        text = str(event.value)
        if event.implicit[0] and event.tag is None:
            return Node(self.place, self._resolved(text))
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._findings.add(rules.SURROGATE, self.place, "a text holds half a character")
            return Node(self.place, "")
        return Node(self.place, text)

    def _resolved(self, text: str) -> str | int | float | bool | None:
        """A plain scalar by the core schema."""
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _NOT_FINITE.fullmatch(text):
            self._findings.add(rules.NUMBER_NOT_FINITE, self.place, "a number is not finite")
            return None
        if len(text) > _DIGITS_MAX:
            return text
        for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
            if pattern.fullmatch(text):
                return self._integer(int(text.removeprefix("0o").removeprefix("0x"), base))
        return self._float(float(text)) if _FLOAT.fullmatch(text) else text

    def _integer(self, written: int) -> int | float | None:
        try:
            value = self._kind.integer(written)
        except OverflowError:
            self._findings.add(rules.NUMBER_NOT_FINITE, self.place, "a number is too large")
            return None
        if value is None:
            self._findings.add(rules.NUMBER_RANGE, self.place, "a whole number is beyond ±(2^53-1)")
        return value

    def _float(self, value: float) -> float | None:
        if math.isfinite(value):
            return value
        self._findings.add(rules.NUMBER_NOT_FINITE, self.place, "a number is too large")
        return None
