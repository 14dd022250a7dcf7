"""P15: many writers of one run, as tasks, threads and processes, make one total order, each head used once.

Run as a program it is one writer in a process of its own: `test_linearizability.py STORE WRITER WINS`.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.journal.ports import Append, Store, StoredEvent
from interlock.journal.store_name import StoreName, is_url, store_name
from interlock.stores.memory import MemoryStore
from interlock.stores.memory.data import MemoryData
from interlock.stores.postgres import open_postgres
from interlock.stores.sqlite import open_sqlite
from interlock.testing.contracts.harness import onto, stream
from interlock.testing.loop import over_seeds, run

RUN = stream("contended")
ATTEMPTS_MAX = 2_000
GO_S = 60


class Attempt(Struct, frozen=True):
    """What one writer did: the head it read, the append it tried on it, and when each began and ended."""

    data: str
    read_began: int
    read_ended: int
    head_seq: int
    append_began: int
    append_ended: int
    position: int | None
    code: str


async def write(store: Store, writer: str, wins: int, now: Callable[[], int]) -> list[Attempt]:
    """Append to the one run until `wins` appends were accepted; a conflict is tried anew on the new head."""
    attempts: list[Attempt] = []
    for number in range(ATTEMPTS_MAX):
        began = now()
        [head] = await store.events.heads([RUN])
        ended = now()
        data = f"{writer}.{number}"
        began_append = now()
        [outcome] = await store.events.append([Append([onto(head, RUN, data.encode())])])
        refused = isinstance(outcome, InterlockError)
        position = None if isinstance(outcome, InterlockError) else outcome.position
        code = outcome.code if isinstance(outcome, InterlockError) else ""
        attempts.append(Attempt(data, began, ended, head.seq, began_append, now(), position, code))
        wins -= not refused
        if wins == 0:
            return attempts
    raise AssertionError("this writer was starved")


def check(attempts: Sequence[Attempt], stored: Sequence[StoredEvent]) -> None:
    """Prove that the attempts are those of one total order of appends, and that the run holds exactly it."""
    won = sorted((each for each in attempts if each.position), key=lambda each: each.position or 0)
    lost = [each for each in attempts if each.position is None]

    assert [each.position for each in won] == list(range(1, len(won) + 1))
    assert [each.head_seq for each in won] == list(range(len(won)))
    assert [each.data for each in stored] == [each.data.encode() for each in won]
    assert {each.code for each in lost} <= {"head_moved"}
    check_times(attempts, won)


def check_times(attempts: Sequence[Attempt], won: Sequence[Attempt]) -> None:
    """What had ended before something else began comes before it, and nothing is seen before it began."""
    ended = [each.append_ended for each in won]
    for place, each in enumerate(won):
        assert not [other for other in ended[place + 1 :] if other < each.append_began]
    for each in attempts:
        assert each.head_seq >= sum(end < each.read_began for end in ended)
        assert each.head_seq <= sum(other.append_began < each.read_ended for other in won)


# In one process


@over_seeds(30)
async def test_tasks_on_the_store_in_memory() -> None:
    first = MemoryStore()
    stores = [first, first, first.reopen(), first.reopen()]
    tick = count()
    writers = (write(store, f"w{n}", 6, lambda: next(tick)) for n, store in enumerate(stores))

    attempts = [each for some in await asyncio.gather(*writers) for each in some]

    check(attempts, await first.events.read(RUN, 0, 1_000))


def test_the_seeds_make_writers_meet() -> None:
    async def main() -> int:
        first = MemoryStore()
        writers = (write(store, "w", 5, lambda: 0) for store in (first, first.reopen()))
        return sum(each.position is None for some in await asyncio.gather(*writers) for each in some)

    assert sum(run(main(), seed=seed) for seed in range(10)) > 10


def test_a_store_that_takes_stale_appends_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        store = MemoryStore()
        writers = (write(store, f"w{number}", 5, lambda: 0) for number in range(2))
        attempts = [each for some in await asyncio.gather(*writers) for each in some]
        check(attempts, await store.events.read(RUN, 0, 1_000))

    monkeypatch.setattr(MemoryData, "_check_stream", lambda *_: None)

    with pytest.raises(AssertionError):
        run(main())


def test_tasks_on_the_store_in_a_file(tmp_path: Path) -> None:
    async def main() -> None:
        stores = [await open_sqlite(tmp_path / "store") for _ in range(2)]
        writers = (write(stores[n % 2], f"w{n}", 10, time.monotonic_ns) for n in range(6))
        attempts = [each for some in await asyncio.gather(*writers) for each in some]
        check(attempts, await stores[0].events.read(RUN, 0, 1_000))
        for store in stores:
            await store.close()

    asyncio.run(main())


def test_threads_on_the_store_in_a_file(tmp_path: Path) -> None:
    attempts: list[Attempt] = []
    together = threading.Barrier(4)

    async def work(writer: str) -> None:
        store = await open_sqlite(tmp_path / "store")
        together.wait(GO_S)
        attempts.extend(await write(store, writer, 15, time.monotonic_ns))
        await store.close()

    asyncio.run(touch(tmp_path / "store"))
    threads = [threading.Thread(target=lambda n=n: asyncio.run(work(f"w{n}"))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GO_S)

    assert sum(each.position is not None for each in attempts) == 60
    check(attempts, asyncio.run(stored(tmp_path / "store")))


async def opened(name: StoreName) -> Store:
    """The store of this name, opened as one more writer."""
    return await (open_postgres(str(name)) if is_url(name) else open_sqlite(Path(name)))


async def touch(path: StoreName) -> None:
    """Make the store, so that writers find one."""
    await (await opened(path)).close()


async def stored(path: StoreName) -> list[StoredEvent]:
    """The run as it stands in the file."""
    store = await opened(path)
    events = await store.events.read(RUN, 0, 1_000)
    await store.close()
    return events


# In several processes


def test_processes_on_the_store_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "store"
    asyncio.run(touch(path))
    processes = [start(path, f"w{number}", wins=15) for number in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    answers = together(processes)

    attempts = [each for answer in answers for each in msgspec.json.decode(answer, type=list[Attempt])]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(each.position is not None for each in attempts) == 45
    check(attempts, asyncio.run(stored(path)))


def test_processes_on_the_store_in_a_database(postgres_url: str) -> None:
    url = f"{postgres_url}?schema=contended_{time.time_ns()}"
    asyncio.run(touch(url))
    processes = [start(url, f"w{number}", wins=15) for number in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    answers = together(processes)

    attempts = [each for answer in answers for each in msgspec.json.decode(answer, type=list[Attempt])]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(each.position is not None for each in attempts) == 45
    check(attempts, asyncio.run(stored(url)))


def start(path: StoreName, writer: str, wins: int) -> subprocess.Popen[bytes]:
    """One writer in a process of its own, which waits for the word."""
    command = [sys.executable, __file__, str(path), writer, str(wins)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def together(processes: Sequence[subprocess.Popen[bytes]]) -> list[bytes]:
    """Let all begin, then collect what each has to say."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    return [process.communicate(timeout=GO_S)[0] for process in processes]


async def be_a_writer(path: StoreName, writer: str, wins: int) -> None:
    """Open the store, wait for the word, write, and print what happened."""
    store = await opened(path)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    attempts = await write(store, writer, wins, time.monotonic_ns)
    await store.close()
    sys.stdout.write(msgspec.json.encode(attempts).decode())


if __name__ == "__main__":
    asyncio.run(be_a_writer(store_name(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
