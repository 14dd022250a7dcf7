"""Owners, watchers and appends on a real store: who gets a result, what a cancellation costs, and how a store closes.

On both durable stores.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Struct

from interlock import App, Context, Io, Plan, RetryPolicy, StateFailure
from interlock.base.canonical import digest
from interlock.base.errors import Corruption
from interlock.base.events import Claim
from interlock.engine import events as e
from interlock.engine.errors import ORPHAN_RECOVERED
from interlock.engine.reports.records import RunResult, StepReport
from interlock.journal.store_name import StoreName
from interlock.journal.streams import stream_id
from interlock.parts import installed_parts, sections_of
from interlock.settings import load
from interlock.testing.app import read_run
from interlock.testing.checker import check_run
from tests.faults.durable import Durable, open_named
from tests.faults.halting import damage
from tests.faults.killing import Zygote
from tests.faults.plans import PLANS
from tests.faults.test_processes import at_once
from tests.surfaces.process import PRODUCT

PROCESSES = 4
ROUNDS = 5
SECONDS_MAX = 20
WATCHFUL: dict[str, dict[str, object]] = {"engine": {"watch_interval_ms": 20, "claim_lease_ms": 5_000}}


@pytest.fixture(scope="module")
def crew() -> Iterator[list[Zygote]]:
    with ExitStack() as stack:
        zygotes = [Zygote() for _ in range(PROCESSES)]
        for zygote in zygotes:
            stack.callback(zygote.close)
        yield zygotes


def opened(name: StoreName, **sections: dict[str, object]) -> AbstractAsyncContextManager[App]:
    """The application on a store, as one more owner of it."""
    settings = load(sections_of(installed_parts()), arguments=sections, environ={}, folder=Path(os.devnull))
    return App.open(name, settings=settings)


async def due(name: StoreName) -> int | None:
    """When the next activation of a store is due."""
    store = await open_named(name, create=False)
    try:
        return await store.activations.due("default", [e.RUN], 0)
    finally:
        await store.close()


async def records(app: App, run_id: str, plan: Plan) -> list[Struct | None]:
    """The records of a run, whose log is one that a correct engine can have written."""
    log = await read_run(app, run_id)
    check_run(log, plan=plan.build())
    return [event.record for event in log]


def orphans(log: Sequence[Struct | None]) -> int:
    return sum(isinstance(each, e.StateFailed) and each.error.info.code == ORPHAN_RECOVERED for each in log)


# Watchers of a run that ends


def test_processes_that_start_one_run_leave_nothing_due_when_it_has_ended(
    crew: list[Zygote], tmp_path: Path, durable: Durable
) -> None:
    """K5: a watcher that takes the claim as the run ends gets the result, and no activation stays behind."""
    for turn in range(ROUNDS):
        case = durable.case(crew[0], tmp_path / str(turn), "small", WATCHFUL)

        answers = at_once(crew, case, [case.order("start")] * PROCESSES)

        assert [answer["answer"] for answer in answers] == [answers[0]["answer"]] * PROCESSES
        assert answers[0]["answer"]["phase"] == "completed"
        assert case.said("handler") == ["first", "second"]
        assert asyncio.run(due(case.name)) is None
        check_run(asyncio.run(case.events()), plan=PLANS["small"].build())


def test_watchers_that_come_while_a_run_ends_get_its_result(tmp_path: Path, durable: Durable) -> None:
    """K5: none is told that the run is corrupt, whenever it looks."""
    plan, entered = Plan("brief"), asyncio.Event()

    @plan.state
    async def only() -> int:
        entered.set()
        await asyncio.sleep(0.02)
        return 1

    async def main() -> None:
        path = durable.fresh(tmp_path)
        async with opened(path) as owner, opened(path, **WATCHFUL) as watcher:
            watcher.runs.plans.add(plan)
            for turn in range(20):
                run_id = str(uuid4())
                driving = asyncio.create_task(owner.runs.start(plan, run_id=run_id))
                await entered.wait()
                entered.clear()
                await asyncio.sleep(turn % 5 * 0.005)
                watching = [watcher.runs.resume(run_id) for _ in range(3)]
                results = await asyncio.gather(driving, *watching)
                assert results == [results[0]] * 4
                assert results[0].phase == "completed"
                assert await owner.store.activations.due("default", [e.RUN], 0) is None

    asyncio.run(main())


def test_command_lines_that_start_one_id_at_once_all_exit_0(tmp_path: Path, durable: Durable) -> None:
    """K5: for who scripts it, attaching is as good as starting."""
    (tmp_path / "slow.py").write_text(
        "import asyncio\n"
        "from interlock import Plan\n"
        'plan = Plan("slow")\n'
        "@plan.state\n"
        "async def only() -> int:\n"
        '    with open("handlers.log", "a") as log:\n'
        '        log.write("x")\n'
        "    await asyncio.sleep(0.5)\n"
        "    return 1\n"
    )
    store = durable.fresh(tmp_path)
    for turn in range(2):
        line = (*PRODUCT, "run", "start", "slow.py:plan", "--run-id", str(uuid4()), "--store", str(store), "--json")
        processes = [
            subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(PROCESSES)
        ]
        ended = [(process.communicate(timeout=SECONDS_MAX), process.returncode) for process in processes]

        assert [code for _, code in ended] == [0] * PROCESSES, ended
        assert {json.loads(out)["phase"] for (out, _), _ in ended} == {"completed"}
        assert (tmp_path / "handlers.log").read_text() == "x" * (turn + 1)
        assert asyncio.run(due(store)) is None


# Several starts in one process


@pytest.mark.parametrize("owners", [1, 2], ids=["one application", "two applications on one store"])
def test_two_starts_of_one_id_in_one_process_run_its_handler_once(
    tmp_path: Path, durable: Durable, owners: int
) -> None:
    """K5, K1: the second start attaches; it closes no attempt that is alive."""
    entered: list[str] = []
    plan = Plan("twice")

    @plan.state
    async def only() -> int:
        entered.append("only")
        await asyncio.sleep(0.1)
        return 1

    async def main() -> None:
        path = durable.fresh(tmp_path)
        async with opened(path, **WATCHFUL) as one, opened(path, **WATCHFUL) as other:
            for turn in range(ROUNDS):
                run_id = str(uuid4())
                first, second = await asyncio.gather(
                    one.runs.start(plan, run_id=run_id), (one, other)[owners - 1].runs.start(plan, run_id=run_id)
                )
                assert first == second
                assert first.phase == "completed"
                assert len(entered) == turn + 1
                log = await records(one, run_id, plan)
                assert orphans(log) == 0
                assert sum(isinstance(each, e.OwnerClaimed) for each in log) == 1

    asyncio.run(main())


# Cancellation while an append is under way


async def record_for_ever(io: Io, prefix: str) -> None:
    number = 0
    while True:
        number += 1
        await io.record_value(f"{prefix}:{number}", number)


def driven(store: StoreName, plan: Plan) -> tuple[RunResult, StepReport]:
    """The outcome of a plan of one state, and that state."""

    async def main() -> tuple[RunResult, StepReport]:
        async with asyncio.timeout(SECONDS_MAX), opened(store) as app:
            result = await app.runs.start(plan)
            assert orphans(await records(app, result.run_id, plan)) == 0
            [step] = (await app.runs.read.report(result.run_id)).steps
            return result, step

    return asyncio.run(main())


def test_a_task_that_is_cancelled_while_it_records_does_not_hide_why_its_sibling_failed(
    tmp_path: Path, durable: Durable
) -> None:
    entered: list[int] = []
    plan = Plan("siblings")

    @plan.state(side_effects="read_only_io")
    async def both(io: Io) -> int:
        entered.append(1)

        async def fail() -> None:
            await asyncio.sleep(0.01)
            raise ValueError("no such thing")

        async with asyncio.TaskGroup() as group:
            group.create_task(record_for_ever(io, "fact"))
            group.create_task(fail())
        return 1

    result, step = driven(durable.fresh(tmp_path), plan)

    assert result.phase == "failed"
    assert len(entered) == 1
    assert (step.attempts, step.failures, step.crashes, step.error_code) == (1, 1, 0, "handler_exception")
    assert "ValueError" in (step.error_message or "")


def test_a_handler_that_gives_up_recording_goes_on_and_completes(tmp_path: Path, durable: Durable) -> None:
    entered: list[int] = []
    plan = Plan("giving_up")

    @plan.state(side_effects="read_only_io")
    async def some(io: Io) -> int:
        entered.append(1)
        try:
            await asyncio.wait_for(record_for_ever(io, "fact"), 0.02)
        except TimeoutError:
            await io.record_value("after", 1)
        return 7

    result, step = driven(durable.fresh(tmp_path), plan)

    assert result.phase == "completed"
    assert len(entered) == 1
    assert (step.attempts, step.failures, step.crashes) == (1, 0, 0)


def test_a_state_that_runs_out_of_time_while_it_records_is_tried_again_by_its_policy(
    tmp_path: Path, durable: Durable
) -> None:
    entered: list[int] = []
    plan = Plan("too_slow")

    @plan.state(side_effects="read_only_io", timeout_ms=30, retry=RetryPolicy.fixed(3))
    async def endless(io: Io) -> int:
        entered.append(1)
        await record_for_ever(io, f"fact:{len(entered)}")
        return 1

    result, step = driven(durable.fresh(tmp_path), plan)

    assert result.phase == "failed"
    assert len(entered) == 3
    assert (step.attempts, step.failures, step.crashes, step.error_code) == (3, 3, 0, "state_timeout")


# Watching


def test_a_watcher_of_an_idle_owner_waits_and_writes_hardly_anything(
    tmp_path: Path, durable: Durable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watcher looks at its interval, not as often as it can."""
    plan, gate, takes = Plan("idle"), asyncio.Event(), [0]

    @plan.state
    async def only() -> int:
        await gate.wait()
        return 1

    async def main() -> tuple[int, list[RunResult]]:
        path, run_id = durable.fresh(tmp_path), str(uuid4())
        async with opened(path) as owner, opened(path) as watcher:
            watcher.runs.plans.add(plan)
            take = watcher.store.activations.take

            async def counted(*arguments: Any, **options: Any) -> object:
                takes[0] += 1
                return await take(*arguments, **options)

            monkeypatch.setattr(watcher.store.activations, "take", counted)
            driving = asyncio.create_task(owner.runs.start(plan, run_id=run_id))
            while not any(isinstance(each.record, e.StateEntered) for each in await read_run(owner, run_id)):
                await asyncio.sleep(0.01)
            before = watcher.store.statistics().commits
            watching = asyncio.create_task(watcher.runs.resume(run_id))
            await asyncio.sleep(2)
            commits = watcher.store.statistics().commits - before
            gate.set()
            return commits, [await driving, await watching]

    commits, results = asyncio.run(main())
    assert takes[0] <= 8
    assert commits <= 8
    assert [result.phase for result in results] == ["completed"] * 2


