"""The ports that a pack has nothing behind: index, views, activations, timers, doorbell.

What it does: answers every question with nothing. What it does not do: it takes nothing: a pack is never written to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from interlock.base.errors import InterlockError
from interlock.base.events import Claim, Timer
from interlock.journal.errors import STORE_UNWRITABLE
from interlock.journal.ports import Held, ViewRow


def unwritable() -> InterlockError:
    """The error of whoever would write to a pack."""
    return STORE_UNWRITABLE.error("a pack is only read")


class NoIndex:
    """No row."""

    async def get(self, partition: str, index: str, keys: Sequence[str]) -> list[bytes | None]:  # noqa: ARG002
        """Nothing at each key."""
        return [None] * len(keys)

    async def scan(self, partition: str, index: str, prefix: str, after: str, limit: int) -> list[tuple[str, bytes]]:  # noqa: ARG002
        """No rows."""
        return []

    async def names(self, partition: str) -> list[str]:  # noqa: ARG002
        """No index."""
        return []


class NoViews:
    """No table."""

    async def apply(self, partition: str, view: str, rows: Sequence[ViewRow], before: int, position: int) -> bool:  # noqa: ARG002
        """Raises: `store_unwritable`."""
        raise unwritable()

    async def position(self, partition: str, view: str) -> int:  # noqa: ARG002
        """The start."""
        return 0

    async def rows(self, partition: str, view: str, keys: Sequence[str]) -> list[bytes | None]:  # noqa: ARG002
        """Nothing at each key."""
        return [None] * len(keys)

    async def query(
        self,
        partition: str,  # noqa: ARG002
        view: str,  # noqa: ARG002
        terms: Mapping[str, str],  # noqa: ARG002
        before: tuple[int, str] | None,  # noqa: ARG002
        limit: int,  # noqa: ARG002
    ) -> list[tuple[int, str, bytes]]:
        """No rows."""
        return []

    async def drop(self, partition: str, view: str) -> None:  # noqa: ARG002
        """Raises: `store_unwritable`."""
        raise unwritable()


class NoActivations:
    """Nobody drives anything."""

    async def claim(
        self,
        partition: str,  # noqa: ARG002
        kinds: Sequence[str],  # noqa: ARG002
        owner: str,  # noqa: ARG002
        limit: int,  # noqa: ARG002
        now_ms: int,  # noqa: ARG002
        lease_ms: int,  # noqa: ARG002
    ) -> list[Claim]:
        """Nothing is due."""
        return []

    async def take(
        self,
        stream: str,  # noqa: ARG002
        kind: str,  # noqa: ARG002
        owner: str,  # noqa: ARG002
        now_ms: int,  # noqa: ARG002
        lease_ms: int,  # noqa: ARG002
        *,
        steal: bool = False,  # noqa: ARG002
    ) -> Claim | Held:
        """Raises: `store_unwritable`."""
        raise unwritable()

    async def renew(self, claims: Sequence[Claim], now_ms: int, lease_ms: int) -> list[bool]:  # noqa: ARG002
        """None is ours."""
        return [False] * len(claims)

    async def release(self, claims: Sequence[Claim], until_ms: int | None) -> None:
        """None is ours."""

    async def due(self, partition: str | None, kinds: Sequence[str], now_ms: int) -> int | None:  # noqa: ARG002
        """Nothing waits."""
        return None

    async def ready(self, kinds: Sequence[str], now_ms: int, after: str, limit: int) -> list[str]:  # noqa: ARG002
        """Nowhere."""
        return []

    async def holder(self, stream: str, now_ms: int) -> Claim | None:  # noqa: ARG002
        """Nobody."""
        return None


class NoTimers:
    """No timer."""

    async def due(self, partition: str, now_ms: int, limit: int) -> list[Timer]:  # noqa: ARG002
        """None."""
        return []

    async def next_due(self, partition: str | None) -> int | None:  # noqa: ARG002
        """Never."""
        return None

    async def ready(self, now_ms: int, after: str, limit: int) -> list[str]:  # noqa: ARG002
        """Nowhere."""
        return []

    async def scan(self, partition: str, after: str, limit: int) -> list[Timer]:  # noqa: ARG002
        """None."""
        return []


class NoDoorbell:
    """Nothing is ever committed."""

    def seen(self) -> int:
        """Always the same mark."""
        return 0

    async def wait(self, seen: int, timeout_ms: int) -> int:
        """The same mark, later."""
        await asyncio.sleep(timeout_ms / 1000)
        return seen
