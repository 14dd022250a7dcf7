"""The server goes away: connections are cut, it crashes and comes back, or it stays away.

What was acknowledged is never lost and nothing is written twice; whoever cannot know that says so.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from interlock import App, Plan
from interlock.base.errors import InterlockError
from interlock.engine.sources import load_plan
from interlock.journal.ports import EMPTY, Append, Appended, Head, StreamAppend
from interlock.stores.postgres import PostgresSettings, PostgresStore, open_postgres
from interlock.testing.app import read_run
from interlock.testing.checker import check_run
from interlock.testing.contracts.harness import onto, stream
from tests.postgres import PASSWORD, Server, fresh_schema
from tests.surfaces.process import PRODUCT

WRITERS = 8
PATIENT = PostgresSettings(reconnect_timeout_ms=30_000, batch_start_ops=4)
HASTY = PostgresSettings(reconnect_timeout_ms=200)
A = stream("a")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of one's own, to be crashed."""
    server = Server()
    server.make()
    yield server
    server.remove()


async def keep_appending(
    store: PostgresStore, name: str, done: asyncio.Event, acknowledged: dict[str, list[Head]]
) -> None:
    """Append to one stream again and again, and note each head that was acknowledged."""
    head = EMPTY
    while not done.is_set():
        addition = onto(head, name, os.urandom(8))
        [outcome] = await store.events.append([Append([addition])])
        assert isinstance(outcome, Appended), outcome
        head = addition.head
        acknowledged[name].append(head)


def test_what_was_acknowledged_outlives_crashes_of_the_server(server: Server) -> None:
    """The server is crashed (immediate stop) again and again under writers that never hear of it."""

    async def main() -> None:
        store = await open_postgres(fresh_schema(server.url), settings=PATIENT)
        done = asyncio.Event()
        acknowledged: dict[str, list[Head]] = {stream(f"w{n}"): [] for n in range(WRITERS)}
        writers = [asyncio.create_task(keep_appending(store, name, done, acknowledged)) for name in acknowledged]
        for _ in range(3):
            before = sum(map(len, acknowledged.values()))
            await asyncio.to_thread(server.stop, "immediate")
            await asyncio.to_thread(server.start)
            while sum(map(len, acknowledged.values())) < before + 50:
                await asyncio.sleep(0.01)
        done.set()
        await asyncio.gather(*writers)
        for name, heads in acknowledged.items():
            stored = [Head(each.seq, each.digest) for each in await store.events.read(name, 0, 1_000_000)]
            assert stored == heads
        feed = await store.events.feed("default", 0, 1_000_000)
        assert [each.position for each in feed] == list(range(1, len(feed) + 1))
        await store.close()

    asyncio.run(main())


def test_runs_go_on_when_the_server_crashes_under_them(server: Server) -> None:
    """Every run ends, its log is one that a correct engine wrote, and no completed state ran again."""
    plan, entered = Plan("crowd"), list[tuple[str, str]]()

    def handler(name: str) -> Callable[[str], Awaitable[None]]:
        async def handle(run: str) -> None:
            entered.append((run, name))

        handle.__name__ = name
        return handle

    for number in range(6):
        plan.state(handler(f"s{number}"))

    async def main() -> None:
        async with App.open(await open_postgres(fresh_schema(server.url), settings=PATIENT)) as app:
            starting = [asyncio.create_task(app.runs.start(plan, {"run": str(n)})) for n in range(200)]
            await asyncio.sleep(0.05)
            await asyncio.to_thread(server.stop, "immediate")
            await asyncio.to_thread(server.start)
            results = await asyncio.gather(*starting)
            assert {result.phase for result in results} == {"completed"}
            for result in results[:20]:
                check_run(await read_run(app, result.run_id), plan=plan.build())
            await app.store.close()

    asyncio.run(main())
    assert len(entered) == len(set(entered))


@pytest.mark.parametrize("when", ["append:before", "append:sent"])
def test_a_connection_that_is_cut_costs_nothing_but_time(server: Server, when: str) -> None:
    """The server ends the writer's session before a batch is sent, and while it is on its way: it is read back."""
    url = fresh_schema(server.url)
    cut = 0

    def fault(point: str) -> None:
        nonlocal cut
        if point == when and cut < 40:
            cut += 1
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'interlock' AND query LIKE '%write_events%' OR query LIKE 'PREPARE%'"
                )

    async def main() -> None:
        store = await open_postgres(url, settings=PATIENT, faults=fault)
        head = EMPTY
        for number in range(30):
            addition = onto(head, A, b"%d" % number, b"more")
            [outcome] = await store.events.append([Append([addition])])
            assert outcome == Appended("default", 2 * number + 2)
            head = addition.head
        assert [each.data for each in await store.events.read(A, 0, 100)][::2] == [b"%d" % n for n in range(30)]
        await store.close()

    asyncio.run(main())
    assert cut >= 30


