"""Stream ids: `<tenant>/<kind>/<id>`, a run's inbox adding `/inbox`.

What it does: builds, checks and takes apart stream ids by the rule of decision 0001, section 2. What it does not do:
it knows no store and does not say which kinds exist.

Rule: each component has exactly one spelling (percent-encoded UTF-8, unreserved characters as they are), so equal
streams are equal strings.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct

from interlock.base.bounds import STREAM_ID_BYTES_MAX
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.ids import SEGMENT, shown, tenant

STREAM_INVALID = ErrorCode(
    "stream_invalid", Category.INVALID, "Use <tenant>/<kind>/<id>, each component percent-encoded once."
)

_KIND = re.compile(rf"\A{SEGMENT}\Z")
INBOX = "inbox"


class StreamName(Struct, frozen=True):
    """The parts of a stream id, decoded."""

    tenant: str
    kind: str
    id: str
    inbox: bool = False


def stream_id(tenant_name: str, kind: str, identity: str, *, inbox: bool = False) -> str:
    """The id of a stream. Raises `id_invalid` for the tenant, `stream_invalid` for the rest."""
    tenant(tenant_name)
    if _KIND.match(kind) is None or identity in {"", ".", ".."}:
        raise STREAM_INVALID.error("a stream needs a kind that is a segment and an id", kind=shown(kind))
    try:
        encoded = quote(identity, safe="")
    except UnicodeEncodeError:
        raise STREAM_INVALID.error("a stream id has a lone surrogate") from None
    stream = f"{tenant_name}/{kind}/{encoded}" + ("/inbox" if inbox else "")
    if len(stream) > STREAM_ID_BYTES_MAX:
        raise STREAM_INVALID.error(f"a stream id has more than {STREAM_ID_BYTES_MAX} bytes")
    return stream


@lru_cache(maxsize=4096)
def parse_stream(stream: str) -> StreamName:
    """Take a stream id apart. Raises `stream_invalid` for anything that `stream_id` would not build."""
    pieces = stream.split("/")
    inbox = len(pieces) == 4 and pieces[3] == INBOX
    if len(pieces) == 3 or inbox:
        try:
            name = StreamName(pieces[0], pieces[1], unquote_to_bytes(pieces[2]).decode("utf-8"), inbox)
            spelled = stream_id(name.tenant, name.kind, name.id, inbox=inbox)
        except (UnicodeDecodeError, InterlockError) as fault:
            raise STREAM_INVALID.error("not a stream id", value=shown(stream)) from fault
        if spelled == stream:
            return name
    raise STREAM_INVALID.error("not a stream id", value=shown(stream))


def tenant_of(stream: str) -> str:
    """The tenant of a checked stream id: its first component, and by default its partition key."""
    return stream.partition("/")[0]
