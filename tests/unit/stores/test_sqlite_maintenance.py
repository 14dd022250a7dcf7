"""Backup of a store in use, and finding damage below the meaning of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from interlock.base.errors import InterlockError
from interlock.journal.ports import EMPTY
from interlock.stores.sqlite import SqliteSettings, open_sqlite
from interlock.stores.sqlite.maintenance.backup import Backup, backup
from interlock.stores.sqlite.maintenance.integrity import check_integrity
from interlock.testing.contracts.harness import append, blob, content, grow, onto, refusal, stream

A, B = stream("a"), stream("b")
SETTINGS = SqliteSettings(artifact_inline_bytes_max=100)
LARGE = blob(b"large" * 100)


def make(path: Path) -> None:
    async def main() -> None:
        store = await open_sqlite(path, settings=SETTINGS)
        for n in range(3):
            await grow(store, A, b"%d" % n)
        [head] = await store.events.heads([B])
        await append(store, onto(head, B), blobs=[LARGE, blob(b"small")])
        await store.close()

    asyncio.run(main())


def names(folder: Path) -> list[str]:
    """What lies in a folder, but for the locks of owners."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".owners"))


def test_a_backup_is_a_store_with_the_same_content_and_identity(tmp_path: Path) -> None:
    make(tmp_path / "store")

    done = asyncio.run(backup(tmp_path / "store", tmp_path / "copy"))

    assert done == Backup((tmp_path / "copy").stat().st_size, 1)
    assert names(tmp_path) == ["copy", "copy.artifacts", "store", "store.artifacts"]
    (tmp_path / "store").unlink()

    async def main() -> None:
        store = await open_sqlite(tmp_path / "copy", create=False)
        assert await content(store, A) == [b"0", b"1", b"2"]
        assert await store.artifacts.get([LARGE.id]) == [LARGE.content]
        await grow(store, A, b"3")
        await store.close()
        assert await check_integrity(tmp_path / "copy") == []

    asyncio.run(main())


def test_a_backup_of_a_store_in_use_is_one_moment_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        store = await open_sqlite(tmp_path / "store", settings=SETTINGS)
        stop = asyncio.Event()

        async def write() -> None:
            a = b = EMPTY
            while not stop.is_set():
                both = onto(a, A, b"1"), onto(b, B, b"2", b"3")
                await append(store, *both, blobs=[blob(b"%d" % a.seq * 200)])
                a, b = both[0].head, both[1].head

        writing = asyncio.create_task(write())
        for number in range(4):
            [before] = await store.events.heads([A])
            await backup(tmp_path / "store", tmp_path / f"copy{number}")
            copy = await open_sqlite(tmp_path / f"copy{number}")
            first, second = await copy.events.heads([A, B])
            assert first.seq >= before.seq
            assert second.seq == 2 * first.seq
            assert await copy.events.position("default") == 3 * first.seq
            ids = await copy.artifacts.scan("", 10_000)
            assert len(await copy.artifacts.get(ids)) == first.seq
            await copy.close()
        stop.set()
        await writing
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("taken", ["copy", "copy.artifacts"])
def test_a_backup_writes_over_nothing(tmp_path: Path, taken: str) -> None:
    make(tmp_path / "store")
    (tmp_path / taken).mkdir()
    before = names(tmp_path)

    fault = asyncio.run(refusal(backup(tmp_path / "store", tmp_path / "copy")))

    assert fault.code == "backup_target_exists"
    assert names(tmp_path) == before


@pytest.mark.parametrize("target", ["", ".", "/", ".."])
def test_a_backup_into_what_has_no_name_is_one_into_a_folder(tmp_path: Path, target: str) -> None:
    make(tmp_path / "store")

    assert asyncio.run(refusal(backup(tmp_path / "store", Path(target)))).code == "backup_target_exists"
    assert asyncio.run(refusal(backup(tmp_path / "store", tmp_path / ("x" * 300)))).code == "store_unwritable"


