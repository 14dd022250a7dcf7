"""Claims on the streams of a store in memory.

What it does: the port `Activations` over the store's agenda. What it does not do: it reads no clock; every
caller says what time it is.

Rule: no method awaits between looking and writing, so each is atomic.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.base.events import Claim
from interlock.journal.ports import Held
from interlock.journal.streams import tenant_of
from interlock.stores.activation import Activation
from interlock.stores.memory.handle import Handle


class MemoryActivations:
    """`Activations` in memory."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._data = handle.data
        self._agenda = handle.data.agenda

    async def claim(
        self, partition: str, kinds: Sequence[str], owner: str, limit: int, now_ms: int, lease_ms: int
    ) -> list[Claim]:
        """Claim what is due or was left behind, oldest first."""
        self._handle.check_open()
        claims: list[Claim] = []
        while len(claims) < limit:
            place = self._agenda.next_open(partition, kinds)
            if place is None or place[0] > now_ms:
                break
            claims.append(self._claimed(place[1], owner, now_ms + lease_ms))
        return claims

    async def take(
        self, stream: str, kind: str, owner: str, now_ms: int, lease_ms: int, *, steal: bool = False
    ) -> Claim | Held:
        """Claim one stream, unless a living claim stands and it is not to be stolen."""
        self._handle.check_open()
        held = self._living(stream, now_ms)
        if held is not None and not steal:
            return Held(held)
        if self._agenda.get(stream) is None:
            partition = self._data.partition_of.get(stream, tenant_of(stream))
            self._agenda.put(stream, Activation(stream, partition, kind))
        return self._claimed(stream, owner, now_ms + lease_ms)

    def _claimed(self, stream: str, owner: str, expires_ms: int) -> Claim:
        activation = self._agenda.get(stream)
        if activation is None:
            raise KeyError(stream)
        claimed = activation.claimed(owner, expires_ms)
        self._agenda.put(stream, claimed)
        return Claim(stream, claimed.kind, owner, claimed.epoch, expires_ms)

    def _living(self, stream: str, now_ms: int) -> Claim | None:
        activation = self._agenda.get(stream)
        return None if activation is None else activation.living(now_ms)

    def _held_by(self, claim: Claim) -> Activation | None:
        """The activation, if the claim is still the one on it."""
        activation = self._agenda.get(claim.stream)
        if activation is None or (activation.owner, activation.epoch) != (claim.owner, claim.epoch):
            return None
        return activation

    async def renew(self, claims: Sequence[Claim], now_ms: int, lease_ms: int) -> list[bool]:
        """Extend each that is still ours."""
        self._handle.check_open()
        return [self._renewed(claim, now_ms + lease_ms) for claim in claims]

    def _renewed(self, claim: Claim, expires_ms: int) -> bool:
        activation = self._held_by(claim)
        if activation is None:
            return False
        self._agenda.put(claim.stream, activation.extended(expires_ms))
        return True

    async def release(self, claims: Sequence[Claim], until_ms: int | None) -> None:
        """Give back each that is still ours."""
        self._handle.check_open()
        for claim in claims:
            activation = self._held_by(claim)
            if activation is not None:
                self._agenda.put(claim.stream, activation.released(until_ms))
        self._data.changed()

    async def due(self, partition: str | None, kinds: Sequence[str], now_ms: int) -> int | None:  # noqa: ARG002
        """When the first can be claimed: at its due time, or when the claim on it ends."""
        self._handle.check_open()
        place = self._agenda.next_open(partition, kinds)
        return None if place is None else place[0]

    async def ready(self, kinds: Sequence[str], now_ms: int, after: str, limit: int) -> list[str]:
        """Partitions after `after` in which something can be claimed, in order."""
        self._handle.check_open()
        return self._agenda.ready(kinds, now_ms, after)[: max(limit, 0)]

    async def holder(self, stream: str, now_ms: int) -> Claim | None:
        """The living claim on a stream."""
        self._handle.check_open()
        return self._living(stream, now_ms)
