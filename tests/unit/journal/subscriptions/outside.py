"""A process that delivers, and an outside that can be told how to behave, for tests of subscriptions.

It asserts nothing. Rule: the outside notes every delivery before it answers, as a real one would.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from interlock.base.clock import Clock, SeededEntropy
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.events import EventType
from interlock.base.part import EventForm, SinkFactory, Subscriber
from interlock.base.principal import Principal
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Authorship, seal
from interlock.journal.journal import Journal
from interlock.journal.ports import Append, Head, Store
from interlock.journal.runner import Runner, RunnerSettings
from interlock.journal.streams import stream_id
from interlock.journal.subscriptions import Delivery, Subscriptions, SubscriptionSettings
from interlock.journal.subscriptions import events as e
from interlock.journal.subscriptions.fold import SUBSCRIPTION_FOLD, Letter
from interlock.journal.subscriptions.progress import Progress, read_progress, table_of
from interlock.journal.subscriptions.views import SUBSCRIPTIONS
from interlock.journal.verify import verify
from interlock.journal.views import Views
from interlock.surfaces.receipts import events as receipts
from interlock.testing.clock import VirtualClock

ADA = Principal(id="local:ada")
STREAM = e.subscription_stream("default", "audit")
REFUSED = ErrorCode("toy_refused", Category.FAILED, "Try again.", retryable=True)
Service = TypeVar("Service")
Behaviour = Callable[[Delivery], Awaitable[None]]


class Noted(Struct, frozen=True):
    """Something that happened to a thing."""

    text: str


class Dropped(Struct, frozen=True):
    """Something else."""

    text: str


TOYS = (EventType("toy.noted", 1, Noted, erasable=True), EventType("toy.dropped", 1, Dropped))
EVENTS = (*TOYS, *e.EVENTS, *receipts.EVENTS)


class Target(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the sink of the tests knows."""

    place: str = "here"


class Outside:
    """Where events arrive. `behaviour` is asked for each delivery, and raises to refuse it."""

    def __init__(self) -> None:
        self.asked: list[Delivery] = []
        self.got: list[Delivery] = []
        self.closed = 0
        self.targets: list[tuple[Target, bool]] = []
        self.behaviour: Behaviour = _takes_all

    async def deliver(self, delivery: Delivery) -> None:
        self.asked.append(delivery)
        await self.behaviour(delivery)
        self.got.append(delivery)

    async def close(self) -> None:
        self.closed += 1

    @property
    def keys(self) -> list[str]:
        """What has arrived, in order, without `default/thing/`."""
        return [each.key.removeprefix("default/thing/") for each in self.got]

    def refusing(self, *keys: str) -> None:
        """Refuse these events from now on."""

        async def behave(delivery: Delivery) -> None:
            if delivery.key.removeprefix("default/thing/") in keys:
                raise REFUSED.error("not this one")

        self.behaviour = behave


async def _takes_all(_delivery: Delivery) -> None:
    pass


class NoServices:
    """For sinks that need none."""

    def get(self, kind: type[Service]) -> Service:
        raise KeyError(kind.__name__)


class Process:
    """One process: subscriptions on a store, whose sink is an `Outside`."""

    def __init__(
        self,
        store: Store,
        outside: Outside,
        clock: Clock | None = None,
        forms: Sequence[EventForm] = (),
        **settings: Any,
    ) -> None:
        self.store = store
        self.outside = outside
        self.clock = clock or VirtualClock()
        self.journal = Journal(store, EventCatalogue(EVENTS), self.clock, SeededEntropy(7))
        self.runner = Runner(self.journal, RunnerSettings(), "0" * 64)
        self.views = Views(self.journal, [SUBSCRIPTIONS])
        factory = SinkFactory("toy", Target, self._sink, "Of tests.", "{}")
        given = replace(SubscriptionSettings(), **settings)
        self.subscriptions = Subscriptions(self.journal, self.runner, given, [factory], forms, NoServices())

    def _sink(self, _services: object, target: Target, subscriber: Subscriber) -> Outside:
        self.outside.targets.append((target, subscriber.local))
        return self.outside

    async def add(self, name: str = "audit", **given: Any) -> bool:
        usual: dict[str, Any] = {"sink": "toy", "target": {}, "principal": ADA}
        return await self.subscriptions.add(name, **{**usual, **given})

    async def note(self, thing: str, *records: Struct, tenant: str = "default", kind: str = "thing") -> Head:
        """Let something happen to a thing; by default something that is noted."""
        stream = stream_id(tenant, kind, thing)
        [head] = await self.store.events.heads([stream])
        author = Authorship(actor="local:ada", correlation=f"c-{thing}", salt_key=b"s" * 32)
        sealed = seal(self.journal.catalogue, stream, head, records or (Noted(thing),), self.journal.now_ms(), author)
        await self.journal.commit(Append([sealed.append], sealed.rows))
        return sealed.append.head

    async def notes(self, things: str) -> None:
        """Let something happen to each of several things, one after the other."""
        for thing in things:
            await self.note(thing)

    async def deliver(self) -> tuple[int, int, int]:
        """Deliver what is due; how many arrived, failed and died."""
        done = (await self.subscriptions.deliver_once())["audit"]
        return done.delivered, done.failed, done.dead

    async def records(self, kind: type[Any]) -> list[Any]:
        pages = [page async for page in self.journal.read(STREAM)]
        return [event.record for page in pages for event in page if isinstance(event.record, kind)]

    async def letters(self) -> list[Letter]:
        return await self.subscriptions.look("audit", lambda state: list(state.letters.values()), principal=ADA)

    async def progress(self, name: str = "audit", generation: int = 1) -> Progress:
        table = table_of(e.subscription_stream("default", name), generation)
        return await read_progress(self.store, "default", table)

    async def findings(self) -> list[str]:
        """What an examination of the store names."""
        await self.views.catch_up("default", "subscriptions")
        report = await verify(self.journal, [SUBSCRIPTION_FOLD], [SUBSCRIPTIONS])
        return [f"{each.kind} {each.place}: {each.message}" for each in report.findings]


def in_order(keys: Sequence[str]) -> bool:
    """Whether the first arrivals of each stream's events are in the order of their numbers, with no event left out."""
    seen: dict[str, list[int]] = defaultdict(list)
    for key in keys:
        stream, _, seq = key.partition("#")
        if int(seq) not in seen[stream]:
            seen[stream].append(int(seq))
    return all(numbers == sorted(numbers) for numbers in seen.values())


async def refused(work: Awaitable[object]) -> str:
    """The code with which something is refused."""
    try:
        await work
    except InterlockError as fault:
        return fault.code
    return "nothing was refused"


async def until(met: Callable[[], bool]) -> None:
    """Wait until something has come about."""
    while not met():
        await asyncio.sleep(0.01)
