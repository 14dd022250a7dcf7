"""Whoever calls commands: the client of a store of this machine, or that of a server.

It declares the one method that both have, and does nothing. Rule: a surface that asks for no more works with either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from interlock.base.part import unheard


class Caller(Protocol):
    """Calls the commands of one catalogue for one principal."""

    async def call(
        self,
        name: str,
        given: Struct | Mapping[str, object],
        *,
        command_id: str | None = None,
        begun: Callable[[str], None] = unheard,
    ) -> Struct:
        """Run the command `name` and return its output. Raises: what checking the input and the command raise."""
        ...
