"""Messages of the live feed in the format of server-sent events. Pure.

What it does: spells events, the snapshot, heartbeats and faults. What it does not do: it sends nothing.

Rules: data is JSON; the id of a message is the cursor behind it, so whoever gives it back gets what comes next; a
heartbeat has an id only where the place has moved, for that tells a reader of few events how far it is. Source: WHATWG
HTML, section 9.2.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from interlock.base.errors import InterlockError

EVENT, UNTOLD = "event", "untold"
RETRY_MS: Final = 2_000
"""After which time a reader that lost its connection comes back."""

HEARTBEAT: Final = b": heartbeat\n\n"


class Place(Struct, frozen=True):
    """Where one stream ends."""

    stream: str
    seq: int


class Snapshot(Struct, frozen=True):
    """Where a reader begins: events behind `cursor` follow; `head` is that of the one stream that it asked for."""

    cursor: str
    head: Place | None


class Untold(Struct, frozen=True):
    """An event that cannot be told, and why."""

    key: str
    code: str
    message: str


class Ended(Struct, frozen=True):
    """Why nothing follows."""

    code: str
    message: str
    retryable: bool


def message(name: str, data: bytes, cursor: str | None = None) -> bytes:
    """One message. `data` is JSON, which may have line ends between its tokens."""
    lines = b"\n".join(b"data: " + line for line in data.splitlines())
    head = f"event: {name}\n" if cursor is None else f"event: {name}\nid: {cursor}\n"
    return head.encode("ascii") + lines + b"\n\n"


def snapshot(cursor: str, head: Place | None) -> bytes:
    """The first message of a stream, which also says when to come back."""
    return b"retry: %d\n" % RETRY_MS + message("snapshot", msgspec.json.encode(Snapshot(cursor, head)), cursor)


def untold(key: str, fault: InterlockError, cursor: str) -> bytes:
    """Instead of an event that its part could not tell: nothing is left out unsaid."""
    return message(UNTOLD, msgspec.json.encode(Untold(key, fault.code, fault.message)), cursor)


def moved(cursor: str) -> bytes:
    """A heartbeat that says how far the reader is."""
    return message("heartbeat", b"{}", cursor)


def ended(fault: InterlockError) -> bytes:
    """The last message of a stream that a fault ends."""
    return message("error", msgspec.json.encode(Ended(fault.code, fault.message, fault.retryable)))
