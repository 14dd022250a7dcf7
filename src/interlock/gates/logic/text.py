"""Requirements as people write them: `a and (b or not c)`, `at_least(2, a, b, c)`, and back.

What it does: reads the text form into a tree, and writes a tree so that it reads back as the same. What it does not do:
it shortens and rearranges nothing, and knows of conditions only which names there are.

Rules (seed 000): `not`, `and`, `or` (`!`, `&&`, `||`) in this order of strength; the same as functions with any number
of parts are `all` and `any` (`and`, `or`), and `at_least` (`require_group`) begins with the number that must hold at
least; a condition is a name of letters, digits and `_`, and any other one stands in quotes as JSON has them; at most
1 MiB and 32 levels of parentheses. Errors name the byte, and of the text only names.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import NamedTuple

import msgspec

from interlock.base.canonical import parse
from interlock.base.errors import ErrorCode, InterlockError
from interlock.base.ids import shown
from interlock.gates.errors import (
    REQUIREMENT_CONDITION_UNKNOWN,
    REQUIREMENT_EMPTY,
    REQUIREMENT_FUNCTION_UNKNOWN,
    REQUIREMENT_GROUP_INVALID,
    REQUIREMENT_NUMBER_INVALID,
    REQUIREMENT_TOKEN_UNEXPECTED,
    REQUIREMENT_TOO_DEEP,
    REQUIREMENT_TOO_LARGE,
    REQUIREMENT_TRAILING_INPUT,
)
from interlock.gates.logic.check import REQUIREMENT_BYTES_MAX, check, depth_fault, group_fault
from interlock.gates.logic.evaluate import DEPTH_MAX
from interlock.gates.logic.tree import (
    GROUP_MIN_MAX,
    And,
    Condition,
    Group,
    Not,
    Or,
    RequireGroup,
    Requirement,
    children_of,
)

_TOKEN = re.compile(
    r"[ \t\r\n]*+(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*+)|(?P<number>[0-9]++)"
    r'|(?P<quoted>"(?:[^"\\]++|\\.)*+")|(?P<sign>&&|\|\||[!(),])|(?P<end>\Z)|(?P<other>.))',
    re.DOTALL,
)
_NAME = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")
_OPERATORS = {"and": "and", "or": "or", "not": "not", "&&": "and", "||": "or", "!": "not"}
_JOINED: dict[str, type[And | Or]] = {"all": And, "and": And, "any": Or, "or": Or}
_GROUPS = frozenset({"at_least", "require_group"})
# How firmly a written requirement holds together: a weaker one stands in parentheses below a firmer one.
_OR, _AND, _NOT, _WHOLE = range(4)


class _Token(NamedTuple):
    """A piece of the text: what it is, as it stands there, and at which character."""

    kind: str
    text: str
    at: int


def requirement_from(text: str, known: Container[str] | None = None) -> Requirement:
    """The requirement of a text; with `known`, its conditions are among these.

    Raises: `requirement_too_large`; with the `byte`, `requirement_empty`, `requirement_token_unexpected`,
    `requirement_condition_unknown`, `requirement_function_unknown`, `requirement_number_invalid`,
    `requirement_trailing_input`, `requirement_group_invalid`, `requirement_too_deep`; as `check`, with the place.
    """
    if len(text.encode("utf-8", "surrogatepass")) > REQUIREMENT_BYTES_MAX:
        raise REQUIREMENT_TOO_LARGE.error(
            f"a text of more than {REQUIREMENT_BYTES_MAX} bytes", limit_bytes=REQUIREMENT_BYTES_MAX
        )
    reader = _Reader(text, known)
    requirement = reader.whole()
    check(requirement)
    return requirement


class _Reader:
    """Reads one text, token by token, by a function for each strength."""

    def __init__(self, text: str, known: Container[str] | None) -> None:
        self._text = text
        self._known = known
        self._levels = 0
        self._tokens = _TOKEN.finditer(text)
        self._token = _Token("end", "", 0)
        self._advance()

    def whole(self) -> Requirement:
        """The requirement that the whole text is."""
        if self._token.kind == "end":
            raise self._error(REQUIREMENT_EMPTY, "a text without a requirement")
        requirement = self._joined_by_or()
        if self._token.kind != "end":
            raise self._error(REQUIREMENT_TRAILING_INPUT, "the requirement has ended before this")
        return requirement

    def _joined_by_or(self) -> Requirement:
        parts = [self._joined_by_and()]
        while self._take("or"):
            parts.append(self._joined_by_and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _joined_by_and(self) -> Requirement:
        parts = [self._negated()]
        while self._take("and"):
            parts.append(self._negated())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _negated(self) -> Requirement:
        times = 0
        while self._take("not"):
            times += 1
            self._refuse_depth(times)
        requirement = self._primary()
        for _ in range(times):
            requirement = Not(requirement)
        return requirement

    def _primary(self) -> Requirement:
        token = self._token
        if token.text not in {"(", "and", "or"} and token.kind not in {"name", "quoted"}:
            raise self._unexpected("a condition, a function or `(`")
        self._advance()
        if token.kind == "quoted":
            return self._condition(self._unquoted(token), token)
        if token.text == "(":
            return self._below(_Token("(", "(", token.at))
        if self._take("("):
            return self._below(token)
        if token.kind != "name":
            raise self._unexpected(f"`(` after `{token.text}`")
        return self._condition(token.text, token)

    def _below(self, opened: _Token) -> Requirement:
        """What stands in parentheses, or in those of a function."""
        self._levels += 1
        self._refuse_depth(self._levels, opened)
        if opened.kind == "(":
            requirement = self._joined_by_or()
            self._expect(")")
        else:
            requirement = self._called(opened)
        self._levels -= 1
        return requirement

    def _called(self, function: _Token) -> Requirement:
        if function.text in _GROUPS:
            return self._group()
        if function.text not in _JOINED:
            raise self._error(REQUIREMENT_FUNCTION_UNKNOWN, f"there is no `{shown(function.text)}(…)`", function)
        parts = () if self._take(")") else self._parts()
        return _JOINED[function.text](parts)

    def _group(self) -> Requirement:
        number = self._token
        if number.kind != "number":
            raise self._unexpected("the number that must hold at least")
        if len(number.text) > 3 or int(number.text) > GROUP_MIN_MAX:
            raise self._error(REQUIREMENT_NUMBER_INVALID, f"a number beyond {GROUP_MIN_MAX}")
        self._advance()
        if self._take(")"):
            parts: tuple[Requirement, ...] = ()
        else:
            self._expect(",")
            parts = self._parts()
        group = Group(int(number.text), parts)
        wrong = group_fault(group)
        if wrong is not None:
            raise self._error(REQUIREMENT_GROUP_INVALID, wrong, number)
        return RequireGroup(group)

    def _parts(self) -> tuple[Requirement, ...]:
        """The parts of a function, up to its closing parenthesis."""
        parts = [self._joined_by_or()]
        while self._take(","):
            parts.append(self._joined_by_or())
        self._expect(")")
        return tuple(parts)

    def _unquoted(self, token: _Token) -> str:
        try:
            return str(parse(token.text))
        except InterlockError as fault:
            raise self._error(
                REQUIREMENT_TOKEN_UNEXPECTED, f"a name that is not quoted as JSON has it ({fault.code})", token
            ) from None

    def _condition(self, name: str, token: _Token) -> Requirement:
        if self._known is not None and name not in self._known:
            raise self._error(REQUIREMENT_CONDITION_UNKNOWN, f"there is no condition `{shown(name)}`", token)
        return Condition(name)

    def _take(self, kind: str) -> bool:
        """Whether the token is of this kind; it is passed then."""
        if self._token.kind != kind:
            return False
        self._advance()
        return True

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._unexpected(f"`{sign}`")

    def _advance(self) -> None:
        found = next(self._tokens)
        group = str(found.lastgroup)
        text = found[group]
        self._token = _Token(_OPERATORS.get(text, text if group == "sign" else group), text, found.start(group))
        if group == "other":
            raise self._unexpected("a name, a number or an operator")

    def _refuse_depth(self, levels: int, token: _Token | None = None) -> None:
        if levels > DEPTH_MAX:
            raise self._error(REQUIREMENT_TOO_DEEP, f"nested deeper than {DEPTH_MAX} levels", token)

    def _unexpected(self, wanted: str) -> InterlockError:
        found = "the end" if self._token.kind == "end" else f"`{shown(self._token.text)}`"
        return self._error(REQUIREMENT_TOKEN_UNEXPECTED, f"{found} where {wanted} is expected")

    def _error(self, kind: ErrorCode, message: str, token: _Token | None = None) -> InterlockError:
        at = (token or self._token).at
        byte = len(self._text[:at].encode("utf-8", "surrogatepass"))
        return kind.error(f"{message}, at byte {byte}", byte=byte)


def text_of(requirement: Requirement) -> str:
    """The text of a requirement, which `requirement_from` reads back as the same where `check` takes it.

    Raises: `requirement_too_deep`.
    """
    deep = depth_fault(requirement)
    if deep is not None:
        raise deep.error()
    return _written(requirement)[0]


def _written(requirement: Requirement) -> tuple[str, int]:
    """A requirement as text, and how firmly it holds together."""
    match requirement:
        case Condition(condition_id):
            return _name(condition_id), _WHOLE
        case Not(req):
            return f"not {_held(req, _NOT)}", _NOT
        case And(reqs) if len(reqs) > 1:
            return " and ".join(_held(each, _NOT) for each in reqs), _AND
        case Or(reqs) if len(reqs) > 1:
            return " or ".join(_held(each, _AND) for each in reqs), _OR
        case RequireGroup(Group(least, reqs)):
            return f"at_least({', '.join([str(least), *_listed(reqs)])})", _WHOLE
        case _:
            name = "all" if isinstance(requirement, And) else "any"
            return f"{name}({', '.join(_listed(children_of(requirement)))})", _WHOLE


def _listed(reqs: tuple[Requirement, ...]) -> list[str]:
    return [_written(each)[0] for each in reqs]


def _held(requirement: Requirement, firmness: int) -> str:
    text, own = _written(requirement)
    return text if own >= firmness else f"({text})"


def _name(condition_id: str) -> str:
    if _NAME.match(condition_id) and condition_id not in _OPERATORS:
        return condition_id
    return msgspec.json.encode(condition_id).decode()
