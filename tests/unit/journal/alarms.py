"""A small domain for tests of timers: alarms that are set, moved, cleared, and ring.

It declares events, deciders and a target as a part would. It asserts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from interlock.base.clock import Clock, SeededEntropy
from interlock.base.errors import Category, ErrorCode
from interlock.base.events import ClearTimer, EventType, Place, Row, SetTimer
from interlock.base.part import DecideContext, Decider, Decision, Refusal, TimerTarget
from interlock.base.principal import Principal
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.journal.ports import Store
from interlock.journal.runner import Runner, RunnerSettings
from interlock.journal.streams import parse_stream, stream_id
from interlock.journal.timers import TimerService
from interlock.testing.clock import VirtualClock

ADA = Principal(id="local:ada")
NOW_MS = 1_767_225_600_000
BROKEN = ErrorCode("alarm_broken", Category.REFUSED, "Buy another.")


class Arranged(Struct, frozen=True):
    """The alarm is set to `due_ms`, or cleared (None)."""

    due_ms: int | None


class Rang(Struct, frozen=True):
    due_ms: int


class Passed(Struct, frozen=True):
    """A firing came to nothing; `next_ms` is when the alarm rings instead."""

    due_ms: int
    next_ms: int | None


class Ignored(Struct, frozen=True):
    """A faulty part: it records a firing, and the timer stays."""


def _row(place: Place, due_ms: int | None) -> Sequence[Row]:
    name = parse_stream(place.stream).id
    return (ClearTimer(name) if due_ms is None else SetTimer(name, place.stream, due_ms, b"%d" % place.seq),)


EVENTS = (
    EventType("alarm.arranged", 1, Arranged, index=lambda place, record: _row(place, record.due_ms)),  # type: ignore[attr-defined]
    EventType("alarm.rang", 1, Rang, index=lambda place, _: _row(place, None)),
    EventType("alarm.passed", 1, Passed, index=lambda place, record: _row(place, record.next_ms)),  # type: ignore[attr-defined]
    EventType("alarm.ignored", 1, Ignored),
)


class Alarm(Struct, frozen=True):
    due_ms: int | None = None


def _evolve(alarm: Alarm, record: Struct, _place: Place) -> Alarm:
    if isinstance(record, Arranged):
        return Alarm(record.due_ms)
    return Alarm() if isinstance(record, Rang) else alarm


class Arrange(Struct, frozen=True):
    alarm: str
    due_ms: int | None


class Ring(Struct, frozen=True):
    alarm: str
    due_ms: int


def _ring(states: Mapping[str, Any], command: Ring, _context: DecideContext) -> Decision:
    kind = parse_stream(command.alarm).id
    if kind.startswith("broken"):
        return Refusal(BROKEN.error("this alarm is broken"))
    if kind.startswith("deaf"):
        return {command.alarm: (Ignored(),)}
    alarm = states[command.alarm]
    done = Rang(command.due_ms) if alarm.due_ms == command.due_ms else Passed(command.due_ms, alarm.due_ms)
    return {command.alarm: (done,)}


ARRANGE = Decider(
    "alarm.arrange",
    lambda command: (command.alarm,),
    lambda _: Alarm(),
    lambda _states, command, _context: {command.alarm: (Arranged(command.due_ms),)},
    _evolve,
    lambda _events, _command: None,
)
RING = Decider(
    "alarm.ring",
    lambda command: (command.alarm,),
    lambda _: Alarm(),
    _ring,
    _evolve,
    lambda _events, _command: None,
)
TARGET = TimerTarget("alarm", RING, lambda timer: Ring(timer.stream, timer.due_ms))


def alarm(name: str) -> str:
    return stream_id("default", "alarm", name)


class Clockwork:
    """One process: a journal of alarms on a store, its runner, and what fires its timers."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self.store = store
        self.journal = Journal(store, EventCatalogue(EVENTS), clock or VirtualClock(), SeededEntropy(7))
        self.runner = Runner(self.journal, RunnerSettings(), "0" * 64)
        self.timers = TimerService(self.journal, self.runner, [TARGET])

    async def arrange(self, name: str, due_ms: int | None) -> None:
        await self.runner.execute(ARRANGE, Arrange(alarm(name), due_ms), ADA)

    async def fire(self, now_ms: int) -> int:
        return await self.timers.fire_due("default", now_ms)

    async def happened(self) -> list[tuple[str, Struct | None, int]]:
        """What came of firings, in the order of the feed: alarm, event, time."""
        feed = await self.store.events.feed("default", 0, 100_000)
        found = []
        for event in feed:
            async for page in self.journal.read(event.stream):
                recorded = page[event.seq - 1]
                if not isinstance(recorded.record, Arranged):
                    found.append((parse_stream(event.stream).id, recorded.record, recorded.envelope.at_ms))
        return found

    async def rung(self) -> list[str]:
        """The alarms that rang, in the order in which they did."""
        return [name for name, record, _ in await self.happened() if isinstance(record, Rang)]
