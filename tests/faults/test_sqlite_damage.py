"""Damage to a store in an SQLite file: cut and changed.

Whatever is done to the write-ahead log, the store opens as the longest committed prefix or is refused as
damaged (S1, S2, F19, M16). Whatever is done to the database, nothing that differs from what was written is
taken for good. SQLite alone: rows are damaged on both stores in `test_engine_damage` and `test_flipped_bytes`.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from interlock.base.errors import Corruption, InterlockError
from interlock.journal.chain import event_digest
from interlock.journal.ports import EMPTY, Head, StoredEvent
from interlock.stores.sqlite import SqliteSettings, open_sqlite
from interlock.stores.sqlite.maintenance.integrity import check_integrity
from interlock.testing.contracts.harness import append, content, grow, onto, stream
from tests.faults.logs import FRAME_BYTES, HEADER_BYTES, PAGE_BYTES, copied, place

A = stream("a")
APPENDS = 8
SALTS = slice(16, 24)
"""Where the header of a log says which log it is."""


def drawn(seed: int) -> random.Random:
    """Places and noise that are the same in every run."""
    return random.Random(seed)  # noqa: S311 — no secret


# The write-ahead log


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The database and the log that a killed process left: some appends of two events, none checkpointed."""
    folder, copies = tmp_path_factory.mktemp("crashed"), tmp_path_factory.mktemp("copies")

    async def main() -> tuple[bytes, bytes]:
        store = await open_sqlite(folder / "store")
        for n in range(APPENDS):
            await grow(store, A, b"%d" % n, b"and more")
        files = await copied(folder / "store", copies)
        await store.close()
        return files

    return asyncio.run(main())


def opened(folder: Path, database: bytes, log: bytes) -> int | str:
    """How many events a store of these bytes holds, or the code with which it is refused."""
    path = place(folder, database, log)

    async def main() -> int | str:
        try:
            store = await open_sqlite(path)
        except Corruption as fault:
            return fault.code
        try:
            data = await content(store, A)
            whole = [each for n in range(APPENDS) for each in (b"%d" % n, b"and more")]
            assert data == whole[: len(data)]
            assert len(data) % 2 == 0
            [head] = await store.events.heads([A])
            assert head.seq == len(data) == await store.events.position("default")
            await grow(store, stream("new"))
        finally:
            await store.close()
        assert await check_integrity(path) == []
        return len(data)

    return asyncio.run(main())


async def data_of(path: Path) -> list[bytes | None]:
    store = await open_sqlite(path)
    data = await content(store, A)
    await store.close()
    return data


def test_a_log_that_is_cut_between_frames_opens_as_the_longest_committed_prefix(
    tmp_path: Path, crashed: tuple[bytes, bytes]
) -> None:
    database, log = crashed
    frames = (len(log) - HEADER_BYTES) // FRAME_BYTES

    found = [opened(tmp_path, database, log[: HEADER_BYTES + n * FRAME_BYTES]) for n in range(frames + 1)]

    assert found == sorted(found)
    assert set(found) == set(range(0, 2 * APPENDS + 1, 2))
    assert found[-1] == 2 * APPENDS


def test_a_log_that_is_cut_anywhere_opens_as_what_is_whole_before_the_cut(
    tmp_path: Path, crashed: tuple[bytes, bytes]
) -> None:
    database, log = crashed
    for at in sorted(drawn(19).sample(range(len(log)), 40)):
        whole = HEADER_BYTES + max(at - HEADER_BYTES, 0) // FRAME_BYTES * FRAME_BYTES

        assert opened(tmp_path, database, log[:at]) == opened(tmp_path, database, log[:whole]), at


def test_a_changed_byte_with_commits_behind_it_is_refused_and_stays_refused(
    tmp_path: Path, crashed: tuple[bytes, bytes]
) -> None:
    database, log = crashed
    last_commit = len(log) - 3 * FRAME_BYTES
    places = [*range(HEADER_BYTES), *drawn(2).sample(range(HEADER_BYTES, last_commit - FRAME_BYTES), 40)]
    for at in places:
        damaged = bytearray(log)
        damaged[at] ^= 1 << at % 8
        assert opened(tmp_path, database, bytes(damaged)) == "store_corrupt", at
        assert Path(f"{tmp_path}/store-wal").read_bytes() == damaged, "the evidence was cleared away"


def test_a_changed_byte_in_the_last_commit_loses_that_commit_alone(
    tmp_path: Path, crashed: tuple[bytes, bytes]
) -> None:
    database, log = crashed
    for back in (1, PAGE_BYTES, PAGE_BYTES + 3):
        damaged = bytearray(log)
        damaged[-back] ^= 0x10
        assert opened(tmp_path, database, bytes(damaged)) == 2 * APPENDS - 2


