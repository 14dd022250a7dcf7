"""Follows what a server has been told to drive, so that a line over a server ends as the same line on a store.

What it does: has the server start it, then asks how it stands, with growing pauses, until it is over. What it does not
do: it drives nothing, draws nothing and knows no noun.

Rules: to stop looking stops nothing; who else asks meanwhile how it stands is told what was heard last; a server that
is away for a moment is asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from interlock.base.errors import InterlockError
from interlock.base.part import Command, unheard
from interlock.surfaces.caller import Caller
from interlock.surfaces.cli.presentation import Progress

PAUSE_SECONDS_FIRST: Final = 0.1
PAUSE_SECONDS_MAX: Final = 2.0
FAILURES_MAX: Final = 5
"""Questions in a row that may come to nothing."""

_GROWTH: Final = 1.3
_DETACH: Final = "detach"
"""The member of an input by which a caller wants no more than the start."""


class Following:
    """A server's client whose verb that drives is over when what it drives is."""

    def __init__(
        self,
        client: Caller,
        command: Command,
        progress: Progress,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._command = command
        self._progress = progress
        self._sleep = sleep
        self._heard: Struct | None = None

    async def call(
        self,
        name: str,
        given: Struct | Mapping[str, object],
        *,
        command_id: str | None = None,
        begun: Callable[[str], None] = unheard,
    ) -> Struct:
        """As of a client. Raises: what the server answers; what asking how it stands comes to."""
        if name == self._progress.query and self._heard is not None:
            return self._heard
        if name != self._command.name:
            return await self._client.call(name, given, command_id=command_id)
        members = asdict(given) if isinstance(given, Struct) else dict(given)
        return await self._followed(members, command_id, begun)

    async def _followed(self, given: dict[str, Any], command_id: str | None, begun: Callable[[str], None]) -> Struct:
        progress, afar = self._progress, self._progress.afar
        key, is_less = str(given[progress.key]), bool(given.get(_DETACH))
        if afar is None or is_less:
            output = await self._client.call(self._command.name, given, command_id=command_id)
            begun(key)
            return output
        first = await self._client.call(self._command.name, {**given, _DETACH: True}, command_id=command_id)
        begun(key)
        pause_s = PAUSE_SECONDS_FIRST
        while not await afar.is_over(self._client, stands := await self._asked(key)):
            await self._sleep(pause_s)
            pause_s = min(pause_s * _GROWTH, PAUSE_SECONDS_MAX)
        return await afar.came_to(self._client, first, stands)

    async def _asked(self, key: str) -> Struct:
        """How it stands. Raises: what the last of several questions comes to."""
        for _ in range(FAILURES_MAX - 1):
            try:
                self._heard = await self._client.call(self._progress.query, {self._progress.asks: key})
            except InterlockError as fault:
                if not fault.retryable:
                    raise
                await self._sleep(PAUSE_SECONDS_MAX)
            else:
                return self._heard
        self._heard = await self._client.call(self._progress.query, {self._progress.asks: key})
        return self._heard
