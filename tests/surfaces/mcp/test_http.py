"""The official protocol over HTTP: every version, who may call what, whose sessions are whose, and hostile requests."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import MCPError
from mcp_types import CallToolResult
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS

from interlock.base.part import Command
from interlock.base.principal import Principal
from interlock.surfaces.mcp.entrance import EntranceSettings
from interlock.surfaces.seats import Shares
from tests.surfaces.mcp.http_server import asked, bearer, connected, served, talked
from tests.surfaces.mcp.test_front import INITIALIZE, LASTING, PLAN

ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
HANDSHAKE = [version for version in KNOWN_PROTOCOL_VERSIONS if version != "2026-07-28"]
every_version = pytest.mark.parametrize("version", KNOWN_PROTOCOL_VERSIONS)


def made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with plans, which is where the server runs."""
    (folder / "greeting.py").write_text(PLAN)
    (folder / "lasting.py").write_text(LASTING)
    monkeypatch.chdir(folder)
    return folder


def value(answer: CallToolResult) -> Any:
    """The structure of an answer, which its text holds too."""
    [item] = answer.content
    found = json.loads(item.text)  # type: ignore[union-attr]
    assert answer.structured_content is None or answer.structured_content == found
    return found


@every_version
def test_a_client_of_every_version_lists_calls_and_reads(tmp_path: Path, version: str) -> None:
    async def talk() -> None:
        async with served(tmp_path) as url, connected(url, version=version) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert {"run_list", "run_why", "scenario_status", "docs_search"} <= set(tools)
            answer = await client.call_tool("run_list", {})
            assert value(answer)["items"] == []
            if version >= "2025-06-18":
                assert answer.structured_content is not None
                assert tools["run_list"].output_schema
            missing = await client.call_tool("run_status", {"run": "01890a5d-ac96-774b-bcce-b302099a8057"})
            assert (missing.is_error, value(missing)["error"]["code"]) == (True, "run_not_found")
            with pytest.raises(MCPError):
                await client.call_tool("run_stat", {})
            uris = [each.uri for each in (await client.list_resources()).resources]
            assert "interlock://docs/how-to-replay-a-run" in uris
            [content] = (await client.read_resource("interlock://docs/how-to-replay-a-run")).contents
            assert content.text.startswith("# Replay a run")  # type: ignore[union-attr]
            found = value(await client.call_tool("docs_search", {"query": "replay", "max_sections": 2}))
            assert len(found["sections"]) == 2

    talked(talk)


@every_version
def test_a_run_is_started_with_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    reports: list[str | None] = []

    async def reported(progress: float, total: float | None, message: str | None) -> None:
        reports.append(message)

    async def talk() -> Any:
        async with served(made(tmp_path, monkeypatch)) as url, connected(url, "local", version) as client:
            given = {"plan": "greeting.py:plan", "input": {"name": "grace"}}
            return value(await client.call_tool("run_start", given, progress_callback=reported))

    found = talked(talk)
    assert found["phase"] == "completed"
    if version != "2024-11-05":  # whose progress has no words
        assert any(message and message.startswith(found["run_id"]) for message in reports)


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_a_cancelled_call_lets_go_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    run_id = "01890a5d-ac96-774b-bcce-b302099a8057"

    async def talk() -> Any:
        async with served(made(tmp_path, monkeypatch)) as url, connected(url, "local", version) as client:
            given = {"plan": "lasting.py:plan", "input": {"folder": str(tmp_path)}, "run_id": run_id}
            call = asyncio.ensure_future(client.call_tool("run_start", given))
            while not (tmp_path / "begun").exists():
                await asyncio.sleep(0.05)
            assert value(await client.call_tool("run_status", {"run": run_id}))["owner"]
            call.cancel()
            await asyncio.wait({call})
            while (found := value(await client.call_tool("run_status", {"run": run_id})))["owner"]:
                await asyncio.sleep(0.05)
            return found

    assert talked(talk)["phase"] == "running"


def test_each_principal_sees_the_tools_that_it_may_call_and_no_other_is_called(tmp_path: Path) -> None:
    def may(principal: Principal, command: Command) -> bool:
        return command.permission == "run.read" or (principal.id == "token:other" and command.name == "run.cancel")

    async def talk() -> None:
        async with served(tmp_path, may=may) as url:
            async with connected(url, "reader") as client:
                tools = {tool.name for tool in (await client.list_tools()).tools}
                assert "run_cancel" not in tools
                refused = await client.call_tool("run_cancel", {"run": "x", "reason": "y"})
                assert value(refused)["error"]["code"] == "mcp_tool_not_permitted"
                assert not await _knows(client, "pack_export")
                assert not await _knows(client, "serve")
            async with connected(url, "other") as client:
                assert {tool.name for tool in (await client.list_tools()).tools} == tools | {"run_cancel"}
        async with served(tmp_path) as url:
            for name, starts in (("reader", False), ("local", True)):
                async with connected(url, name) as client:
                    tools = {tool.name for tool in (await client.list_tools()).tools}
                    assert ("run_start" in tools, "scenario_define" in tools) == (starts, starts)
                    assert not {"run_lint", "pack_export", "scenario_export", "work", "mcp"} & tools

    talked(talk)


async def _knows(client: Any, name: str) -> bool:
    """Whether a server has a tool of that name."""
    try:
        await client.call_tool(name, {})
    except MCPError as fault:
        assert fault.code == -32602
        return False
    return True


@pytest.mark.parametrize("version", HANDSHAKE)
def test_a_session_is_not_there_for_another_principal(tmp_path: Path, version: str) -> None:
    opening = {**INITIALIZE, "params": {**INITIALIZE["params"], "protocolVersion": version}}  # type: ignore[dict-item]
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}

    async def talk() -> None:
        async with served(tmp_path) as url, httpx2.AsyncClient(base_url=url, headers=ACCEPT) as http:
            opened = await http.post("/mcp", json=opening, headers=bearer("reader"))
            held = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": version}
            ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            assert (await http.post("/mcp", json=ready, headers={**held, **bearer("reader")})).status_code == 202
            for other in ("other", "stranger", "local"):
                theirs = {**held, **bearer(other)}
                assert (await http.post("/mcp", json=listing, headers=theirs)).status_code == 404
                assert (await http.delete("/mcp", headers=theirs)).status_code == 404
                assert (await http.get("/mcp", headers=theirs)).status_code == 404
            assert (await http.post("/mcp", json=listing, headers=held)).status_code == 401
            mine = {**held, **bearer("reader")}
            assert (await http.post("/mcp", json=listing, headers=mine)).status_code == 200
            assert (await http.delete("/mcp", headers=mine)).status_code == 200
            assert (await http.post("/mcp", json=listing, headers=mine)).status_code == 404

    talked(talk)


LISTING = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


async def session(http: httpx2.AsyncClient, name: str) -> httpx2.Response:
    """The answer to somebody who opens a session."""
    return await http.post("/mcp", json=INITIALIZE, headers=bearer(name))


async def lives(http: httpx2.AsyncClient, name: str, opened: httpx2.Response) -> bool:
    """Whether a session is still there."""
    held = {"Mcp-Session-Id": opened.headers["mcp-session-id"], **bearer(name)}
    return (await http.post("/mcp", json=LISTING, headers=held)).status_code == 200


def test_who_opens_one_session_more_than_its_share_loses_its_own_that_was_idle_for_longest(tmp_path: Path) -> None:
    settings = EntranceSettings(sessions_max=4)

    async def talk() -> None:
        async with served(tmp_path, settings=settings) as url, asked(url, **ACCEPT) as http:
            other = await session(http, "other")
            mine = [await session(http, "reader") for _ in range(2)]
            assert await lives(http, "reader", mine[0])
            mine += [await session(http, "reader") for _ in range(20)]
            assert {each.status_code for each in mine} == {200}
            assert [await lives(http, "reader", each) for each in mine] == [False] * 20 + [True] * 2
            assert await lives(http, "other", other)
            # What opens nothing ends nothing.
            await http.post("/mcp", json=LISTING, headers=bearer("reader"))
            await http.get("/mcp", headers=bearer("reader"))
            assert await lives(http, "reader", mine[-1])
            assert await lives(http, "reader", mine[-2])

    talked(talk)


def test_a_session_that_is_at_work_makes_no_room_and_one_that_ended_does(tmp_path: Path) -> None:
    settings = EntranceSettings(sessions_max=2, shares=Shares(50, 100))

    async def talk() -> None:
        async with served(tmp_path, settings=settings) as url, asked(url, **ACCEPT) as http:
            [only] = [await session(http, "reader")]
            held = {"Mcp-Session-Id": only.headers["mcp-session-id"], **bearer("reader")}
            async with http.stream("GET", "/mcp", headers=held) as standing:
                assert standing.status_code == 200
                refused = await session(http, "reader")
                assert (refused.status_code, refused.json()["code"]) == (429, "share_taken")
                assert refused.headers["retry-after"] == "1"
                assert (await session(http, "other")).status_code == 200
                assert await lives(http, "reader", only)
            assert (await http.delete("/mcp", headers=held)).status_code == 200
            assert (await session(http, "reader")).status_code == 200

    talked(talk)


def test_sessions_are_bounded_and_end_where_nobody_asks(tmp_path: Path) -> None:
    settings = EntranceSettings(sessions_max=2, session_idle_ms=300, shares=Shares(100, 100))

    async def talk() -> None:
        async with served(tmp_path, settings=settings) as url, asked(url, **ACCEPT) as http:
            opened = [await session(http, "reader") for _ in range(2)]
            refused = await session(http, "other")
            assert (refused.status_code, refused.json()["code"]) == (503, "server_busy")
            assert refused.headers["retry-after"] == "1"
            while (await session(http, "other")).status_code == 503:
                await asyncio.sleep(0.05)
            assert not await lives(http, "reader", opened[0])

    talked(talk)


UNSOUND = [
    b"{",
    b'{"jsonrpc":"2.0","id":2,"method":"tools/list","method":"ping"}',
    b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"run_list","arguments":{"limit":1,"limit":2}}}',
    b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"run_list","arguments":{"limit":NaN}}}',
    b'{"jsonrpc":"2.0","id":2,"method":"tools/list","params":' + b"[" * 500 + b"]" * 500 + b"}",
    '{"jsonrpc":"2.0","id":2,"method":"ping"}'.encode("utf-16"),
]