def test_a_server_that_stays_away_while_an_answer_is_due_closes_the_store(server: Server) -> None:
    """Who waits is told that nobody knows; what was acknowledged before is there for the next opening."""
    url = fresh_schema(server.url)
    first = onto(EMPTY, A, b"1")
    second = onto(first.head, A, b"2")

    async def main() -> None:
        store = await open_postgres(url, settings=HASTY)
        [outcome] = await store.events.append([Append([first])])
        assert isinstance(outcome, Appended)
        holding = psycopg.connect(server.url)
        holding.execute(f"SELECT * FROM {url.partition('=')[2]}.partition FOR UPDATE")
        on_its_way = asyncio.create_task(refused(store, second))
        await asyncio.sleep(0.1)  # it waits for the lock at the server, and its answer is lost
        try:
            await asyncio.to_thread(server.stop, "immediate")
            holding.close()
            assert await on_its_way == "outcome_unknown"
            assert await refused(store, second) == "store_closed"
            with pytest.raises(InterlockError) as unreachable:
                await open_postgres(url, settings=HASTY)
            assert unreachable.value.code == "postgres_unreachable"
        finally:
            await asyncio.to_thread(server.start)
        await store.close()

        again = await open_postgres(url, create=False)
        [head] = await again.events.heads([A])
        assert head in {first.head, second.head}
        [outcome] = await again.events.append([Append([onto(head, A, b"3")])])
        assert outcome == Appended("default", head.seq + 1)
        await again.close()

    asyncio.run(main())


def test_what_was_never_sent_is_refused_and_the_store_goes_on_when_the_server_is_back(server: Server) -> None:
    """The connection was lost while nothing was on its way: nothing was written, and asking again helps."""
    url = fresh_schema(server.url)
    first = onto(EMPTY, A, b"1")
    second = onto(first.head, A, b"2")

    async def main() -> None:
        store = await open_postgres(url, settings=HASTY)
        await store.events.append([Append([first])])
        await asyncio.to_thread(server.stop, "immediate")
        await asyncio.sleep(0.1)
        try:
            assert await refused(store, second) == "postgres_unreachable"
        finally:
            await asyncio.to_thread(server.start)
        [outcome] = await store.events.append([Append([second])])
        assert outcome == Appended("default", 2)
        await store.close()

    asyncio.run(main())


async def refused(store: PostgresStore, addition: StreamAppend) -> str:
    """The code of an append that must not be acknowledged; no secret is in what is said."""
    [outcome] = await store.events.append([Append([addition])])
    assert isinstance(outcome, InterlockError)
    assert PASSWORD not in f"{outcome} {outcome.details} {outcome.advice}"
    return outcome.code


def test_readers_and_watchers_come_through_a_restart(server: Server) -> None:
    """A read waits for the server; the bell rings again behind it."""

    async def main() -> None:
        url = fresh_schema(server.url)
        store, other = await open_postgres(url, settings=PATIENT), await open_postgres(url, settings=PATIENT)
        waiting = asyncio.create_task(store.doorbell.wait(store.doorbell.seen(), 60_000))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.stop, "fast")
        reading = asyncio.create_task(store.events.heads([A]))
        await asyncio.to_thread(server.start)
        assert await reading == [EMPTY]
        addition = onto(EMPTY, A)
        await other.events.append([Append([addition])])
        assert await asyncio.wait_for(waiting, 30) > 0
        await store.close()
        await other.close()

    asyncio.run(main())


WORKED = """
from interlock import Plan
plan = Plan("worked")

@plan.state
async def one() -> int:
    import asyncio
    await asyncio.sleep(0.02)
    return 1

@plan.state
async def two(one: int) -> int:
    return one + 1
"""


def test_workers_go_on_when_the_server_crashes_under_them(server: Server, tmp_path: Path) -> None:
    """Two real workers share what was started; the server crashes in the middle; every run ends, and none twice."""
    (tmp_path / "worked.py").write_text(WORKED)
    url, source = fresh_schema(server.url), f"{tmp_path}/worked.py:plan"

    async def start() -> None:
        async with App.open(url) as app:
            for number in range(40):
                await app.runs.start(load_plan(source), {"n": number}, source=source, detach=True)

    async def results() -> list[str]:
        async with App.open(url) as app:
            streams = [name for name, _ in await app.store.events.streams("default", "", 1_000)]
            runs = [name.split("/")[2] for name in streams if "/run/" in name and not name.endswith("/inbox")]
            logs = [await read_run(app, run_id) for run_id in runs]
            for log in logs:
                check_run(log, plan=load_plan(source))
            return [(await app.runs.read.result(run_id)).phase for run_id in runs]

    asyncio.run(start())
    line = [*PRODUCT, "work", "--until-idle", "--concurrency", "4", "--json", "--store", url]
    environ = {**os.environ, "INTERLOCK_ENGINE__CLAIM_LEASE_MS": "2000"}
    workers = [subprocess.Popen(line, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()  # it is at work; one that has not opened its store yet may fail as anybody may
    server.stop("immediate")
    server.start()
    for worker in workers:
        worker.communicate(timeout=90)

    assert [worker.returncode for worker in workers] == [0, 0]
    assert asyncio.run(results()) == ["completed"] * 40
