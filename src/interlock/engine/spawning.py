"""How an attempt starts other runs, as the engine's loop sees it.

What it does: declares the port `Spawner`, and how a child that was started is recorded. What it does not do: it starts
nothing; `runs` does, which knows plans and stores.
"""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct

from interlock.engine.attempt import Attempt
from interlock.engine.config import RunConfig


class SpawnedChild(Struct, frozen=True):
    """The fact of a child that was started."""

    child_manifest_id: str
    child_run_id: str


def child_key(state_id: str, name: str) -> str:
    """The key of the fact that a child was started."""
    return f"child:{state_id}:{name}"


class Spawner(Protocol):
    """Starts child runs."""

    async def spawn(
        self,
        attempt: Attempt,
        plan: Any,
        input: Any,  # noqa: A002 - the contract's own word
        name: str,
        config: RunConfig | None,
        *,
        detached: bool,
    ) -> str:
        """Start the child `name` of an attempt's state, or find the one that was started before; return its run id.

        The parent's record of it is durable when this returns. `detached`: the child outlives its parent.
        Raises: `child_run_conflict`, `child_limit_exceeded`, and what starting a run raises.
        """
        ...
