"""One process's turn at one subscription: reads the feed, and hands events to the sink, stream by stream.

What it does: opens a lane for each stream that has something to deliver, drives the lanes at once, each in order, holds
a lane back whose delivery failed, and writes how far everything is. What it does not do: it chooses no subscription and
takes no claim (`service`), and what a delivery means is the sink's.

The procedure, again and again:
 1. see what the events of the subscription order: an end, letters to redrive
 2. read a page of the feed, and open or lengthen the lanes of what the filter takes
 3. drive the lanes that are due, and wait a short while for them
 4. write cursor and lanes; what was delivered since the last write is delivered again after a crash, never left out
 5. at the end of the feed, wait for a commit, a lane that ends, or the time of the next attempt
Rules: a lane's own failure holds back that lane alone; a sink that asks to be left alone is; with too many lanes
nothing new is read; whoever lost the claim writes nothing any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from msgspec import Raw, Struct

from interlock.base.backoff import exponential_ms, jittered_ms
from interlock.base.errors import Corruption, InterlockError, Invalid, StorageFailure
from interlock.base.events import Claim
from interlock.base.part import Telling
from interlock.base.principal import Principal, PrincipalKind
from interlock.journal.chain import ChainReader, Envelope, event_digest, read_envelope
from interlock.journal.errors import (
    CLAIM_LOST,
    DELIVERY_TIMEOUT,
    EVENT_CORRUPT,
    FEED_HOLE,
    SINK_FAILED,
    SINK_GONE,
)
from interlock.journal.journal import Journal
from interlock.journal.ports import EMPTY, Head, StoredEvent
from interlock.journal.runner import Runner
from interlock.journal.streams import parse_stream, tenant_of
from interlock.journal.subscriptions.decide import (
    DECIDER,
    TEXT_CHARACTERS_MAX,
    Arrive,
    GiveUp,
    Pause,
    SubscriptionCommand,
)
from interlock.journal.subscriptions.events import key_of
from interlock.journal.subscriptions.filters import takes
from interlock.journal.subscriptions.fold import Orders, orders_of
from interlock.journal.subscriptions.port import Delivery, Sink
from interlock.journal.subscriptions.progress import Cursor, Lane, ProgressTable, table_of
from interlock.journal.subscriptions.settings import SubscriptionSettings

PAGE_EVENTS = 100
"""Events that are read at once, of the feed or of a lane's stream."""

SETTLE_MS = 200
"""How long lanes that were begun are waited for before the cursor is written without them."""

WAIT_MS_MAX = 30_000
RENEWALS_PER_LEASE = 3
HOLD_MS_MAX = 86_400_000
_NAME = "system:subscriptions"
_LOG = logging.getLogger("interlock.subscriptions")


Tell = Callable[[Envelope, StoredEvent, tuple[str, ...]], Awaitable[Telling | None]]
"""What is told of an event; None where it is for nobody of the audience. Raises: what stands in its part's way."""


