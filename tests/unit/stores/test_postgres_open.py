"""Opening a store on PostgreSQL: schema and migrations, what is refused, and what is never shown."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from interlock.base.errors import InterlockError
from interlock.base.events import Claim, IndexRow
from interlock.base.extras import install_advice
from interlock.journal.ports import EMPTY, Append, Appended, ViewRow
from interlock.journal.store_name import is_url, shown_store, store_name
from interlock.stores.postgres import PostgresSettings, PostgresStore, check_database, open_postgres, schema
from interlock.stores.postgres.address import address_of
from interlock.stores.postgres.connections import Server as Place
from interlock.testing.contracts.harness import blob, onto, stream
from tests.postgres import PASSWORD, Server, fresh_schema

A = stream("a")


def refused(url: str, *, create: bool = True, read_only: bool = False) -> InterlockError:
    """The error of an opening that must not succeed."""
    with pytest.raises(InterlockError) as fault:
        asyncio.run(open_postgres(url, create=create, read_only=read_only))
    assert PASSWORD not in f"{fault.value} {fault.value.details} {fault.value.__cause__}"
    return fault.value


def made(url: str) -> str:
    """Make a store and close it again."""

    async def main() -> None:
        await (await open_postgres(url)).close()

    asyncio.run(main())
    return url


def changed(url: str, *statements: str) -> None:
    """Change the schema of a store by hand."""
    server, _, name = url.partition("?schema=")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"SET search_path = {name}")
        for statement in statements:
            connection.execute(statement)


def test_the_schema_is_the_sum_of_the_migrations(postgres_url: str) -> None:
    """After each migration the objects are those whose digest the code holds, and a new store has them all."""

    async def main() -> None:
        url = fresh_schema(postgres_url)
        place = Place(address_of(url), PostgresSettings(), read_only=False)
        name = place.address.schema
        connection = await place.connect()
        await connection.execute(f"CREATE SCHEMA {name}".encode())
        await connection.execute(schema._SQL["migration_table"])
        digests = []
        for migration in schema.migrations():
            await connection.execute(migration.sql, prepare=False)
            digests.append(schema.digest_of(await schema.objects(connection, name)))
        await connection.close()
        assert tuple(digests) == schema.SCHEMAS

    asyncio.run(main())


def test_migrations_are_numbered_and_say_when_they_are_applied() -> None:
    migrations = schema.migrations()

    assert [each.number for each in migrations] == list(range(1, len(migrations) + 1))
    assert all(each.name.split("_")[1] in {"pre", "post"} for each in migrations)
    assert len(schema.SCHEMAS) == len(migrations)


def test_many_that_make_one_store_at_once_make_one(postgres_url: str) -> None:
    """The migrations are applied once, under a lock; everybody opens the same store."""

    async def main() -> None:
        url = fresh_schema(postgres_url)
        stores = await asyncio.gather(*(open_postgres(url) for _ in range(6)))
        assert len({store.id for store in stores}) == 1
        for store in stores:
            await store.close()

    asyncio.run(main())


def test_a_store_of_an_earlier_version_is_brought_up_to_date(postgres_url: str) -> None:
    url = fresh_schema(postgres_url)
    name = url.partition("?schema=")[2]
    first = schema.migrations()[0]
    changed(url.partition("?")[0] + "?schema=public", f"CREATE SCHEMA {name}")
    changed(url, schema._SQL["migration_table"].decode(), first.sql.decode())
    changed(url, f"INSERT INTO migration VALUES (1, '{first.name}', '{first.sha256}', 0)")
    changed(url, "INSERT INTO meta VALUES ('store_id', repeat('a', 32))")

    assert refused(url, read_only=True).code == "store_unwritable"
    made(url)
    assert asyncio.run(check_database(url)) == []


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("INSERT INTO migration VALUES (99, 'later', repeat('a', 64), 0)", "store_from_future"),
        ("UPDATE migration SET sha256 = repeat('a', 64) WHERE number = 1", "migration_changed"),
        ("DELETE FROM migration", "store_corrupt"),
        ("DROP INDEX event_of_stream", "store_corrupt"),
        ("ALTER TABLE event DROP COLUMN salt", "store_corrupt"),
        ("CREATE VIEW other AS SELECT 1", "store_corrupt"),
        ("CREATE RULE quiet AS ON DELETE TO event DO INSTEAD NOTHING", "store_corrupt"),
        ("ALTER TABLE event ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON event USING (seq < 2)", "store_corrupt"),
        ("UPDATE meta SET value = 'mine' WHERE name = 'store_id'", "store_corrupt"),
        ("DROP TABLE meta", "store_foreign"),
    ],
)
def test_what_is_not_a_store_of_this_version_is_refused(postgres_url: str, statement: str, code: str) -> None:
    url = made(fresh_schema(postgres_url))
    changed(url, *statement.split("; "))

    assert refused(url).code == code


def test_a_trigger_that_would_undo_what_was_acknowledged_is_refused(postgres_url: str) -> None:
    url = made(fresh_schema(postgres_url))
    changed(
        url,
        "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER planted BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION undo()",
    )

    fault = refused(url)

    assert (fault.code, "planted" in fault.message, "trigger" in fault.message) == ("store_corrupt", False, True)


def test_a_schema_of_another_application_is_left_alone(postgres_url: str) -> None:
    url = fresh_schema(postgres_url)
    changed(url.partition("?")[0] + "?schema=public", f"CREATE SCHEMA {url.partition('=')[2]}")
    changed(url, "CREATE TABLE orders (id integer)")

    assert refused(url).code == "store_foreign"


def test_a_store_that_is_not_there_is_not_made_unless_asked_for(postgres_url: str) -> None:
    url = fresh_schema(postgres_url)

    assert refused(url, create=False).code == "store_not_found"
    assert refused(url, read_only=True).code == "store_not_found"


def test_what_is_opened_to_read_writes_nothing(postgres_url: str) -> None:
    async def main() -> None:
        url = fresh_schema(postgres_url)
        store = await open_postgres(url)
        await store.events.append([Append([onto(EMPTY, A)])])
        reader = await open_postgres(url, read_only=True)
        [outcome] = await reader.events.append([Append([onto(EMPTY, stream("b"))])])
        assert isinstance(outcome, InterlockError)
        assert outcome.code == "store_unwritable"
        with pytest.raises(InterlockError) as fault:
            await reader.activations.take(A, "run", reader.owner, 0, 1)
        assert fault.value.code == "store_unwritable"
        assert len(await reader.events.read(A, 0, 10)) == 1
        await reader.close()
        await store.close()

    asyncio.run(main())


def test_a_store_that_need_not_be_made_connects_to_write_with_its_first_append(postgres_url: str) -> None:
    """Looking draws no number; an append and a claim that come nevertheless are made, and ended with the store."""
    url = made(fresh_schema(postgres_url))

    async def main() -> None:
        numbers = b"SELECT last_value FROM stream_no"
        store = await open_postgres(url, create=False)
        drawn = await store.pool.one(numbers)
        await store.close()
        store = await open_postgres(url, create=False)
        assert (await store.pool.one(numbers), store.writer.begun) == (drawn, False)
        [outcome] = await store.events.append([Append([onto(EMPTY, A)])])
        assert isinstance(outcome, Appended)
        await store.close()
        claiming = await open_postgres(url, create=False)
        assert isinstance(await claiming.activations.take(A, "run", claiming.owner, 0, 10**9), Claim)
        assert not claiming.writer.begun
        await claiming.close()
        after = await open_postgres(url, read_only=True)
        assert await after.activations.holder(A, 1) is None
        await after.close()

    asyncio.run(main())


def test_every_session_waits_for_the_disk_whatever_the_role_says(postgres_url: str) -> None:
    """`synchronous_commit=off` of a role or database would acknowledge what a power cut takes away."""

    async def main() -> None:
        url = fresh_schema(postgres_url) + "&options=-c%20synchronous_commit%3Doff"
        store = await open_postgres(url)
        assert await store.pool.one(b"SELECT current_setting('synchronous_commit')") == "on"
        await store.close()

    asyncio.run(main())


@pytest.fixture
def careless() -> Iterator[Server]:
    """A server that flushes nothing."""
    server = Server(options="-c fsync=off")
    server.make()
    yield server
    server.remove()


def test_a_server_that_flushes_nothing_is_refused_unless_that_is_accepted(careless: Server) -> None:
    url = fresh_schema(careless.url)

    assert refused(url).code == "postgres_unsafe"

    async def main() -> None:
        await (await open_postgres(url, settings=PostgresSettings(unsafe_fsync_off=True))).close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://a:%s@127.0.0.1:1/x", "postgres_unreachable"),
        ("postgresql://a:%s@no-such-host.invalid/x", "postgres_unreachable"),
        ("postgresql://a:%s@localhost/x?schema=A-B", "postgres_url_invalid"),
        ("postgresql://a:%s@localhost/x?schema=pg_x", "postgres_url_invalid"),
        ("postgresql://a:%s@localhost/x?schema=a&schema=b", "postgres_url_invalid"),
        ("postgresql://a:%s@localhost/x?bogus=1", "postgres_url_invalid"),
        ("postgresql://a:%s@localhost:port/x", "postgres_unreachable"),
        ("postgresql://a:%s@[::1/x", "postgres_url_invalid"),
    ],
)
def test_an_address_that_leads_nowhere_is_said_without_its_password(url: str, code: str) -> None:
    assert refused(url % PASSWORD).code == code


def test_a_role_without_grants_is_told_so(postgres_url: str) -> None:
    changed(f"{postgres_url}?schema=public", "DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN PASSWORD 'poor'")
    poor = postgres_url.replace(f"interlock:{PASSWORD}@", "poor:poor@")

    assert refused(fresh_schema(poor)).code == "postgres_refused"
    changed(f"{postgres_url}?schema=public", "DROP ROLE poor")


def test_a_role_that_changes_no_table_works_with_the_grants_that_the_page_names(postgres_url: str) -> None:
    """A worker appends and claims, a reader reads; neither makes nor changes a table."""
    url = made(fresh_schema(postgres_url))
    name = url.partition("?schema=")[2]
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "postgresql.md").read_text("utf-8")
    grants = [line for line in page.splitlines() if line.startswith("GRANT ")]
    worker, reader = f"worker_{name}", f"reader_{name}"  # the roles of a server are all in one place
    changed(url, f"CREATE ROLE {worker} LOGIN PASSWORD 'w'", f"CREATE ROLE {reader} LOGIN PASSWORD 'r'")
    assert len(grants) == 5
    for grant in grants:
        changed(url, re.sub(r"SCHEMA \w+ TO (\w+)", rf"SCHEMA {name} TO \1_{name}", grant))

    async def main() -> None:
        works = await open_postgres(url.replace(f"interlock:{PASSWORD}@", f"{worker}:w@"))
        await works.events.append([Append([onto(EMPTY, A)], [IndexRow("open", "k", b"")], [blob(b"x")])])
        assert isinstance(await works.activations.take(A, "run", works.owner, 0, 1), Claim)
        assert await works.views.apply("default", "v@1", [ViewRow("k", 1, {"a": "b"}, b"")], 0, 1)
        for read_only in (True, False):
            place = url.replace(f"interlock:{PASSWORD}@", f"{reader}:r@")
            reads = await open_postgres(place, create=False, read_only=read_only)
            assert len(await reads.events.read(A, 0, 10)) == 1
            await reads.close()
        await works.close()

    try:
        asyncio.run(main())
    finally:
        for role in (worker, reader):
            changed(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_tls_that_is_asked_for_is_not_given_up(postgres_url: str) -> None:
    """The parameters of libpq pass through: a server without TLS is refused where it is required."""
    assert refused(f"{fresh_schema(postgres_url)}&sslmode=require").code == "postgres_unreachable"


def test_only_what_is_no_secret_of_a_name_is_shown() -> None:
    url = f"postgresql://ada:{PASSWORD}@db.example:5432/ops?schema=s&sslpassword={PASSWORD}&password={PASSWORD}"

    assert shown_store(url) == "postgresql://ada@db.example:5432/ops?schema=s"
    assert shown_store("postgresql:///ops") == "postgresql:///ops"
    assert shown_store("stores/a.db") == "stores/a.db"
    assert (is_url(store_name(url)), is_url(store_name("a.db"))) == (True, False)
    assert PASSWORD not in repr(address_of(url))


def test_without_the_driver_it_says_what_to_install() -> None:
    program = (
        "import sys, asyncio; sys.modules['psycopg'] = None\n"
        "from interlock import App\n"
        "async def main():\n"
        "    async with App.open('postgresql://localhost/x'): pass\n"
        "try: asyncio.run(main())\n"
        "except Exception as fault: print(fault.code, fault.advice)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == f"postgres_missing {install_advice('postgres')}\n"


def test_a_full_queue_refuses_at_once(postgres_url: str) -> None:
    async def main() -> None:
        store = await open_postgres(fresh_schema(postgres_url), settings=PostgresSettings(writer_queue_capacity=2))
        outcomes = await store.events.append([Append([onto(EMPTY, stream(f"s{n}"))]) for n in range(3)])
        assert {getattr(outcome, "code", "") for outcome in outcomes} == {"queue_full"}
        assert store.statistics().refused == 3
        await store.close()

    asyncio.run(main())


def test_damage_is_found_and_named(postgres_url: str) -> None:
    """What the ports cannot see: a counter that is off, a stream without its end, a head that is another event's."""

    async def filled(store: PostgresStore) -> None:
        await store.events.append([Append([onto(EMPTY, stream(name), b"1", b"2")], (), [blob(b"x")]) for name in "abc"])
        await store.close()

    url = fresh_schema(postgres_url)

    async def main() -> None:
        await filled(await open_postgres(url))

    asyncio.run(main())
    assert asyncio.run(check_database(url)) == []
    changed(
        url,
        "UPDATE partition SET position = 7",
        "DELETE FROM event WHERE seq = 2 AND stream = (SELECT no FROM stream WHERE id = 'default/run/a')",
        "UPDATE stream SET digest = '\\x00' WHERE id = 'default/run/b'",
    )

    found = asyncio.run(check_database(url))

    assert sorted((check, place) for check, place, _ in found) == [
        ("feed", "default"),
        ("stream", "default/run/a"),
        ("stream", "default/run/b"),
    ]
