"""Texts with expressions in them: `${{ … }}`.

What it does: splits a text into what stands as it is and the expressions, and says what an expression reads. What it
does not do: it evaluates nothing (`evaluate`) and compiles no CEL (`cel`).

Rules: a text that is exactly one expression stands for the expression's value, with its type; in any other text each
expression is replaced by its value as text; `$${{` stands for the text `${{`. A bare path is `input.name`,
`steps.name.output.member`, with members by `.name` or `["name"]` and elements by `[0]`. What an expression reads is
seen in its text: a root name that is not a member (not after a dot), outside of string literals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from interlock.base.canonical import Json

OPEN, CLOSE, ESCAPED = "${{", "}}", "$${{"
EXPRESSION_CHARACTERS_MAX: Final = 2_000
"""Characters of one expression."""

_PIECE = re.compile(r"\$\$\{\{|\$\{\{")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_STEP_OF_PATH = re.compile(
    rf"""\s*\.\s*(?P<name>{_NAME})|\s*\[\s*(?:(?P<index>[0-9]{{1,9}})|"(?P<double>[^"\\]*)"|'(?P<single>[^'\\]*)')\s*\]"""
)
_ROOT = re.compile(rf"\s*({_NAME})")
_LITERAL = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|' + r"'''(?:[^\\]|\\.)*?'''|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'(?:[^'\\\n]|\\.)*'", re.DOTALL
)
_WORD = re.compile(rf"(?<![A-Za-z0-9_])({_NAME})")
_KEYWORDS = frozenset({"true", "false", "null", "in"})


class Expression(NamedTuple):
    """An expression in a text: what stands between the braces, without the space around it."""

    source: str


class Unclosed(Exception):
    """A text opens an expression and does not close it."""


def pieces(text: str) -> list[str | Expression]:
    """The pieces of a text in order. Raises: `Unclosed`."""
    found: list[str | Expression] = []
    at, plain = 0, ""
    while (match := _PIECE.search(text, at)) is not None:
        plain += text[at : match.start()]
        at = match.end()
        if match[0] == ESCAPED:
            plain += OPEN
            continue
        end = _end_of(text, at)
        found += [plain] if plain else []
        plain = ""
        found.append(Expression(text[at:end].strip()))
        at = end + len(CLOSE)
    plain += text[at:]
    return [*found, plain] if plain or not found else found


def _end_of(text: str, start: int) -> int:
    """Where the expression that begins at `start` ends: the first `}}` outside of literals and of braces of its own."""
    depth, at = 0, start
    while at < len(text):
        literal = _LITERAL.match(text, at)
        if literal is not None:
            at = literal.end()
            continue
        if text.startswith(CLOSE, at) and depth == 0:
            return at
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    raise Unclosed


def sole(text: str) -> str | None:
    """The expression that a text is, if it is exactly one. Raises: `Unclosed`."""
    if not text.startswith(OPEN):
        return None
    found = pieces(text)
    return found[0].source if len(found) == 1 and isinstance(found[0], Expression) else None


def is_template(text: str) -> bool:
    """Whether a text has to be rendered."""
    return OPEN in text


def holds_expression(value: Json) -> bool:
    """Whether any text in a value has to be rendered."""
    if isinstance(value, str):
        return is_template(value)
    if isinstance(value, dict):
        return any(holds_expression(each) for each in value.values())
    return isinstance(value, list | tuple) and any(holds_expression(each) for each in value)


def bare_path(source: str) -> tuple[str, tuple[str | int, ...]] | None:
    """Root and members of an expression that is a path and nothing else; None for any other expression."""
    root = _ROOT.match(source)
    if root is None or root[1] in _KEYWORDS:
        return None
    at, members = root.end(), list[str | int]()
    while at < len(source) and source[at:].strip():
        step = _STEP_OF_PATH.match(source, at)
        if step is None:
            return None
        if step["index"] is not None:
            members.append(int(step["index"]))
        else:
            members.append(next(found for found in step.group("name", "double", "single") if found is not None))
        at = step.end()
    return root[1], tuple(members)


class Reference(NamedTuple):
    """What an expression reads: a root name, and the members that stand beside it in the text."""

    root: str
    members: tuple[str | int, ...]


def references(source: str) -> Iterator[Reference]:
    """Every name in an expression that is no member of something, with the members that its text names.

    Names of functions and of macro variables are among them; whoever asks looks for the roots that it knows.
    """
    hidden = _LITERAL.sub(lambda match: _hidden(source, match), source)
    for match in _WORD.finditer(hidden):
        if match[1] in _KEYWORDS or hidden[: match.start()].rstrip().endswith("."):
            continue
        at, members = match.end(), list[str | int]()
        while (step := _STEP_OF_PATH.match(source, at)) is not None:
            if step["name"] is not None and hidden[step.end() :].lstrip().startswith("("):
                break  # a method, not a member
            named = [found for found in step.group("name", "double", "single") if found is not None]
            members.append(named[0] if named else int(step["index"]))
            at = step.end()
        yield Reference(match[1], tuple(members))


def _hidden(source: str, match: re.Match[str]) -> str:
    """A literal without its words, of the same length."""
    del source
    return '"' + " " * (len(match[0]) - 2) + '"'
