"""A file as the body of a request: from a path, from bytes, or from whatever gives bytes piece by piece.

What it does: gives the pieces of a body, anew for each attempt where that is possible, and makes the requests that
attach it to a run or have it proved as a pack. What it does not do: it sends nothing, and judges no answer.

Rules: a file is read piece by piece in a thread, so that no more than a piece of it is held; what can be read once only
is sent once only.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode
from uuid import uuid4

from interlock.base import ids
from interlock.client.calls import IDEMPOTENCY_KEY, key_of
from interlock.client.exchange import Sending
from interlock.engine.attachments import MEDIA_TYPE, Label, label
from interlock.engine.control.attach_command import unreadable
from interlock.packs.container import open_regular
from interlock.packs.errors import PACK_UNREADABLE
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.content_paths import ARTIFACTS, VERIFY

PIECE_BYTES: Final = 256 * 1024
Source = str | Path | bytes | AsyncIterable[bytes] | Iterable[bytes]


def attaching(
    run: str, source: Source, name: str | None, kind: str | None, media_type: str | None, command_id: str | None
) -> Sending:
    """The request that attaches a file to a run. Raises: `attachment_…`, `id_invalid`, `input_invalid`."""
    said = _said(source, name, kind, media_type)
    headers = {
        "content-type": said.media_type,
        IDEMPOTENCY_KEY: str(uuid4()) if command_id is None else key_of(command_id),
    }
    path = ARTIFACTS.format(run=quote(ids.run_id(run), safe=""))
    query = urlencode({"name": said.name, "kind": said.kind})
    return _posting(path, query, headers, source, unreadable)


def proving(source: Source) -> Sending:
    """The request that has a pack proved. Raises: `input_invalid` for a folder, `pack_…` for what cannot be read."""
    if isinstance(source, str | Path):
        _check_regular(Path(source))
    return _posting(VERIFY, "", {"content-type": MEDIA_TYPE}, source, _pack_unreadable)


def _posting(
    path: str, query: str, headers: Mapping[str, str], source: Source, fault_of: Callable[[Exception], Exception]
) -> Sending:
    if isinstance(source, bytes):
        return Sending("POST", path, query, headers, source)
    if isinstance(source, str | Path):
        pieces = _File(Path(source), fault_of)
        return Sending("POST", path, query, {**headers, "content-length": str(pieces.size)}, pieces)
    return Sending("POST", path, query, headers, _pieces(source), once=True)


def _check_regular(path: Path) -> None:
    """Refuse what is no file, such as a pipe, which would never end."""
    if path.is_dir():
        raise INPUT_INVALID.error("`path`: a server takes a pack as one file, and this is a folder", place="path")
    try:
        os.close(open_regular(path))
    except ValueError as fault:
        raise _pack_unreadable(fault) from None


def _pack_unreadable(fault: Exception) -> Exception:
    return PACK_UNREADABLE.error(f"the pack cannot be read: {getattr(fault, 'strerror', None) or 'not a path'}")


def _said(source: Source, name: str | None, kind: str | None, media_type: str | None) -> Label:
    if name is None and not isinstance(source, str | Path):
        raise INPUT_INVALID.error("`name`: bytes have no name of their own", place="name")
    return label(Path(source).name if name is None and isinstance(source, str | Path) else name or "", kind, media_type)


class _File:
    """The pieces of a file, from its beginning each time it is gone through."""

    def __init__(self, path: Path, fault_of: Callable[[Exception], Exception]) -> None:
        self._path = path
        self._fault_of = fault_of
        try:
            with path.open("rb") as file:
                self.size = file.seek(0, 2)
        except (OSError, ValueError) as fault:
            raise fault_of(fault) from None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self.size  # what was announced, also of a file that grows
        try:
            with self._path.open("rb") as file:
                while left and (piece := await asyncio.to_thread(file.read, min(PIECE_BYTES, left))):
                    left -= len(piece)
                    yield piece
        except OSError as fault:
            raise self._fault_of(fault) from None


async def _pieces(source: AsyncIterable[bytes] | Iterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(source, AsyncIterable):
        async for piece in source:
            yield bytes(piece)
        return
    rest = iter(source)
    while (found := await asyncio.to_thread(next, rest, None)) is not None:
        yield bytes(found)
