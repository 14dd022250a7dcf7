"""An asyncio event loop with virtual time and a seeded ready queue, for tests of concurrency.

What it does: `run` drives a coroutine on a loop whose clock jumps to the next timer when nothing is ready,
and which draws the next callback among all that are ready from a seed: one seed is one interleaving, no seed
is first in, first out. `over_seeds` makes a test of a coroutine function that runs once for each seed.

What it does not do: no threads, sockets, signals or processes; whoever asks for one gets a RuntimeError.

Rules: nothing sleeps and nothing reads the computer's clock; equal seeds give equal runs; a wait that can
never end is a `Deadlock` that names who waits, and a program that never comes to its end is a `Runaway`.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from functools import wraps
from itertools import count
from typing import Any, NoReturn, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")
Choose = Callable[[int], int]
"""Given how many callbacks are ready (two or more), the index of the one to run next; 0 waits longest."""

START_MS = 1_767_225_600_000
"""Wall time at which a run begins unless it is told otherwise: 2026-01-01T00:00:00Z."""

CALLBACKS_MAX = 5_000_000
"""Callbacks of one run before it counts as a runaway."""

# Timers are set to the microsecond: those that differ by a rounding error are due together.
_DIGITS_OF_SECOND = 6
_TIMERS_COMPACTED_FROM = 1_000


class Deadlock(RuntimeError):
    """Nothing is ready, no timer is set, main has not ended; the message says who waits where."""


class Runaway(RuntimeError):
    """The run made more callbacks than its bound allows; the message says who has not ended."""


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop behind `run`: one callback a step, picked by `choose`; `time()` begins at 0 and jumps.

    Of the private members of CPython's base loop it uses `_ready` (what `call_soon` fills), `_run_once` (what
    `run_forever` repeats) and `_stopping`. Timers are its own: those due together keep their order.
    """

    _ready: deque[asyncio.Handle]
    _stopping: bool

    def __init__(
        self, choose: Choose | None = None, *, start_ms: int = START_MS, callbacks_max: int = CALLBACKS_MAX
    ) -> None:
        super().__init__()
        self.start_ms = start_ms
        self.choose = choose
        self.callbacks_left = callbacks_max
        self._now_s = 0.0
        self._made = count()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._compact_at = _TIMERS_COMPACTED_FROM
        self._births: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Set a timer for the virtual time `when`."""
        when = round(when, _DIGITS_OF_SECOND)
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        if len(self._timers) >= self._compact_at:
            self._timers = [entry for entry in self._timers if not entry[2].cancelled()]
            heapq.heapify(self._timers)
            self._compact_at = max(_TIMERS_COMPACTED_FROM, 2 * len(self._timers))
        heapq.heappush(self._timers, (when, next(self._made), timer))
        return timer

    def create_task(
        self,
        coro: Any,
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        """Make a task and remember its place among the others, which the names of tasks do not tell."""
        task = super().create_task(coro, name=name, context=context)
        self._births[task] = next(self._made)
        return task

    def pending(self) -> list[asyncio.Task[Any]]:
        """Tasks that have not ended, oldest first."""
        return sorted(asyncio.all_tasks(self), key=lambda task: self._births.get(task, 0))

    def _run_once(self) -> None:
        """Run one ready callback, after moving time to the next timer if none is ready."""
        self._ring_timers(self._now_s)
        while self._timers and not self._ready and not self._stopping:
            self._ring_timers(self._timers[0][0])
        if self._ready:
            self._run_one()
        elif not self._stopping:
            raise Deadlock("nothing can happen any more, and these wait: " + _described(self.pending()))

    def _ring_timers(self, until_s: float) -> None:
        """Move every timer that is due until then to the ready queue, and time with the last of them."""
        while self._timers and self._timers[0][0] <= until_s:
            when, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled():
                self._now_s = max(self._now_s, when)
                self._ready.append(timer)

    def _run_one(self) -> None:
        if self.callbacks_left == 0:
            raise Runaway("too many callbacks, and these have not ended: " + _described(self.pending()))
        self.callbacks_left -= 1
        ready = len(self._ready)
        index = self.choose(ready) if self.choose is not None and ready > 1 else 0
        handle = self._ready[index]
        del self._ready[index]
        if not handle.cancelled():
            handle._run()  # noqa: SLF001 - the way in which every loop runs a handle

    def run_in_executor(self, *_: object) -> NoReturn:
        """Refused: a thread would bring real time in."""
        raise RuntimeError("virtual time has no threads: give this code a port without them")

    def call_soon_threadsafe(self, *_: object, **__: object) -> NoReturn:
        """Refused: there is no other thread to call from."""
        raise RuntimeError("virtual time has no threads: use call_soon")

    async def create_connection(self, *_: object, **__: object) -> NoReturn:
        """Refused: a socket would bring real time in."""
        raise RuntimeError("virtual time has no sockets: give this code a transport without them")

    async def create_server(self, *_: object, **__: object) -> NoReturn:
        """Refused: a socket would bring real time in."""
        raise RuntimeError("virtual time has no sockets: give this code a transport without them")

    async def subprocess_exec(self, *_: object, **__: object) -> NoReturn:
        """Refused: a process would bring real time in."""
        raise RuntimeError("virtual time has no processes: give this code a transport without them")

    async def subprocess_shell(self, *_: object, **__: object) -> NoReturn:
        """Refused: a process would bring real time in."""
        raise RuntimeError("virtual time has no processes: give this code a transport without them")


def run(
    main: Coroutine[Any, Any, Result],
    *,
    seed: int | None = None,
    start_ms: int = START_MS,
    choose: Choose | None = None,
    callbacks_max: int = CALLBACKS_MAX,
) -> Result:
    """Drive `main` to its end on virtual time and return what it returns.

    `seed` draws the interleaving; None is first in, first out. `choose` decides instead of a seed. Tasks that
    `main` leaves behind are cancelled, oldest first. Raises what `main` raises, `Deadlock` or `Runaway`.
    """
    loop = VirtualLoop(choose or _seeded(seed), start_ms=start_ms, callbacks_max=callbacks_max)
    try:
        return loop.run_until_complete(main)
    finally:
        # Who does not end even when cancelled was named by the first error already.
        with suppress(Deadlock, Runaway):
            _cancel(loop)
        loop.close()


def over_seeds(
    seeds: int,
) -> Callable[[Callable[Parameters, Coroutine[Any, Any, None]]], Callable[Parameters, None]]:
    """Make a plain test of a coroutine function: it runs first in, first out, then with each of `seeds`.

    Seeds are 0 to `seeds - 1`. A failure carries a note that names its seed, by which `run` repeats it.
    """

    def decorate(test: Callable[Parameters, Coroutine[Any, Any, None]]) -> Callable[Parameters, None]:
        @wraps(test)
        def over(*args: Parameters.args, **options: Parameters.kwargs) -> None:
            for seed in (None, *range(seeds)):
                try:
                    run(test(*args, **options), seed=seed)
                except BaseException as fault:
                    fault.add_note(f"under interlock.testing.loop.run(…, seed={seed})")
                    raise

        return over

    return decorate


def _seeded(seed: int | None) -> Choose | None:
    return None if seed is None else random.Random(seed).randrange  # noqa: S311 - it draws a schedule, not a key


def _cancel(loop: VirtualLoop) -> None:
    """Cancel what is left and let it clean up, as `asyncio.run` does, but always in the same order."""
    loop.choose, loop.callbacks_left = None, CALLBACKS_MAX
    left = loop.pending()
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(_ended(left))
    loop.run_until_complete(loop.shutdown_asyncgens())


async def _ended(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def _described(tasks: list[asyncio.Task[Any]]) -> str:
    return "; ".join(f"{task.get_name()}: {_place(task.get_coro())}" for task in tasks)


def _place(awaited: Any) -> str:
    """Which coroutine it is, and the function and line where the innermost one that it awaits stands."""
    name = getattr(awaited, "__qualname__", repr(awaited))
    place = "?"
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        place = f"{awaited.__qualname__} ({frame.f_code.co_filename}:{frame.f_lineno})"
        awaited = awaited.cr_await
    return f"{name} in {place}"
