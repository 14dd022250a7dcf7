"""Leases for the rest of the product: acquire, renew, give back, and look.

What it does: names streams and command ids, executes the lease decider, and says how a request stands now. What it does
not do: it decides nothing, waits for nothing and renews nothing by itself.

Rules: a request id is the idempotency of a request, so asking again changes nothing and tells how it stands; only what
the lease's stream says now is answered, never a result that has been overtaken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from interlock.base.canonical import canonical, digest
from interlock.base.principal import Principal
from interlock.journal.errors import LEASE_LOST, LEASE_NOT_FOUND
from interlock.journal.leases.decide import (
    DECIDER,
    Acquire,
    Granted,
    LeaseAnswer,
    LeaseCommand,
    Queued,
    Release,
    Renew,
    RenewAll,
    Seize,
    Withdraw,
)
from interlock.journal.leases.events import lease_stream
from interlock.journal.leases.fold import LeaseState
from interlock.journal.runner import Runner

Answer = TypeVar("Answer")


class Leases:
    """All leases of a journal. `principal` says in which tenant, and who acts."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def acquire(
        self,
        name: str,
        *,
        holder: str,
        request_id: str,
        lease_ms: int,
        capacity: int,
        principal: Principal,
        units: int = 1,
        priority: int = 0,
        group: str = "",
        wake: str | None = None,
        over: int | None = None,
    ) -> Granted | Queued:
        """Ask for units, or, with a request id that was used before, how that request stands.

        `capacity` is how many units there are; the newest stated one holds. A grant out of the queue wakes the stream
        `wake`. The units of the holder's own token `over` go on under a new token. Raises: `lease_too_large`,
        `lease_invalid`, `lease_queue_full`; `command_id_conflict` for another request under the same id; `lease_lost`
        if this request has ended.
        """
        stream = lease_stream(principal.tenant, name)
        command = Acquire(stream, units, holder, request_id, lease_ms, capacity, priority, group, wake, over)
        await self._execute(command, principal, _acquire_id(stream, request_id))
        standing = await self.standing(name, request_id, principal=principal)
        if standing is None:
            raise LEASE_LOST.error("this request has ended: ask again under another request id", request=request_id)
        return standing

    async def standing(self, name: str, request_id: str, *, principal: Principal) -> Granted | Queued | None:
        """How a request stands; None where it neither holds nor waits. An expiry shows once it is recorded."""
        return await self.look(name, lambda state: _standing(state, request_id), principal=principal)

    async def renew(self, name: str, token: int, lease_ms: int, *, principal: Principal) -> Granted:
        """Hold on for `lease_ms` from now. Raises: `lease_lost`."""
        granted = await self._execute(Renew(lease_stream(principal.tenant, name), token, lease_ms), principal)
        assert isinstance(granted, Granted)  # noqa: S101 - every renewal is recorded or refused
        return granted

    async def renew_all(
        self, name: str, tokens: Collection[int], lease_ms: int, *, principal: Principal
    ) -> frozenset[int]:
        """As `renew` for several, in one append; return those that hold on. No error for those that have ended."""
        renewed = await self._execute(
            RenewAll(lease_stream(principal.tenant, name), tuple(sorted(tokens)), lease_ms), principal
        )
        assert isinstance(renewed, frozenset)  # noqa: S101 - the decider's answer to this command
        return renewed

    async def release(self, name: str, token: int, *, principal: Principal, command_id: str | None = None) -> bool:
        """Give the units of a token back; False if it held nothing any more."""
        command = Release(lease_stream(principal.tenant, name), token)
        return bool(await self._execute(command, principal, command_id))

    async def withdraw(self, name: str, request_id: str, *, principal: Principal) -> bool:
        """End a request, whether it waits or has been granted meanwhile; False if it had ended."""
        return bool(await self._execute(Withdraw(lease_stream(principal.tenant, name), request_id), principal))

    async def seize(
        self, name: str, token: int, reason: str, *, principal: Principal, command_id: str | None = None
    ) -> bool:
        """Take the units of a token away, for an operator; False if it held nothing any more.

        Its holder is not told: what it still does under its token is fenced out by the next one.
        """
        command = Seize(lease_stream(principal.tenant, name), token, reason)
        return bool(await self._execute(command, principal, command_id))

    async def look(self, name: str, read: Callable[[LeaseState], Answer], *, principal: Principal) -> Answer:
        """What `read` makes of a lease as it is now; it must keep nothing of the state."""
        return await self._runner.look(DECIDER, lease_stream(principal.tenant, name), read)

    async def require(self, name: str, *, principal: Principal) -> None:
        """Raises: `lease_not_found` if nobody ever asked for this lease."""
        if await self.look(name, lambda state: state.capacity, principal=principal) == 0:
            raise LEASE_NOT_FOUND.error("nobody ever asked for this lease")

    async def _execute(self, command: LeaseCommand, principal: Principal, command_id: str | None = None) -> LeaseAnswer:
        answer: LeaseAnswer = await self._runner.execute(DECIDER, command, principal, command_id)
        return answer


def _acquire_id(stream: str, request_id: str) -> str:
    """Request ids are unique in their lease, command ids in the partition."""
    return "lease:" + digest(canonical(["lease", stream, request_id]))


def _standing(state: LeaseState, request_id: str) -> Granted | Queued | None:
    token = state.token_of(request_id)
    if token is not None:
        return Granted(token, state.holders[token].expires_ms)
    if request_id not in state.queue:
        return None
    return Queued(next(n for n, request in enumerate(state.places(), 1) if request.request_id == request_id))
