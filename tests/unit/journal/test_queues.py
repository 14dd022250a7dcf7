"""The queues of streams: order, bounds, and that no turn is ever lost, over many interleavings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from interlock.base.errors import InterlockError, RateLimited
from interlock.journal.queues import QueueStatistics, StreamQueues
from interlock.testing.explorer import explore
from interlock.testing.loop import over_seeds, run

A, B, C = "default/account/a", "default/account/b", "default/account/c"
IDLE = (0, 0)


def queues(*, per_stream_max: int = 100, total_max: int = 100, wait_ms_max: int = 1_000) -> StreamQueues:
    return StreamQueues(per_stream_max=per_stream_max, total_max=total_max, wait_ms_max=wait_ms_max)


def now_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1000)


def state_of(held: StreamQueues) -> tuple[int, int]:
    """How many streams are worked on, and how many commands wait."""
    return held.statistics().active, held.statistics().waiting


async def work(held: StreamQueues, streams: Sequence[str], ms: int = 10) -> int:
    """Hold `streams` for `ms`; return when it was over."""
    async with held.hold(streams):
        await asyncio.sleep(ms / 1000)
    return now_ms()


async def refusal(held: StreamQueues, streams: Sequence[str]) -> InterlockError:
    with pytest.raises(RateLimited) as caught:
        await work(held, streams)
    return caught.value


async def until_waiting(held: StreamQueues, waiting: int) -> None:
    while held.statistics().waiting < waiting:
        await asyncio.sleep(0)


# Order


@over_seeds(30)
async def test_commands_on_one_stream_run_one_at_a_time_in_the_order_in_which_they_came() -> None:
    held = queues()
    came: list[int] = []
    served: list[int] = []
    inside = 0

    async def command(number: int) -> None:
        nonlocal inside
        came.append(number)
        async with held.hold([A]):
            inside += 1
            assert inside == 1
            served.append(number)
            await asyncio.sleep(number * 7 % 5 / 1000)
            inside -= 1

    await asyncio.gather(*(command(number) for number in range(12)))

    assert served == came
    assert state_of(held) == IDLE


@over_seeds(10)
async def test_who_comes_while_others_wait_does_not_overtake_them() -> None:
    held = queues()
    served: list[str] = []

    async def command(name: str, after_ms: int) -> None:
        await asyncio.sleep(after_ms / 1000)
        async with held.hold([A]):
            served.append(name)
            await asyncio.sleep(0.010)

    # The last one comes in the same instant in which the first leaves.
    await asyncio.gather(command("first", 0), command("second", 5), command("third", 6), command("last", 10))

    assert served == ["first", "second", "third", "last"]


@over_seeds(20)
async def test_commands_that_share_no_stream_do_not_wait_for_each_other() -> None:
    held = queues()

    ended = await asyncio.gather(work(held, [A]), work(held, [B]), work(held, [C]))

    assert set(ended) == {10}


@over_seeds(50)
async def test_commands_over_several_streams_never_wait_for_each_other_in_a_circle() -> None:
    held = queues()
    inside: set[str] = set()

    async def command(streams: Sequence[str]) -> None:
        async with held.hold(streams):
            assert inside.isdisjoint(streams)
            inside.update(streams)
            await asyncio.sleep(0.001)
            inside.difference_update(streams)

    orders = ([A, B], [B, A], [B, C], [C, A], [C, B, A], [A], [B], [A, C, B])
    await asyncio.gather(*(command(streams) for streams in orders * 3))

    assert state_of(held) == IDLE
    assert held.statistics().admitted == 24


def test_a_stream_that_is_named_twice_is_held_once() -> None:
    async def main() -> None:
        held = queues()
        await work(held, [A, A])
        assert state_of(held) == IDLE

    run(main())


@over_seeds(10)
async def test_a_command_that_fails_passes_its_turn_on() -> None:
    held = queues()

    async def failing() -> None:
        async with held.hold([A, B]):
            await asyncio.sleep(0.001)
            raise KeyError("command")

    outcomes = await asyncio.gather(failing(), failing(), work(held, [B]), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [KeyError, KeyError, int]
    assert state_of(held) == IDLE


# Bounds


def test_a_full_queue_refuses_at_once_and_says_when_to_ask_again() -> None:
    async def main() -> None:
        held = queues(per_stream_max=2)
        working = [asyncio.create_task(work(held, [A])) for _ in range(3)]
        await until_waiting(held, 2)
        began = now_ms()

        fault = await refusal(held, [A])

        assert (fault.code, fault.retryable, fault.details["stream"]) == ("queue_full", True, A)
        assert fault.details["retry_after_ms"] == 20
        assert now_ms() == began
        assert await work(held, [B]) == 10
        await asyncio.gather(*working)
        await work(held, [A])

    run(main())


def test_the_sum_of_all_who_wait_has_a_bound_too() -> None:
    async def main() -> None:
        held = queues(total_max=2)
        working = [asyncio.create_task(work(held, [stream])) for stream in (A, A, B, B)]
        await until_waiting(held, 2)

        assert (await refusal(held, [A])).code == "queue_full"
        assert await work(held, [C]) == 10  # nobody works on it, so nobody waits
        await asyncio.gather(*working)

    run(main())


def test_a_refused_command_lets_go_of_the_streams_that_it_had() -> None:
    async def main() -> None:
        held = queues(per_stream_max=1)
        working = [asyncio.create_task(work(held, [B])) for _ in range(2)]
        await until_waiting(held, 1)

        await refusal(held, [A, B])

        assert await work(held, [A], ms=1) == 1
        await asyncio.gather(*working)
        assert state_of(held) == IDLE

    run(main())


def test_the_wait_that_is_advised_grows_with_the_queue_and_is_bounded() -> None:
    async def main() -> None:
        held = queues(per_stream_max=1_500, total_max=1_500, wait_ms_max=60_000)
        working = [asyncio.create_task(work(held, [A], ms=0)) for _ in range(1_501)]
        await until_waiting(held, 1_500)

        assert (await refusal(held, [A])).details["retry_after_ms"] == 5_000
        await asyncio.gather(*working)

    run(main())


@over_seeds(20)
async def test_who_waits_too_long_is_refused_and_leaves_the_queue() -> None:
    held = queues(wait_ms_max=50)
    first = asyncio.create_task(work(held, [A], ms=100))
    await asyncio.sleep(0.001)

    late = await refusal(held, [A])

    assert now_ms() == 51
    assert late.code == "queue_full"
    assert state_of(held) == (1, 0)
    assert await first == 100
    assert await work(held, [A], ms=1) == 101
    assert held.statistics().refused == 1


@over_seeds(60)
async def test_a_turn_that_comes_in_the_instant_of_the_timeout_is_not_lost() -> None:
    held = queues(wait_ms_max=100)
    outcomes = await asyncio.gather(
        *(work(held, [A], ms=100) for _ in range(2)), work(held, [A], ms=0), return_exceptions=True
    )

    assert {type(each) for each in outcomes} <= {int, RateLimited}
    assert state_of(held) == IDLE
    await work(held, [A])


# Cancellation


@over_seeds(60)
async def test_who_is_cancelled_while_waiting_leaves_without_a_trace() -> None:
    held = queues()
    working = [asyncio.create_task(work(held, [A, B] if n % 2 else [B], ms=n % 3)) for n in range(12)]
    await asyncio.sleep(0.002)
    for number, task in enumerate(working[1::3]):
        task.cancel()
        if number % 2:
            await asyncio.sleep(0)
    outcomes = await asyncio.gather(*working, return_exceptions=True)

    assert {type(each) for each in outcomes} <= {int, asyncio.CancelledError}
    assert state_of(held) == IDLE
    began = now_ms()
    assert await work(held, [A, B]) == began + 10


def test_a_turn_given_to_somebody_who_is_cancelled_goes_to_the_next_in_every_interleaving() -> None:
    async def race() -> tuple[str, str]:
        held = queues()

        async def waiting() -> None:
            async with held.hold([A]):
                pass

        async def give_up(task: asyncio.Task[None]) -> None:
            task.cancel()

        async with held.hold([A]):
            first = asyncio.create_task(waiting())
            await asyncio.sleep(0.001)
            second = asyncio.create_task(waiting())
            await asyncio.sleep(0.001)
            leaving = asyncio.create_task(give_up(first))
            await asyncio.sleep(0)
        one, two, _ = await asyncio.gather(first, second, leaving, return_exceptions=True)
        assert state_of(held) == IDLE
        return type(one).__name__, type(two).__name__

    seen: set[tuple[str, str]] = set()

    exploration = explore(race, seen.add)

    assert exploration.complete
    assert exploration.count > 10
    assert seen == {("CancelledError", "NoneType"), ("NoneType", "NoneType")}


def test_who_is_cancelled_while_working_passes_the_turn_on() -> None:
    async def main() -> None:
        held = queues()
        first = asyncio.create_task(work(held, [A], ms=1_000))
        await asyncio.sleep(0)
        second = asyncio.create_task(work(held, [A], ms=1))
        await until_waiting(held, 1)
        first.cancel()
        assert await second == 1

    run(main())


# Statistics


def test_the_statistics_tell_what_happened() -> None:
    async def main() -> None:
        held = queues(per_stream_max=1)
        assert held.statistics() == QueueStatistics(0, 0, 0, 0, 0)
        working = [asyncio.create_task(work(held, [A], ms=30)) for _ in range(2)]
        await until_waiting(held, 1)
        await refusal(held, [A])
        assert held.statistics() == QueueStatistics(1, 1, 1, 1, 0)
        await asyncio.gather(*working)
        assert held.statistics() == QueueStatistics(0, 0, 2, 1, 30)

    run(main())
