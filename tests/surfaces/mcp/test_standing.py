"""Answers of MCP that stand open: they end with who asked, and with the server, and hide no fault."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.base.principal import Principal, PrincipalKind
from interlock.surfaces.http.errors import SERVER_BUSY
from interlock.surfaces.mcp.entrance import EntranceSettings
from interlock.surfaces.mcp.http import Entrance
from interlock.surfaces.mcp.sessions import Sessions
from interlock.surfaces.seats import Seats, Shares, refused_by
from tests.surfaces.mcp.http_server import TOKEN_INVALID, talked


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("begun", [True, False])
def test_an_answer_that_stands_ends_when_whoever_asked_may_no_longer(method: str, begun: bool) -> None:
    async def talk() -> None:
        refused, sent = asyncio.Event(), list[dict[str, object]]()

        async def stands(_scope: object, _receive: object, send: Any) -> None:
            if begun:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b": here\n\n", "more_body": True})
            await asyncio.Event().wait()

        async def anybody(_scope: object) -> Principal:
            if refused.is_set():
                raise TOKEN_INVALID.error("it was revoked")
            return Principal(id="token:reader", kind=PrincipalKind.TOKEN)

        async def nothing() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        seats = Seats(1, Shares(), refused_by(SERVER_BUSY, "full"), "sessions")
        entrance = Entrance(Sessions(stands, seats, 1_000), anybody, EntranceSettings(look_ms=10))
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": method, "headers": headers}
        standing = asyncio.ensure_future(entrance(scope, nothing, send))
        await asyncio.sleep(0.05)
        assert not standing.done()
        refused.set()
        await asyncio.wait_for(standing, 5)
        status = next(each["status"] for each in sent if each["type"] == "http.response.start")
        assert status == (200 if begun else 401)
        assert not sent[-1].get("more_body", False)

    talked(talk)


def test_a_fault_of_the_library_is_not_taken_for_an_end() -> None:
    async def talk() -> None:
        async def broken(_scope: object, _receive: object, _send: object) -> None:
            raise LookupError("of the library")

        async def anybody(_scope: object) -> Principal:
            return Principal(id="token:reader", kind=PrincipalKind.TOKEN)

        async def nothing() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": "GET", "headers": [(b"host", b"localhost")]}
        with pytest.raises(LookupError):
            await Entrance(broken, anybody, EntranceSettings())(scope, nothing, nothing)  # type: ignore[arg-type]

    talked(talk)


def test_a_stream_that_only_stands_ends_when_the_server_is_about_to() -> None:
    """Else each drain would wait for it as long as it may."""

    async def talk() -> None:
        ended = asyncio.Event()

        async def stands(_scope: object, _receive: object, _send: object) -> None:
            await asyncio.Event().wait()

        async def anybody(_scope: object) -> Principal:
            return Principal(id="token:reader", kind=PrincipalKind.TOKEN)

        async def nothing() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        seats = Seats(1, Shares(), refused_by(SERVER_BUSY, "one session is open"), "sessions")
        entrance = Entrance(Sessions(stands, seats, 1_000), anybody, EntranceSettings())
        scope = {"type": "http", "method": "GET", "headers": [(b"host", b"localhost")]}
        standing = asyncio.ensure_future(entrance(scope, nothing, nothing))  # type: ignore[arg-type]
        standing.add_done_callback(lambda _: ended.set())
        await asyncio.sleep(0.05)
        assert not ended.is_set()
        await entrance.quiet()
        await asyncio.wait_for(ended.wait(), 5)

    talked(talk)
