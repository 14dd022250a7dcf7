"""Fires what is due: every timer once, in order, as a command to the decider of its stream's kind.

What it does: `fire_due` takes the due timers of a partition page by page and executes the command of each one's target;
`serve` does so whenever one becomes due. What it does not do: it sets and clears no timer (events do, through their
`index`), and knows no target by name.

Rules:
- a firing is one append under a command id made of what was set, so it happens once, whichever processes try;
- one process goes to the next timer only when the one before is durable, so order holds with several, too;
- a timer that cannot be fired holds up no other, is tried again, and is told to whoever asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from interlock.base.bounds import INTEGER_MAX
from interlock.base.canonical import canonical, digest
from interlock.base.errors import InterlockError, StorageFailure
from interlock.base.events import Timer
from interlock.base.part import Services, TimerTarget
from interlock.base.principal import Principal, PrincipalKind
from interlock.journal.errors import TIMER_NOT_CLEARED, TIMER_TARGET_UNKNOWN
from interlock.journal.journal import Journal
from interlock.journal.runner import Runner
from interlock.journal.streams import parse_stream

PAGE_TIMERS = 256
FAILED_MAX = 1_000
"""Timers that one call passes over because they cannot be fired."""

WAIT_MS_MAX = 30_000
"""Longest wait without a look: what a clock that was set forward makes due is not later than this."""

RETRY_MS = 1_000
"""Pause after a timer that could not be fired."""

_NAME = "system:timers"


def firing_id(timer: Timer) -> str:
    """The command id of one firing; another due time or payload is another firing."""
    return "timer:" + digest(canonical(["timer", timer.timer_id, timer.due_ms, digest(timer.payload)]))


class TimerService:
    """Fires the timers of a journal. Several may run, in one process or in many."""

    def __init__(
        self, journal: Journal, runner: Runner, targets: Sequence[TimerTarget], services: Services | None = None
    ) -> None:
        self._journal = journal
        self._runner = runner
        self._services = services
        self._targets = {target.kind: target for target in targets}

    async def fire_due(self, partition: str, now_ms: int) -> int:
        """Fire everything that is due in a partition at `now_ms`, in order; return how many were fired.

        What a firing makes due meanwhile is fired, too. Raises: the error of the first timer that could not be fired,
        once all others have been; `timer_target_unknown`, `timer_not_cleared`; what the store raises, at once.
        """
        failed: dict[Timer, InterlockError] = {}
        fired = await self._pass(partition, now_ms, (), failed)
        for fault in failed.values():
            raise fault
        return fired

    async def fire(self, timers: Sequence[Timer]) -> None:
        """Fire timers that somebody knows to be due, in order; one that was fired already is passed over.

        Whoever owns a stream fires its timers so, and does not do the work of all others.
        Raises: the error of the first that could not be fired; what the store raises.
        """
        for timer in sorted(timers, key=lambda each: (each.due_ms, each.timer_id)):
            fault = await self._fire(timer)
            if fault is not None:
                raise fault

    async def serve(self, partitions: Sequence[str]) -> None:
        """Fire whatever becomes due in `partitions`, until it is cancelled or the store has closed.

        Waits for the next due time, or until somebody commits. A timer that cannot be fired is tried again after a
        pause. Raises: what is of no use to try again, such as `store_closed`.
        """
        clock, doorbell = self._journal.clock, self._journal.store.doorbell
        paused: dict[Timer, int] = {}
        while True:
            seen = doorbell.seen()
            now_ms = clock.now_ms()
            paused = {timer: until_ms for timer, until_ms in paused.items() if until_ms > now_ms}
            next_ms = min(paused.values(), default=now_ms + WAIT_MS_MAX)
            for partition in partitions:
                try:
                    failed: dict[Timer, InterlockError] = {}
                    await self._pass(partition, now_ms, paused, failed)
                    paused |= dict.fromkeys(failed, now_ms + RETRY_MS)
                    next_ms = min(next_ms, await self._next_due(partition, paused))
                except StorageFailure as fault:
                    if not fault.retryable:
                        raise
                    next_ms = min(next_ms, now_ms + RETRY_MS)
            await doorbell.wait(seen, min(max(next_ms - clock.now_ms(), 0), WAIT_MS_MAX))

    async def _pass(
        self, partition: str, now_ms: int, skipped: Collection[Timer], failed: dict[Timer, InterlockError]
    ) -> int:
        """Fire what is due but `skipped`, and note in `failed` what cannot be fired; return how many were."""
        timers = self._journal.store.timers
        fired = 0
        before: set[Timer] = set()
        while len(failed) < FAILED_MAX:
            page = await timers.due(partition, now_ms, PAGE_TIMERS + len(skipped) + len(failed))
            page = [timer for timer in page if timer not in failed and timer not in skipped]
            if not page:
                break
            for timer in page:
                fault = await self._fire(timer) if timer not in before else _not_cleared(timer)
                if fault is None:
                    fired += 1
                else:
                    failed[timer] = fault
            before = set(page)
        return fired

    async def _fire(self, timer: Timer) -> InterlockError | None:
        """Fire one timer; return why it could not be. Raises what has nothing to do with this timer."""
        try:
            name = parse_stream(timer.stream)
            target = self._targets.get(name.kind)
            if target is None:
                return TIMER_TARGET_UNKNOWN.error("no part takes the timers of this stream", stream=timer.stream)
            principal = Principal(id=_NAME, tenant=name.tenant, kind=PrincipalKind.SYSTEM)
            await self._runner.execute(target.decider, await self._command(target, timer), principal, firing_id(timer))
        except StorageFailure:
            raise
        except InterlockError as fault:
            return fault
        return None

    async def _command(self, target: TimerTarget, timer: Timer) -> Struct:
        if target.prepare is not None and self._services is not None:
            return await target.prepare(self._services, timer)
        if target.command is None:
            raise TIMER_TARGET_UNKNOWN.error("nobody says what this timer means", stream=timer.stream)
        return target.command(timer)

    async def _next_due(self, partition: str, paused: Collection[Timer]) -> int:
        """When the first timer is due that is not paused; never, where none is set."""
        found = await self._journal.store.timers.due(partition, INTEGER_MAX, len(paused) + 1)
        return next((timer.due_ms for timer in found if timer not in paused), INTEGER_MAX)


def _not_cleared(timer: Timer) -> InterlockError:
    return TIMER_NOT_CLEARED.error("a timer that was fired is still set", stream=timer.stream)
