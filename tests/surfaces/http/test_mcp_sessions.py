"""Sessions of agents on the whole server: each is one token's, and what stands open for it ends with that token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.surfaces.http.serving import Asking, serving

VERSION: Final = "2025-11-25"
ACCEPT: Final = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": VERSION}
LISTING: Final = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
OPENING: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


async def opened(asking: Asking, token: str) -> dict[str, str]:
    """A session of a token: the headers that name it."""
    answer = await asking.ask("POST", "/mcp", token=token, headers=ACCEPT, json=OPENING)
    assert answer.status_code == 200, answer.text
    held = {**ACCEPT, "Mcp-Session-Id": answer.headers["mcp-session-id"]}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await asking.ask("POST", "/mcp", token=token, headers=held, json=ready)).status_code == 202
    return held


async def revoke(asking: Asking, token: str) -> None:
    answer = await asking.post(f"/api/v1/tokens/{token.split('.')[1]}/revoke", reason="it leaked")
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("other", ["beside it", "made anew", "of another tenant"])
def test_tokens_of_one_name_share_no_session(tmp_path: Path, other: str) -> None:
    async def check() -> None:
        async with serving(tmp_path) as asking:
            first = await asking.token_of("viewer", name="ci")
            held = await opened(asking, first)
            assert (await asking.ask("POST", "/mcp", token=first, headers=held, json=LISTING)).status_code == 200
            if other == "made anew":
                await revoke(asking, first)
                gone = await asking.ask("POST", "/mcp", token=first, headers=held, json=LISTING)
                assert gone.status_code == 401
            second = await asking.token_of(
                "viewer", name="ci", tenant="staging" if other == "of another tenant" else "default"
            )
            for method, body in (("POST", LISTING), ("GET", None), ("DELETE", None)):
                answer = await asking.ask(method, "/mcp", token=second, headers=held, json=body)
                assert answer.status_code == 404, (method, answer.text)
            theirs = await opened(asking, second)
            assert theirs["Mcp-Session-Id"] != held["Mcp-Session-Id"]
            assert (await asking.ask("POST", "/mcp", token=second, headers=theirs, json=LISTING)).status_code == 200
            if other != "made anew":
                assert (await asking.ask("POST", "/mcp", token=first, headers=held, json=LISTING)).status_code == 200

    asyncio.run(check())


@pytest.mark.parametrize("ended", ["the token", "the one that made it"])
def test_a_stream_ends_with_its_token_and_no_other_one_does(
    tmp_path: Path, ended: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        async with serving(tmp_path, {"event_stream": {"heartbeat_ms": 50}}) as asking, asyncio.timeout(60):
            maker, beside = await asking.token_of("admin"), await asking.token_of("viewer")
            made = await asking.ask("POST", "/api/v1/tokens", token=maker, json={"name": "zoe", "role": ["viewer"]})
            token = made.json()["token"]
            held, theirs = await opened(asking, token), await opened(asking, beside)
            async with standing(asking, token, held) as stream, standing(asking, beside, theirs) as kept:
                await revoke(asking, token if ended == "the token" else maker)
                assert [chunk async for chunk in stream] == []  # a whole stream: nothing is broken off
                over = asyncio.ensure_future(anext(kept, None))
                answer = await asking.ask("GET", "/mcp", token=token, headers=held)
                assert answer.status_code == 401
                assert (await asking.ask("POST", "/mcp", token=beside, headers=theirs, json=LISTING)).status_code == 200
                assert not over.done()
                over.cancel()
                await asyncio.gather(over, return_exceptions=True)

    asyncio.run(check())
    assert [record for record in caplog.records if "ASGI" in record.message] == []


@asynccontextmanager
async def standing(asking: Asking, token: str, held: dict[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
    """The stream of a session, which has begun; what comes of it."""
    headers = {**held, "Authorization": f"Bearer {token}"}
    async with asking.client.stream("GET", f"{asking.url}/mcp", headers=headers) as response:
        assert response.status_code == 200
        yield response.aiter_bytes()
