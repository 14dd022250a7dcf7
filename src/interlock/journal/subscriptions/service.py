"""Subscriptions for the rest of the product: add, look, pause, resume, redrive, remove, and deliver.

What it does: executes the subscription decider, makes sinks, and gives each subscription one deliverer at a time by a
claim on its stream. What it does not do: it decides nothing, and how events get to a sink is the follower's.

Rules: a process that is delivering keeps its claim alive, and another takes over when it ends; a subscription whose
sink cannot be made, or that cannot be delivered for another reason, holds up no other; nothing here is in the way of
who writes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct

from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError, StorageFailure
from interlock.base.events import Claim
from interlock.base.part import EventForm, Services, SinkFactory, Subscriber, Telling
from interlock.base.principal import Principal, PrincipalKind
from interlock.journal.chain import Envelope
from interlock.journal.cursor import read_own_cursor, write_cursor
from interlock.journal.errors import SINK_TARGET_INVALID, SINK_UNKNOWN, SUBSCRIPTION_NOT_FOUND
from interlock.journal.journal import Journal
from interlock.journal.ports import Held, StoredEvent
from interlock.journal.runner import Runner
from interlock.journal.streams import tenant_of
from interlock.journal.subscriptions.decide import (
    DECIDER,
    Add,
    Pause,
    Redrive,
    Remove,
    Resume,
    SubscriptionCommand,
)
from interlock.journal.subscriptions.events import SUBSCRIPTION, Filter, subscription_stream
from interlock.journal.subscriptions.fold import SubscriptionState, orders_of
from interlock.journal.subscriptions.follower import Delivered, Follower, beginning
from interlock.journal.subscriptions.port import Sink
from interlock.journal.subscriptions.progress import Lane, read_progress, table_of
from interlock.journal.subscriptions.settings import SubscriptionSettings

BEGINNING, NOW = "beginning", "now"
FAILED_PAUSE_MS = 10_000
"""How long a subscription is left alone that could not be delivered for another reason than its sink's."""

_PAGE = 1_000
_LOG = logging.getLogger("interlock.subscriptions")
Answer = TypeVar("Answer")


class Standing(Struct, frozen=True):
    """How far a subscription is: `cursor` in the feed, `behind` it so many events, and the streams held back."""

    cursor: str
    behind: int
    lanes: list[Lane]
    deliverer: str | None


