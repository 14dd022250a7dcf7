"""Validated identifiers and the annotated types that decode them by the same rule.

What it does: gives each identifier of the run-engine contract (seed 001, `ids`) a constructor function that
refuses what breaks the naming rule, and an annotated type of the same name for records, so that decoding
refuses it too. `shown` and `first_names` write names into messages.

What it does not do: it draws no random ids; entropy is an argument elsewhere.

Rules: matching is on the whole string (a trailing newline is refused); all but keys and command ids are ASCII
only (a Unicode digit is refused); an error names the form that was expected and repeats nothing of the value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, NamedTuple, get_args
from uuid import UUID

from msgspec import Meta

from interlock.base.bounds import COMMAND_ID_CHARACTERS_MAX, NAME_CHARACTERS_MAX
from interlock.base.errors import Category, ErrorCode

SEGMENT = r"[a-z][a-z0-9_]{0,62}"
_NAME = r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]"

OpId = Annotated[str, Meta(pattern=rf"\A{SEGMENT}\Z")]
"""Stable identifier of an operation: one segment."""

OpPath = Annotated[str, Meta(pattern=rf"\A{SEGMENT}\.{SEGMENT}\Z")]
"""`<machine>.<step>`."""

StateId = Annotated[str, Meta(pattern=rf"\A{SEGMENT}\.{SEGMENT}\.{SEGMENT}\Z")]
"""`<machine>.<step>.<state_local>`."""

RunId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")]
"""UUID in lower case with hyphens."""

ArtifactId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""SHA-256 of the bytes, lower-case hexadecimal."""

Digest = ArtifactId

FactKey = Annotated[str, Meta(pattern=rf"\A{_NAME}{{1,{NAME_CHARACTERS_MAX}}}\Z")]
"""Namespaced key of a recorded fact."""

ContextKey = FactKey
"""Namespaced key of a context entry."""

CommandId = Annotated[str, Meta(pattern=rf"\A{_NAME}{{1,{COMMAND_ID_CHARACTERS_MAX}}}\Z")]
"""What makes a command idempotent."""

ErrorCodeText = OpId
"""A stable error code: one segment."""

Tenant = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9_-]{0,62}\Z")]
"""Whose data it is."""

ID_INVALID = ErrorCode(
    "id_invalid", Category.INVALID, "Use the form that the message names; see docs/reference/identifiers.md."
)

ERRORS = (ID_INVALID,)

NAMES_SHOWN_MAX = 8


class _Rule(NamedTuple):
    kind: str
    pattern: re.Pattern[str]
    form: str


def _rule(kind: str, annotated: object, form: str) -> _Rule:
    """The rule of an annotated type, so that its constructor and its decoder cannot differ."""
    [meta] = get_args(annotated)[1:]
    return _Rule(kind, re.compile(meta.pattern), form)


_OP_ID = _rule("op_id", OpId, "a-z, then up to 62 of a-z 0-9 _")
_OP_PATH = _rule("op_path", OpPath, "<machine>.<step>")
_STATE_ID = _rule("state_id", StateId, "<machine>.<step>.<local>")
_RUN_ID = _rule("run_id", RunId, "a UUID in lower case with hyphens")
_ARTIFACT_ID = _rule("artifact_id", ArtifactId, "64 lower-case hexadecimal digits")
_FACT_KEY = _rule("fact_key", FactKey, "1 to 512 characters without control characters")
_CONTEXT_KEY = _rule("context_key", ContextKey, "1 to 512 characters without control characters")
_COMMAND_ID = _rule("command_id", CommandId, "1 to 200 characters without control characters")
_TENANT = _rule("tenant", Tenant, "a-z 0-9 first, then up to 62 of a-z 0-9 _ -")


def _checked(rule: _Rule, value: object) -> str:
    if isinstance(value, str) and rule.pattern.match(value):
        return value
    found = f"{len(value)} characters" if isinstance(value, str) else "not a string"
    raise ID_INVALID.error(f"invalid {rule.kind} ({found}): expected {rule.form}", kind=rule.kind, expected=rule.form)


def shown(value: object, limit: int = 40) -> str:
    """A short ASCII rendering of a name, fit for a message: escaped and cut to `limit` characters.

    It repeats what it is given: never use it where a secret can stand.
    """
    text = ascii(value)[1:-1] if isinstance(value, str) else f"a {type(value).__name__}"
    return text if len(text) <= limit else text[:limit] + "…"


def first_names(names: Sequence[str], most: int = NAMES_SHOWN_MAX) -> str:
    """The first of several names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def op_id(value: str) -> OpId:
    """Return `value` if it is an operation id, else raise `id_invalid`."""
    return _checked(_OP_ID, value)


def op_path(value: str) -> OpPath:
    """Return `value` if it is an operation path, else raise `id_invalid`."""
    return _checked(_OP_PATH, value)


def state_id(value: str) -> StateId:
    """Return `value` if it is a state id, else raise `id_invalid`."""
    return _checked(_STATE_ID, value)


def step_name(state: StateId) -> str:
    """The short name of a state that people see: its step, and its last segment unless that is `main`."""
    step, _, local = state.partition(".")[2].partition(".")
    return step if local == "main" else f"{step}.{local}"


def run_id(value: str) -> RunId:
    """Return `value` if it is a run id, else raise `id_invalid`."""
    return _checked(_RUN_ID, value)


def run_id_from_entropy(sixteen_bytes: bytes) -> RunId:
    """The random (version 4) UUID made of 16 bytes of entropy."""
    return str(UUID(bytes=sixteen_bytes, version=4))


def artifact_id(value: str) -> ArtifactId:
    """Return `value` if it is an artifact id, else raise `id_invalid`."""
    return _checked(_ARTIFACT_ID, value)


def fact_key(value: str) -> FactKey:
    """Return `value` if it is a fact key, else raise `id_invalid`."""
    return _checked(_FACT_KEY, value)


def context_key(value: str) -> ContextKey:
    """Return `value` if it is a context key, else raise `id_invalid`."""
    return _checked(_CONTEXT_KEY, value)


def command_id(value: str) -> CommandId:
    """Return `value` if it is a command id, else raise `id_invalid`."""
    return _checked(_COMMAND_ID, value)


def tenant(value: str) -> Tenant:
    """Return `value` if it is a tenant, else raise `id_invalid`."""
    return _checked(_TENANT, value)