def test_a_backup_into_a_missing_folder_names_the_folder(tmp_path: Path) -> None:
    make(tmp_path / "store")

    fault = asyncio.run(refusal(backup(tmp_path / "store", tmp_path / "no" / "copy")))

    assert (fault.code, fault.message) == ("store_unwritable", f"the folder {tmp_path / 'no'} does not exist")


def test_a_backup_where_nothing_can_be_written_says_so(tmp_path: Path) -> None:
    make(tmp_path / "store")

    fault = asyncio.run(refusal(backup(tmp_path / "store", Path("/proc/copy"))))  # nobody can write there

    assert fault.code == "store_unwritable"


def test_a_backup_of_no_store_names_what_was_looked_for(tmp_path: Path) -> None:
    fault = asyncio.run(refusal(backup(tmp_path / "store", tmp_path / "copy")))

    assert (fault.code, fault.message) == ("store_not_found", f"there is no store at {tmp_path / 'store'}")


def without_a_store(path: Path) -> None:
    path.unlink()


def with_a_foreign_file(path: Path) -> None:
    path.write_text("no database" * 100)


def with_a_damaged_artifact(path: Path) -> None:
    [file] = [each for each in Path(f"{path}.artifacts").rglob("*") if each.is_file()]
    file.write_bytes(b"damage")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (without_a_store, "store_not_found"),
        (with_a_foreign_file, "store_foreign"),
        (with_a_damaged_artifact, "artifact_corrupt"),
    ],
)
def test_a_backup_that_cannot_be_whole_leaves_nothing(tmp_path: Path, spoil: Callable[[Path], None], code: str) -> None:
    make(tmp_path / "store")
    spoil(tmp_path / "store")
    before = names(tmp_path)

    assert asyncio.run(refusal(backup(tmp_path / "store", tmp_path / "copy"))).code == code
    assert names(tmp_path) == before


def findings(path: Path) -> list[tuple[str, str]]:
    return [(each.check, each.place) for each in asyncio.run(check_integrity(path))]


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("DELETE FROM event WHERE seq = 3", [("feed", "default"), ("stream", A)]),
        ("DELETE FROM event WHERE stream = 2", [("stream", B)]),
        ("UPDATE event SET place = place + 9 WHERE stream = 2", [("feed", "default")]),
        ("UPDATE stream SET digest = x'00' WHERE no = 1", [("stream", A)]),
        ("UPDATE stream SET seq = 2 WHERE no = 1", [("stream", A), ("stream", A)]),
        ("UPDATE event SET stream = 9 WHERE stream = 2", [("foreign_keys", "event"), ("stream", B)]),
        ("DROP INDEX view_row_order", [("schema", "store")]),
        ("CREATE TABLE intruder (x)", [("schema", "store")]),
    ],
)
def test_each_kind_of_damage_is_named_with_its_place(tmp_path: Path, sql: str, found: list[tuple[str, str]]) -> None:
    make(tmp_path / "store")
    assert findings(tmp_path / "store") == []
    connection = apsw.Connection(str(tmp_path / "store"))
    connection.pragma("foreign_keys", 0)
    connection.execute(sql)
    connection.close()

    assert findings(tmp_path / "store") == found


def test_a_lost_and_a_damaged_artifact_file_are_named(tmp_path: Path) -> None:
    make(tmp_path / "store")
    file = tmp_path / "store.artifacts" / LARGE.id[:2] / LARGE.id

    file.write_bytes(b"damage")
    assert findings(tmp_path / "store") == [("artifact", LARGE.id)]
    file.unlink()
    assert findings(tmp_path / "store") == [("artifact", LARGE.id)]


def test_what_is_no_store_is_refused_rather_than_judged(tmp_path: Path) -> None:
    with pytest.raises(InterlockError) as caught:
        asyncio.run(check_integrity(tmp_path / "store"))
    assert caught.value.code == "store_not_found"
    (tmp_path / "store").write_text("no database" * 100)
    with pytest.raises(InterlockError) as caught:
        asyncio.run(check_integrity(tmp_path / "store"))
    assert caught.value.code == "store_foreign"
