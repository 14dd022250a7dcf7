"""`Artifacts` on PostgreSQL: small ones in one row, large ones in parts.

What it does: stores, finds and verifies. What it does not do: it deletes nothing.

Rules: the parts of a large artifact are stored, durably, before the row that names it; the size of a part never
changes, so that two who store the same bytes store the same parts; every read is verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from interlock.base.errors import InterlockError
from interlock.base.ids import artifact_id
from interlock.journal.errors import ARTIFACT_CORRUPT
from interlock.journal.ports import Append, Blob
from interlock.stores.files import check_blobs, missing, verified
from interlock.stores.postgres.connections import Pool
from interlock.stores.postgres.statements import statements
from interlock.stores.postgres.writer import Writer

PART_BYTES = 1024 * 1024
"""A constant of the schema: parts of another size would not fit together."""

_SQL = statements("artifacts")
_ON_LOOP_BYTES_MAX = 256 * 1024


class PostgresArtifacts:
    """`Artifacts` over one opened store."""

    def __init__(self, pool: Pool, writer: Writer, inline_bytes_max: int) -> None:
        self._pool = pool
        self._writer = writer
        self._inline_bytes_max = inline_bytes_max

    async def prepare(self, blobs: Sequence[Blob]) -> None:
        """Check the ids, and store the parts of what is too large for one row.

        Raises: `artifact_id_mismatch`, `disk_full`, `store_closed`.
        """
        refusal = self._writer.refusal(0)
        if refusal is not None:
            raise refusal
        if sum(len(blob.content) for blob in blobs) > _ON_LOOP_BYTES_MAX:
            await asyncio.to_thread(check_blobs, blobs)
        else:
            check_blobs(blobs)
        large = [blob for blob in blobs if len(blob.content) > self._inline_bytes_max]
        if large:
            known = await self.exists([blob.id for blob in large])
            for blob, stored in zip(large, known, strict=True):
                if not stored:
                    await self._put_parts(blob)

    async def _put_parts(self, blob: Blob) -> None:
        identity = bytes.fromhex(blob.id)
        for no, at in enumerate(range(0, len(blob.content), PART_BYTES)):
            values = (identity, no, blob.content[at : at + PART_BYTES])
            await self._pool.rows(_SQL["artifact_part_put"], values)

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
        rows = await self._pool.rows(_SQL["artifacts_get"], (_digests(ids),)) if ids else []
        found = {identity.hex(): (size, content) for identity, size, content in rows}
        contents = []
        for identity in ids:
            if identity not in found:
                raise missing(identity)
            size, content = found[identity]
            if content is None:
                parts = await self._pool.rows(_SQL["artifact_parts"], (bytes.fromhex(identity),))
                content = b"".join(part for (part,) in parts)
            if len(content) != size:
                raise ARTIFACT_CORRUPT.error("an artifact has another size than was stored", artifact=identity)
            contents.append(verified(identity, content))
        return contents

    async def exists(self, ids: Sequence[str]) -> list[bool]:
        """Whether each is there."""
        rows = await self._pool.rows(_SQL["artifacts_known"], (_digests(ids),)) if ids else []
        found = {identity.hex() for identity, _, _ in rows}
        return [identity in found for identity in ids]

    async def scan(self, after: str, limit: int) -> list[str]:
        """Ids after `after`, in order."""
        rows = await self._pool.rows(_SQL["artifacts_after"], (bytes.fromhex(after), max(limit, 0)))
        return [identity.hex() for (identity,) in rows]


def _digests(ids: Sequence[str]) -> list[bytes]:
    """The digests of what can be an id at all."""
    digests = []
    for identity in ids:
        try:
            digests.append(bytes.fromhex(artifact_id(identity)))
        except InterlockError:
            continue
    return digests
