"""Names of stores: a path, a URL of ours, or a refusal that repeats no password."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.journal.store_name import MEMORY, store_name

SECRET = "not-to-be-shown"  # noqa: S105 - of nothing


@pytest.mark.parametrize(
    "name",
    [
        "a.db", "./a.db", "/var/a:b/c.db", "notes: mine.db", "C:store.db", "ada@host.db", MEMORY, "x:y",
        "/var/lib/postgres:data/store.db", "/data/postgresql:16.db",
    ],
)  # fmt: skip
def test_a_path_is_a_path(name: str) -> None:
    assert store_name(name) == Path(name)


@pytest.mark.parametrize("name", ["postgresql:///ops", "postgres://ada@host/ops", "POSTGRESQL://host/ops?schema=a"])
def test_a_url_of_ours_stays_as_it_is_written(name: str) -> None:
    assert store_name(name) == name


@pytest.mark.parametrize(
    "form",
    [
        "postgresq://ada:{}@host/db", "postgresql:/ada:{}@host/db", "postgresql+psycopg://ada:{}@host/db",
        "postgre://ada:{}@host/db", "psql://ada:{}@host/db", "pgsql://ada:{}@host/db", " postgresql://ada:{}@host/db",
    ],
)  # fmt: skip
def test_a_mistake_in_the_scheme_is_refused_with_what_was_meant(form: str) -> None:
    fault = refused(form.format(SECRET))

    assert "did you mean postgresql://?" in fault.message
    assert "postgresql://USER@HOST" in fault.advice


@pytest.mark.parametrize(
    "form",
    [
        "mysql://ada:{}@host/db", "sqlite:///{}.db", "https://ada:{}@host", "file:/a", "s3://ada:{}@host",
        "jdbc:postgresql://ada:{}@host/db", "postgresql:ada:{}@host/db", "postgresql//ada:{}@host/db",
        "ada:{}@host/db", "host=db.example password={} dbname=ops", "'postgresql://ada:{}@host/db'",
        "x" * 21 + "://ada:{}@host", "a+b-c.d://{}",
        "//ada:{}@host/db", "/postgresql://ada:{}@host/db", "/var/run host=x password = {}",
    ],
)  # fmt: skip
def test_the_address_of_anything_else_is_refused(form: str) -> None:
    assert "did you mean" not in refused(form.format(SECRET)).message


def refused(name: str) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        store_name(name)
    assert caught.value.code == "store_name_invalid"
    assert SECRET not in f"{caught.value} {caught.value.details} {caught.value.advice}"
    assert "ada" not in caught.value.message
    return caught.value
