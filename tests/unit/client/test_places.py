"""Which server is meant, and which token it is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.client.places import Place, place_of

PROFILES = """
default = "work"
[profiles.work]
server = "https://interlock.example"
token = "env:WORK_TOKEN"
ca = "/ca.pem"
[profiles.here]
server = "http://127.0.0.1:8470"
"""


def place(
    folder: Path, url: str | None = None, token: str | None = None, profile: str | None = None, ca: str | None = None
) -> Place:
    environ = {"XDG_CONFIG_HOME": str(folder), "WORK_TOKEN": "of-work"}
    return place_of(url, token, profile, ca, plain=False, environ=environ, folder=folder)


def shown(found: Place) -> tuple[Any, ...]:
    return found.address.url, None if found.token is None else found.token.reveal(), found.ca


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "interlock").mkdir()
    (tmp_path / "interlock" / "profiles.toml").write_text(PROFILES)
    return tmp_path


def test_without_address_and_profile_it_is_the_default_profile(folder: Path, tmp_path_factory: Any) -> None:
    assert shown(place(folder)) == ("https://interlock.example", "of-work", Path("/ca.pem"))
    with pytest.raises(InterlockError) as caught:
        place(tmp_path_factory.mktemp("empty"))
    assert caught.value.code == "client_place_unclear"


def test_what_is_given_wins_over_the_profile(folder: Path) -> None:
    found = place(folder, None, "given", "work", "/other.pem")

    assert shown(found) == ("https://interlock.example", "given", Path("/other.pem"))


def test_an_address_gets_no_token_of_a_profile(folder: Path) -> None:
    assert shown(place(folder, "https://elsewhere.example")) == ("https://elsewhere.example", None, None)
    with pytest.raises(InterlockError) as caught:
        place(folder, "https://elsewhere.example", profile="work")
    assert caught.value.code == "client_place_unclear"


def test_a_server_of_this_machine_is_shown_what_it_left_for_its_user(folder: Path) -> None:
    (folder / ".interlock").mkdir()
    file = folder / ".interlock" / "server.json"
    file.write_text(json.dumps({"url": "http://127.0.0.1:8470", "token": "left"}))
    file.chmod(0o600)

    assert shown(place(folder, "http://localhost:8470")) == ("http://127.0.0.1:8470", "left", None)
    assert shown(place(folder, profile="here")) == ("http://127.0.0.1:8470", "left", None)
    assert shown(place(folder, "http://127.0.0.1:8470", "given"))[1] == "given"
    assert shown(place(folder, "https://interlock.example:8470"))[1] is None
