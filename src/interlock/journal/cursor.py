"""Opaque cursors: a place in the feed, or in a listing, that a caller can keep and give back.

What it does: writes and reads the string `c1.…` of decision 0001, section 4. What it does not do: it does not
know whether the place still exists; the reader of the feed does.

Rules: a cursor is taken whole; a changed one is refused by its check bytes, another store's by the store id, another
tenant's by what it names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from interlock.base.bounds import INTEGER_MAX
from interlock.base.canonical import canonical
from interlock.journal.errors import CURSOR_FOREIGN, CURSOR_INVALID

_PREFIX = "c1."
_CHECK_BYTES = 4
_CURSOR_CHARACTERS_MAX = 4096


class _Place(Struct, frozen=True, forbid_unknown_fields=True):
    p: dict[str, Annotated[int, Meta(ge=0, le=INTEGER_MAX)]]
    s: str


class _PagePlace(Struct, frozen=True, forbid_unknown_fields=True):
    k: tuple[Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)], str]
    s: str


def _write(value: dict[str, object]) -> str:
    content = canonical(value)
    return _PREFIX + _text(content + hashlib.sha256(content).digest()[:_CHECK_BYTES])


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _read(cursor: str) -> bytes:
    body = cursor[len(_PREFIX) :]
    if not cursor.startswith(_PREFIX) or len(cursor) > _CURSOR_CHARACTERS_MAX:
        raise CURSOR_INVALID.error("not a cursor")
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CURSOR_INVALID.error("not a cursor") from None
    content, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    if _text(raw) != body:  # the same bytes have other spellings, such as one that ends in other unused bits
        raise CURSOR_INVALID.error("not a cursor")
    if hashlib.sha256(content).digest()[:_CHECK_BYTES] != check:
        raise CURSOR_INVALID.error("a cursor was changed")
    return content


def write_cursor(store_id: str, partition: str, position: int) -> str:
    """The cursor of a position in a partition's feed."""
    return _write({"p": {partition: position}, "s": store_id})


def read_cursor(store_id: str, partition: str, cursor: str) -> int:
    """The position in `partition` that a cursor names; 0 where it names none.

    Raises: `cursor_invalid`, `cursor_foreign` (Invalid).
    """
    return _place(store_id, cursor).p.get(partition, 0)


def read_own_cursor(store_id: str, partition: str, cursor: str) -> int:
    """The position in `partition` that a cursor names; one that names another partition alone is foreign, too.

    Raises: `cursor_invalid`, `cursor_foreign` (Invalid).
    """
    place = _place(store_id, cursor)
    if partition not in place.p:
        raise CURSOR_FOREIGN.error("this cursor belongs to another tenant")
    return place.p[partition]


def _place(store_id: str, cursor: str) -> _Place:
    try:
        place = msgspec.json.decode(_read(cursor), type=_Place)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CURSOR_INVALID.error("not a cursor of a feed") from None
    if place.s != store_id:
        raise CURSOR_FOREIGN.error("this cursor belongs to another store")
    return place


def listing(store_id: str, partition: str) -> str:
    """What stands for the store in the page cursors of a partition, so that they are foreign in any other."""
    return f"{store_id}/{partition}"


def write_page(store_id: str, key: tuple[int, str]) -> str:
    """The cursor of a place in a listing: the last row's order and key."""
    return _write({"k": key, "s": store_id})


def read_page(store_id: str, cursor: str) -> tuple[int, str]:
    """The last row that a page cursor names. Raises: `cursor_invalid`, `cursor_foreign`."""
    try:
        place = msgspec.json.decode(_read(cursor), type=_PagePlace)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CURSOR_INVALID.error("not a cursor of a listing") from None
    if place.s != store_id:
        raise CURSOR_FOREIGN.error("this cursor belongs to another store or tenant")
    return place.k
