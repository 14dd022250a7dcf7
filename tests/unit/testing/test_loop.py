"""The virtual-time loop: time by jumps, one seed is one interleaving, no wait without an end."""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from interlock.testing.clock import VirtualClock
from interlock.testing.loop import START_MS, Deadlock, Runaway, VirtualLoop, over_seeds, run

HOUR_S = 3_600


async def three_walkers() -> str:
    """Three tasks of four steps each; the order of their steps, as a word."""
    steps: list[str] = []

    async def walk(name: str) -> None:
        for _ in range(4):
            steps.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*(walk(name) for name in "abc"))
    return "".join(steps)


def test_an_hour_passes_in_no_time_and_to_the_millisecond() -> None:
    async def main() -> tuple[float, int]:
        await asyncio.sleep(HOUR_S)
        await asyncio.sleep(0.001)
        return asyncio.get_running_loop().time(), VirtualClock().now_ms()

    before_s = time.monotonic()
    loop_s, now_ms = run(main())

    assert loop_s == pytest.approx(HOUR_S + 0.001)
    assert now_ms == START_MS + HOUR_S * 1000 + 1
    assert time.monotonic() - before_s < 60


def test_without_a_seed_what_is_ready_first_runs_first() -> None:
    assert run(three_walkers()) == "abcabcabcabc"


def test_without_a_seed_timers_that_are_due_together_ring_in_the_order_they_were_set() -> None:
    async def main() -> list[int]:
        rung: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(20):
            loop.call_later(0.3 if number % 2 else 0.1 + 0.2, rung.append, number)
        await asyncio.sleep(1)
        return rung

    assert run(main()) == list(range(20))


def test_one_seed_is_one_interleaving() -> None:
    assert [run(three_walkers(), seed=seed) for seed in range(20)] == [
        run(three_walkers(), seed=seed) for seed in range(20)
    ]


def test_seeds_give_many_interleavings() -> None:
    assert len({run(three_walkers(), seed=seed) for seed in range(20)}) >= 15


def test_every_interleaving_keeps_the_steps_of_one_task_in_order() -> None:
    async def main() -> list[int]:
        seen: list[int] = []

        async def count(start: int) -> None:
            for number in range(start, start + 5):
                seen.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(count(0), count(100))
        return [number for number in seen if number < 100]

    assert all(run(main(), seed=seed) == [0, 1, 2, 3, 4] for seed in range(20))


def test_what_was_chosen_is_what_runs() -> None:
    assert run(three_walkers(), choose=lambda ready: ready - 1) != run(three_walkers())


def test_a_wait_without_an_end_names_who_waits_and_where() -> None:
    async def wait_for_nobody() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        await asyncio.create_task(wait_for_nobody(), name="the waiter")

    with pytest.raises(Deadlock, match=r"main in .*; the waiter: .*wait_for_nobody \(.*test_loop\.py:\d+\)"):
        run(main())


def test_a_deadlock_behind_a_task_that_refuses_to_be_cancelled_is_still_told() -> None:
    async def main() -> None:
        while True:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                continue

    with pytest.raises(Deadlock):
        run(main())


def test_a_cancelled_timer_does_not_hide_a_deadlock_and_does_not_move_time() -> None:
    loops: list[VirtualLoop] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loops.append(loop)
        loop.call_later(10, print).cancel()
        await loop.create_future()

    with pytest.raises(Deadlock):
        run(main())
    assert loops[0].time() == 0


def test_a_program_that_never_ends_is_told_after_its_bound() -> None:
    async def main() -> None:
        for wait_s in itertools.count():
            await asyncio.sleep(wait_s)

    with pytest.raises(Runaway, match="main"):
        run(main(), callbacks_max=1_000)


def test_timers_that_were_cancelled_do_not_pile_up() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        for _ in range(20_000):
            loop.call_later(HOUR_S, print).cancel()
        return len(loop._timers)

    assert run(main()) <= 1_000


def test_timeouts_of_asyncio_work() -> None:
    async def main() -> str:
        try:
            async with asyncio.timeout(5):
                await asyncio.sleep(10)
        except TimeoutError:
            return f"after {asyncio.get_running_loop().time()} s"
        return "never"

    assert run(main()) == "after 5.0 s"


def test_tasks_left_behind_are_cancelled_and_clean_up() -> None:
    ended: list[str] = []

    async def stay(name: str) -> None:
        try:
            await asyncio.sleep(HOUR_S)
        finally:
            ended.append(name)

    async def main() -> None:
        left = [asyncio.create_task(stay(name)) for name in "abcdefgh"]
        await asyncio.sleep(1)
        assert len(left) == 8

    run(main())

    assert ended == list("abcdefgh")


def test_an_error_of_main_is_raised_as_it_is() -> None:
    async def main() -> None:
        raise LookupError("as it is")

    with pytest.raises(LookupError, match="as it is"):
        run(main())


async def in_a_thread() -> None:
    await asyncio.to_thread(time.time)


async def to_a_socket() -> None:
    await asyncio.open_connection("localhost", 1)


async def with_a_server() -> None:
    await asyncio.start_server(lambda *_: None, "localhost", 0)


async def in_a_process() -> None:
    await asyncio.create_subprocess_exec("true")


async def in_a_shell() -> None:
    await asyncio.create_subprocess_shell("true")


async def from_a_thread() -> None:
    asyncio.get_running_loop().call_soon_threadsafe(print)


@pytest.mark.parametrize("work", [in_a_thread, to_a_socket, with_a_server, in_a_process, in_a_shell, from_a_thread])
def test_what_would_bring_real_time_in_is_refused(work: Callable[[], Awaitable[None]]) -> None:
    before = threading.active_count()

    async def main() -> None:
        await work()

    with pytest.raises(RuntimeError, match=r"virtual time has no (threads|sockets|processes): \w+"):
        run(main())
    assert threading.active_count() == before


def test_a_test_over_seeds_runs_first_in_first_out_and_then_once_a_seed() -> None:
    orders: list[str] = []

    @over_seeds(5)
    async def sweep() -> None:
        orders.append(await three_walkers())

    sweep()

    assert orders == [run(three_walkers(), seed=seed) for seed in (None, 0, 1, 2, 3, 4)]


def test_a_failure_over_seeds_names_the_seed_that_repeats_it() -> None:
    async def scenario() -> None:
        assert (await three_walkers()).startswith("abc")

    with pytest.raises(AssertionError) as caught:
        over_seeds(50)(scenario)()

    (note,) = caught.value.__notes__
    found = re.search(r"seed=(\d+)", note)
    assert found is not None
    with pytest.raises(AssertionError):
        run(scenario(), seed=int(found[1]))
