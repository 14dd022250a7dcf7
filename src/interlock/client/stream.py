"""Server-sent events: the messages of a stream of text lines.

What it does: makes messages of bytes as they arrive, as the HTML standard has them. What it does not do: it opens no
connection and does not reconnect; `remote` does.

Rules: the id of a message is an opaque cursor, kept for the next request; data is JSON; a message that has not ended
when the stream does is dropped; a line and a message are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.client.errors import CLIENT_ANSWER_INVALID

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
RETRY_MS_MAX: Final = 60_000
_ID: Final = re.compile(r"[!-~]{0,4096}")
"""What a header can send back."""

_END: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""The end of a line; a last `\\r` may be half of one."""


def is_id(text: str) -> bool:
    """Whether a text can be the id of a message."""
    return _ID.fullmatch(text) is not None


class ServerEvent(Struct, frozen=True):
    """A message of the feed: `id` is where the next request goes on, `event` its type, `data` its JSON."""

    id: str
    event: str
    data: Any


class Messages:
    """Reads one stream. `last_id` is the newest id, `retry_ms` how long the server wants a reconnection to wait."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry_ms: int | None = None
        self._rest = b""
        self._begun = False
        self._event = ""
        self._data: list[str] = []
        self._bytes = 0

    def resumed(self) -> Messages:
        """The reader of the connection after this one: nothing of a message that had not ended is kept."""
        after = Messages(self.last_id)
        after.retry_ms = self.retry_ms
        return after

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The messages that end within this chunk. Raises: `client_answer_invalid`."""
        content = self._rest + chunk
        begin = 0
        for end in _END.finditer(content):
            line = content[begin : end.start()]
            begin = end.end()
            if (message := self._line(line)) is not None:
                yield message
        self._rest = content[begin:]
        if len(self._rest) + self._bytes > MESSAGE_BYTES_MAX:
            raise CLIENT_ANSWER_INVALID.error(f"a message of the stream has more than {MESSAGE_BYTES_MAX} bytes")

    def _line(self, line: bytes) -> ServerEvent | None:
        text = line.decode("utf-8", "replace")
        if not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        if not text:
            return self._ended()
        name, _, value = text.partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        match name:
            case "data":
                self._data.append(value)
                self._bytes += len(value) + 1
            case "event":
                self._event = value
            case "id" if is_id(value):
                self.last_id = value
            case "retry" if value.isascii() and value.isdigit() and len(value) <= 9:
                self.retry_ms = min(int(value), RETRY_MS_MAX)

    def _ended(self) -> ServerEvent | None:
        """The message that an empty line ends; one without data only moves the cursor."""
        event, data = self._event or "message", self._data
        self._event, self._data, self._bytes = "", [], 0
        if not data:
            return None
        try:
            return ServerEvent(self.last_id, event, msgspec.json.decode("\n".join(data)))
        except (msgspec.DecodeError, RecursionError):
            raise CLIENT_ANSWER_INVALID.error("a message of the stream is not JSON") from None
