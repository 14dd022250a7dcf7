"""Which runs are meant: the filter that searching, saved filters and batches share.

What it does: declares `Where`, and reads from it the terms of the list, its bounds of time, and what it asks of input
and output. What it does not do: it reads no store, and knows no clock.

Rules: times are kept as they were written, so that a saved `2h` means the last two hours whenever it is used; members
in alphabetical order, since filters are stored in events.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from interlock.base.bounds import NAME_CHARACTERS_MAX
from interlock.base.ids import OpId, RunId, shown
from interlock.engine.search.errors import FILTER_INVALID
from interlock.engine.search.times import time_ms
from interlock.engine.views import ATTRIBUTES_MAX, attribute_term, term_of

EXAMINED_MAX = 500
"""Runs whose input or output one page looks at."""

Pair = Annotated[str, Meta(min_length=2, max_length=NAME_CHARACTERS_MAX)]
Time = Annotated[str, Meta(min_length=2, max_length=40)]
RunState = Literal[
    "open",
    "waiting",
    "running",
    "queued",
    "suspended",
    "backoff",
    "parked",
    "paused",
    "cancelling",
    "completed",
    "failed",
    "cancelled",
]
_EXAMINES = f"Looks into up to {EXAMINED_MAX} runs a page; `next` goes on. May be given again."


class Where(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A filter: a run matches if it has everything that is given."""

    attribute: Annotated[
        tuple[Pair, ...],
        Meta(max_length=ATTRIBUTES_MAX, description="Only runs with this attribute, KEY=VALUE. May be given again."),
    ] = ()
    failed_with: Annotated[
        Annotated[str, Meta(max_length=63)] | None, Meta(description="Only runs that failed with this code.")
    ] = None
    input: Annotated[
        tuple[Pair, ...],
        Meta(max_length=8, description=f"Only runs whose input has this value, PATH=VALUE. {_EXAMINES}"),
    ] = ()
    op: Annotated[OpId | None, Meta(description="Only runs of this operation.")] = None
    output: Annotated[
        tuple[Pair, ...],
        Meta(max_length=8, description=f"Only runs whose values have this one, KEY.PATH=VALUE. {_EXAMINES}"),
    ] = ()
    parent: Annotated[RunId | None, Meta(description="Only child runs of this run.")] = None
    since: Annotated[
        Time | None, Meta(description="Only runs started at this time or after; 2h means two hours ago.")
    ] = None
    state: Annotated[
        RunState | None,
        Meta(
            description="Only runs in this state; `open` has not ended, `waiting` does not move, `queued` has no owner."
        ),
    ] = None
    until: Annotated[Time | None, Meta(description="Only runs started before this time.")] = None


MEMBERS = Where.__struct_fields__
Wanted = tuple[tuple[str, ...], str]
"""A path into a JSON value, and how the value there is written."""


def where_of(given: Where) -> Where:
    """The filter in a record that has more members."""
    return Where(**{name: getattr(given, name) for name in MEMBERS})


def combined(saved: Where, given: Where) -> Where:
    """A saved filter with what a line adds: lists are joined, and of two values the line's counts."""
    values: dict[str, Any] = {}
    for name in MEMBERS:
        old, new = getattr(saved, name), getattr(given, name)
        values[name] = tuple(dict.fromkeys([*old, *new])) if isinstance(old, tuple) else old if new is None else new
    return Where(**values)


def check(where: Where, now_ms: int) -> None:
    """Refuse what no search could take. Raises: `filter_invalid`, `time_invalid`."""
    terms_of(where)
    bounds_of(where, now_ms)
    wanted(where.input)
    wanted(where.output)


def terms_of(where: Where) -> dict[str, str]:
    """The terms of the list that a matching run has. Raises: `filter_invalid`."""
    terms: dict[str, str] = {}
    if where.op is not None:
        terms["op_id"] = where.op
    if where.parent is not None:
        terms["parent"] = where.parent
    if where.failed_with is not None:
        terms["code"] = where.failed_with
        terms["phase"] = "failed"
    for pair in where.attribute:
        key, value = _split(pair, "attributes", "KEY=VALUE")
        if terms.setdefault(attribute_term(key), term_of(value)) != term_of(value):
            raise FILTER_INVALID.error(f"the attribute {shown(key)} cannot have two values", place="attribute")
    match where.state:
        case None:
            pass
        case "open":
            terms["phase"] = "running"
        case "waiting":
            terms["waits"] = "yes"
        case "queued":  # whether a process drives it is asked of the page (`pages`)
            terms["state"] = "running"
        case state:
            terms["state"] = state
    return terms


def bounds_of(where: Where, now_ms: int) -> tuple[int, int | None]:
    """From when, and before when, a matching run was started. Raises: `time_invalid`."""
    since_ms = 0 if where.since is None else time_ms(where.since, now_ms, "since")
    return since_ms, None if where.until is None else time_ms(where.until, now_ms, "until")


def wanted(pairs: Sequence[str]) -> list[Wanted]:
    """What is asked of an input or output. Raises: `filter_invalid`."""
    found = []
    for pair in pairs:
        path, value = _split(pair, "input or output", "PATH=VALUE")
        names = tuple(path.split("."))
        if not all(names):
            text = f"the path {shown(path)} has an empty name: write names with one dot between them, as a.b"
            raise FILTER_INVALID.error(text, place="input or output")
        found.append((names, value))
    return found


def _split(pair: str, what: str, form: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not key or not equals:
        raise FILTER_INVALID.error(f"a condition on {what} is written as {form}", place=what)
    return key, value


def holds(value: Any, path: Sequence[str], text: str) -> bool:
    """Whether the value at a path of a JSON value is written `text`: as itself if it is a text, else as JSON."""
    for name in path:
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(value):
            value = value[int(name[:9])]
        else:
            return False
    if isinstance(value, str):
        return value == text
    try:
        # Python takes 1 and true for equal; a filter does not.
        asked = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return isinstance(value, bool) == isinstance(asked, bool) and bool(value == asked)


def members_at(path: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Each way to read a dotted path as the key of a context and a path inside; the longest key first."""
    for length in range(len(path), 0, -1):
        yield ".".join(path[:length]), path[length:]


def options_of(where: Where) -> str:
    """The filter as options of a command line."""
    quoted: Callable[[str], str] = shlex.quote
    words: list[str] = []
    for name in MEMBERS:
        value = getattr(where, name)
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        words += [f"--{name.replace('_', '-')} {quoted(each)}" for each in values]
    return " ".join(words)
