"""Attempts that a permission refused, in the tenant's stream `<tenant>/audit/access`.

What it does: declares the event and its decider, and records refusals. What it does not do: it decides no permission,
and records nothing of what an attempt was about: no input, no id, no secret.

Rules: for one principal and permission at most one attempt in `INTERVAL_MS` is recorded, and at most `PAIRS_MAX` of all
together, in a process: whoever tries without end fills no store. A refusal stands whether it can be recorded or not.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from interlock.base.clock import Clock
from interlock.base.errors import InterlockError
from interlock.base.events import EventType
from interlock.base.part import DecideContext, Decider, Decision
from interlock.base.principal import Principal
from interlock.journal.runner import Runner
from interlock.journal.streams import stream_id

AUDIT = "audit"
"""The kind of the stream."""

INTERVAL_MS = 60_000
PAIRS_MAX = 1_000
_LOG = logging.getLogger("interlock.access")


class AccessRefused(Struct, frozen=True):
    """A principal called a command without the permission that it asks for."""

    command: str
    permission: str
    principal: str


class RecordRefusal(Struct, frozen=True):
    """Record an attempt."""

    stream: str
    refused: AccessRefused


def audit_stream(tenant: str) -> str:
    """The stream of a tenant's refused attempts. Raises: `id_invalid`."""
    return stream_id(tenant, AUDIT, "access")


def _decide(_states: Mapping[str, Any], command: RecordRefusal, _context: DecideContext) -> Decision:
    return {command.stream: (command.refused,)}


DECIDER = Decider(
    name="access.audit",
    streams=lambda command: (command.stream,),
    initial=lambda _stream: None,
    decide=_decide,
    evolve=lambda state, _record, _place: state,
    result=lambda _events, _command: None,
)
EVENTS = (EventType("access.refused", 1, AccessRefused),)


class Audit:
    """Records what was refused, in bounds."""

    def __init__(self, runner: Runner, clock: Clock) -> None:
        self._runner = runner
        self._clock = clock
        self._recorded: dict[str, dict[tuple[str, str], int]] = {}
        """When each pair of a tenant was recorded last: what one does there keeps no other's attempts out."""

    async def refused(self, principal: Principal, permission: str, command: str) -> bool:
        """Record an attempt; False where the bounds, or the store, do not let it."""
        if not self._is_due(principal.tenant, (principal.id, permission)):
            return False
        order = RecordRefusal(audit_stream(principal.tenant), AccessRefused(command, permission, principal.id))
        try:
            await self._runner.execute(DECIDER, order, principal)
        except InterlockError as fault:
            _LOG.warning("a refused call of %s is not recorded (%s)", command, fault.code)
            return False
        return True

    def _is_due(self, tenant: str, pair: tuple[str, str]) -> bool:
        now_ms = self._clock.now_ms()
        recorded = self._recorded.setdefault(tenant, {})
        if 0 <= now_ms - recorded.get(pair, -INTERVAL_MS) < INTERVAL_MS:
            return False
        if len(recorded) >= PAIRS_MAX:
            recent = {each: at_ms for each, at_ms in recorded.items() if 0 <= now_ms - at_ms < INTERVAL_MS}
            self._recorded[tenant] = recorded = recent
            if len(recent) >= PAIRS_MAX:
                return False
        recorded[pair] = now_ms
        return True
