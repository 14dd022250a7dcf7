"""Packs over HTTP: one that is made for a download, and one that was uploaded to be verified.

What it does: makes a pack in a file without a name, keeps an upload in one, and verifies it in a thread of its own.
What it does not do: it judges no pack itself (`packs.verify`), writes no file that has a name, and knows no permission.

Rules: a bounded number of packs is under way, of one principal no more than half of it, each with a bounded number of
bytes, for a bounded time and at a least rate; whatever happens, files are gone with the request; what is wrong with an
upload is a finding, never a fault.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeVar

from starlette.requests import Request

from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.packs.commands import Verification, every_event, verification
from interlock.packs.errors import PACK_UNWRITABLE
from interlock.packs.export import ArtifactSpool, Made, cut, spooled
from interlock.packs.survey import Wanted
from interlock.packs.verify import verify
from interlock.surfaces.http.bodies import Bounds, pieces
from interlock.surfaces.http.errors import REQUEST_TIMEOUT, SERVER_BUSY
from interlock.surfaces.http.settings import ServerSettings, shares_of
from interlock.surfaces.seats import Seats, refused_by

UPLOADED: Final = "uploaded"
"""What a verification calls a pack that has no path."""

HELD_BYTES: Final = 1024 * 1024
"""How much of an upload is held before it is written."""

T = TypeVar("T")


class Kept(Protocol):
    """What an upload is written to."""

    def write(self, content: bytes, /) -> int:
        """Write bytes behind those before."""
        ...

    def flush(self) -> None:
        """Hand what was written to the system."""
        ...


def seats_of(most: int, settings: ServerSettings, what: str) -> Seats:
    """Seats for large things that are under way at once; one too many is `server_busy`."""
    full = refused_by(SERVER_BUSY, f"{most} {what} are under way")
    return Seats(most, shares_of(settings), full, what)


class Packs:
    """Makes and verifies packs for a server."""

    def __init__(self, journal: Journal, settings: ServerSettings) -> None:
        self.seats = seats_of(settings.packs_max, settings, "packs")
        self._journal = journal
        self._settings = settings
        self._events: list[EventCatalogue] = []

    async def made(self, wanted: Wanted, file: BinaryIO) -> Made:
        """Write the pack of a run into a file.

        Raises: `run_not_found`, `scenario_run_not_found`, `pack_unwritable`, `pack_store_damaged`, `pack_too_large`.
        """
        wanted = await cut(self._journal, wanted)
        artifacts, bytes_max = self._journal.store.artifacts, self._settings.download_bytes_max
        with _written(), ArtifactSpool(Path(tempfile.gettempdir()), artifacts, bytes_max=bytes_max) as spool:
            manifest = await spooled(self._journal, wanted, spool)
            size, digest = await _to_its_end(lambda _stop: spool.assemble(file, manifest))
            file.flush()
        return Made(size, digest, manifest)

    async def received(self, request: Request, file: Kept, bytes_max: int | None = None) -> None:
        """Write a body, by default one no larger than a pack, into a file.

        Raises: `request_too_large`, `request_timeout`, `pack_unwritable`.
        """
        held = bytearray()
        settings = self._settings
        bytes_max = settings.upload_bytes_max if bytes_max is None else bytes_max
        rate = settings.transfer_bytes_per_second_min
        bounds = Bounds(bytes_max, settings.body_timeout_ms, bytes_per_second_min=rate)
        try:
            with _written():
                async with asyncio.timeout(settings.transfer_ms / 1000):
                    async for piece in pieces(request.scope, request.receive, bounds):
                        held += piece
                        if len(held) >= HELD_BYTES:
                            await asyncio.to_thread(file.write, bytes(held))
                            held.clear()
                    await asyncio.to_thread(file.write, bytes(held))
                    file.flush()
        except TimeoutError:
            raise REQUEST_TIMEOUT.error(f"the body did not come within {settings.transfer_ms} ms") from None

    async def verified(self, file: BinaryIO) -> Verification:
        """What `pack verify` says of the pack in a file."""
        if not self._events:
            self._events.append(every_event())
        events = self._events[0]

        def work(stop: threading.Event) -> Verification:
            def progress(_what: str, _done: int, _total: int | None) -> None:
                if stop.is_set():
                    raise asyncio.CancelledError

            return verification(UPLOADED, asyncio.run(verify(os.dup(file.fileno()), events, progress=progress)))

        return await _to_its_end(work)


async def _to_its_end(work: Callable[[threading.Event], T]) -> T:
    """The result of work in a thread, which is told to stop when it is cancelled, and always waited for."""
    stop = threading.Event()
    working = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(working)
    finally:
        stop.set()
        if not working.done():
            await asyncio.wait({working})


@contextmanager
def _written() -> Iterator[None]:
    """A fault of the temporary files is told as one. Raises: `pack_unwritable`."""
    try:
        yield
    except TimeoutError:
        raise
    except OSError as fault:
        raise PACK_UNWRITABLE.error(f"the server has no room for it: {fault.strerror}") from None
