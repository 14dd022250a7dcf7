"""What a client sends to its server and gets back, as records that need no library.

It does nothing with them; `wire` does.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

PACK_SECONDS: Final = 600.0
"""How long a server may take to make a pack, or to prove one, before it answers."""


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
class Taking:
    """Where the body of an answer that grants what was asked goes, piece by piece, up to so many bytes."""

    write: Callable[[bytes], Awaitable[object]]
    bytes_max: int


@dataclass(frozen=True, slots=True)
class Received:
    """An answer with all of its body that nobody took; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes
