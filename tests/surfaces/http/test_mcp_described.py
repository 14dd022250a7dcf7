"""What a server answers at `/mcp` is what its description says: each status of each method, by real requests."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from interlock.surfaces.http import mcp_paths
from interlock.surfaces.http.mcp_paths import MCP_PATH
from tests.surfaces.http.serving import TOKEN, Asking, problem, serving

OLD, NEW = "2025-11-25", "2026-07-28"
BOTH = {"Accept": "application/json, text/event-stream"}
JSON_ALONE, STREAM_ALONE = {"Accept": "application/json"}, {"Accept": "text/event-stream"}
NEW_LIST = {"MCP-Protocol-Version": NEW, "Mcp-Method": "tools/list"}
LIST: dict[str, Any] = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
CLIENT = {
    "io.modelcontextprotocol/protocolVersion": NEW,
    "io.modelcontextprotocol/clientInfo": {"name": "desk", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
SHOWN_ELSEWHERE = {"408", "429", "500", "503"}
"""Statuses that need a slow body, a full queue or a fault: `mcp/test_http.py` and `test_load.py` show them."""


class Desk:
    """Asks at the path of MCP, and holds each answer against the description."""

    def __init__(self, asking: Asking, document: dict[str, Any]) -> None:
        self._asking = asking
        self._document = document
        self.seen: dict[str, set[str]] = defaultdict(set)

    async def ask(self, method: str, headers: dict[str, str], content: Any = None, **more: Any) -> httpx2.Response:
        given = {**BOTH, "Content-Type": "application/json", **headers}
        body = content if isinstance(content, bytes | None) else json.dumps(content).encode()
        answer = await self._asking.ask(method, MCP_PATH, headers=given, content=body, **more)
        self.hold(method, answer, answer.content)
        return answer

    async def opened(self) -> dict[str, str]:
        """The headers of a new session."""
        opening = self._document["paths"][MCP_PATH]["post"]["requestBody"]["content"]["application/json"]["example"]
        answer = await self.ask("POST", {}, opening)
        assert answer.status_code == 200, answer.text
        session = {"Mcp-Session-Id": answer.headers["mcp-session-id"], "MCP-Protocol-Version": OLD}
        assert (await self.ask("POST", session, READY)).status_code == 202
        return session

    def hold(self, method: str, answer: httpx2.Response, body: bytes) -> None:
        """One answer against its description: the status, the type of its content, and the form."""
        described = self._document["paths"][MCP_PATH].get(method.lower())
        if described is None:
            assert answer.status_code == 405
            return
        self.seen[method.lower()].add(str(answer.status_code))
        found = described["responses"][str(answer.status_code)]
        if "$ref" in found:
            found = self._document["components"]["responses"][found["$ref"].rpartition("/")[2]]
        if not body and "content" not in found:
            return
        kind = answer.headers["content-type"].partition(";")[0]
        if "content" in found:
            assert kind in found["content"], (method, answer.status_code, kind)
            form = found["content"][kind].get("schema", {})
            schema = {"components": self._document["components"], "allOf": [form]}
            value = json.loads(body) if kind.endswith("json") else body.decode()
            errors = jsonschema_rs.Draft202012Validator(schema).iter_errors(value)
            assert [error.message for error in errors] == [], body


def desk(check: Callable[[Desk, Asking], Awaitable[None]], folder: Path) -> None:
    async def main() -> None:
        async with serving(folder, {"server": {"body_bytes_max": 1024}}) as asking:
            document = (await asking.ask("GET", "/api/v1/openapi.json", token=None)).json()
            await check(Desk(asking, document), asking)

    asyncio.run(main())


async def sent(desk: Desk) -> None:
    """Messages, with sessions and without."""
    held = await desk.opened()
    gone = {**held, "Mcp-Session-Id": "gone"}
    new = {**LIST, "params": {"_meta": CLIENT}}
    cases: list[tuple[dict[str, str], Any, int]] = [
        *[(held, LIST, 200), ({}, LIST, 400), (held, b"{]", 400), (held, [LIST], 400), (gone, LIST, 404)],
        *[(held | JSON_ALONE, LIST, 406), (held | {"Content-Type": "text/plain"}, LIST, 415)],
        *[(held | {"Origin": "http://evil.example.com"}, LIST, 403), (held, b" " * 2048, 413)],
        *[(NEW_LIST, new, 200), (NEW_LIST | {"Mcp-Method": "x"}, new, 400), (NEW_LIST | JSON_ALONE, new, 406)],
        *[(NEW_LIST, {**READY, "method": "notifications/cancelled"}, 202), (NEW_LIST, b"{]", 400)],
        (NEW_LIST | {"Mcp-Method": "no/such"}, {**new, "method": "no/such"}, 404),
        (NEW_LIST | {"MCP-Protocol-Version": "1999-01-01"}, new, 400),
    ]
    for headers, body, status in cases:
        answer = await desk.ask("POST", headers, body)
        assert answer.status_code == status, (headers, body, answer.text)
    for token in (None, "ilk_default.none.none"):
        assert (await desk.ask("POST", held, LIST, token=token)).status_code == 401


async def heard(desk: Desk, asking: Asking) -> None:
    """What the server says of itself; a client that lost its stream and asks for what it missed hears on, too."""
    held = await desk.opened()
    headers = {"Authorization": f"Bearer {TOKEN}", **STREAM_ALONE, **held, "Last-Event-ID": "7"}
    async with asking.client.stream("GET", f"{asking.url}{MCP_PATH}", headers=headers) as standing:
        desk.hold("GET", standing, b"")
        assert standing.status_code == 200
        assert standing.headers["content-type"].startswith("text/event-stream")
        assert (await desk.ask("GET", held)).status_code == 409
    for headers, status in (
        *[({}, 400), ({**held, "Mcp-Session-Id": "gone"}, 404), (held | JSON_ALONE, 406)],
        *[({"MCP-Protocol-Version": NEW}, 405), (held | {"Origin": "http://evil.example.com"}, 403)],
    ):
        answer = await desk.ask("GET", headers)
        assert answer.status_code == status, (headers, answer.text)
    assert (await desk.ask("GET", held, token=None)).status_code == 401
    assert (await desk.ask("GET", held, b" " * 2048)).status_code == 413


async def ended(desk: Desk) -> None:
    """The end of a session, and of what is none."""
    held = await desk.opened()
    for headers, status in (
        *[({}, 400), ({"MCP-Protocol-Version": NEW}, 405), (held | {"Host": "evil.example.com"}, 403)],
        *[(held, 200), (held, 404)],
    ):
        answer = await desk.ask("DELETE", headers)
        assert answer.status_code == status, (headers, answer.text)
    assert (await desk.ask("DELETE", held, token=None)).status_code == 401
    assert (await desk.ask("DELETE", held, b" " * 2048)).status_code == 413
    other = await desk.ask("PUT", {}, LIST)
    assert other.status_code == 405
    assert set(other.headers["allow"].split(", ")) == {"GET", "HEAD", "POST", "DELETE"}
    assert problem(other) == (405, "method_not_allowed")


def test_every_status_of_mcp_is_answered_as_described_and_no_other(tmp_path: Path) -> None:
    async def check(desk: Desk, asking: Asking) -> None:
        await sent(desk)
        await heard(desk, asking)
        await ended(desk)
        for method, operation in mcp_paths.mcp_paths()[MCP_PATH].items():
            assert desk.seen[method] == set(operation["responses"]) - SHOWN_ELSEWHERE, method

    desk(check, tmp_path)


def test_without_the_library_the_path_is_not_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_paths, "find_spec", lambda _name: None)

    assert mcp_paths.mcp_paths() == {}
