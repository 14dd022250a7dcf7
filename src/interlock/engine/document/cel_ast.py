"""What CEL itself read in an expression: its syntax tree, from the bytes in which the library gives it.

What it does: reads the message `cel.expr.CheckedExpr` (macros are expanded in it, comments gone) into `Expr`. What it
does not do: it parses no CEL.

Rules: it reads as much of the format of Protocol Buffers as that message needs; what it does not know is a
`ValueError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _FOLD = 3, 4, 5, 6, 7, 8, 9
_TEXT, _RAW = 6, 7
KINDS: Final = {
    _CONST: "const",
    _IDENT: "ident",
    _SELECT: "select",
    _CALL: "call",
    _LIST: "list",
    _STRUCT: "struct",
    _FOLD: "fold",
}


class Expr(NamedTuple):
    """A part of an expression.

    `name` is that of an identifier, a selected member or a called function, `size` the bytes of a literal, `parts` what
    it is made of. A `fold` (what each macro becomes) names its variables in `names`: the element's, the second one's
    and the result's; its parts are range, initial value, condition, step and result.
    """

    kind: str
    name: str = ""
    size: int = 0
    parts: tuple[Expr, ...] = ()
    names: tuple[str, ...] = ()


def read_ast(content: bytes) -> Expr:
    """The tree in a serialized expression. Raises: `ValueError`."""
    checked = _one(content, 2)
    return _expr(_one(checked, 4))


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        size, at = _varint(content, at) if wire == _BYTES else ({_FIXED64: 8, _FIXED32: 4}.get(wire, -1), at)
        if size < 0 or at + size > len(content):
            raise ValueError("no message")
        yield number, content[at : at + size]
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 70:
        value |= (content[at] & 0x7F) << shift
        at += 1
        if not content[at - 1] & 0x80:
            return value, at
        shift += 7
    raise ValueError("no message")


def _all(content: bytes, number: int) -> list[bytes]:
    return [value for found, value in _fields(content) if found == number and isinstance(value, bytes)]


def _one(content: bytes, number: int) -> bytes:
    found = _all(content, number)
    if len(found) != 1:
        raise ValueError("no expression")
    return found[0]


def _text(content: bytes, number: int) -> str:
    return "".join(each.decode() for each in _all(content, number))


def _expr(content: bytes) -> Expr:
    found = [(number, value) for number, value in _fields(content) if number in KINDS and isinstance(value, bytes)]
    if len(found) != 1:
        raise ValueError("an unknown kind of expression")
    number, value = found[0]
    kind = KINDS[number]
    if number == _CONST:
        sizes = [len(each) for of, each in _fields(value) if of in {_TEXT, _RAW} and isinstance(each, bytes)]
        return Expr(kind, size=sum(sizes))
    if number == _IDENT:
        return Expr(kind, _text(value, 1))
    if number == _SELECT:
        return Expr(kind, _text(value, 2), parts=(_expr(_one(value, 1)),))
    if number == _CALL:
        return Expr(kind, _text(value, 2), parts=tuple(map(_expr, _all(value, 1) + _all(value, 3))))
    if number == _LIST:
        return Expr(kind, parts=tuple(map(_expr, _all(value, 1))))
    if number == _STRUCT:
        entries = _all(value, 2)
        return Expr(kind, parts=tuple(_expr(each) for entry in entries for each in _all(entry, 3) + _all(entry, 4)))
    names = (_text(value, 1), _text(value, 8), _text(value, 3))
    return Expr(kind, names=names, parts=tuple(_expr(_one(value, part)) for part in (2, 4, 5, 6, 7)))
