"""Several processes on one store: rival appends, dead owners, doorbells."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from interlock.base.clock import SystemEntropy
from interlock.base.errors import InterlockError
from interlock.base.events import Wake
from interlock.journal.ports import Append, Held
from interlock.stores.sqlite import SqliteStore, open_sqlite
from interlock.stores.sqlite.owners import Owners
from interlock.testing.contracts.harness import code_of, content, grow, onto, stream

A, B = stream("a"), stream("b")
NOW, LEASE = 1_000_000, 3_600_000
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def child(path: Path, role: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Another process that does one of the things at the end of this file."""
    return subprocess.Popen(
        [sys.executable, __file__, role, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )


def spoken(process: subprocess.Popen[bytes]) -> str:
    """Its next line."""
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def say(process: subprocess.Popen[bytes], line: str) -> None:
    """Give it a line to read."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    process.stdin.flush()


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_processes_that_append_to_one_stream_conflict_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store"
    asyncio.run(make(path))

    rivals = [child(path, "rival", name, "60") for name in ("one", "two")]
    assert [spoken(rival) for rival in rivals] == ["ready", "ready"]
    for each in rivals:
        say(each, "go")
    counts = [int(each.communicate(timeout=60)[0]) for each in rivals]

    async def main() -> None:
        store = await open_sqlite(path)
        data = await content(store, A)
        feed = await store.events.feed("default", 0, 10_000)
        await store.close()
        names = Counter(each.split()[0] for each in data if each is not None)
        assert names == {b"one": 60, b"two": 60}
        assert len(set(data)) == 120
        assert [each.position for each in feed] == list(range(1, len(feed) + 1))

    asyncio.run(main())
    assert [rival.returncode for rival in rivals] == [0, 0]
    assert sum(counts) > 0, "both had read one head: one of them must have lost it"


def test_a_claim_ends_with_the_process_that_holds_it_long_before_it_expires(tmp_path: Path) -> None:
    path = tmp_path / "store"
    asyncio.run(make(path))
    owner = child(path, "owner")
    name = spoken(owner)

    async def main() -> None:
        store = await open_sqlite(path)
        held = await store.activations.take(A, "run", store.owner, NOW, LEASE)
        assert isinstance(held, Held)
        assert held.claim.owner == name
        assert await store.activations.claim("default", ["run"], store.owner, 10, NOW, LEASE) == []
        due = await store.activations.due("default", ["run"], NOW)
        assert due == NOW + LEASE

        kill(owner)

        assert await store.activations.holder(A, NOW) is None
        assert await store.activations.due("default", ["run"], NOW) == NOW
        [claim] = await store.activations.claim("default", ["run"], store.owner, 10, NOW, LEASE)
        assert (claim.stream, claim.owner, claim.epoch) == (A, store.owner, held.claim.epoch + 1)
        await store.close()

    asyncio.run(main())


def test_the_lock_file_of_a_dead_owner_is_taken_away_once_nothing_names_it(tmp_path: Path) -> None:
    path = tmp_path / "store"
    asyncio.run(make(path))
    owner = child(path, "owner")
    name = spoken(owner)
    locks = tmp_path / "store.owners"
    assert [lock.name for lock in locks.iterdir()] == [f"{name}.lock"]
    kill(owner)
    assert [lock.name for lock in locks.iterdir()] == [f"{name}.lock"]

    asyncio.run(make(path))
    assert [lock.name for lock in locks.iterdir()] == [f"{name}.lock"], "it is what proves that the claim has ended"

    asyncio.run(take_over(path))
    asyncio.run(make(path))

    assert list(locks.iterdir()) == []


async def take_over(path: Path) -> None:
    store = await open_sqlite(path)
    claims = await store.activations.claim("default", ["run"], store.owner, 1, NOW, LEASE)
    assert len(claims) == 1
    await store.activations.release(claims, None)
    await store.close()


def test_who_lives_where_cannot_be_told_is_taken_for_alive(tmp_path: Path) -> None:
    owners = Owners(tmp_path / "owners", SystemEntropy(), lock=True)
    host = owners.name.rsplit("-", 2)[0]
    dead = f"{host}-{os.getpid()}-0123456789ab"

    assert owners.is_alive(owners.name)
    assert owners.is_alive("elsewhere-12-0123456789ab")
    assert owners.is_alive("a name of another kind")
    assert owners.is_alive("../../etc/passwd")
    assert owners.is_alive(dead), "a lock that is not there proves nothing"
    (tmp_path / "owners" / f"{dead}.lock").touch()
    assert not owners.is_alive(dead)
    owners.close()
    owners.close()


def test_a_wait_ends_when_another_process_commits(tmp_path: Path) -> None:
    path = tmp_path / "store"
    asyncio.run(make(path))

    async def main() -> float:
        store = await open_sqlite(path)
        seen = store.doorbell.seen()
        begin = time.monotonic()
        rival = child(path, "rival", "ringer", "1")
        say(rival, "go")
        while True:
            mark = await store.doorbell.wait(seen, timeout_ms=30_000)
            assert mark != seen, "nobody rang"
            seen = mark
            if (await store.events.heads([A]))[0].seq == 1:
                break
        took = time.monotonic() - begin
        rival.communicate()
        await store.close()
        return took

    assert asyncio.run(main()) < 20


def test_a_store_looks_at_the_file_only_while_somebody_waits(tmp_path: Path) -> None:
    async def main() -> None:
        store = await open_sqlite(tmp_path / "store")
        assert not looks_at_the_file(store)
        await store.doorbell.wait(store.doorbell.seen(), timeout_ms=20)
        assert looks_at_the_file(store)
        async with asyncio.timeout(10):
            while looks_at_the_file(store):
                await asyncio.sleep(0.01)
        await store.close()

    asyncio.run(main())


def looks_at_the_file(store: SqliteStore) -> bool:
    return store._bell._poll is not None


async def make(path: Path) -> None:
    store = await open_sqlite(path)
    await store.close()


async def rival(store: SqliteStore, name: str, count: str) -> None:
    """Append to one stream until `count` appends have won; say how many lost.

    The first append waits for a word, on a head that was read before: so that rivals meet at least there.
    """
    lost = won = 0
    while won < int(count):
        [head] = await store.events.heads([A])
        if lost == won == 0:
            print("ready", flush=True)
            sys.stdin.readline()
        [outcome] = await store.events.append([Append([onto(head, A, f"{name} {won}".encode())])])
        if isinstance(outcome, InterlockError):
            assert code_of(outcome) == "head_moved"
            lost += 1
        else:
            won += 1
    await store.close()
    print(lost)


async def owner(store: SqliteStore) -> None:
    """Claim a stream and wait to be killed."""
    await grow(store, A, rows=[Wake(A, "run", NOW)])
    await store.activations.claim("default", ["run"], store.owner, 1, NOW, LEASE)
    print(store.owner, flush=True)
    await asyncio.sleep(600)


async def play(role: str, path: str, *arguments: str) -> None:
    store = await open_sqlite(Path(path))
    if role == "rival":
        await rival(store, *arguments)
    else:
        await owner(store)


if __name__ == "__main__":
    asyncio.run(play(*sys.argv[1:]))
