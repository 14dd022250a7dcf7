"""The turnstile of a process: units of leases that its runs hold, and requests that wait for some.

What it does: asks for units, renews those that are held, gives them back, and rouses whoever waits once their request
waits no longer. What it does not do: it knows no plan and writes to no run (`units` does), and no order (the leases).

Rules: a unit lives as long as a claim on a run, and is renewed with it, in one append for each lease; a unit that a
dead owner held comes back when it expires, and whoever waits for it sees to that; waiting costs one look at a lease for
all that wait for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from interlock.base.errors import InterlockError
from interlock.base.principal import ENGINE, Principal
from interlock.engine.background import Background
from interlock.engine.decide import EngineSettings
from interlock.engine.flow.limits import Ask
from interlock.engine.reports.records import Standing, UnitHolder
from interlock.engine.run_state import RunState
from interlock.journal.errors import LEASE_LOST
from interlock.journal.journal import Journal
from interlock.journal.leases import Granted, Leases, Queued
from interlock.journal.leases.fold import Holder, LeaseState
from interlock.journal.streams import parse_stream, tenant_of
from interlock.journal.timers import TimerService

_LOG = logging.getLogger("interlock.engine")
News = Callable[[], None]


class Found(NamedTuple):
    """A request of a run as its lease has it: waiting at `place`, or holding under `token`."""

    request_id: str
    place: int
    token: int | None
    expires_ms: int


class Turnstile:
    """Units and requests of one process. Its tasks live only while anybody waits."""

    def __init__(self, journal: Journal, leases: Leases, timers: TimerService, settings: EngineSettings) -> None:
        self._journal = journal
        self._leases = leases
        self._timers = timers
        self._settings = settings
        self._held: dict[tuple[str, str], dict[int, News]] = {}
        self._waiting: dict[tuple[str, str], dict[str, News]] = {}
        self._moved = asyncio.Event()
        self._task = Background(self._poll, "turnstile")

    async def close(self) -> None:
        """Rouse nobody any more."""
        await self._task.close()

    async def find(self, tenant: str, lease: str, prefix: str) -> Found | None:
        """The request whose id begins with `prefix`, if it waits or holds."""
        now_ms = self._journal.now_ms()
        return await self._leases.look(lease, lambda state: _find(state, prefix, now_ms), principal=_as(tenant))

    async def acquire(
        self, stream: str, ask: Ask, request_id: str, over: int | None, on_lost: News
    ) -> Granted | Queued | None:
        """Ask for a unit for the run `stream`; one of a flow that is granted is renewed, until it is given back.

        None where the request ended before its answer came: the store was away, or this process stood still.
        Raises: `lease_queue_full` and whatever else the lease refuses with.
        """
        tenant = tenant_of(stream)
        kept_ms = self._settings.claim_lease_ms
        try:
            standing = await self._leases.acquire(
                ask.lease,
                holder=stream,
                request_id=request_id,
                lease_ms=kept_ms if ask.kept_ms is None else max(kept_ms, ask.kept_ms),
                capacity=ask.capacity,
                principal=_as(tenant),
                priority=ask.priority,
                group=ask.group,
                wake=stream,
                over=over,
            )
        except InterlockError as fault:
            if fault.kind is not LEASE_LOST:
                raise
            return None
        if isinstance(standing, Granted) and ask.kept_ms is None:
            self.keep(tenant, ask.lease, standing.token, on_lost)
        return standing

    def keep(self, tenant: str, lease: str, token: int, on_lost: News) -> None:
        """Renew a token until it is given back; `on_lost` is called if it ends otherwise."""
        self._held.setdefault((tenant, lease), {})[token] = on_lost

    async def use(self, tenant: str, lease: str, token: int, kept_ms: int) -> bool:
        """Let a unit of a rate count from now on; False if it came back meanwhile."""
        try:
            await self._leases.renew(lease, token, kept_ms, principal=_as(tenant))
        except InterlockError as fault:
            if fault.kind is not LEASE_LOST:
                raise
            return False
        return True

    async def release(self, tenant: str, lease: str, token: int) -> None:
        """Give a token back. What cannot be told to the store comes back when it expires."""
        held = self._held.get((tenant, lease), {})
        held.pop(token, None)
        if not held:
            self._held.pop((tenant, lease), None)
        await self._quietly(self._leases.release(lease, token, principal=_as(tenant)), lease)

    async def withdraw(self, tenant: str, lease: str, request_id: str) -> None:
        """Wait no longer."""
        self.unwatch(tenant, lease, request_id)
        await self._quietly(self._leases.withdraw(lease, request_id, principal=_as(tenant)), lease)

    async def _quietly(self, work: Coroutine[Any, Any, bool], lease: str) -> None:
        try:
            await asyncio.shield(asyncio.ensure_future(work))
        except InterlockError as fault:
            _LOG.warning("a unit of %s comes back when it expires (%s)", lease, fault.code)
        self._moved.set()

    async def renew(self) -> None:
        """Hold on to every unit, with one append for each lease."""
        await asyncio.gather(*(self._renew(*key) for key in list(self._held)))

    async def _renew(self, tenant: str, lease: str) -> None:
        tokens = set(self._held.get((tenant, lease), {}))
        with suppress(InterlockError):  # a store that fails tells the owner at its next append
            kept = await self._leases.renew_all(lease, tokens, self._settings.claim_lease_ms, principal=_as(tenant))
            for token in tokens - kept:
                on_lost = self._held.get((tenant, lease), {}).pop(token, None)
                if on_lost is not None:
                    on_lost()

    def watch(self, tenant: str, lease: str, request_id: str, news: News) -> None:
        """Call `news` once the request waits no longer."""
        self._waiting.setdefault((tenant, lease), {})[request_id] = news
        self._task.start()

    def unwatch(self, tenant: str, lease: str, request_id: str) -> None:
        """Tell nobody about a request any more."""
        waiting = self._waiting.get((tenant, lease), {})
        waiting.pop(request_id, None)
        if not waiting:
            self._waiting.pop((tenant, lease), None)

    async def turn(self, state: RunState, until_ms: int | None) -> None:
        """Wait until a run that is queued may go on, or something else has happened to it."""
        tenant, news = tenant_of(state.stream), asyncio.Event()
        for each in state.queued:
            self.watch(tenant, each.lease, each.request_id, news.set)
        known = [state.seq, state.inbox_seq]
        try:
            while not news.is_set() and (until_ms is None or self._journal.now_ms() < until_ms):
                left_ms = self._settings.watch_interval_ms
                if until_ms is not None:
                    left_ms = min(left_ms, max(until_ms - self._journal.now_ms(), 0))
                with suppress(TimeoutError):
                    async with asyncio.timeout(left_ms / 1000):
                        await news.wait()
                heads = await self._journal.store.events.heads([state.stream, f"{state.stream}/inbox"])
                if [head.seq for head in heads] != known:
                    return
        finally:
            for each in state.queued:
                self.unwatch(tenant, each.lease, each.request_id)

    async def still_waits(self, state: RunState) -> bool:
        """Whether every request of a queued run still waits."""
        found = [await self.standing(state.stream, each.lease, each.request_id) for each in state.queued]
        return bool(found) and None not in found

    async def standing(self, stream: str, lease: str, request_id: str) -> Standing | None:
        """How a request that waits stands; None if it waits no longer."""

        def read(state: LeaseState) -> Standing | None:
            if request_id not in state.queue:
                return None
            holders = tuple(_shown(each) for _, each in sorted(state.holders.items()))
            return Standing(lease, _place(state, request_id), state.capacity, holders)

        return await self._leases.look(lease, read, principal=_as(tenant_of(stream)))

    async def _poll(self) -> None:
        """Look at every lease that somebody waits for: at once when a unit was given back here, else now and then."""
        while self._waiting:
            self._moved.clear()
            for tenant, lease in list(self._waiting):
                with suppress(InterlockError):  # a store that fails tells whoever waits at their next look
                    await self._look(tenant, lease)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.inbox_poll_ms / 1000):
                    await self._moved.wait()

    async def _look(self, tenant: str, lease: str) -> None:
        def read(state: LeaseState) -> tuple[set[str], int | None]:
            return set(state.queue), min((each.expires_ms for each in state.holders.values()), default=None)

        waiting, back_ms = await self._leases.look(lease, read, principal=_as(tenant))
        now_ms = self._journal.now_ms()
        if back_ms is not None and back_ms <= now_ms:
            await self._timers.fire_due(tenant, now_ms)
            waiting, _ = await self._leases.look(lease, read, principal=_as(tenant))
        for request_id, news in list(self._waiting.get((tenant, lease), {}).items()):
            if request_id not in waiting:
                self.unwatch(tenant, lease, request_id)
                news()


def _as(tenant: str) -> Principal:
    return ENGINE if tenant == ENGINE.tenant else msgspec.structs.replace(ENGINE, tenant=tenant)


def _shown(holder: Holder) -> UnitHolder:
    """A holder by the id of its run; one that is no run as the lease names it."""
    try:
        return UnitHolder(parse_stream(holder.holder).id, holder.expires_ms)
    except InterlockError:
        return UnitHolder(holder.holder, holder.expires_ms)


def _find(state: LeaseState, prefix: str, now_ms: int) -> Found | None:
    for token, holder in state.holders.items():
        if holder.request_id.startswith(prefix) and holder.expires_ms > now_ms:
            return Found(holder.request_id, 0, token, holder.expires_ms)
    waiting = next((each for each in state.queue if each.startswith(prefix)), None)
    return None if waiting is None else Found(waiting, _place(state, waiting), None, 0)


def _place(state: LeaseState, request_id: str) -> int:
    return next(place for place, each in enumerate(state.places(), 1) if each.request_id == request_id)
