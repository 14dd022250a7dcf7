"""What a client sends to its server and gets back, as records that need no library.

It does nothing with them; `wire` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sending:
    """A request: `path` begins behind the address of the server, and is encoded already."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """An answer with all of its body; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes
