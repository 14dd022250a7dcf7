"""Keeping claims alive while their runs are driven.

What it does: one task renews every claim that this process holds, well before it lapses, and `beside` what lives as
long (units of leases). What it does not do: it
takes and releases nothing, and it stops no handler; an owner that lost its claim learns it from its next append.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from interlock.base.clock import Clock
from interlock.base.errors import InterlockError
from interlock.base.events import Claim
from interlock.engine.background import Background
from interlock.journal.ports import Activations

RENEWALS_PER_LEASE = 3


class ClaimKeeper:
    """Renews held claims; its task lives only while there are any."""

    def __init__(
        self, activations: Activations, clock: Clock, lease_ms: int, beside: Callable[[], Awaitable[None]]
    ) -> None:
        self._activations = activations
        self._clock = clock
        self._lease_ms = lease_ms
        self._beside = beside
        self._held: dict[str, Claim] = {}
        self._task = Background(self._renew, "claim keeper")

    @contextmanager
    def keep(self, claim: Claim) -> Iterator[None]:
        """Renew `claim` while the block runs."""
        self._held[claim.stream] = claim
        self._task.start()
        try:
            yield
        finally:
            # This process may have taken the run again meanwhile: that claim is kept.
            if self._held.get(claim.stream) is claim:
                del self._held[claim.stream]

    async def close(self) -> None:
        """Stop renewing."""
        await self._task.close()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 1000 / RENEWALS_PER_LEASE)
            claims = list(self._held.values())
            if not claims:
                return
            with suppress(InterlockError):  # a store that fails tells the owner at its next append
                await self._activations.renew(claims, self._clock.now_ms(), self._lease_ms)
            await self._beside()
