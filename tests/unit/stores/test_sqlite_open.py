"""Opening a store in an SQLite file: what is made, what is recognised, what is refused."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from interlock.base.errors import Category, InterlockError
from interlock.journal.ports import EMPTY, Append
from interlock.stores.sqlite import SqliteSettings, backup, check_integrity, open_sqlite, schema
from interlock.testing.contracts.harness import blob, code_of, content, grow, onto, stream
from interlock.testing.contracts.harness import refusal as refused

A = stream("a")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def make(path: Path) -> str:
    """A closed store with one event; returns its id."""

    async def main() -> str:
        store = await open_sqlite(path)
        await grow(store, A, b"1")
        await store.close()
        return store.id

    return asyncio.run(main())


def refusal(path: Path, *, create: bool = True, read_only: bool = False) -> InterlockError:
    async def main() -> InterlockError:
        with pytest.raises(InterlockError) as caught:
            await open_sqlite(path, create=create, read_only=read_only)
        return caught.value

    return asyncio.run(main())


def test_a_store_keeps_its_identity_and_content_over_openings(tmp_path: Path) -> None:
    first = make(tmp_path / "store")

    async def main() -> tuple[str, list[bytes | None]]:
        store = await open_sqlite(tmp_path / "store", create=False)
        found = store.id, await content(store, A)
        await store.close()
        return found

    assert asyncio.run(main()) == (first, [b"1"])
    assert len(first) == 32
    assert make(tmp_path / "other") != first


def test_a_closed_store_leaves_one_file_and_no_lock(tmp_path: Path) -> None:
    make(tmp_path / "store")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "store.owners"]
    assert list((tmp_path / "store.owners").iterdir()) == []


def test_a_store_that_should_exist_and_does_not_is_not_made(tmp_path: Path) -> None:
    fault = refusal(tmp_path / "store", create=False)

    assert (fault.code, fault.category) == ("store_not_found", Category.NOT_FOUND)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read_only", [True, False])
def test_an_empty_file_is_no_store_unless_one_may_be_made(tmp_path: Path, read_only: bool) -> None:
    (tmp_path / "store").touch()

    assert refusal(tmp_path / "store", create=False, read_only=read_only).code == "store_not_found"
    assert (tmp_path / "store").stat().st_size == 0
    make(tmp_path / "store")


def test_a_missing_folder_is_named_and_not_made(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing" / "store").code == "store_unwritable"
    assert not (tmp_path / "missing").exists()


def of_text(path: Path) -> None:
    path.write_text("Dear diary, this is no database. " * 100)


def of_another_application(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE recipe (name TEXT)")
    connection.close()


def with_the_mark_of_another(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("application_id", 252006673)
    connection.close()


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("place", [of_text, of_another_application, with_the_mark_of_another, a_folder])
def test_a_foreign_file_is_refused_and_left_alone(
    tmp_path: Path, place: Callable[[Path], None], read_only: bool
) -> None:
    path = tmp_path / "store"
    place(path)
    before = path.read_bytes() if path.is_file() else None

    fault = refusal(path, read_only=read_only)

    assert (fault.code, fault.category) == ("store_foreign", Category.CORRUPT)
    assert [each.name for each in tmp_path.iterdir()] == ["store"]
    assert (path.read_bytes() if path.is_file() else None) == before


def change(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()


def test_a_store_from_the_future_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "store")
    number = len(schema.migrations()) + 1
    change(tmp_path / "store", "INSERT INTO migration SELECT max(number) + 1, 'new', 'ab', 0 FROM migration")

    for read_only in (True, False):
        fault = refusal(tmp_path / "store", read_only=read_only)
        assert (fault.code, fault.details) == ("store_from_future", {"number": number})


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "store")
    change(tmp_path / "store", "UPDATE migration SET sha256 = 'another' WHERE number = 1")

    assert refusal(tmp_path / "store").code == "migration_changed"


@pytest.mark.parametrize("statement", ["DROP TABLE migration", "DELETE FROM migration"])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_store_that_does_not_say_which_migrations_it_has_is_damaged(
    tmp_path: Path, statement: str, read_only: bool
) -> None:
    make(tmp_path / "store")
    change(tmp_path / "store", statement)

    assert refusal(tmp_path / "store", read_only=read_only).code == "store_corrupt"
    assert [each.check for each in asyncio.run(check_integrity(tmp_path / "store"))] == ["file"]


@pytest.mark.parametrize("value", ["x", "", "0" * 31, "G" * 32])
def test_a_store_whose_identity_was_not_drawn_is_damaged(tmp_path: Path, value: str) -> None:
    make(tmp_path / "store")
    change(tmp_path / "store", f"UPDATE meta SET value = '{value}' WHERE name = 'store_id'")

    assert refusal(tmp_path / "store").code == "store_corrupt"
    assert [each.check for each in asyncio.run(check_integrity(tmp_path / "store"))] == ["schema"]


STRANGERS = {
    "trigger": "CREATE TRIGGER loses AFTER INSERT ON event BEGIN DELETE FROM event; END",
    "trigger that ignores": "CREATE TRIGGER loses BEFORE UPDATE ON stream BEGIN SELECT RAISE(IGNORE); END",
    "view": "CREATE VIEW events AS SELECT * FROM event",
    "table": "CREATE TABLE mine (x)",
    "index": "CREATE INDEX mine ON event (seq)",
    "lost index": "DROP INDEX event_of_stream",
    "lost table": "DROP TABLE timer",
    "other column": "ALTER TABLE meta ADD COLUMN more TEXT",
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_store_whose_schema_is_not_that_of_its_migrations_is_refused_before_a_write(
    tmp_path: Path, stranger: str
) -> None:
    """A foreign trigger could delete what was acknowledged; a lost index makes every answer wrong or slow."""
    make(tmp_path / "store")
    change(tmp_path / "store", STRANGERS[stranger])
    before = (tmp_path / "store").read_bytes()

    for read_only in (True, False):
        fault = refusal(tmp_path / "store", read_only=read_only)
        assert (fault.code, fault.category) == ("store_corrupt", Category.CORRUPT)
    assert [each.check for each in asyncio.run(check_integrity(tmp_path / "store"))] == ["schema"]
    assert asyncio.run(refused(backup(tmp_path / "store", tmp_path / "copy"))).code == "store_corrupt"

    assert (tmp_path / "store").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "store.owners"]


def test_statistics_of_somebodys_analyze_are_no_damage(tmp_path: Path) -> None:
    make(tmp_path / "store")
    change(tmp_path / "store", "ANALYZE")

    make_more(tmp_path / "store")


def make_more(path: Path) -> None:
    async def main() -> None:
        store = await open_sqlite(path, create=False)
        assert await content(store, A) == [b"1"]
        await store.close()

    asyncio.run(main())


def test_a_trigger_that_comes_while_the_store_is_open_does_nothing(tmp_path: Path) -> None:
    """What is acknowledged is there, whatever somebody does to the schema meanwhile."""

    async def main() -> None:
        store = await open_sqlite(tmp_path / "store")
        await grow(store, A, b"1")
        change(tmp_path / "store", STRANGERS["trigger"])
        await grow(store, A, b"2")
        assert await content(store, A) == [b"1", b"2"]
        await store.close()

    asyncio.run(main())


def test_the_digests_of_the_schema_are_those_of_the_migrations() -> None:
    count = len(schema.migrations())

    assert list(schema.SCHEMAS) == [schema.digest_of(schema.expected_objects(n)) for n in range(1, count + 1)]


def test_an_older_store_is_checked_against_its_own_migrations_and_then_brought_up_to_date(tmp_path: Path) -> None:
    make_old(tmp_path / "old")
    make_old(tmp_path / "strange")
    change(tmp_path / "strange", STRANGERS["table"])

    assert refusal(tmp_path / "strange").code == "store_corrupt"
    make(tmp_path / "old")
    assert asyncio.run(check_integrity(tmp_path / "old")) == []


def make_old(path: Path) -> None:
    """A store of the first migration alone."""
    make(path)
    change(path, "DROP TABLE timer; DROP INDEX activation_anywhere; DELETE FROM migration WHERE number > 1")
    change(path, "DELETE FROM event; DELETE FROM stream")


def test_migrations_are_numbered_without_a_gap_and_say_when_they_run() -> None:
    names = [migration.name for migration in schema.migrations()]

    assert [migration.number for migration in schema.migrations()] == list(range(1, len(names) + 1))
    assert all(name.split("_")[1] in ("pre", "post") for name in names)


def test_the_schema_of_a_store_is_the_sum_of_its_migrations(tmp_path: Path) -> None:
    make(tmp_path / "store")

    connection = apsw.Connection(str(tmp_path / "store"))
    assert tuple(schema.objects(connection)) == schema.expected_objects()
    assert connection.pragma("user_version") == len(schema.migrations())
    assert connection.pragma("journal_mode") == "wal"
    connection.close()


def test_a_commit_is_synced_unless_safety_was_given_up_by_name(tmp_path: Path) -> None:
    async def main(unsafe: bool) -> int:
        store = await open_sqlite(tmp_path / "store", settings=SqliteSettings(unsafe_synchronous_normal=unsafe))
        level = int(store._writing.pragma("synchronous"))
        await store.close()
        return level

    full, normal = 2, 1
    assert asyncio.run(main(unsafe=False)) == full
    assert asyncio.run(main(unsafe=True)) == normal


def test_a_store_that_is_missing_is_named_with_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert refusal(Path("store"), create=False).message == f"there is no store at {tmp_path / 'store'}"


def test_a_store_that_is_only_read_is_not_changed(tmp_path: Path) -> None:
    make(tmp_path / "store")
    before = (tmp_path / "store").read_bytes()

    async def main() -> None:
        store = await open_sqlite(tmp_path / "store", read_only=True)
        large = blob(b"x" * 1_000_000)
        [outcome] = await store.events.append([Append([onto(EMPTY, stream("b"))], (), [large])])
        assert code_of(outcome) == "store_unwritable"
        with pytest.raises(InterlockError) as caught:
            await store.activations.take(A, "run", store.owner, 0, 1000)
        assert caught.value.code == "store_unwritable"
        assert await content(store, A) == [b"1"]
        assert await store.activations.holder(A, 0) is None
        await store.close()

    asyncio.run(main())
    assert (tmp_path / "store").read_bytes() == before
    assert not (tmp_path / "store.artifacts").exists()
    assert list((tmp_path / "store.owners").iterdir()) == []


def test_who_only_reads_sees_what_a_writer_appends_meanwhile(tmp_path: Path) -> None:
    async def main() -> None:
        writing = await open_sqlite(tmp_path / "store")
        reading = await open_sqlite(tmp_path / "store", read_only=True)
        for n in range(3):
            await grow(writing, A, b"%d" % n)
            assert len(await content(reading, A)) == n + 1
        await writing.close()
        await reading.close()

    asyncio.run(main())


def test_a_folder_that_may_not_be_written_can_still_be_read(tmp_path: Path) -> None:
    make(tmp_path / "store")
    place = Path("/var/tmp") / f"interlock-{os.getpid()}-read-only"  # noqa: S108 — root's own folder is closed
    place.mkdir(mode=0o755)
    try:
        shutil.copy(tmp_path / "store", place / "store")
        (place / "store").chmod(0o444)
        place.chmod(0o555)
        subprocess.run(
            [sys.executable, __file__, str(place / "store")], check=True, env=ENVIRONMENT, cwd="/", timeout=60
        )
    finally:
        place.chmod(0o755)
        shutil.rmtree(place)


def read_without_writing(path: Path) -> None:
    async def main() -> None:
        store = await open_sqlite(path, read_only=True)
        assert await content(store, A) == [b"1"]
        await store.close()

    asyncio.run(main())
    assert (
        asyncio.run(write_to_existing(path)) == "store can only be read: copy the store to a folder that can be written"
    )
    assert refusal(path).code == "store_unwritable"
    assert refusal(path.parent / "new").code == "store_unwritable"
    assert [each.name for each in path.parent.iterdir()] == ["store"]


async def write_to_existing(path: Path) -> str:
    """Open what need not be made, read it, and return why it refuses a write."""
    store = await open_sqlite(path, create=False)
    assert await content(store, A) == [b"1"]
    with pytest.raises(InterlockError) as caught:
        await store.activations.take(A, "run", store.owner, 0, 1000)
    await store.close()
    return caught.value.message


OPENS = """
import asyncio, sys
from pathlib import Path
from interlock.stores.sqlite import open_sqlite
async def main():
    store = await open_sqlite(Path(sys.argv[1]))
    print(store.id)
    await store.close()
asyncio.run(main())
"""


def test_processes_that_make_a_store_at_once_make_one(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", OPENS, str(tmp_path / "store")], stdout=subprocess.PIPE, env=ENVIRONMENT
        )
        for _ in range(6)
    ]

    answers = [child.communicate()[0] for child in children]

    assert [child.returncode for child in children] == [0] * 6
    assert len(set(answers)) == 1


if __name__ == "__main__":
    if os.getuid() == 0:
        os.setuid(65534)  # root may write everywhere
    read_without_writing(Path(sys.argv[1]))
