"""Serving: what is refused before anything is opened, and the file by which the user of this machine is known."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.local_server import FILE, LOCK, ServerFile, standing
from interlock.machine import ServeInput
from interlock.serving import TOKEN_VARIABLE, _token, check
from interlock.surfaces.http.listening import listen, url_of


@pytest.mark.parametrize(
    "given",
    [
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"host": "192.0.2.1", "certificate": "c.pem"},
        {"host": "192.0.2.1", "beyond_this_machine": True},
        {"host": "192.0.2.1", "beyond_this_machine": True, "certificate": "c.pem", "tls_upstream": True},
    ],
)
def test_what_would_open_more_than_it_says_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(InterlockError) as refused:
        check(msgspec.convert({"store": "store.db", **given}, ServeInput))

    assert refused.value.code == "server_unsafe"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"host": "::1"},
        {"host": "localhost"},
        {"host": "192.0.2.1", "beyond_this_machine": True, "tls_upstream": True},
    ],
)
def test_what_says_what_it_opens_may_be_served(given: dict[str, object]) -> None:
    check(msgspec.convert({"store": "store.db", **given}, ServeInput))


def test_localhost_is_the_address_of_this_machine_whatever_a_name_server_says() -> None:
    with listen("localhost", 0) as listening:
        assert url_of(listening).startswith("http://127.0.0.1:")


@pytest.mark.parametrize("token", ["short", "x" * 31, "x" * 513, "x" * 40 + " y", "ü" * 40])
def test_a_proof_of_the_user_that_could_be_guessed_or_not_be_shown_is_refused(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token)

    with pytest.raises(InterlockError) as refused:
        _token()

    assert (refused.value.code, token in refused.value.message) == ("server_unsafe", False)


def test_a_proof_of_the_user_is_taken_and_handed_on_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "x" * 32)

    assert _token() == "x" * 32
    assert TOKEN_VARIABLE not in os.environ
    assert _token() != _token()


def test_the_token_of_a_server_is_for_its_user_alone_and_goes_with_it(tmp_path: Path) -> None:
    place = tmp_path / FILE
    before = os.umask(0)
    try:
        with standing(tmp_path) as stands:
            stands.reached_at("http://127.0.0.1:1")
            with stands.file("http://127.0.0.1:1", "secret") as told:
                assert told == place
                assert place.stat().st_mode & 0o777 == 0o600
                assert msgspec.json.decode(place.read_bytes(), type=ServerFile).token == "secret"  # noqa: S105
                assert {each.name for each in tmp_path.iterdir()} == {FILE, LOCK}
                assert b"secret" not in (tmp_path / LOCK).read_bytes()
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_another_server_s_stays_when_this_one_ends(tmp_path: Path) -> None:
    place = tmp_path / FILE
    with standing(tmp_path) as stands, stands.file("http://127.0.0.1:1", "first"):
        later = ServerFile("http://127.0.0.1:2", "second", os.getpid() + 1)
        place.write_bytes(msgspec.json.encode(later))

    assert msgspec.json.decode(place.read_bytes(), type=ServerFile) == later


def test_only_a_lock_that_is_held_refuses_another_server(tmp_path: Path) -> None:
    for left in (b"", b"no JSON", b'{"pid":1,"url":"http://127.0.0.1:9"}', b"[" * 5_000):
        (tmp_path / LOCK).write_bytes(left)
        with standing(tmp_path) as stands:
            with pytest.raises(InterlockError, match="being started") as early, standing(tmp_path):
                pass
            stands.reached_at("http://127.0.0.1:7")
            with pytest.raises(InterlockError, match=f"http://127.0.0.1:7, process {os.getpid()}"), standing(tmp_path):
                pass
        assert early.value.code == "server_running"
        assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InterlockError) as refused, standing(folder):
            pass
        assert refused.value.code == "store_unwritable"
    assert not (tmp_path / "elsewhere").exists()
