"""What a replay has found: the records that it answers with.

What it does: declares the report with its divergence, what could not be compared and what is remarkable, and shows
values of a context in few characters. What it does not do: it compares nothing.

Rule: a value that looks like a secret is not shown, whichever side it is from; long values are cut.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from interlock.base.canonical import canonical
from interlock.base.merkle_map import ArtifactRef, Value
from interlock.base.secret_scan import REDACTED, scan_bytes

KEYS_SHOWN_MAX = 50
VALUE_CHARACTERS_MAX = 200
LISTED_MAX = 100
"""Entries in a list of a report; how many there are is said beside it."""


class DivergenceKind(StrEnum):
    """What differs first in an attempt."""

    OUTCOME = "outcome"
    ERROR = "error"
    FACTS = "facts"
    SNAPSHOT = "snapshot"
    WRITES = "writes"
    EVENTS = "events"
    WAITS = "waits"


class KeyDifference(Struct, frozen=True):
    """A key of the context with its JSON then and now, cut where it is long; null where the key is absent."""

    key: str
    recorded: str | None
    replayed: str | None


class Divergence(Struct, frozen=True):
    """Where a replay first leaves the record: what was recorded, and what came of it now.

    `fact_key` is the fact that the handler asked for in vain, or otherwise than it is recorded.
    """

    state_id: str
    attempt: int
    kind: DivergenceKind
    recorded: str
    replayed: str
    message: str
    fact_key: str | None = None
    keys: list[KeyDifference] = []
    keys_omitted: int = 0


class NotComparable(Struct, frozen=True):
    """An attempt whose end the outside caused, so that replaying it neither confirms nor refutes the record."""

    state_id: str
    attempt: int
    recorded: str
    replayed: str
    why: str


class ReplayWarning(Struct, frozen=True):
    """Something remarkable that is no divergence: `code` is `fact_unread`, `plan_differs` or `event_order`."""

    code: str
    message: str
    fact_key: str | None = None
    state_id: str | None = None


class ReplayReport(Struct, frozen=True, kw_only=True):
    """What replaying a run has found. `identical`: nothing that could be compared differs.

    `attempts` were driven anew, of which `compared` had an end to compare; `skipped` states call nothing.
    """

    run_id: str
    identical: bool
    divergence: Divergence | None
    divergent: int
    phase: str
    events: int
    attempts: int
    compared: int
    skipped: int
    not_comparable: list[NotComparable]
    not_comparable_count: int
    warnings: list[ReplayWarning]
    warnings_count: int


def difference(key: str, recorded: Value | None, replayed: Value | None) -> KeyDifference:
    """A difference as it may be shown."""
    return KeyDifference(key, _shown(key, recorded), _shown(key, replayed))


def _shown(key: str, value: Value | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, ArtifactRef):
        return f"artifact {value.id}"
    if scan_bytes(b"{" + canonical(key) + b":" + value + b"}") is not None:
        return REDACTED
    text = value.decode()
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"
