"""The client of a command line: which token it sends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from interlock.client.line import connect, default_profile
from interlock.surfaces.application import ServerName
from tests.surfaces.toy import APPLICATION

PROFILES = """
default = "with"
[profiles.with]
server = "https://with.example"
token = "env:WITH_TOKEN"
[profiles.without]
server = "https://without.example"
"""


@pytest.fixture(autouse=True)
def _profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "interlock").mkdir()
    (tmp_path / "interlock" / "profiles.toml").write_text(PROFILES)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("WITH_TOKEN", "of-the-profile")
    monkeypatch.setenv("INTERLOCK_TOKEN", "of-the-line")


@pytest.mark.parametrize(
    ("server", "url", "token"),
    [
        (ServerName("https://any.example", None), "https://any.example", "of-the-line"),
        (ServerName(None, "with"), "https://with.example", "of-the-profile"),
        (ServerName(None, None), "https://with.example", "of-the-profile"),
        (ServerName(None, "without"), "https://without.example", "of-the-line"),
    ],
)
def test_the_token_of_the_line_gives_way_to_that_of_a_profile(server: ServerName, url: str, token: str) -> None:
    async def main() -> tuple[str, str | None]:
        async with connect(APPLICATION, server) as client:
            found = client._place.token
            return client.url, None if found is None else found.reveal()

    assert asyncio.run(main()) == (url, token)


def test_the_default_profile_is_that_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_profile() == "with"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    assert default_profile() is None
