"""The file of profiles: what it may say, and how what it may not say is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.client.profiles import FILE_BYTES_MAX, load_profiles, parse_profiles, profiles_path

PATH = Path("/etc/profiles.toml")
GOOD = """
default = "work"

[profiles.work]
server = "https://interlock.example"
token = "env:WORK_TOKEN"
ca = "work.pem"

[profiles.home]
server = "http://127.0.0.1:8470"
"""


def test_a_profile_names_a_server_where_its_token_is_and_whom_to_trust() -> None:
    found = parse_profiles(GOOD.encode(), PATH)
    work = found.get("work")

    assert (found.default, work.server, work.ca) == ("work", "https://interlock.example", Path("/etc/work.pem"))
    secret = work.secret({"WORK_TOKEN": "t0ken"})
    assert secret is not None
    assert secret.reveal() == "t0ken"
    assert found.get("home").secret({}) is None


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("[profiles.a]", "profiles_invalid", "profiles.a.server: it is needed"),
        ("[profiles.a]\nserver = 3", "profiles_invalid", "profiles.a.server"),
        ("[profiles.a]\nserver = ''", "profiles_invalid", "profiles.a.server"),
        (
            "[profiles.a]\nsever = 'https://x'",
            "profiles_invalid",
            "a.sever: it is not known; did you mean server",
        ),
        ("[profiles.'a b']\nserver = 'https://x'", "profiles_invalid", "profiles.a b: a name has"),
        ("profiles = 3", "profiles_invalid", "profiles: tables are expected"),
        ("profiles.a = 3", "profiles_invalid", "profiles.a: a table is expected"),
        ("[profile.a]", "profiles_invalid", "profile: it is not known; did you mean profiles"),
        ("default = 3", "profiles_invalid", "default: the name of a profile"),
        (
            "default = 'wrk'\n[profiles.work]\nserver = 'https://x'",
            "profile_unknown",
            "no profile wrk; did you mean work",
        ),
        ("x = = 'pa55word'", "profiles_invalid", "not TOML, at line 1"),
        (
            "[profiles.a]\nserver = 'https://x'\ntoken = 'pa55word'",
            "profile_token_literal",
            "a.token names no",
        ),
        ("[profiles.a]\nserver = 'https://x'\ntoken = 'file:pa55word'", "profile_token_literal", "profiles.a.token"),
        ("a = " + "[" * 3000, "profiles_invalid", "file: it is"),
    ],
)
def test_what_a_file_may_not_say_is_named_by_its_place_and_not_repeated(text: str, code: str, said: str) -> None:
    with pytest.raises(InterlockError) as caught:
        parse_profiles(text.encode(), PATH)

    assert caught.value.code == code
    assert said in caught.value.message
    assert "pa55word" not in f"{caught.value} {caught.value.details}"


def test_a_file_that_is_none_is_refused() -> None:
    for content in (b"\xff", b"#" * (FILE_BYTES_MAX + 1)):
        with pytest.raises(InterlockError) as caught:
            parse_profiles(content, PATH)
        assert caught.value.code == "profiles_invalid"


def test_the_file_is_that_of_the_user(tmp_path: Path) -> None:
    assert profiles_path({"HOME": "/h"}) == Path("/h/.config/interlock/profiles.toml")
    assert profiles_path({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}) == Path("/x/interlock/profiles.toml")
    assert profiles_path({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}) == Path("/h/.config/interlock/profiles.toml")
    assert profiles_path({}) is None
    assert load_profiles({}).by_name == {}
    assert load_profiles({"HOME": str(tmp_path)}).by_name == {}


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "interlock" / "profiles.toml").mkdir(parents=True)

    with pytest.raises(InterlockError) as caught:
        load_profiles({"XDG_CONFIG_HOME": str(tmp_path)})

    assert caught.value.code == "profiles_unreadable"


def test_a_token_is_looked_for_where_the_profile_says(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    text = f"[profiles.a]\nserver = 'https://x'\ntoken = 'file:{tmp_path}/token'"
    profile = parse_profiles(text.encode(), PATH).get("a")

    secret = profile.secret({})
    assert secret is not None
    assert secret.reveal() == "t0ken"
    (tmp_path / "token").unlink()
    with pytest.raises(InterlockError) as caught:
        profile.secret({})
    assert caught.value.code == "secret_not_found"