@every_version
def test_json_that_two_readers_would_read_differently_is_no_message(tmp_path: Path, version: str) -> None:
    async def talk() -> None:
        async with served(tmp_path) as url, asked(url, **ACCEPT, **bearer("reader")) as http:
            for content in UNSOUND:
                answer = await http.post("/mcp", content=content, headers={"MCP-Protocol-Version": version})
                assert answer.status_code == 400, content[:80]
                found = answer.json()
                assert (found["id"], found["error"]["code"]) == (None, -32700), content[:80]
                assert found["error"]["message"].startswith("Parse error")

    talked(talk)


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        ({}, 401, "token_invalid"),
        (bearer("nobody"), 401, "token_invalid"),
        (bearer("denied"), 403, "token_denied"),
        (bearer("broken"), 500, "program_fault"),
    ],
)
def test_who_may_not_ask_is_told_before_the_library_sees_anything(
    tmp_path: Path, token: dict[str, str], status: int, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def talk() -> None:
        async with served(tmp_path) as url, httpx2.AsyncClient(base_url=url, headers={**ACCEPT, **token}) as http:
            for version in ("2025-11-25", "2026-07-28"):
                answer = await http.post("/mcp", content=b"{]", headers={"MCP-Protocol-Version": version})
                assert (answer.status_code, answer.json()["code"]) == (status, code)
                assert answer.headers["content-type"] == "application/problem+json"
                assert ("www-authenticate" in answer.headers) == (status == 401)
                assert "the secret" not in answer.text

    talked(talk)
    capsys.readouterr()


ATTACKS: list[dict[str, str]] = [
    {"Host": "evil.example.com"},
    {"Host": "localhost.evil.example.com"},
    {"Host": "localhost:evil"},
    {"Host": "127.0.0.1:80@evil.example.com"},
    {"Origin": "http://evil.example.com"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Host": "evil.example.com", "Origin": "http://evil.example.com"},
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("path", ["/mcp", "/rpc", "/debug/mutation_stats"])
def test_names_and_origins_that_are_not_listed_are_refused_whoever_asks(
    tmp_path: Path, path: str, attack: dict[str, str]
) -> None:
    async def talk() -> None:
        headers = {**ACCEPT, **bearer("local"), **attack}
        async with served(tmp_path) as url, httpx2.AsyncClient(base_url=url, headers=headers) as http:
            answer = await (http.get(path) if path.startswith("/debug") else http.post(path, json=INITIALIZE))
            assert answer.status_code == 403
            assert "lock_acquisitions" not in answer.text

    talked(talk)


def test_listed_names_and_origins_and_pages_of_this_server_may_ask(tmp_path: Path) -> None:
    settings = EntranceSettings(hosts=("ops.example.com", "127.0.0.1:*"), origins=("https://desk.example.com:*",))
    fine: list[dict[str, str]] = [
        {},
        {"Host": "OPS.example.com", "Origin": "https://ops.example.com"},
        {"Origin": "https://desk.example.com:8443"},
    ]

    async def talk() -> None:
        async with served(tmp_path, settings=settings) as url, asked(url, **ACCEPT, **bearer("reader")) as http:
            for headers in fine:
                assert (await http.post("/mcp", json=INITIALIZE, headers=headers)).status_code == 200, headers
            wrong = {"Origin": "https://desk.example.com"}
            assert (await http.post("/mcp", json=INITIALIZE, headers=wrong)).status_code == 403

    talked(talk)


def test_a_body_that_is_too_large_or_too_slow_is_refused(tmp_path: Path) -> None:
    settings = EntranceSettings(body_bytes_max=2048, body_timeout_ms=300)

    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1024

    async def talk() -> None:
        async with served(tmp_path, settings=settings) as url, asked(url, **ACCEPT, **bearer("reader")) as http:
            for content in (b" " * 4096, endless()):
                answer = await http.post("/mcp", content=content)
                assert (answer.status_code, answer.json()["code"]) == (413, "request_too_large")
            assert await slow(url) == (408, "request_timeout")
            assert (await http.post("/mcp", json=INITIALIZE)).status_code == 200

    talked(talk)


async def slow(url: str) -> tuple[int, str]:
    """What becomes of a request whose body does not come; its connection ends with the answer."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = ["POST /mcp HTTP/1.1", f"Host: {host}:{port}", f"Authorization: {bearer('reader')['Authorization']}"]
    writer.write("\r\n".join([*lines, "Content-Type: application/json", "Content-Length: 9", "", "{"]).encode())
    head, _, content = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    return int(head[9:12]), json.loads(content)["code"]


def test_calls_are_bounded_for_a_principal_over_all_of_its_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.surfaces.mcp.front.CALLS_MAX", 1)

    async def talk() -> None:
        async with served(made(tmp_path, monkeypatch)) as url, connected(url, "local") as client:
            given = {"plan": "lasting.py:plan", "input": {"folder": str(tmp_path)}}
            call = asyncio.ensure_future(client.call_tool("run_start", given))
            while not (tmp_path / "begun").exists():
                await asyncio.sleep(0.05)
            async with connected(url, "local") as again, connected(url, "reader") as reader:
                assert value(await again.call_tool("run_list", {}))["error"]["code"] == "mcp_busy"
                assert not (await reader.call_tool("run_list", {})).is_error
            call.cancel()
            await asyncio.wait({call})

    talked(talk)
