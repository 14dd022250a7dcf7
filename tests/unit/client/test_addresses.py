"""Which addresses and tokens a client takes."""

from __future__ import annotations

import pytest

from interlock.base.errors import InterlockError
from interlock.client.addresses import address_of, token_of


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://Interlock.example", "https://interlock.example"),
        ("https://interlock.example:443/", "https://interlock.example"),
        ("https://interlock.example:8443/under/it/", "https://interlock.example:8443/under/it"),
        ("http://127.0.0.1:8470", "http://127.0.0.1:8470"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8470/", "http://[::1]:8470"),
    ],
)
def test_an_address_has_one_form(text: str, url: str) -> None:
    assert address_of(text).url == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "interlock.example",
        "ftp://interlock.example",
        "https://",
        "https://user:pa55word@interlock.example",
        "https://interlock.example?x=pa55word",
        "https://interlock.example/#pa55word",
        "https://interlock.example/a/../b",
        "https://interlock.example/%2e%2e",
        "https://interlock.example:99999",
        "https://interlock.example:port",
        "https://inter lock.example",
        "https://interlock.example\r\nx: y",
        "https://[::1",
        "https://" + "x" * 3000,
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InterlockError) as caught:
        address_of(text)

    assert caught.value.code == "client_url_invalid"
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1:8470", "http://127.0.0.1:8470"),
        ("localhost:8470", "http://localhost:8470"),
        ("[::1]:8470", "http://[::1]:8470"),
        ("interlock.example:443", "https://interlock.example:443"),
    ],
)
def test_a_host_and_a_port_alone_are_answered_with_the_address_that_is_meant(text: str, meant: str) -> None:
    with pytest.raises(InterlockError, match="did you mean") as caught:
        address_of(text)

    assert caught.value.message.endswith(f"; did you mean {meant}?")


def test_plain_http_is_for_this_machine_unless_it_is_said_to_be_safe() -> None:
    for host in ("interlock.example", "127.0.0.1.example", "10.0.0.1", "0.0.0.0"):
        with pytest.raises(InterlockError) as caught:
            address_of(f"http://{host}")
        assert caught.value.code == "client_plain_refused"

    assert address_of("http://interlock.example", plain=True).is_plain


@pytest.mark.parametrize("text", ["", "two words", "a\r\nb", "grün", "x" * 9000])
def test_a_token_that_no_header_can_hold_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InterlockError) as caught:
        token_of(text)

    assert caught.value.code == "client_token_invalid"
    assert not text or text not in str(caught.value)