def test_what_lies_behind_the_end_of_the_log_is_no_damage(tmp_path: Path, crashed: tuple[bytes, bytes]) -> None:
    database, log = crashed
    noise = drawn(3).randbytes(5 * FRAME_BYTES)
    earlier = bytearray(log)  # frames of a log that was begun anew have other salts
    for frame in range(HEADER_BYTES, len(log), FRAME_BYTES):
        earlier[frame + 8] ^= 0xFF

    for behind in (bytes(3 * FRAME_BYTES), noise, bytes(earlier[HEADER_BYTES:]), b"torn"):
        assert opened(tmp_path, database, log + behind) == 2 * APPENDS


def test_a_log_that_was_begun_anew_before_the_crash_opens_whole(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()

    async def main() -> tuple[int, list[tuple[bytes, bytes]]]:
        small = SqliteSettings(checkpoint_wal_bytes=30 * FRAME_BYTES)
        store = await open_sqlite(tmp_path / "store", settings=small)
        crashes = []
        head, appends = EMPTY, 0
        for _ in range(12):
            for _ in range(7):
                addition = onto(head, A, b"%d" % appends)
                await append(store, addition)
                head, appends = addition.head, appends + 1
            crashes.append(await copied(tmp_path / "store", tmp_path / "copy"))
        await store.close()
        return appends, crashes

    appends, crashes = asyncio.run(main())
    assert appends == 7 * len(crashes)
    assert len({log[16:24] for _, log in crashes}) > 2, "the log was never begun anew"
    for number, (database, log) in enumerate(crashes, 1):
        place(tmp_path / "copy", database, log)
        assert asyncio.run(data_of(tmp_path / "copy" / "store")) == [b"%d" % n for n in range(7 * number)]


def test_a_store_opens_while_somebody_else_writes_and_begins_its_log_anew(tmp_path: Path) -> None:
    async def main() -> None:
        small = SqliteSettings(checkpoint_wal_bytes=20 * FRAME_BYTES, inline_max_ops=0)
        store = await open_sqlite(tmp_path / "store", settings=small)
        opened = 0
        begun: set[bytes] = set()

        async def write() -> None:
            head = EMPTY
            while opened < 100:
                addition = onto(head, A)
                await append(store, addition)
                head = addition.head

        writing = asyncio.create_task(write())
        while opened < 100:
            other = await open_sqlite(tmp_path / "store", read_only=opened % 2 == 0)
            before = store.statistics().events
            [head] = await other.events.heads([A])
            assert head.seq >= before
            begun.add((tmp_path / "store-wal").read_bytes()[SALTS])
            await other.close()
            opened += 1
            await asyncio.sleep(0)
        await writing
        await store.close()
        assert len(begun - {b""}) > 1, "the log was never begun anew"

    asyncio.run(main())


def test_a_reader_and_doctor_meet_the_same_refusal(tmp_path: Path, crashed: tuple[bytes, bytes]) -> None:
    database, log = crashed
    damaged = bytearray(log)
    damaged[HEADER_BYTES + 2 * FRAME_BYTES + 100] ^= 1
    (tmp_path / "store").write_bytes(database)
    (tmp_path / "store-wal").write_bytes(damaged)

    with pytest.raises(Corruption) as caught:
        asyncio.run(open_sqlite(tmp_path / "store", read_only=True))
    [finding] = asyncio.run(check_integrity(tmp_path / "store"))

    assert caught.value.details == {"frame": 0}  # the first commit made the tables
    assert (finding.check, finding.message) == ("file", caught.value.message)


# The database


def test_a_changed_byte_of_the_database_is_found_or_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "store"

    async def make() -> None:
        store = await open_sqlite(path)
        for n in range(30):
            await grow(store, A, b"%d" % n * 40)
        await store.close()

    asyncio.run(make())
    whole = path.read_bytes()
    expected = asyncio.run(events_of(path))
    assert expected is not None
    harmless = refused = 0
    for at in drawn(5).sample(range(len(whole)), 150):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        found = asyncio.run(events_of(path))
        if found is None:
            refused += 1
        else:
            assert found == expected, at
            harmless += 1
    assert harmless > 0
    assert refused > 0


async def events_of(path: Path) -> list[StoredEvent] | None:
    """The events that a reader would believe; None where something refuses them."""
    try:
        store = await open_sqlite(path)
    except InterlockError:
        return None
    try:
        events = await store.events.read(A, 0, 1000)
        [head] = await store.events.heads([A])
    except Corruption:
        return None
    finally:
        await store.close()
    chained = all(event_digest(event.envelope) == event.digest and event == fresh(event) for event in events)
    ends_there = head == (Head(events[-1].seq, events[-1].digest) if events else EMPTY)
    return events if chained and ends_there else None


def fresh(event: StoredEvent) -> StoredEvent:
    """The event as it would be if it were written again."""
    data = event.data or b""
    again = onto(Head(event.seq - 1, "x"), A, data).events[0]
    return StoredEvent(A, event.seq, again.digest, again.envelope, data, b"", event.seq)