# Closing


@pytest.mark.parametrize("first", [0, 1, 8, 9, 63, 64, 65, 130])
def test_a_store_closes_with_whatever_waits_for_its_writer(tmp_path: Path, durable: Durable, first: int) -> None:
    """Whether the thread is at work or not, and however much came after: closing ends, and all are answered."""

    async def close_with(second: int, turns: int) -> list[object]:
        store = await open_named(durable.fresh(tmp_path, f"{second}-{turns}.db"))

        def take(number: int) -> asyncio.Task[object]:
            stream = stream_id("default", e.RUN, f"{number}")
            return asyncio.ensure_future(store.activations.take(stream, e.RUN, store.owner, 1, 1000))

        tasks = [take(number) for number in range(first)]
        await asyncio.sleep(0)
        tasks += [take(number) for number in range(first, first + second)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(store.close(), SECONDS_MAX)
        return await asyncio.wait_for(asyncio.gather(*tasks), SECONDS_MAX)

    for second in (1, 3, 64, 70)[:: durable.stride(1, 3)]:
        for turns in (1, 2):
            claims = asyncio.run(close_with(second, turns))
            assert all(isinstance(claim, Claim) for claim in claims)


# Faults inside a task group of a handler


def test_store_damage_that_a_task_group_meets_stops_the_run_and_fails_no_state(
    tmp_path: Path, durable: Durable
) -> None:
    """S4: once the bytes are back, the run goes on."""
    path, run_id, text = durable.fresh(tmp_path), str(uuid4()), "x" * 9000
    plan, restore = Plan("grouped"), list[Callable[[], None]]()

    @plan.state
    async def large() -> str:
        return text

    @plan.state(after=[large])
    async def reads(ctx: Context) -> int:
        if not restore:
            restore.append(damage(path, digest(f'"{text}"'.encode()), "flipped"))
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.read("large"))
        return 1

    async def main() -> RunResult:
        async with opened(path) as app:
            with pytest.raises(Corruption) as caught:
                await app.runs.start(plan, run_id=run_id)
            assert caught.value.code == "artifact_corrupt"
            log = [event.record for event in await read_run(app, run_id)]
            assert not any(isinstance(each, e.StateFailed | e.RunCompleted) for each in log)
        restore[0]()
        async with opened(path) as app:
            return await app.runs.resume(run_id, plan=plan)

    assert asyncio.run(main()).phase == "completed"


def test_a_failure_in_a_task_group_keeps_its_code_and_may_be_retried(tmp_path: Path, durable: Durable) -> None:
    entered: list[int] = []
    plan = Plan("grouped")

    @plan.state(retry=RetryPolicy.fixed(3))
    async def asks() -> int:
        async def ask() -> None:
            entered.append(1)
            raise StateFailure("not_yet", "come back later", retryable=True)

        async with asyncio.TaskGroup() as group:
            group.create_task(ask())
        return 1

    result, step = driven(durable.fresh(tmp_path), plan)

    assert result.phase == "failed"
    assert len(entered) == 3
    assert (step.failures, step.error_code, step.error_message) == (3, "not_yet", "come back later")
