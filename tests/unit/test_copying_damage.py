"""What is damaged is not copied: in the source, and in what an earlier try left in the target."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import apsw
import psycopg
import pytest

from interlock.base.errors import InterlockError
from interlock.copying import copy
from interlock.journal.store_name import StoreName
from interlock.stores.postgres import open_postgres
from interlock.testing.contracts.harness import blob, stream
from tests.postgres import fresh_schema
from tests.unit.journal.bank import CATALOGUE
from tests.unit.moving import Interrupted, copied, grow, interrupt, opened, refusal

A, B = stream("a"), stream("b")
SMALL, LARGE = blob(b"small"), blob(b"large" * 500_000)
pytestmark = pytest.mark.unproved("damaged on purpose")


async def filled(name: StoreName) -> None:
    """Two streams that take turns, and artifacts of both sizes."""
    async with opened(name) as store:
        for number in range(5):
            await grow(store, A, f"a{number}")
            await grow(store, B, f"b{number}")
        await store.artifacts.put([SMALL, LARGE])


def damage_file(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()


def damage_database(url: str, sql: str) -> None:
    server, _, schema = url.partition("?schema=")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"SET search_path = {schema}".encode())
        connection.execute(sql.encode())


def damaging(kind: str, tmp_path: Path, postgres_url: str) -> tuple[StoreName, Callable[[str], None]]:
    """A filled source of a kind, and how it is damaged."""
    path, url = tmp_path / "source" / "a.db", fresh_schema(postgres_url)
    if kind == "file":
        path.parent.mkdir()
        asyncio.run(filled(path))
        return path, lambda sql: damage_file(path, sql)
    asyncio.run(filled(url))
    return url, lambda sql: damage_database(url, sql)


ANY_EVENT = "WHERE seq = 3 AND stream = (SELECT no FROM stream WHERE id = 'default/run/b')"
DAMAGE = {
    "envelope": ("UPDATE event SET envelope = envelope || x'20'", "differs from its digest"),
    "data": ("UPDATE event SET data = x'7b7d'", "its data differs from its digest"),
    "salt": ("UPDATE event SET salt = x'00'", "its data differs from its digest"),
    "data that is gone": ("UPDATE event SET data = NULL", "its data is missing"),
}


def of(kind: str, sql: str) -> str:
    """The same statement for either kind."""
    if kind == "file":
        return sql.replace("envelope || x'20'", "CAST(envelope || x'20' AS BLOB)")
    return sql.replace("x'", "'\\x")


@pytest.mark.parametrize("kind", ["file", "database"])
@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_event_of_the_source_is_not_copied(tmp_path: Path, postgres_url: str, kind: str, what: str) -> None:
    source, damage = damaging(kind, tmp_path, postgres_url)
    sql, why = DAMAGE[what]
    damage(of(kind, f"{sql} {ANY_EVENT}"))

    fault = refusal(source, tmp_path / "b.db")

    assert (fault.code, fault.details["stream"], fault.details["seq"]) == ("event_corrupt", B, 3)
    assert why in fault.message
    assert [path.name for path in tmp_path.iterdir() if path.name != "source"] == []


@pytest.mark.parametrize("kind", ["file", "database"])
def test_an_event_that_does_not_follow_the_one_before_it_is_not_copied(
    tmp_path: Path, postgres_url: str, kind: str
) -> None:
    """Its envelope, digest and data are those of an event: of another chain."""
    source, damage = damaging(kind, tmp_path, postgres_url)
    other = tmp_path / "source-of-another" / "c.db"
    other.parent.mkdir()

    async def forge() -> str:
        async with opened(other) as store:
            for number in range(3):
                await grow(store, B, f"forged {number}")
            event = (await store.events.read(B, 2, 1))[0]
            columns = {"digest": bytes.fromhex(event.digest), "envelope": event.envelope, "data": event.data or b""}
            columns["salt"] = event.salt
            return ", ".join(f"{name} = x'{value.hex()}'" for name, value in columns.items())

    damage(of(kind, f"UPDATE event SET {asyncio.run(forge())} {ANY_EVENT}"))

    fault = refusal(source, tmp_path / "b.db")

    assert (fault.code, fault.details["seq"]) == ("event_corrupt", 3)
    assert "does not follow" in fault.message


@pytest.mark.parametrize("kind", ["file", "database"])
@pytest.mark.parametrize("which", [SMALL, LARGE], ids=["small", "large"])
def test_a_damaged_artifact_of_the_source_is_not_copied(
    tmp_path: Path, postgres_url: str, kind: str, which: object
) -> None:
    source, damage = damaging(kind, tmp_path, postgres_url)
    if which is SMALL:
        damage(of(kind, "UPDATE artifact SET content = x'0000000000' WHERE content IS NOT NULL"))
    elif kind == "file":
        assert isinstance(source, Path)
        [file] = [path for path in source.parent.rglob(LARGE.id) if path.is_file()]
        file.write_bytes(b"\0" + LARGE.content[1:])
    else:
        damage("UPDATE artifact_part SET content = overlay(content placing '\\x00' from 7) WHERE no = 1")

    assert refusal(source, tmp_path / "b.db").code == "artifact_corrupt"
    assert not (tmp_path / "b.db").exists()


@pytest.mark.parametrize("target", ["file", "database"])
@pytest.mark.parametrize("kind", ["file", "database"])
def test_data_that_was_erased_stays_erased_in_the_copy(
    tmp_path: Path, postgres_url: str, kind: str, target: str
) -> None:
    """Where the type of the event says that its data may be erased: a tombstone is no damage."""
    source, damage = damaging(kind, tmp_path, postgres_url)
    damage(of(kind, f"UPDATE event SET data = NULL, salt = x'' {ANY_EVENT}"))
    name: StoreName = tmp_path / "b.db" if target == "file" else fresh_schema(postgres_url)

    assert copied(source, name, CATALOGUE).events == 10

    async def erased() -> list[int]:
        async with opened(name) as store:
            return [event.seq for event in await store.events.read(B, 0, 10) if event.data is None]

    assert asyncio.run(erased()) == [3]


UNFINISHED = {
    "an artifact": ("UPDATE artifact SET content = '\\x0000000000' WHERE content IS NOT NULL", SMALL.id),
    "a part of an artifact": (
        "UPDATE artifact_part SET content = overlay(content placing '\\x00' from 7) WHERE no = 1",
        LARGE.id,
    ),
    "the data of an event": (f"UPDATE event SET data = '\\x7b7d' {ANY_EVENT}", f"{B}#3"),
    "a head": ("UPDATE stream SET digest = '\\x00' WHERE id = 'default/run/b'", "streams of default"),
}


@pytest.mark.parametrize("what", UNFINISHED)
@pytest.mark.parametrize("at", ["events", "comparing", "reading back artifacts"])
def test_a_damaged_try_is_not_gone_on_with(tmp_path: Path, postgres_url: str, at: str, what: str) -> None:
    """What an earlier try left is not believed: what is damaged in it is named, and the target stays unfinished."""
    source, target = tmp_path / "a.db", fresh_schema(postgres_url)
    asyncio.run(filled(source))
    with pytest.raises(Interrupted):
        asyncio.run(copy(source, target, interrupt(at)))
    sql, place = UNFINISHED[what]
    damage_database(target, sql)

    for _ in range(2):
        fault = refusal(source, target)
        assert fault.code == "copy_differs"
        assert place in fault.message
        with pytest.raises(InterlockError) as unfinished:
            asyncio.run(open_postgres(target))
        assert unfinished.value.code == "store_unfinished"


def test_what_is_damaged_while_it_is_copied_is_found_at_the_end(tmp_path: Path, postgres_url: str) -> None:
    """The whole target is read back before it becomes a store, also what this try wrote."""
    source, target = tmp_path / "a.db", fresh_schema(postgres_url)
    asyncio.run(filled(source))

    def progress(what: str, done: int, total: int | None) -> None:
        if what.startswith("comparing"):
            damage_database(target, f"UPDATE event SET data = '\\x7b7d' {ANY_EVENT}")

    with pytest.raises(InterlockError) as fault:
        asyncio.run(copy(source, target, progress))
    assert fault.value.code == "copy_differs"
    assert f"{B}#3" in fault.value.message
