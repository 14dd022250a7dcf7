"""Names and origins at the entrance, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp.server.lowlevel import Server
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.surfaces.mcp.entrance import EntranceSettings, check_place, with_body
from interlock.surfaces.mcp.http import streamable

SETTINGS = EntranceSettings()


def scope(*headers: tuple[str, str]) -> dict[str, Any]:
    return {"type": "http", "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers]}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:65535", "[::1]"])
def test_names_of_this_machine_are_listed_unless_something_else_is(host: str) -> None:
    check_place(scope(("host", host)), SETTINGS)
    with pytest.raises(InterlockError):
        check_place(scope(("host", host)), replace(SETTINGS, hosts=()))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("host", ""),),
        (("host", "localhost:"),),
        (("host", "localhost:123456"),),
        (("host", "localhost:²"),),
        (("host", "localhost"), ("host", "localhost")),
        (("host", "localhost"), ("origin", "http://localhost:1")),
        (("host", "localhost"), ("origin", "file://")),
        (("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.example.com")),
    ],
)
def test_what_is_absent_twofold_or_of_another_form_is_not_listed(headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(InterlockError) as refused:
        check_place(scope(*headers), SETTINGS)
    assert refused.value.code == "origin_refused"


def given(*messages: dict[str, Any]) -> Any:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    return receive


def part(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": False}


def test_a_body_that_was_read_is_given_again_before_what_comes_after_it() -> None:
    async def again() -> list[Any]:
        receive = with_body(b"abcd", given({"type": "http.disconnect"}))
        return [await receive(), await receive()]

    assert asyncio.run(again()) == [part(b"abcd"), {"type": "http.disconnect"}]


def test_what_is_not_http_is_not_answered() -> None:
    async def never(*_given: Any) -> Any:
        raise AssertionError("nobody is asked")

    async def ask() -> None:
        app, _ = streamable(Server("x"), never, SETTINGS)
        await app({"type": "websocket"}, never, never)

    with pytest.raises(RuntimeError):
        asyncio.run(ask())
