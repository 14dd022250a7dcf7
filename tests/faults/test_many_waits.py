"""Many runs that wait, and what a restart makes of them: timers in order and once, memory that does not grow.

On both durable stores.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from interlock import App, Io, Plan
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.journal.store_name import StoreName
from interlock.parts import installed_parts, sections_of
from interlock.settings import load
from interlock.testing.app import read_run
from interlock.testing.checker import check_left
from tests.faults.durable import Durable

PERSON = local_principal("ada")
START_MS = 1_767_225_600_000
AT_ONCE = 100
BYTES_OF_A_RUN_MAX = 1_000
"""Memory that a process may keep for each run that waits: the head of its stream, which the store knows, and noise."""

WARM = 2_000
"""Runs after which caches are as large as they get."""

waiting = Plan("waiting")


@waiting.state
async def ask(io: Io) -> object:
    return await io.wait("go", int)


@waiting.state
async def tell(ask: int) -> int:
    return ask + 1


napping = Plan("napping")


@napping.state
async def nap(io: Io, ms: int) -> None:
    await io.sleep("nap", ms)


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at_ms = START_MS

    def now_ms(self) -> int:
        return self.at_ms


def run_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def test_timers_that_came_due_while_no_process_lived_fire_after_it_in_order_and_once(
    tmp_path: Path, durable: Durable
) -> None:
    """C18, F12, W3: three runs sleep, the process ends, their times pass; two workers of the next one fire them."""
    clock, store = SetClock(), durable.fresh(tmp_path)

    async def before() -> None:
        async with App.open(store, clock=clock) as app:
            for number, ms in enumerate((90_000, 30_000, 60_000)):
                await app.runs.start(napping, {"ms": ms}, run_id=run_id(number), detach=True)
            await app.runs.worker.work(until_idle=True)

    async def after() -> list[str]:
        async with App.open(store, clock=clock, create=False) as app:
            app.runs.plans.add(napping)
            await asyncio.gather(*(app.runs.worker.work(until_idle=True) for _ in range(2)))
            fired: list[tuple[int, str]] = []
            for number in range(3):
                log = await read_run(app, run_id(number))
                fired += [(each.position, run_id(number)) for each in log if isinstance(each.record, e.WaitExpired)]
                assert isinstance(log[-1].record, e.RunCompleted)
            await check_left(app.store, now_ms=clock.now_ms())
            entries = [each async for page in app.journal.read(f"default/run/{run_id(0)}/inbox") for each in page]
            assert len(entries) == 1
            return [each for _, each in sorted(fired)]

    asyncio.run(before())
    clock.at_ms += 3_600_000
    assert sorted(asyncio.run(after())) == [run_id(0), run_id(1), run_id(2)]


def test_timers_fire_in_the_order_of_their_times(tmp_path: Path, durable: Durable) -> None:
    """W3: told by the order in which they reach the inboxes."""
    clock, store = SetClock(), durable.fresh(tmp_path)

    async def main() -> list[int]:
        async with App.open(store, clock=clock) as app:
            for number, ms in enumerate((90_000, 30_000, 60_000)):
                await app.runs.start(napping, {"ms": ms}, run_id=run_id(number), detach=True)
            await app.runs.worker.work(until_idle=True)
            clock.at_ms += 3_600_000
            await app.runs.worker.work(until_idle=True)
            feed = await app.store.events.feed("default", 0, 1_000)
            return [int(each.stream.split("/")[2][-12:]) for each in feed if each.stream.endswith("/inbox")]

    assert asyncio.run(main()) == [1, 2, 0]


def memory_bytes() -> int:
    """What this process has in memory now."""
    pages = int(Path(f"/proc/{os.getpid()}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def begin(app: App, numbers: range) -> None:
    """Start runs and let each come to its wait."""
    for first in range(numbers.start, numbers.stop, AT_ONCE):
        batch = range(first, min(first + AT_ONCE, numbers.stop))
        results = await asyncio.gather(*(app.runs.start(waiting, run_id=run_id(number)) for number in batch))
        assert {each.waiting.kind if each.waiting else None for each in results} == {"suspended"}


async def answered(app: App, number: int) -> object:
    await app.runs.control.signal(run_id(number), "ask", "go", number, principal=PERSON)
    await app.runs.resume(run_id(number))
    return await app.runs.read.output(run_id(number), "tell")


async def many(store: StoreName, warm: int, count: int, answers: range) -> None:
    unsafe = {"sqlite": {"unsafe_synchronous_normal": True}}
    settings = load(sections_of(installed_parts()), arguments=unsafe, environ={}, folder=Path(os.devnull))
    async with App.open(store, settings=settings) as app:
        await begin(app, range(warm))
        before = memory_bytes()
        await begin(app, range(warm, count))
        grown = memory_bytes() - before
        assert grown < BYTES_OF_A_RUN_MAX * (count - warm), f"{grown} bytes for {count - warm} runs"
        for number in answers:
            assert await answered(app, number) == number + 1


def test_runs_that_wait_cost_no_memory_and_each_can_be_answered(tmp_path: Path, durable: Durable) -> None:
    """W1, W2: nothing is held for them: no thread, no task, no state."""
    warm = WARM if durable.on_files else WARM // 5
    count = warm + WARM // 2 if durable.on_files else 2 * warm
    asyncio.run(many(durable.fresh(tmp_path), warm, count, range(0, count, 100)))


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_ten_thousand_runs_that_wait_cost_no_memory_and_each_can_be_answered(tmp_path: Path, durable: Durable) -> None:
    """W1, W2."""
    asyncio.run(many(durable.fresh(tmp_path), WARM, 10_000, range(10_000)))