class Subscriptions:
    """All subscriptions of a journal. `principal` says in which tenant, and who acts."""

    def __init__(
        self,
        journal: Journal,
        runner: Runner,
        settings: SubscriptionSettings,
        sinks: Iterable[SinkFactory],
        forms: Iterable[EventForm],
        services: Services,
    ) -> None:
        self._journal = journal
        self._runner = runner
        self._settings = settings
        self._services = services
        self._sinks: dict[str, SinkFactory] = {}
        self._forms = {form.type: form for form in forms}
        self.delivered = 0
        """Events that this process has delivered, of every subscription."""

        for factory in sinks:
            if self._sinks.setdefault(factory.name, factory) is not factory:
                raise ValueError(f"declared twice: sink {factory.name}")

    async def add(
        self,
        name: str,
        *,
        sink: str,
        target: Mapping[str, object],
        principal: Principal,
        types: Iterable[str] = (),
        kinds: Iterable[str] = (),
        audience: Iterable[str] = (),
        start: str = NOW,
        command_id: str | None = None,
    ) -> bool:
        """Deliver events of the principal's tenant from `start` on: `now`, the `beginning`, or a cursor of its feed.

        With an `audience`, only events that say for whom they are, and are for one of it.
        False where it is there as it is given. Raises: `subscription_invalid`, `subscription_exists`, `sink_unknown`,
        `sink_target_invalid`, what making the sink raises, `cursor_invalid`, `cursor_foreign`.
        """
        content = canonical(dict(target))
        subscriber = Subscriber(principal.tenant, local=principal.kind is PrincipalKind.LOCAL)
        await self._made(sink, content, subscriber).close()
        after = {NOW: None, BEGINNING: 0}.get(start, -1)
        if after == -1:
            after = read_own_cursor(self._journal.store.id, principal.tenant, start)
        stream = subscription_stream(principal.tenant, name)
        command = Add(stream, sink, content.decode(), Filter(tuple(audience), tuple(kinds), tuple(types)), after)
        return await self._execute(command, principal, command_id) > 0

    async def pause(
        self,
        name: str,
        reason: str,
        *,
        principal: Principal,
        command_id: str | None = None,
        expect_version: int | None = None,
    ) -> bool:
        """Deliver nothing until it is resumed; False if it is paused.

        Raises: `subscription_not_found`, `version_moved`.
        """
        command = Pause(subscription_stream(principal.tenant, name), reason, expect_version=expect_version)
        return await self._execute(command, principal, command_id) > 0

    async def resume(
        self, name: str, *, principal: Principal, command_id: str | None = None, expect_version: int | None = None
    ) -> bool:
        """Deliver again from where it stood; False if it is not paused.

        Raises: `subscription_not_found`, `version_moved`.
        """
        command = Resume(subscription_stream(principal.tenant, name), expect_version)
        return await self._execute(command, principal, command_id) > 0

    async def redrive(
        self,
        name: str,
        keys: Iterable[str] = (),
        *,
        principal: Principal,
        command_id: str | None = None,
        expect_version: int | None = None,
    ) -> int:
        """Have dead letters delivered again, those of `keys` or all; how many. Their later events may have gone before.

        Raises: `subscription_not_found`, `letter_not_found`, `version_moved`.
        """
        command = Redrive(subscription_stream(principal.tenant, name), tuple(keys), expect_version)
        return await self._execute(command, principal, command_id)

    async def remove(
        self, name: str, *, principal: Principal, command_id: str | None = None, expect_version: int | None = None
    ) -> bool:
        """Forget a subscription and how far it was; False if there is none, and nothing is left of the last one.

        Raises: `version_moved`.
        """
        stream = subscription_stream(principal.tenant, name)
        removed = await self._execute(Remove(stream, expect_version), principal, command_id) > 0
        generation = await self._runner.look(DECIDER, stream, lambda state: state.removed)
        if generation:
            await self._journal.store.views.drop(principal.tenant, table_of(stream, generation))
        return removed

    async def look(self, name: str, read: Callable[[SubscriptionState], Answer], *, principal: Principal) -> Answer:
        """What `read` makes of a subscription as it is now; it keeps nothing of the state.

        Raises: `subscription_not_found`.
        """
        stream = subscription_stream(principal.tenant, name)
        if not await self._runner.look(DECIDER, stream, lambda state: state.generation):
            raise SUBSCRIPTION_NOT_FOUND.error("there is no such subscription")
        return await self._runner.look(DECIDER, stream, read)

    async def standing(self, name: str, *, principal: Principal) -> Standing:
        """How far a subscription is, as of its last write. Raises: `subscription_not_found`."""
        store, tenant = self._journal.store, principal.tenant
        orders = await self.look(name, orders_of, principal=principal)
        stream = subscription_stream(tenant, name)
        assert orders is not None  # noqa: S101 - `look` has refused what is not there
        _, cursor, lanes = await read_progress(store, tenant, table_of(stream, orders.generation))
        position = await beginning(self._journal, stream, orders) if cursor is None else cursor.position
        behind = await store.events.position(tenant) - position
        holder = await store.activations.holder(stream, self._journal.now_ms())
        deliverer = None if holder is None else holder.owner
        return Standing(write_cursor(store.id, tenant, position), max(behind, 0), list(lanes.values()), deliverer)

    async def deliver_once(self, partition: str = "default") -> dict[str, Delivered]:
        """Deliver what is due of every subscription, one after the other, and return what came of each.

        One that is paused, or that another process delivers, is passed over. Raises: the error of the first that could
        not be delivered for another reason than its sink's, once all others have been.
        """
        done: dict[str, Delivered] = {}
        failed: list[InterlockError] = []
        for name in await self._names(partition):
            try:
                delivered = await self._deliver(subscription_stream(partition, name), until_idle=True)
            except InterlockError as fault:
                failed.append(fault)
            else:
                done |= {} if delivered is None else {name: delivered}
        if failed:
            raise failed[0]
        return done

    async def serve(self, partition: str = "default") -> None:
        """Deliver every subscription of a partition until it is cancelled or the store has closed.

        One that cannot be delivered is tried again after a pause. Raises: what is of no use to try again.
        """
        tasks: dict[str, asyncio.Task[Delivered | None]] = {}
        resting: dict[str, int] = {}
        loop, clock = asyncio.get_running_loop(), self._journal.clock
        try:
            while True:
                for name in [name for name, task in tasks.items() if task.done()]:
                    if _has_failed(tasks.pop(name)):
                        resting[name] = clock.now_ms() + FAILED_PAUSE_MS
                for name in await self._names(partition):
                    if name not in tasks and resting.get(name, 0) <= clock.now_ms():
                        work = self._deliver(subscription_stream(partition, name), until_idle=False)
                        tasks[name] = loop.create_task(work, name=f"subscription {name}")
                await asyncio.sleep(self._settings.look_interval_ms / 1000)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _deliver(self, stream: str, *, until_idle: bool) -> Delivered | None:
        """One turn at a subscription; None where there is nothing to do for this process."""
        orders = await self._runner.look(DECIDER, stream, orders_of)
        claim = None if orders is None or orders.paused else await self._claim(stream)
        if orders is None or claim is None:
            return None
        try:
            sink = self._made(orders.sink, bytes(orders.target), Subscriber(tenant_of(stream), orders.local))
            follower = Follower(self._journal, self._runner, self._settings, claim, orders, sink, self.tell)
            try:
                await follower.run(until_idle=until_idle)
            finally:
                self.delivered += follower.done.delivered
                await sink.close()
        finally:
            await self._journal.store.activations.release([claim], None)
        return follower.done

    async def tell(self, envelope: Envelope, event: StoredEvent, audience: tuple[str, ...] = ()) -> Telling | None:
        """What is told of an event to the outside, by whatever way: its stored data, unless its part says otherwise.

        None where it is for nobody of an audience. Raises: what its part says in the way of it.
        """
        form = self._forms.get(envelope.type)
        if audience and (form is None or not form.addressed or event.data is None):
            return None
        if form is None or event.data is None:
            return Telling(event.data)
        record = self._journal.catalogue.decode(envelope.type, envelope.version, event.data)
        return await form.tell(self._services, event.stream, record, audience)

    async def _claim(self, stream: str) -> Claim | None:
        """A claim on a subscription, or None where another process has one. A claim that nobody waits for is let go."""
        store, now_ms = self._journal.store, self._journal.clock.now_ms()
        if await store.activations.holder(stream, now_ms) is not None:
            return None
        lease_ms = self._settings.claim_lease_ms
        taking = asyncio.ensure_future(store.activations.take(stream, SUBSCRIPTION, store.owner, now_ms, lease_ms))
        try:
            claim = await asyncio.shield(taking)
        except asyncio.CancelledError:
            claim = await taking
            if isinstance(claim, Claim):
                await store.activations.release([claim], None)
            raise
        return None if isinstance(claim, Held) else claim

    def _made(self, name: str, target: bytes, subscriber: Subscriber) -> Sink:
        """The sink of a subscription. Raises: `sink_unknown`, `sink_target_invalid`, what making it raises."""
        factory = self._sinks.get(name)
        if factory is None:
            known = ", ".join(sorted(self._sinks))
            raise SINK_UNKNOWN.error(f"no sink has this name; there are {known}", place="sink")
        try:
            given = msgspec.json.decode(target, type=factory.target)
        except msgspec.ValidationError:
            members = ", ".join(factory.target.__struct_encode_fields__)
            raise SINK_TARGET_INVALID.error(
                f"the target is not one of the sink {name}, which knows {members}", place="target"
            ) from None
        sink: Sink = factory.make(self._services, given, subscriber)
        return sink

    async def _names(self, partition: str) -> list[str]:
        """The subscriptions of a partition, in order."""
        names: list[str] = []
        while page := await self._journal.store.index.scan(
            partition, SUBSCRIPTION, "", names[-1] if names else "", _PAGE
        ):
            names += [key for key, _ in page]
        return names

    async def _execute(self, command: SubscriptionCommand, principal: Principal, command_id: str | None) -> int:
        recorded: int = await self._runner.execute(DECIDER, command, principal, command_id)
        return recorded


def _has_failed(task: asyncio.Task[Delivered | None]) -> bool:
    """Whether a turn ended with an error, which is told. Raises: what is of no use to try again."""
    fault = task.exception()
    if fault is None:
        return False
    if not isinstance(fault, InterlockError) or (isinstance(fault, StorageFailure) and not fault.retryable):
        raise fault
    _LOG.warning("%s is left alone for now (%s)", task.get_name(), fault.code)
    return True
