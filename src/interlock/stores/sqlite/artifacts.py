"""`Artifacts` on SQLite: small ones in the database, large ones in files beside it.

What it does: stores, finds and verifies. What it does not do: it deletes nothing.

Rules: a large artifact is in its file, durably, before the row that names it; hashing and files larger than
the loop should wait for go to a thread; every read is verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from interlock.base.errors import InterlockError
from interlock.journal.errors import ARTIFACT_CORRUPT
from interlock.journal.ports import Append, Blob
from interlock.stores.files import ArtifactFiles, check_blobs, missing, verified
from interlock.stores.sqlite.connection import Reader
from interlock.stores.sqlite.rows import Missing, RowShape, check_ascending
from interlock.stores.sqlite.statements import ManyRows, statements
from interlock.stores.sqlite.transaction import KNOWN_ARTIFACT
from interlock.stores.sqlite.writer import Writer

_SQL = statements("artifacts")
_GET, _KNOWN = ManyRows(_SQL["artifacts_get"]), ManyRows(_SQL["artifacts_known"])
_ID, _CONTENT = RowShape("artifact", str), RowShape("artifact", str, int, (bytes, Missing))
_ON_LOOP_BYTES_MAX = 256 * 1024


class SqliteArtifacts:
    """`Artifacts` over one opened store."""

    def __init__(self, reader: Reader, writer: Writer, files: ArtifactFiles, inline_bytes_max: int) -> None:
        self._reader = reader
        self._writer = writer
        self._files = files
        self._inline_bytes_max = inline_bytes_max

    async def prepare(self, blobs: Sequence[Blob]) -> None:
        """Check the ids, and write into files what is too large for the database.

        Raises: `artifact_id_mismatch`, `disk_full`, `store_unwritable`, `store_closed`.
        """
        refusal = self._writer.refusal(0)
        if refusal is not None:
            raise refusal
        large = [blob for blob in blobs if len(blob.content) > self._inline_bytes_max]
        if large or sum(len(blob.content) for blob in blobs) > _ON_LOOP_BYTES_MAX:
            await asyncio.to_thread(self._prepare, blobs, large)
        else:
            check_blobs(blobs)

    async def prepare_each(self, blobs_of_each: Sequence[Sequence[Blob]]) -> list[InterlockError | None]:
        """Prepare the artifacts of several appends; the error of each that cannot be."""
        faults: list[InterlockError | None] = []
        for blobs in blobs_of_each:
            try:
                await self.prepare(blobs)
                faults.append(None)
            except InterlockError as fault:
                faults.append(fault)
        return faults

    def _prepare(self, blobs: Sequence[Blob], large: Sequence[Blob]) -> None:
        check_blobs(blobs)
        for blob in large:
            self._files.write(blob)

    async def put(self, blobs: Sequence[Blob]) -> list[str]:
        """Store what is not there yet."""
        await self.prepare(blobs)
        if blobs:
            [outcome] = await self._writer.append([Append((), (), blobs)], sum(len(blob.content) for blob in blobs))
            if isinstance(outcome, InterlockError):
                raise outcome
        return [blob.id for blob in blobs]

    async def get(self, ids: Sequence[str]) -> list[bytes]:
        """The verified bytes of each."""
        found = {row[0]: (row[1], row[2]) for row in self._reader.many(_GET, _CONTENT, ids)}
        contents = []
        for identity in ids:
            if identity not in found:
                raise missing(identity)
            size, content = found[identity]
            if content is None:
                content = await asyncio.to_thread(self._files.read, identity)
            if len(content) != size:
                raise ARTIFACT_CORRUPT.error("an artifact has another size than was stored", artifact=identity)
            contents.append(verified(identity, content))
        return contents

    async def exists(self, ids: Sequence[str]) -> list[bool]:
        """Whether each is there; a file is only looked for."""
        in_files = {row[0]: bool(row[2]) for row in self._reader.many(_KNOWN, KNOWN_ARTIFACT, ids)}
        return [identity in in_files and (not in_files[identity] or self._files.exists(identity)) for identity in ids]

    async def sizes(self, ids: Sequence[str]) -> list[int]:
        """How many bytes each is said to have, for who reads many; 0 for what is not there."""
        found = {row[0]: row[1] for row in self._reader.many(_KNOWN, KNOWN_ARTIFACT, ids)}
        return [found.get(identity, 0) for identity in ids]

    async def scan(self, after: str, limit: int) -> list[str]:
        """Ids after `after`, in order."""
        found = self._reader.rows(_SQL["artifacts_after"], _ID, (after, max(limit, 0)))
        ids: list[str] = [identity for (identity,) in found]
        check_ascending("artifact", [after, *ids])
        return ids
