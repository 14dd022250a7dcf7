"""`Activations` on SQLite: claims on streams, in small transactions that share the writer's batches.

What it does: claims, renews and gives back; a claim whose owner has died on this computer has ended at once.
What it does not do: it drives nothing and reads no clock; every caller says what time it is.

Rules: looking and writing are one transaction; epochs only rise; who is alive is asked before the
transaction, which can only err on the side of the living.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import apsw
from msgspec.structs import replace

from interlock.base.events import Claim
from interlock.journal.ports import Held
from interlock.journal.streams import tenant_of
from interlock.stores.activation import DUE_MAX, Activation
from interlock.stores.sqlite.connection import FAULTS, Reader
from interlock.stores.sqlite.owners import Owners
from interlock.stores.sqlite.rows import Missing, RowShape, check_ascending
from interlock.stores.sqlite.statements import ManyRows, statements
from interlock.stores.sqlite.transaction import ACTIVATION
from interlock.stores.sqlite.writer import Writer

_SQL = statements("activations")
_FIND, _PUT = ManyRows(_SQL["activations_find"]), ManyRows(_SQL["activations_put"])
_END = ManyRows(_SQL["claims_end"])
_STREAM, _PARTITION = RowShape("activation", str), RowShape("activation", str)
_COUNTED = RowShape("activation", str, int)
_OWNER, _TIME = RowShape("activation", (str, Missing)), RowShape("activation", (int, Missing))


class SqliteActivations:
    """`Activations` over one opened store."""

    def __init__(self, reader: Reader, writer: Writer, owners: Owners) -> None:
        self._reader = reader
        self._writer = writer
        self._owners = owners

    async def claim(
        self, partition: str, kinds: Sequence[str], owner: str, limit: int, now_ms: int, lease_ms: int
    ) -> list[Claim]:
        """Claim what is due or was left behind, oldest first."""
        dead = self._dead(now_ms)
        due = await self.due(partition, kinds, now_ms)
        if limit < 1 or not kinds or (not dead and (due is None or due > now_ms)):
            return []  # nothing to claim costs no transaction

        def task(connection: apsw.Connection) -> list[Claim]:
            if dead:
                _END.run(connection.execute, dead, 1)
            found: list[Activation] = []
            for kind in set(kinds):
                rows = connection.execute(_SQL["activations_open"], (partition, kind, now_ms, limit)).fetchall()
                found += [Activation(*row) for row in ACTIVATION.checked(rows)]
            found.sort(key=lambda each: (each.open_ms or 0, each.stream))
            return _claim(connection, found[:limit], owner, now_ms + lease_ms)

        return cast("list[Claim]", await self._writer.write(task))

    async def take(
        self, stream: str, kind: str, owner: str, now_ms: int, lease_ms: int, *, steal: bool = False
    ) -> Claim | Held:
        """Claim one stream, unless a living claim stands and it is not to be stolen."""
        dead = self._dead(now_ms)

        def task(connection: apsw.Connection) -> Claim | Held:
            found = _find(connection, [stream]).get(stream)
            if found is None:
                found = Activation(stream, _partition_of(connection, stream), kind)
            claim = found.living(now_ms)
            if claim is not None and claim.owner not in dead and not steal:
                return Held(claim)
            return _claim(connection, [found], owner, now_ms + lease_ms)[0]

        return cast("Claim | Held", await self._writer.write(task))

    async def renew(self, claims: Sequence[Claim], now_ms: int, lease_ms: int) -> list[bool]:
        """Extend each that is still ours; raises `store_moved` where it is not at its place any more."""
        if not claims:
            return []
        self._owners.keep()

        def task(connection: apsw.Connection) -> list[bool]:
            found = _find(connection, [claim.stream for claim in claims])
            ours = [_is_ours(found, claim) for claim in claims]
            kept = [found[claim.stream] for claim, held in zip(claims, ours, strict=True) if held]
            _put(connection, [replace(each, expires_ms=now_ms + lease_ms) for each in kept])
            return ours

        return cast("list[bool]", await self._writer.write(task))

    async def release(self, claims: Sequence[Claim], until_ms: int | None) -> None:
        """Give back each that is still ours."""
        if not claims:
            return

        def task(connection: apsw.Connection) -> None:
            found = _find(connection, [claim.stream for claim in claims])
            _put(
                connection,
                [found[each.stream].released(until_ms) for each in claims if _is_ours(found, each)],
            )

        await self._writer.write(task)

    async def due(self, partition: str | None, kinds: Sequence[str], now_ms: int) -> int | None:
        """When the first can be claimed: at its due time, or when the claim on it ends."""
        if partition is None:
            times = [self._reader.one(_SQL["activation_next_anywhere"], _TIME, (kind,)) for kind in kinds]
        else:
            times = [self._reader.one(_SQL["activation_next"], _TIME, (partition, kind)) for kind in kinds]
        if self._abandoned(partition, kinds, now_ms):
            times.append(now_ms)
        return min((time for time in times if time is not None), default=None)

    async def ready(self, kinds: Sequence[str], now_ms: int, after: str, limit: int) -> list[str]:
        """Partitions after `after` in which something can be claimed, in order."""
        dead, found = self._dead(now_ms), set[str]()
        for kind in kinds:
            due = self._reader.rows(_SQL["activation_partitions_due"], _COUNTED, (kind, now_ms, DUE_MAX))
            if sum(count for _, count in due) < DUE_MAX:
                found.update(partition for partition, _ in due if partition > after)
            else:
                values = (kind, now_ms, after, max(limit, 0))
                found.update(row[0] for row in self._reader.rows(_SQL["activation_partitions"], _PARTITION, values))
            for owner in dead:
                left = self._reader.rows(_SQL["claims_partitions"], _PARTITION, (owner, kind, after))
                found.update(row[0] for row in left)
        return sorted(found)[: max(limit, 0)]

    def _abandoned(self, partition: str | None, kinds: Sequence[str], now_ms: int) -> bool:
        """Whether an owner that has died left a claim behind, in a partition or in any."""
        sql = _SQL["claims_of_anywhere" if partition is None else "claims_of"]
        place = () if partition is None else (partition,)
        dead = self._dead(now_ms)
        return any(self._reader.rows(sql, _STREAM, (owner, kind, *place)) for owner in dead for kind in kinds)

    async def holder(self, stream: str, now_ms: int) -> Claim | None:
        """The living claim on a stream."""
        rows = self._reader.many(_FIND, ACTIVATION, [stream])
        claim = Activation(*rows[0]).living(now_ms) if rows else None
        return claim if claim is not None and self._owners.is_alive(claim.owner) else None

    async def stored(self, stream: str) -> Activation | None:
        """The activation of a stream as it is stored, for who examines the store."""
        rows = self._reader.many(_FIND, ACTIVATION, [stream])
        return Activation(*rows[0]) if rows else None

    async def scan(self, after: str, limit: int) -> list[Activation]:
        """Stored activations of streams after `after`, in order."""
        rows = self._reader.rows(_SQL["activations_after"], ACTIVATION, (after, max(limit, 0)))
        check_ascending("activation", [after, *(row[0] for row in rows)])
        return [Activation(*row) for row in rows]

    def _dead(self, now_ms: int) -> list[str]:
        """Owners that have died while their claims have not expired; costs one look for each owner."""
        dead: list[str] = []
        owner = self._owner_after("")
        while owner is not None:
            held = () if self._owners.is_alive(owner) else (owner, now_ms)
            if held and self._reader.rows(_SQL["claim_unexpired"], _STREAM, held):
                dead.append(owner)
            owner = self._owner_after(owner)
        return dead

    def _owner_after(self, owner: str) -> str | None:
        found: str | None = self._reader.one(_SQL["owner_after"], _OWNER, (owner,))
        if found is not None:
            check_ascending("activation", [owner, found])
        return found


def names_owner(connection: apsw.Connection, owner: str) -> bool:
    """Whether any claim, living or not, is that of an owner; True where it cannot be told."""
    try:
        return connection.execute(_SQL["claim_named"], (owner,)).fetchone() is not None
    except FAULTS:
        return True


def _find(connection: apsw.Connection, streams: Sequence[str]) -> dict[str, Activation]:
    rows = ACTIVATION.checked(_FIND.select(connection.execute, streams))
    return {row[0]: Activation(*row) for row in rows}


def _put(connection: apsw.Connection, activations: Sequence[Activation]) -> None:
    values = [value for each in activations for value in each.values()]
    if values:
        _PUT.run(connection.execute, values, 7)


def _claim(connection: apsw.Connection, activations: Sequence[Activation], owner: str, expires_ms: int) -> list[Claim]:
    claimed = [each.claimed(owner, expires_ms) for each in activations]
    _put(connection, claimed)
    return [claim for each in claimed if (claim := each.claim) is not None]


def _is_ours(found: dict[str, Activation], claim: Claim) -> bool:
    """Whether a claim is still the one on its stream."""
    activation = found.get(claim.stream)
    return activation is not None and (activation.owner, activation.epoch) == (claim.owner, claim.epoch)


def _partition_of(connection: apsw.Connection, stream: str) -> str:
    """The partition of a stream, by default its tenant."""
    partition = connection.execute(_SQL["partition_of"], (stream,)).get
    return partition if isinstance(partition, str) else tenant_of(stream)
