"""`Artifacts` on PostgreSQL: small ones in one row, large ones in parts.

What it does: stores, finds and verifies. What it does not do: it deletes nothing.

Rules: the parts of a large artifact are stored, durably and in one transaction, before the row that names it; the size
of a part never changes, so that two who store the same bytes store the same parts; every read is verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from interlock.base.errors import InterlockError
from interlock.base.ids import artifact_id
from interlock.journal.errors import ARTIFACT_CORRUPT
from interlock.journal.ports import Append, Blob
from interlock.stores.appending import groups
from interlock.stores.files import check_blobs, missing, verified
from interlock.stores.postgres.connections import Connection, Pool
from interlock.stores.postgres.statements import statements
from interlock.stores.postgres.writer import Writer

PART_BYTES = 1024 * 1024
"""A constant of the schema: parts of another size would not fit together."""

PARTS_AT_ONCE = 8
"""Parts that one statement writes, or reads of several artifacts."""

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
        [fault] = await self.prepare_each([blobs])
        if fault is not None:
            raise fault

    async def prepare_each(self, blobs_of_each: Sequence[Sequence[Blob]]) -> list[InterlockError | None]:
        """Prepare the artifacts of several appends, with one look for all that are large; the error of each."""
        refusal = self._writer.refusal(0)
        if refusal is not None:
            return [refusal for _ in blobs_of_each]
        faults = [await _checked(blobs) for blobs in blobs_of_each]
        large = {
            blob.id: blob
            for blobs, fault in zip(blobs_of_each, faults, strict=True)
            for blob in (() if fault is not None else blobs)
            if len(blob.content) > self._inline_bytes_max
        }
        why = await self._store_large(large) if large else None
        if why is None:
            return faults
        concerned = [any(blob.id in large for blob in blobs) for blobs in blobs_of_each]
        return [fault or (why if hit else None) for fault, hit in zip(faults, concerned, strict=True)]

    async def _store_large(self, large: dict[str, Blob]) -> InterlockError | None:
        """Store the parts of those that are not there; the error where that could not be done."""
        try:
            known = await self.exists(list(large))
            # In the order of ids: two who store the same wait for one another, and never in a circle.
            for identity in sorted(identity for identity, there in zip(large, known, strict=True) if not there):
                await self._put_parts(large[identity])
        except InterlockError as why:
            return why
        return None

    async def _put_parts(self, blob: Blob) -> None:
        """Store all parts of one artifact in one transaction, some of them with each statement."""
        groups_of_parts = list(_numbers_of_parts(blob))

        async def work(connection: Connection) -> None:
            if len(groups_of_parts) == 1:
                await connection.execute(_SQL["artifact_parts_put"], _sliced(blob, groups_of_parts[0]))
                return
            async with connection.transaction():
                for numbers in groups_of_parts:
                    await connection.execute(_SQL["artifact_parts_put"], _sliced(blob, numbers))

        await self._pool.run(work)

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
        for identity in ids:
            if identity not in found:
                raise missing(identity)
        in_parts = {identity: size for identity, (size, content) in found.items() if content is None}
        joined: dict[str, bytes] = {}
        for group in groups(list(in_parts.items()), lambda each: each[1], PARTS_AT_ONCE * PART_BYTES):
            joined |= await self._joined([identity for identity, _ in group])
        contents = []
        for identity in ids:
            size, content = found[identity]
            if content is None:
                content = joined[identity]
            if len(content) != size:
                raise ARTIFACT_CORRUPT.error("an artifact has another size than was stored", artifact=identity)
            contents.append(verified(identity, content))
        return contents

    async def _joined(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The bytes of artifacts in parts, with one statement; none where all parts are gone."""
        parts: dict[str, list[bytes]] = {identity: [] for identity in ids}
        for identity, content in await self._pool.rows(_SQL["artifact_parts"], (_digests(ids),)):
            parts[identity.hex()].append(content)
        return {identity: b"".join(found) for identity, found in parts.items()}

    async def sizes(self, ids: Sequence[str]) -> list[int]:
        """How many bytes each is said to have, for who reads many; 0 for what is not there."""
        rows = await self._pool.rows(_SQL["artifacts_known"], (_digests(ids),)) if ids else []
        found = {identity.hex(): size for identity, size, _ in rows}
        return [found.get(identity, 0) for identity in ids]

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


async def _checked(blobs: Sequence[Blob]) -> InterlockError | None:
    """Why the ids are not those of the bytes, if so."""
    try:
        if sum(len(blob.content) for blob in blobs) > _ON_LOOP_BYTES_MAX:
            await asyncio.to_thread(check_blobs, blobs)
        else:
            check_blobs(blobs)
    except InterlockError as fault:
        return fault
    return None


def _numbers_of_parts(blob: Blob) -> Iterator[range]:
    """The numbers of the parts that each statement writes."""
    count = -(-len(blob.content) // PART_BYTES)
    for first in range(0, count, PARTS_AT_ONCE):
        yield range(first, min(first + PARTS_AT_ONCE, count))


def _sliced(blob: Blob, numbers: range) -> tuple[bytes, list[int], list[bytes]]:
    parts = [blob.content[no * PART_BYTES : (no + 1) * PART_BYTES] for no in numbers]
    return bytes.fromhex(blob.id), list(numbers), parts
