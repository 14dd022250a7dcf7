"""What a store keeps for runs when nothing happens any more: claims, timers, and what was told and not taken.

What it does: reads the log of every run, says from it which timers and claims there may be, and refuses any other.
What it does not do: it fires, claims and mends nothing.

Rules: a run that has ended has no timer and no claim; the timers of one that has not are those of its open waits and of
its deadline; what stands untaken in the inbox of a run that nobody drives has woken it; a run that has ended, and that
nobody told anything since, wants no owner.
"""

from __future__ import annotations

from interlock.base.clock import SystemClock, SystemEntropy
from interlock.engine import events as e
from interlock.engine.control import inbox_events as i
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Recorded
from interlock.journal.journal import Journal
from interlock.journal.leases.events import LEASE
from interlock.journal.ports import Store
from interlock.testing.checker.broken import InvariantBroken

_PAGE = 500


async def check_left(store: Store, *, now_ms: int | None = None, claims: bool = True) -> None:
    """Check what a store keeps for runs. Raises: `InvariantBroken`, with the run in its text.

    `now_ms` is when claims are asked for, by default the computer's time; without `claims` runs may be held.
    """
    journal = Journal(store, EventCatalogue([*e.EVENTS, *i.EVENTS]), SystemClock(), SystemEntropy())
    now = journal.now_ms() if now_ms is None else now_ms
    for partition in await store.events.partitions():
        timers = await _timers(store, partition)
        asleep = True
        for stream in await _runs(store, partition):
            log = [event async for page in journal.read(stream) for event in page]
            left = _Left(stream, log)
            left.check_timers(timers.pop(stream, {}), await _fired(journal, stream, left.taken))
            if claims and await store.activations.holder(stream, now) is not None:
                raise left.broken("a claim is held")
            [inbox] = await store.events.heads([f"{stream}/inbox"])
            asleep = asleep and left.ended and inbox.seq <= left.taken
        strange = sorted(stream for stream in timers if stream.split("/")[1] != LEASE)
        if strange:
            raise InvariantBroken("W3", 0, f"timers are left of what is no run and no lease: {strange[:3]}")
        if claims and asleep and await store.activations.due(partition, [e.RUN], now) is not None:
            raise InvariantBroken("I3", 0, "every run has ended, and one wants an owner")


async def _runs(store: Store, partition: str) -> list[str]:
    found: list[str] = []
    while page := await store.events.streams(partition, found[-1] if found else "", _PAGE):
        found += [stream for stream, _ in page]
    return [each for each in found if each.split("/")[1] == e.RUN and not each.endswith("/inbox")]


async def _timers(store: Store, partition: str) -> dict[str, dict[str, int]]:
    by_stream: dict[str, dict[str, int]] = {}
    after = ""
    while page := await store.timers.scan(partition, after, _PAGE):
        after = page[-1].timer_id
        for timer in page:
            by_stream.setdefault(timer.stream, {})[timer.timer_id] = timer.due_ms
    return by_stream


async def _fired(journal: Journal, stream: str, taken: int) -> set[str]:
    """Timers that have fired and whose firing waits in the inbox."""
    entries: list[Recorded] = await journal.tail(f"{stream}/inbox", taken)
    return {each.record.timer_id for each in entries if isinstance(each.record, i.TimerDue)}


class _Left:
    """What the log of one run says of its timers."""

    def __init__(self, stream: str, log: list[Recorded]) -> None:
        self.stream = stream
        self.ended = False
        self.taken = 0
        self.timers: dict[str, int] = {}
        for event in log:
            match event.record:
                case e.RunLimits(int(deadline_ms), _):
                    self.timers[f"deadline:{stream}"] = deadline_ms
                case e.StateSuspended(_, waits):
                    self.timers |= {w.token: w.due_ms for w in waits if w.due_ms is not None and not w.waited}
                case e.WaitExpired(_, _, token):
                    self.timers.pop(token, None)
                case e.TimersCleared(cleared):
                    for timer_id in cleared:
                        self.timers.pop(timer_id, None)
                case e.InboxTaken(inbox_seq):
                    self.taken = inbox_seq
                case e.RunTimedOut():
                    self.timers.pop(f"deadline:{stream}", None)
                case e.RunCompleted():
                    self.ended = True
                case _:
                    pass

    def broken(self, why: str) -> InvariantBroken:
        return InvariantBroken("W3", 0, f"{why} for {self.stream}")

    def check_timers(self, kept: dict[str, int], fired: set[str]) -> None:
        """Raises: `InvariantBroken` if the store keeps other timers than the log says."""
        if self.ended and (kept or self.timers):
            raise self.broken(f"{len(kept)} timers are kept after the end")
        extra = [timer_id for timer_id, due_ms in kept.items() if self.timers.get(timer_id) != due_ms]
        missing = [timer_id for timer_id in self.timers if timer_id not in kept and timer_id not in fired]
        if extra or missing:
            raise self.broken(f"timers are kept that nothing waits for, or are missing ({len(extra)}, {len(missing)})")
