"""What the server, or libpq, makes of an address: each trouble has words of its own, and none shows a password."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from interlock.base.errors import InterlockError
from interlock.journal.store_name import shown_store
from interlock.stores.postgres import open_postgres
from interlock.stores.postgres.access import Access, Grants
from tests.postgres import DATABASE, PASSWORD, USER, Server

ADMITTED = f"host all {USER},poor,asleep 127.0.0.1/32 scram-sha-256\nhost all stranger 127.0.0.1/32 trust\n"
CREDENTIALS = f"{USER}:{PASSWORD}@"


def refused(url: str) -> InterlockError:
    """The error of an opening that must not succeed."""
    with pytest.raises(InterlockError) as fault:
        asyncio.run(open_postgres(url))
    assert PASSWORD not in f"{fault.value} {fault.value.details} {fault.value.__cause__}"
    return fault.value


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that asks some for a password, lets one in without, and turns others away."""
    made = Server()
    made.make()
    try:
        with psycopg.connect(made.url, autocommit=True) as connection:
            for name in ("poor LOGIN", "asleep"):
                connection.execute(f"CREATE ROLE {name} PASSWORD '{PASSWORD}'".encode())
            connection.execute("CREATE DATABASE closed")
            connection.execute("REVOKE ALL ON DATABASE closed FROM public")
        (made.data / "pg_hba.conf").write_text(ADMITTED)
        made.stop()
        made.start()
        yield made
    finally:
        made.remove()


@pytest.mark.parametrize(
    ("credentials", "database", "state", "words"),
    [
        (f"{USER}:another@", DATABASE, "28P01", "the password is wrong, or there is no such user"),
        (f"asleep:{PASSWORD}@", DATABASE, "28000", "the user is one that may not log in"),
        ("stranger@", DATABASE, "28000", "there is no such user"),
        (f"elsewhere:{PASSWORD}@", DATABASE, "28000", "pg_hba.conf of the server lets nobody in"),
        (CREDENTIALS, "nowhere", "3D000", "the database does not exist"),
        (f"poor:{PASSWORD}@", "closed", "42501", "the user lacks CONNECT on the database"),
        (f"{USER}@", DATABASE, None, "none was given: put it into PGPASSWORD or ~/.pgpass"),
    ],
)
def test_each_way_of_not_being_let_in_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, server: Server, credentials: str, database: str, state: str | None, words: str
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")

    fault = refused(f"postgresql://{credentials}127.0.0.1:{server.port}/{database}")

    assert (fault.code, fault.details.get("sqlstate")) == ("postgres_refused", state)
    assert words in fault.message


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("shema=ops", "the parameter shema of the URL: did you mean schema?"),
        ("sslmod=require", "the parameter sslmod of the URL: did you mean sslmode?"),
        ("schema=ops&conect_timeout=1", "the parameter conect_timeout of the URL: did you mean connect_timeout?"),
        ("bogus=1", "libpq does not know the parameter bogus of the URL"),
        (f"{PASSWORD}=1", "libpq does not know a parameter of the URL"),
        ("sslmode", "the URL has a part that libpq does not understand"),
        ("ssl=yes", "the URL has a part that libpq does not understand"),
    ],
)
def test_a_parameter_that_is_not_known_is_named_with_the_nearest_that_is(parameters: str, words: str) -> None:
    fault = refused(f"postgresql://{CREDENTIALS}127.0.0.1:1/x?{parameters}")

    assert (fault.code, fault.message.endswith(words)) == ("postgres_url_invalid", True), fault.message


@pytest.mark.parametrize("password", ["a/{}", "a?{}", "1?{}", "a#{}", "a@{}", "a@{}/b", "{}@?b"])
def test_a_password_with_a_character_of_urls_is_refused_and_not_shown(password: str) -> None:
    """Read literally, a part of the password would be a host, a database or a parameter, and so be shown."""
    url = f"postgresql://ada:{password.format(PASSWORD)}@127.0.0.1:1/x?schema=ops"

    fault = refused(url)

    assert (fault.code, "%2F" in fault.message) == ("postgres_url_invalid", True)
    assert shown_store(url) == "postgresql://…"


@pytest.mark.parametrize(
    "place",
    [
        "ada@127.0.0.1:1/x&password={}", "ada@127.0.0.1:1/x;password={}", "ada@127.0.0.1:1/x%3Fpassword={}",
        "ada@127.0.0.1:1/x%26password%3D{}", "ada@127.0.0.1:1/x%2526password%253D{}", "ada@127.0.0.1&password={}/x",
        "ada&password={}@127.0.0.1:1/x", "127.0.0.1:1&password={}/x", "ada@127.0.0.1:1/x%20password%3d{}?schema=ops",
    ],
)  # fmt: skip
def test_parameters_that_begin_before_their_sign_are_refused_and_not_shown(place: str) -> None:
    """What stands there is a part of a name to libpq, and names are shown."""
    url = f"postgresql://{place.format(PASSWORD)}"

    fault = refused(url)

    assert (fault.code, "the parameters begin with ?" in fault.message) == ("postgres_url_invalid", True)
    assert shown_store(url) == "postgresql://…"


def test_only_names_that_are_plain_are_shown() -> None:
    """A password may have signs of its own; what stands behind the place is shown where it is a plain name."""
    assert shown_store("postgresql://ada:a&b;c=d%3D@one/my%20ops") == "postgresql://ada@one/my%20ops"
    assert shown_store(f"postgresql://ada@one/x,{PASSWORD}?schema=a;password={PASSWORD}") == "postgresql://ada@one/…"


def test_a_password_whose_host_was_forgotten_is_not_shown_as_a_port() -> None:
    assert shown_store(f"postgresql://ada:{PASSWORD}/ops") == "postgresql://ada:…/ops"
    assert shown_store("postgresql://ada@one:5432,[::1]:5433,two/ops") == "postgresql://ada@one:5432,[::1]:5433,two/ops"
    assert refused(f"postgresql://ada:{PASSWORD}/ops").code == "postgres_unreachable"


def test_of_what_the_server_says_only_names_of_our_own_are_repeated() -> None:
    """In any language; where two objects share a name, the word for its kind decides."""
    access = Access(
        (
            Grants("database", "ops", ("CREATE",)),
            Grants("schema", "ops", ("USAGE", "CREATE")),
            Grants("table", "event", ("INSERT",)),
            Grants("table", "view", ()),
        )
    )

    assert access.denied("permission denied for table event") == "INSERT on table event"
    assert access.denied("keine Berechtigung für Tabelle »event«") == "INSERT on table event"
    assert access.denied("permission denied for database ops") == "CREATE on database ops"
    assert access.denied("permission denied for schema ops") == "USAGE, CREATE on schema ops"
    assert access.denied("permission denied for table view") == "a privilege on table view"
    assert access.denied(f"permission denied for table {PASSWORD}") is None
