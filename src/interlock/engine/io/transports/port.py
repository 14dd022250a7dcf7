"""The port behind which everything outside stands.

What it does: declares `Transport`, the way out that serves one group of namespaces, and `TransportContext`,
what it learns of the attempt that calls. What it does not do: it records nothing and retries nothing; live
IO does.

Rules for every transport:
 - request and answer are JSON, and the answer is canonical; a request is read by a strict record - it
 raises `InterlockError` alone, with `retryable` as data; no message or detail holds a secret, a part of a
   request or of an answer
 - the category `unavailable` says that nobody knows whether the outside did it; every other category says
 that
   nothing was sent, or that the outside answered that it failed
 - cancelling a call ends what it started; the time limit of a state arrives as a cancellation
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from interlock.base.canonical import Json
from interlock.base.ids import RunId, StateId


@dataclass(frozen=True, slots=True)
class TransportContext:
    """Who calls.

    `attempt` counts from 0. `idempotency_key` is the same over attempts and processes; a transport hands it
    on so that the outside can absorb a repetition. `local_plan` says that the user of this machine started
    the plan: it may run any program and name any secret that this user can reach, and other plans may not.
    `nix_flake_allowlist` is that of the run's own manifest.
    """

    run_id: RunId
    state_id: StateId
    attempt: int
    idempotency_key: str | None = None
    local_plan: bool = False
    nix_flake_allowlist: tuple[str, ...] = ()


class Transport(Protocol):
    """A way out. One instance serves an application, many calls at once, and is closed with it."""

    async def call(self, request: Json, context: TransportContext) -> Json:
        """Send `request` and give back the answer. Raises what the rules above allow."""
        ...

    def effectful(self, request: Json) -> bool:
        """Whether the request may change the outside, as far as its form tells; a malformed one may."""
        ...

    async def close(self) -> None:
        """Let go of connections and of what else is held; no call follows."""
        ...
