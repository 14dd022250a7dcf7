"""The file by which a server of this machine lets its own user in: when it counts, and when it is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.client.addresses import address_of
from interlock.client.server_file import server_beside

URL = "http://127.0.0.1:8470"


def written(folder: Path, mode: int = 0o600, **more: object) -> Path:
    path = folder / "server.json"
    path.write_text(json.dumps({"url": URL, "token": "t0ken", "pid": os.getpid()} | more))
    path.chmod(mode)
    return path


def token(folder: Path, url: str) -> str | None:
    found = server_beside(folder, address_of(url, plain=True))
    return None if found is None else found.token.reveal()


def test_the_file_is_for_the_address_that_it_names(tmp_path: Path) -> None:
    assert token(tmp_path, URL) is None
    written(tmp_path)

    assert token(tmp_path, URL) == "t0ken"
    for other in ("http://127.0.0.1:8471", "http://127.0.0.2:8470", "http://[::1]:8470", "https://127.0.0.1:8470"):
        assert token(tmp_path, other) is None


def test_the_file_is_for_the_path_that_it_names(tmp_path: Path) -> None:
    written(tmp_path)
    for path in ("/foo", "/api/v1"):
        assert token(tmp_path, f"{URL}{path}") is None
        assert token(tmp_path, f"http://localhost:8470{path}") is None
    written(tmp_path, url=f"{URL}/foo")
    assert token(tmp_path, f"{URL}/foo/") == "t0ken"


def test_localhost_is_the_address_of_the_file_and_no_other(tmp_path: Path) -> None:
    written(tmp_path)
    found = server_beside(tmp_path, address_of("http://localhost:8470"))

    assert found is not None
    assert found.address.url == URL


def test_a_file_that_names_another_machine_gives_nothing(tmp_path: Path) -> None:
    written(tmp_path, url="https://interlock.example:8470")

    assert token(tmp_path, "https://127.0.0.1:8470") is None


def test_a_server_that_has_ended_gets_no_token(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()

    for pid in (ended.pid, 2**70, 0, -1):
        written(tmp_path, pid=pid)
        assert token(tmp_path, URL) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    written(tmp_path, mode)

    assert refused(tmp_path) == "server_file_unsafe"


def test_a_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    assert refused(tmp_path) == "server_file_unsafe"


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    real = written(tmp_path)
    real.rename(tmp_path / "real")
    (tmp_path / "server.json").symlink_to(tmp_path / "real")
    assert refused(tmp_path) == "server_file_unsafe"

    (tmp_path / "server.json").unlink()
    os.mkfifo(tmp_path / "server.json", 0o600)
    assert refused(tmp_path) == "server_file_unsafe"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"url": "x", "token": "t"}', b"\xff", b'{"url": 1}', b"x" * 70_000])
def test_a_file_that_says_no_server_is_refused(tmp_path: Path, content: bytes) -> None:
    written(tmp_path).write_bytes(content)

    assert refused(tmp_path) == "server_file_invalid"


def refused(folder: Path) -> str:
    with pytest.raises(InterlockError) as caught:
        server_beside(folder, address_of(URL))
    assert "t0ken" not in str(caught.value)
    return caught.value.code
