"""What a client sends to its server and gets back, as records that need no library.

It does nothing with them; `wire` does.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sending:
    """A request: `path` begins behind the address of the server, and is encoded already.

    A content of pieces is gone through anew for each attempt; `once` says that it cannot be.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | AsyncIterable[bytes] | None = None
    once: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """An answer with all of its body; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes
