"""For which server a line is: its own word, then the environment's, then the default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.surfaces.application import ServerName
from interlock.surfaces.cli.build import Invocation
from interlock.surfaces.cli.servers import meant_server
from tests.surfaces.toy import APPLICATION, command

PLAIN = command("go", handler=None)
URL = "https://interlock.example"


def meant(folder: Path, default: str | None = None, verb: object = PLAIN, **given: str) -> ServerName | None:
    options = {"store": None, "config": None, "server": None, "profile": None} | given
    application = replace(APPLICATION, default_profile=lambda: default)
    invocation = Invocation(verb, {}, json=False, **options)  # type: ignore[arg-type]
    return meant_server(invocation, application, folder)


def refused(folder: Path, **given: str) -> str:
    with pytest.raises(InterlockError) as caught:
        meant(folder, **given)
    assert caught.value.code == "usage_invalid"
    return caught.value.message


def test_a_line_names_a_server_by_its_address_or_by_a_profile(tmp_path: Path) -> None:
    assert meant(tmp_path, server=URL) == ServerName(URL, None)
    assert meant(tmp_path, profile="work") == ServerName(None, "work")
    assert "both name a server" in refused(tmp_path, server=URL, profile="work")


def test_a_line_is_for_a_server_or_for_a_store(tmp_path: Path) -> None:
    assert meant(tmp_path, store="a.db") is None
    assert "--store is for a store" in refused(tmp_path, server=URL, store="a.db")
    assert "--store is for a store" in refused(tmp_path, profile="work", store="a.db")
    assert "--config is for a store" in refused(tmp_path, server=URL, config="a.toml")


def test_the_line_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_SERVER", URL)

    assert meant(tmp_path, server=URL) == ServerName(URL, None)
    assert meant(tmp_path, server=URL, profile="work") == ServerName(None, "work")
    assert meant(tmp_path, server=URL, store="a.db") is None

    monkeypatch.setenv("INTERLOCK_STORE", "b.db")
    assert meant(tmp_path, server="https://other.example", store="b.db") == ServerName("https://other.example", None)
    assert "INTERLOCK_STORE" in refused(tmp_path, server=URL, store="b.db")

    monkeypatch.setenv("INTERLOCK_PROFILE", "work")
    assert "INTERLOCK_SERVER and INTERLOCK_PROFILE" in refused(tmp_path, server=URL, profile="work")


def test_the_default_profile_is_meant_where_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert meant(tmp_path) is None
    assert meant(tmp_path, "work") == ServerName(None, "work")
    assert meant(tmp_path, "work", store="a.db") is None

    (tmp_path / ".interlock").mkdir()
    (tmp_path / "under").mkdir()
    assert meant(tmp_path / "under", "work") is None


@pytest.mark.parametrize("more", [{"local": True}, {"machine": True, "noun": "", "example": "interlock go"}])
def test_what_works_on_files_of_this_machine_never_leaves_it(tmp_path: Path, more: dict[str, object]) -> None:
    assert meant(tmp_path, "work", command("go", handler=None, **more), server=URL) is None


def test_nobody_acts_as_another_over_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "a server goes by the token" in refused(tmp_path, server=URL, acting_as="reader")
    monkeypatch.setenv("INTERLOCK_AS", "reader")
    assert "a server goes by the token" in refused(tmp_path, server=URL, acting_as="reader")
    assert meant(tmp_path, store="a.db", server="", acting_as="reader") is None