class Delivered(Struct):
    """What a turn has come to so far: events delivered, deliveries that failed, dead letters."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0


class Follower:
    """Delivers one subscription, under a claim that its caller took and releases."""

    def __init__(
        self,
        journal: Journal,
        runner: Runner,
        settings: SubscriptionSettings,
        claim: Claim,
        orders: Orders,
        sink: Sink,
        tell: Tell,
    ) -> None:
        self.done = Delivered()
        self._tell = tell
        self._journal = journal
        self._runner = runner
        self._settings = settings
        self._claim = claim
        self._orders = orders
        self._sink = sink
        self._partition = tenant_of(claim.stream)
        self._table = ProgressTable(journal.store, self._partition, table_of(claim.stream, orders.generation))
        self._cursor = 0
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._hold_until_ms = 0
        self._over = False

    async def run(self, *, until_idle: bool) -> None:
        """Deliver until the subscription is paused, removed or lost; with `until_idle`, until nothing is due.

        Raises: `claim_lost`; `feed_hole`; what the store raises.
        """
        cursor, lanes = await self._table.open()
        ordered = {letter.key for letter in self._orders.redriven}
        self._lanes = {key: lane for key, lane in lanes.items() if not lane.redriven or key in ordered}
        cursor = cursor or Cursor(await beginning(self._journal, self._claim.stream, self._orders))
        self._cursor, self._hold_until_ms = cursor.position, cursor.hold_until_ms
        keeper = asyncio.ensure_future(self._keep_claim())
        try:
            await self._turns(keeper, until_idle=until_idle)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await self._stop()
            with suppress(InterlockError):  # what was not written is delivered again
                await self._save()

    async def _save(self) -> None:
        await self._table.save(Cursor(self._cursor, self._hold_until_ms), self._lanes)

    async def _turns(self, keeper: asyncio.Future[None], *, until_idle: bool) -> None:
        doorbell = self._journal.store.doorbell
        while not self._over and not keeper.done() and await self._ordered():
            seen = doorbell.seen()
            moved = await self._read_page()
            started = self._start_due()
            if started:
                await asyncio.wait(started, timeout=SETTLE_MS / 1000)
            ended = self._reap()
            await self._save()
            if moved or ended:
                continue
            if until_idle and not self._tasks and not self._due():
                return
            await self._rest(seen, keeper)
        if keeper.done():
            raise CLAIM_LOST.error("another process delivers this subscription now")

    async def _ordered(self) -> bool:
        """Whether to go on, by the events of the subscription; letters to redrive become lanes."""
        orders = await self._runner.look(DECIDER, self._claim.stream, orders_of)
        if orders is None or orders.paused or orders.generation != self._orders.generation:
            return False
        first = {letter.stream: letter for letter in reversed(orders.redriven)}
        for letter in first.values():
            self._lanes.setdefault(letter.key, Lane(letter.stream, letter.seq - 1, letter.seq, redriven=True))
        return True

    async def _read_page(self) -> bool:
        """Take a page of the feed into the lanes; whether the cursor moved."""
        before = self._cursor
        page = await self._journal.store.events.feed(self._partition, before, PAGE_EVENTS)
        if page and page[-1].position != before + len(page):
            raise FEED_HOLE.error(f"the feed misses a position after {before}", position=before)
        for event in page:
            if self._is_meant(event):
                if event.stream not in self._lanes and len(self._lanes) >= self._settings.parked_max:
                    break
                lane = self._lanes.setdefault(event.stream, Lane(event.stream, event.seq - 1, event.seq))
                lane.goal = event.seq
            self._cursor = event.position
        return self._cursor > before

    def _is_meant(self, event: StoredEvent) -> bool:
        """Whether the filter takes an event; one that cannot be read is its lane's to find damaged."""
        try:
            return takes(self._orders.filter, parse_stream(event.stream).kind, read_envelope(event).type)
        except Corruption:
            return True

    def _due(self) -> list[Lane]:
        """The lanes that can be driven now."""
        if not self._is_open():
            return []
        now_ms = self._journal.now_ms()
        return [lane for key, lane in self._lanes.items() if key not in self._tasks and lane.due_ms <= now_ms]

    def _is_open(self) -> bool:
        """Whether the sink may be asked: it is not gone, and did not ask for a pause."""
        return not self._over and self._journal.now_ms() >= self._hold_until_ms

    def _start_due(self) -> list[asyncio.Task[None]]:
        started = []
        for lane in self._due():
            task = self._tasks[lane.key] = asyncio.get_running_loop().create_task(self._drive(lane), name=lane.key)
            started.append(task)
        return started

    def _reap(self) -> bool:
        """Let go of the tasks that have ended; whether any has. Raises: what is no failure of a delivery."""
        ended = [key for key, task in self._tasks.items() if task.done()]
        for key in ended:
            self._tasks.pop(key).result()
        return bool(ended)

    async def _rest(self, seen: int, keeper: asyncio.Future[None]) -> None:
        """Wait for a commit, the end of a lane or of the claim, or the time at which something is due."""
        now_ms = self._journal.now_ms()
        dues = [max(lane.due_ms, self._hold_until_ms) for key, lane in self._lanes.items() if key not in self._tasks]
        wait_ms = min([WAIT_MS_MAX, *(max(due - now_ms, 0) for due in dues)])
        ring = asyncio.ensure_future(self._journal.store.doorbell.wait(seen, wait_ms))
        awaited: list[asyncio.Future[Any]] = [ring, keeper, *self._tasks.values()]
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ring.cancel()
            await asyncio.gather(ring, return_exceptions=True)

    async def _stop(self) -> None:
        """End the deliveries that are under way; nobody knows of them, so they are made again."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _keep_claim(self) -> None:
        """Renew the claim until it is lost."""
        activations, lease_ms = self._journal.store.activations, self._settings.claim_lease_ms
        kept = True
        while kept:
            await asyncio.sleep(lease_ms / 1000 / RENEWALS_PER_LEASE)
            with suppress(InterlockError):  # a store that fails tells at the next write
                [kept] = await activations.renew([self._claim], self._journal.clock.now_ms(), lease_ms)

    # One lane

    async def _drive(self, lane: Lane) -> None:
        """Deliver what a lane holds, until it is empty or a delivery fails."""
        key = lane.key
        async with self._slots:
            while lane.after < lane.goal:
                if not await self._drive_page(lane):
                    return
            # Between the look at the goal and this nobody else runs, so that no event is added in vain.
            del self._lanes[key]

    async def _drive_page(self, lane: Lane) -> bool:
        """Deliver the next events of a lane, each verified by the chain; whether the lane goes on."""
        limit = min(PAGE_EVENTS, lane.goal - lane.after)
        page = await self._journal.store.events.read(lane.stream, max(lane.after - 1, 0), limit + min(lane.after, 1))
        before = EMPTY
        if lane.after and page:
            before, page = Head(lane.after, event_digest(page[0].envelope)), page[1:]
        reader = ChainReader(self._journal.catalogue, lane.stream, before, decodes=False)
        if not page:
            return await self._failed(lane, EVENT_CORRUPT.error(f"{lane.stream} ends at {lane.after}"))
        for event in page:
            if not self._is_open():
                return False
            try:
                [recorded] = reader.take([event])
            except Corruption as damage:
                return await self._failed(lane, damage)
            if not await self._take(lane, recorded.envelope, event):
                return False
        return True

    async def _take(self, lane: Lane, envelope: Envelope, event: StoredEvent) -> bool:
        """Deliver an event, if it is meant; whether the lane goes on."""
        if lane.redriven or takes(self._orders.filter, parse_stream(event.stream).kind, envelope.type):
            telling = await self._told(envelope, event)
            if isinstance(telling, InterlockError):
                return await self._failed(lane, telling)
            if telling is not None:
                return await self._hand_over(lane, self._delivery(lane, envelope, event, telling.data))
        _advance(lane)
        return True

    async def _told(self, envelope: Envelope, event: StoredEvent) -> Telling | InterlockError | None:
        """What is told of an event, or why nothing can be. Raises: what our own store raises."""
        timeout_ms = self._settings.timeout_ms
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await self._tell(envelope, event, self._orders.filter.audience)
        except TimeoutError:
            return DELIVERY_TIMEOUT.error(f"it could not be told within {timeout_ms} ms")
        except StorageFailure:
            raise
        except InterlockError as fault:
            return fault
        except Exception as fault:  # noqa: BLE001 - what a part's code raises is not all declared
            _LOG.exception("the form of %s is at fault", envelope.type)
            return SINK_FAILED.error(f"telling the event ended with {type(fault).__name__}")

    async def _hand_over(self, lane: Lane, delivery: Delivery) -> bool:
        """Deliver an event that is meant; whether the lane goes on."""
        fault = await self._deliver(delivery)
        if fault is not None:
            return await self._failed(lane, fault)
        self.done.delivered += 1
        if lane.redriven:
            await self._execute(Arrive(self._claim, self._orders.generation, delivery.stream, delivery.seq))
        _advance(lane)
        return True

    def _delivery(self, lane: Lane, envelope: Envelope, event: StoredEvent, data: bytes | None) -> Delivery:
        return Delivery(
            key=key_of(event.stream, event.seq),
            subscription=parse_stream(self._claim.stream).id,
            store=self._journal.store.id,
            stream=event.stream,
            seq=event.seq,
            type=envelope.type,
            version=envelope.version,
            at_ms=envelope.at_ms,
            actor=envelope.actor,
            correlation=envelope.correlation,
            digest=event.digest,
            attempt=lane.attempts + 1,
            redriven=lane.redriven,
            data=None if data is None else Raw(data),
        )

    async def _deliver(self, delivery: Delivery) -> InterlockError | None:
        """Hand an event to the sink; why it has not got there, as far as anybody knows."""
        timeout_ms = self._settings.timeout_ms
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._sink.deliver(delivery)
        except TimeoutError:
            return DELIVERY_TIMEOUT.error(f"the sink did not take it within {timeout_ms} ms")
        except InterlockError as fault:
            return fault
        except Exception as fault:  # noqa: BLE001 - what a sink of a plug-in raises is not all declared
            _LOG.exception("a sink of %s is at fault", self._claim.stream)
            return SINK_FAILED.error(f"the sink ended with {type(fault).__name__}")
        return None

    async def _failed(self, lane: Lane, fault: InterlockError) -> bool:
        """Hold a lane back, or give its next event up; whether the lane goes on."""
        self.done.failed += 1
        lane.attempts, lane.code, lane.message = lane.attempts + 1, fault.code, fault.message[:TEXT_CHARACTERS_MAX]
        if fault.kind is SINK_GONE:
            self._over = True
            await self._execute(Pause(self._claim.stream, fault.message, fault.code, self._orders.generation))
            return False
        if lane.attempts >= self._settings.attempts_max or isinstance(fault, Invalid):
            generation, seq = self._orders.generation, lane.after + 1
            await self._execute(
                GiveUp(self._claim, generation, lane.stream, seq, lane.attempts, lane.code, lane.message)
            )
            self.done.dead += 1
            _advance(lane)
            return True
        now_ms = self._journal.now_ms()
        asked_ms = fault.details.get("retry_after_ms")
        if isinstance(asked_ms, int):
            self._hold_until_ms = max(self._hold_until_ms, now_ms + min(asked_ms, HOLD_MS_MAX))
        lane.due_ms = max(now_ms + self._delay_ms(lane), self._hold_until_ms)
        return False

    def _delay_ms(self, lane: Lane) -> int:
        settings = self._settings
        delay_ms = exponential_ms(settings.backoff_base_ms, settings.backoff_max_ms, lane.attempts - 1)
        return jittered_ms(delay_ms, self._journal.entropy.random_bytes(8))

    async def _execute(self, command: SubscriptionCommand) -> None:
        principal = Principal(id=_NAME, tenant=self._partition, kind=PrincipalKind.SYSTEM)
        await self._runner.execute(DECIDER, command, principal)


def _advance(lane: Lane) -> None:
    """Let a lane stand behind its next event."""
    lane.after, lane.attempts, lane.due_ms, lane.code, lane.message = lane.after + 1, 0, 0, "", ""


async def beginning(journal: Journal, stream: str, orders: Orders) -> int:
    """The position behind which a subscription begins: the one that it gives, or that of the event which added it."""
    if orders.after_position is not None:
        return orders.after_position
    [added] = await journal.store.events.read(stream, orders.generation - 1, 1)
    return added.position
