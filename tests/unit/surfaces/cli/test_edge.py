"""Where the command line stands: the default store, and the person."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from interlock.base.errors import NotFound, StorageFailure
from interlock.base.principal import PrincipalKind
from interlock.journal.errors import STORE_NOT_FOUND
from interlock.surfaces.cli.edge import folder_of, looked_for, person, store_path


def test_a_named_store_is_taken_as_named(tmp_path: Path) -> None:
    assert store_path("some/where.db", tmp_path) == Path("some/where.db")


def test_the_nearest_folder_upwards_decides(tmp_path: Path) -> None:
    (tmp_path / ".interlock").mkdir()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert store_path(None, inner) == tmp_path / ".interlock" / "store.db"

    (tmp_path / "a" / ".interlock").mkdir()
    assert store_path(None, inner) == tmp_path / "a" / ".interlock" / "store.db"


def not_found(folder: Path, *, named: bool = False) -> str:
    store = store_path(None, folder)
    with pytest.raises(NotFound) as caught, looked_for(store, folder, named=named):
        raise STORE_NOT_FOUND.error(f"there is no store at {store}")
    return caught.value.message


def test_where_no_store_is_it_is_said_where_one_was_looked_for(tmp_path: Path) -> None:
    store = f"there is no store at {tmp_path / '.interlock' / 'store.db'}"
    assert not_found(tmp_path) == f"{store} (no .interlock in {tmp_path} or above it)"

    other = tmp_path / ".interlock" / "demo" / "store.db"
    other.parent.mkdir(parents=True)
    other.touch()
    assert not_found(tmp_path) == f"{store} (the nearest .interlock upwards); there is {other}"
    assert not_found(tmp_path, named=True) == store


def test_a_file_of_that_name_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".interlock").write_text("")
    inner = tmp_path / "a"
    inner.mkdir()

    assert store_path(None, inner) == inner / ".interlock" / "store.db"


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path: Path) -> None:
    store = tmp_path / ".interlock" / "store.db"
    with folder_of(store):
        assert store.parent.stat().st_mode & 0o777 == 0o700
    assert not store.parent.exists()

    with folder_of(store):
        store.write_text("")
    assert store.exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".interlock").write_text("")
    folder = folder_of(tmp_path / ".interlock" / "store.db")

    with pytest.raises(StorageFailure, match=r"no folder \.interlock can be made"):
        folder.__enter__()


def test_the_person_is_local_and_named_by_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(variable, "mallory")

    assert person().id == f"local:{pwd.getpwuid(os.getuid()).pw_name}"
    assert (person().kind, person().tenant, person().roles) == (PrincipalKind.LOCAL, "default", ())


def test_a_number_without_a_name_is_a_person_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)

    assert person().id == f"local:uid-{2**31 - 7}"
