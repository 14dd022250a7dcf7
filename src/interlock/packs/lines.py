"""Events as lines: one event a line, its stored bytes between tabs.

What it does: writes an event as `<envelope> TAB <data> TAB <salt in hexadecimal> LF`, and takes such lines apart. What
it does not do: it decodes neither envelope nor data.

Rules: JSON that was stored has neither tabs nor line feeds as bytes (both are escaped in texts), so nothing is ever
escaped here; erased data is empty, and so is its salt; a line has one spelling.
"""

from __future__ import annotations

import re

from interlock.base.bounds import EVENT_DATA_BYTES_MAX
from interlock.journal.chain import event_digest
from interlock.journal.errors import EVENT_CORRUPT
from interlock.journal.ports import StoredEvent

ENVELOPE_BYTES_MAX = 64 * 1024
SALT_BYTES_MAX = 64
LINE_BYTES_MAX = ENVELOPE_BYTES_MAX + EVENT_DATA_BYTES_MAX + 2 * SALT_BYTES_MAX + 3

_SALT = re.compile(rb"\A(?:[0-9a-f]{2}){0,64}\Z")


def line_of(event: StoredEvent) -> bytes:
    """The line of an event. Raises: `event_corrupt` for bytes that no line can hold."""
    line = b"%b\t%b\t%b\n" % (event.envelope, event.data or b"", event.salt.hex().encode())
    if event.data == b"" or line.count(b"\t") != 2 or line.count(b"\n") != 1 or len(line) > LINE_BYTES_MAX:
        raise _wrong(event.stream, event.seq, "its bytes are no JSON")
    return line


def event_of(line: bytes, stream: str, seq: int, position: int) -> StoredEvent:
    """The event in a line without its line feed. Raises: `event_corrupt`."""
    pieces = line.split(b"\t")
    if len(pieces) != 3 or len(pieces[0]) > ENVELOPE_BYTES_MAX or _SALT.match(pieces[2]) is None:
        raise _wrong(stream, seq, "its line is not envelope, data and salt")
    envelope, data, salt = pieces
    if not data and salt:
        raise _wrong(stream, seq, "its data is erased, and its salt is not")
    digest = event_digest(envelope)
    return StoredEvent(stream, seq, digest, envelope, data or None, bytes.fromhex(salt.decode()), position)


def _wrong(stream: str, seq: int, why: str) -> Exception:
    return EVENT_CORRUPT.error(f"event {stream}#{seq} is damaged: {why}", stream=stream, seq=seq, why=why)
