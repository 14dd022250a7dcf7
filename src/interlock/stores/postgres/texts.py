"""What the texts of an append must be for PostgreSQL, so that one that cannot be stored stops no other.

What it does: refuses a text with U+0000 or half a character where the column is text, and a key that is longer than an
index takes. What it does not do: it judges no meaning.

Rule: whoever is refused here is refused alone; the server would refuse the whole batch.
"""

from __future__ import annotations

from interlock.base.events import ClearTimer, Hold, IndexRow, Rest, Row, SetTimer, Wake
from interlock.journal.errors import APPEND_MALFORMED
from interlock.journal.ports import Append

KEY_BYTES_MAX = 2_000
"""Bytes of a key of the index or of the id of a timer: with what stands beside it an index takes 2 704."""


def check_texts(append: Append) -> None:
    """Refuse an append whose texts cannot be stored. Raises: `append_malformed`."""
    for each in append.streams:
        _check(each.stream)
        _check(each.partition)
    for row in append.rows:
        _check_row(row)
    for blob in append.blobs:
        _check(blob.kind)


def _check_row(row: Row) -> None:
    match row:
        case IndexRow():
            _check(row.index)
            _check_key(row.key)
        case SetTimer():
            _check_key(row.timer_id)
            _check(row.stream)
        case ClearTimer():
            _check_key(row.timer_id)
        case Hold(claim):
            for text in (claim.stream, claim.kind, claim.owner):
                _check(text)
        case Wake():
            _check(row.stream)
            _check(row.kind)
        case Rest():
            _check(row.stream)


def _check(text: str) -> None:
    if "\0" in text or not (text.isascii() or _is_whole(text)):
        raise APPEND_MALFORMED.error("a name holds a character that the server cannot store")


def _check_key(key: str) -> None:
    if not _is_whole(key):
        raise APPEND_MALFORMED.error("a key holds half a character")
    if len(key) * 4 > KEY_BYTES_MAX and len(key.encode()) > KEY_BYTES_MAX:
        raise APPEND_MALFORMED.error(f"a key has more than {KEY_BYTES_MAX} bytes", limit_bytes=KEY_BYTES_MAX)


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
