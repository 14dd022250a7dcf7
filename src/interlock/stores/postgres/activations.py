"""`Activations` on PostgreSQL: claims on streams, each in one small statement or transaction.

What it does: claims, renews and gives back. What it does not do: it drives nothing and reads no clock; every caller
says what time it is.

Rules: rows are locked in the order of their streams; epochs only rise. Owners are on many computers and nobody can see
whether one has died: a claim ends when it is given back, when its owner closes the store, or when it expires. What is
asked again after a lost connection does no harm: a claim that was made and not heard of expires.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from interlock.base.events import Claim
from interlock.journal.ports import Held
from interlock.journal.streams import tenant_of
from interlock.stores.activation import DUE_MAX, Activation
from interlock.stores.postgres.connections import Connection, Pool, rows_of
from interlock.stores.postgres.statements import statements

_SQL = statements("activations")


class PostgresActivations:
    """`Activations` over one opened store."""

    def __init__(self, pool: Pool, changed: Callable[[], None]) -> None:
        self._pool = pool
        self._changed = changed
        self.claimed = False
        """Whether a claim was asked for, and so may stand."""

    async def claim(
        self, partition: str, kinds: Sequence[str], owner: str, limit: int, now_ms: int, lease_ms: int
    ) -> list[Claim]:
        """Claim what is due or was left behind, oldest first."""
        due = await self.due(partition, kinds, now_ms)
        if limit < 1 or due is None or due > now_ms:
            return []  # nothing to claim costs no write
        self.claimed = True
        values = (partition, list(kinds), now_ms, limit, owner, now_ms + lease_ms)
        return [Claim(*row) for row in await self._pool.rows(_SQL["activations_claim"], values)]

    async def take(
        self, stream: str, kind: str, owner: str, now_ms: int, lease_ms: int, *, steal: bool = False
    ) -> Claim | Held:
        """Claim one stream, unless a living claim stands and it is not to be stolen."""
        self.claimed = True

        async def work(connection: Connection) -> Claim | Held:
            async with connection.transaction():
                found = await self._locked(connection, stream, kind)
                living = found.living(now_ms)
                if living is not None and not steal:
                    return Held(living)
                claimed = found.claimed(owner, now_ms + lease_ms)
                await _put(connection, claimed)
                return Claim(stream, claimed.kind, owner, claimed.epoch, now_ms + lease_ms)

        return await self._pool.run(work)

    @staticmethod
    async def _locked(connection: Connection, stream: str, kind: str) -> Activation:
        """The activation of a stream under its lock; made if there is none, so that there is something to lock."""
        rows = await rows_of(connection, _SQL["activations_lock"], ([stream],))
        if not rows:
            partitions = await rows_of(connection, _SQL["partition_of"], (stream,))
            partition = partitions[0][0] if partitions else tenant_of(stream)
            await connection.execute(_SQL["activation_make"], (stream, partition, kind))
            rows = await rows_of(connection, _SQL["activations_lock"], ([stream],))
        return Activation(*rows[0])

    async def renew(self, claims: Sequence[Claim], now_ms: int, lease_ms: int) -> list[bool]:
        """Extend each that is still ours."""
        if not claims:
            return []
        rows = await self._pool.rows(_SQL["activations_renew"], (*_columns(claims), now_ms + lease_ms))
        ours = {stream for (stream,) in rows}
        return [claim.stream in ours for claim in claims]

    async def release(self, claims: Sequence[Claim], until_ms: int | None) -> None:
        """Give back each that is still ours."""
        if claims and await self._pool.rows(_SQL["activations_release"], (*_columns(claims), until_ms)):
            self._changed()

    async def due(
        self,
        partition: str | None,
        kinds: Sequence[str],
        now_ms: int,  # noqa: ARG002 - of the port
    ) -> int | None:
        """When the first can be claimed: at its due time, or when the claim on it ends."""
        if not kinds:
            return None
        if partition is None:
            anywhere: int | None = await self._pool.one(_SQL["activation_next_anywhere"], (list(kinds),))
            return anywhere
        first: int | None = await self._pool.one(_SQL["activation_next"], (partition, list(kinds)))
        return first

    async def ready(self, kinds: Sequence[str], now_ms: int, after: str, limit: int) -> list[str]:
        """Partitions after `after` in which something can be claimed, in order."""
        if not kinds or limit < 1:
            return []
        due = await self._pool.rows(_SQL["activation_partitions_due"], (list(kinds), now_ms, DUE_MAX))
        if sum(count for _, count in due) < DUE_MAX:
            return sorted(partition for partition, _ in due if partition > after)[:limit]
        rows = await self._pool.rows(_SQL["activation_partitions"], (list(kinds), now_ms, after, limit))
        return sorted(partition for (partition,) in rows)

    async def holder(self, stream: str, now_ms: int) -> Claim | None:
        """The living claim on a stream."""
        found = await self.stored(stream)
        return None if found is None else found.living(now_ms)

    async def stored(self, stream: str) -> Activation | None:
        """The activation of a stream as it is stored, for who examines the store."""
        rows = await self._pool.rows(_SQL["activations_find"], ([stream],))
        return Activation(*rows[0][:7]) if rows else None

    async def scan(self, after: str, limit: int) -> list[Activation]:
        """Stored activations of streams after `after`, in order."""
        rows = await self._pool.rows(_SQL["activations_after"], (after, max(limit, 0)))
        return [Activation(*row) for row in rows]

    async def end(self, owner: str) -> None:
        """End every claim of an owner that takes its leave."""
        await self._pool.run(lambda connection: connection.execute(_SQL["claims_end"], (owner,)))


async def _put(connection: Connection, activation: Activation) -> None:
    await connection.execute(_SQL["activations_put"], tuple([value] for value in activation.values()))


def _columns(claims: Sequence[Claim]) -> tuple[list[str], list[str], list[int]]:
    return (
        [claim.stream for claim in claims],
        [claim.owner for claim in claims],
        [claim.epoch for claim in claims],
    )
