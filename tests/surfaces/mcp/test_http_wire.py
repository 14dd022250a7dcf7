"""The reference's wire over HTTP: the golden conversation, statuses, headers, who may ask, and figures."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest

from interlock.base.part import Services
from interlock.gates.control.service import ScenarioRuns
from interlock.surfaces.mcp.entrance import EntranceSettings
from interlock.surfaces.mcp.wire.http import STRANGER, STRANGERS_MAX
from interlock.surfaces.mcp.wire.permissions import FREE, LOCAL, WIRE_PERMISSIONS
from tests.surfaces.mcp.conversation import CALLS, GOLDEN, SETTINGS, prepared, query
from tests.surfaces.mcp.http_server import PRINCIPALS, asked, bearer, served, talked
from tests.surfaces.mcp.test_wire import TOOLS

JSON = {"Content-Type": "application/json"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
SERVER_ID = re.compile(r"dg-[0-9a-f]{16}-[0-9a-f]{16}")
FIGURES = [
    "lock_acquisitions",
    "active_holders",
    "pending_waiters",
    "lock_wait_p50_us",
    "lock_wait_p95_us",
    "queue_depth_p50",
    "queue_depth_p95",
    "lock_wait_buckets_us",
    "lock_wait_histogram",
    "queue_depth_buckets",
    "queue_depth_histogram",
]
"""What the contract says that the statistics have, in its order."""

STATUSES = {
    -32600: {400},
    -32601: {400},
    -32602: {400},
    -32001: {401},
    -32003: {403},
    -32004: {200},
    -32009: {200},
    -32020: {200},
    -32030: {200},
    -32040: {200},
    -32050: {200},
    -32060: {200},
    -32070: {413, 200},
    -32071: {429, 200},
    -32072: {503},
    -32073: {400},
}
"""The statuses that the contract gives each code."""


def call(tool: str, arguments: Any, request_id: Any = 1) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": request_id,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


def test_every_tool_answers_over_http_what_it_answers_over_pipes_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    monkeypatch.chdir(prepared(tmp_path))
    # The user of this machine is called otherwise where it comes over HTTP.
    (tmp_path / "gates.toml").write_text(SETTINGS.replace('"stdio"', '"loopback"'))

    async def talk() -> None:
        async with served(tmp_path, config="gates.toml") as url, asked(url, **JSON, **bearer("local")) as http:
            for (tool, arguments), (_, before) in zip(CALLS, golden, strict=True):
                answer = await http.post("/rpc", json=call(tool, arguments))
                found = answer.json()
                if "error" in before:
                    expected = {"jsonrpc": "2.0", "id": 1, "error": before["error"]}
                    assert answer.status_code in STATUSES[before["error"]["code"]]
                else:
                    content = [{"type": "json", "json": before}]
                    expected = {"jsonrpc": "2.0", "id": 1, "result": {"content": content}}
                    assert answer.status_code == 200
                assert json.dumps(found) == json.dumps(expected), (tool, arguments)

    talked(talk)


def test_every_reply_has_an_id_of_ours_and_that_of_the_client(tmp_path: Path) -> None:
    async def talk() -> None:
        async with served(tmp_path) as url, asked(url, **JSON, **bearer("reader")) as http:
            ids = []
            for given in ("a", "x" * 128, "!#$%&'*+.^_`|~-"):
                answer = await http.post("/rpc", json=LIST, headers={"x-correlation-id": given})
                assert (answer.status_code, answer.headers["x-correlation-id"]) == (200, given)
                ids.append(answer.headers["x-server-correlation-id"])
            answer = await http.get("/debug/mutation_stats")
            assert "x-correlation-id" not in answer.headers
            ids.append(answer.headers["x-server-correlation-id"])
            assert all(SERVER_ID.fullmatch(each) for each in ids)
            assert len({each[:19] for each in ids}) == 1
            assert sorted(set(ids)) == ids

    talked(talk)


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a,b", "a\x7f", "\xe9"])
def test_an_id_of_the_wrong_form_is_refused_and_nothing_is_done(tmp_path: Path, given: str) -> None:
    async def talk() -> None:
        async with served(tmp_path) as url, asked(url, **JSON, **bearer("reader")) as http:
            headers = [(b"x-correlation-id", given.encode("latin-1"))]
            for answer in (
                await http.post("/rpc", json=LIST, headers=headers),
                await http.get("/debug/mutation_stats", headers=headers),
            ):
                assert answer.status_code == 400
                assert answer.json() == error(-32073, "invalid_correlation_id", "invalid correlation id")
                assert "x-correlation-id" not in answer.headers
                assert SERVER_ID.fullmatch(answer.headers["x-server-correlation-id"])

    talked(talk)


def error(code: int, kind: str, message: str, request_id: Any = None, *, known: bool = False) -> dict[str, Any]:
    """The body of an error."""
    data = {
        "kind": kind,
        "retryable": kind == "inflight_limit",
        "request_id": json.dumps(request_id) if known else None,
    }
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message, "data": data}}


@pytest.mark.parametrize(
    ("token", "status", "code", "kind"),
    [
        ({}, 401, -32001, "unauthenticated"),
        (bearer("nobody"), 401, -32001, "unauthenticated"),
        (bearer("denied"), 403, -32003, "unauthorized"),
        (bearer("broken"), 503, -32050, "internal"),
    ],
)
def test_who_may_not_ask_is_told_no_more_than_that_and_no_figure(
    tmp_path: Path, token: dict[str, str], status: int, code: int, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "internal error" if kind == "internal" else kind

    async def talk() -> None:
        async with served(tmp_path) as url, asked(url, **JSON, **token) as http:
            for method in ("tools/list", "resources/list", "tools/call"):
                answer = await http.post("/rpc", json={"jsonrpc": "2.0", "id": "seven", "method": method})
                assert (answer.status_code, answer.json()) == (status, error(code, kind, message, "seven", known=True))
                challenge = 'Bearer realm="decision-gate"' if status == 401 else None
                assert answer.headers.get("www-authenticate") == challenge
            answer = await http.get("/debug/mutation_stats")
            assert (answer.status_code, answer.json()) == (status, error(code, kind, message))

    talked(talk)
    capsys.readouterr()


def test_who_asks_too_often_is_told_when_to_ask_again(tmp_path: Path) -> None:
    async def talk() -> None:
        async with served(tmp_path) as url, asked(url, **JSON, **bearer("busy")) as http:
            answer = await http.post("/rpc", json=LIST)
            found = answer.json()["error"]
            assert (answer.status_code, found["code"], found["message"]) == (429, -32071, "rate limit exceeded")
            assert answer.headers["retry-after"] == "2"
            kept = {"kind": "rate_limited", "retryable": True, "request_id": "1", "retry_after_ms": 1500}
            assert found["data"] == kept
            official = await http.post("/mcp", json=LIST)
            assert (official.status_code, official.headers["retry-after"]) == (429, "2")

    talked(talk)


def test_the_figures_have_the_members_of_the_contract(tmp_path: Path) -> None:
    held: list[Services] = []

    async def talk() -> None:
        async with served(tmp_path, watch=held.append) as url, asked(url, **JSON, **bearer("reader")) as http:
            answer = await http.get("/debug/mutation_stats")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
            figures = answer.json()
            assert list(figures) == FIGURES
            assert figures["lock_wait_buckets_us"] == [100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000]
            assert figures["queue_depth_buckets"] == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256]
            assert len(figures["lock_wait_histogram"]) == len(figures["queue_depth_histogram"]) == 11
            of_reader = held[0].get(ScenarioRuns).statistics(PRINCIPALS["reader"])
            assert figures["lock_acquisitions"] == of_reader.lock_acquisitions
            assert (await http.post("/debug/mutation_stats")).status_code == 405
            assert (await http.get("/rpc")).status_code == 405

    talked(talk)


def test_others_than_the_user_of_this_machine_read_and_reach_none_of_its_files(tmp_path: Path) -> None:
    assert set(WIRE_PERMISSIONS) | FREE == set(TOOLS)
    refusal = error(-32003, "unauthorized", "unauthorized", 1, known=True)

    async def talk() -> None:
        async with served(tmp_path) as url, asked(url, **JSON, **bearer("reader")) as http:
            for tool, arguments in dict(CALLS).items():
                answer = await http.post("/rpc", json=call(tool, arguments))
                row = WIRE_PERMISSIONS.get(tool)
                if tool in LOCAL or (row is not None and row.effect != "reads"):
                    assert (answer.status_code, answer.json()) == (403, refusal)
            asking = query("env", "get", params={"key": "HOME"})
            assert (await http.post("/rpc", json=call("evidence_query", asking))).json()["error"]["code"] == -32003
            assert not (tmp_path / "packs").exists()

    talked(talk)


BODIES: list[tuple[bytes, int, int, str]] = [
    (b"", 400, -32600, "invalid json-rpc request"),
    (b"{]", 400, -32600, "invalid json-rpc request"),
    (b"[]", 400, -32600, "invalid json-rpc request"),
    (b'{"jsonrpc":"2.0","method":"tools/list"}', 400, -32600, "invalid json-rpc request"),
    (b"[" * 200_000, 400, -32600, "invalid json-rpc request"),
    (b"\xff\xfe{}", 400, -32600, "invalid json-rpc request"),
    (b'{"jsonrpc":"1.0","id":1,"method":"tools/list"}', 400, -32600, "invalid json-rpc version"),
    (b'{"jsonrpc":"2.0","id":1,"method":"initialize"}', 400, -32601, "method not found"),
    (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"none","arguments":{}}}',
        400,
        -32601,
        "unknown tool",
    ),
    (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":7}', 400, -32602, "invalid tool params"),
    (b" " * (1024 * 1024 + 1), 413, -32070, "request body too large"),
]


TYPES = [
    ("text/plain", 415),
    ("application/x-www-form-urlencoded", 415),
    ("application/JSON; charset=utf-8", 200),
]


def test_a_request_that_cannot_be_accepted_has_the_status_of_its_error(tmp_path: Path) -> None:
    async def endless() -> Any:
        for _ in range(20):
            yield b" " * 100_000

    async def talk() -> None:
        async with served(tmp_path) as url, asked(url, **JSON, **bearer("reader")) as http:
            for content, status, code, message in BODIES:
                answer = await http.post("/rpc", content=content)
                found = answer.json()["error"]
                assert (answer.status_code, found["code"], found["message"]) == (status, code, message), content[:60]
            assert (await http.post("/rpc", content=endless())).status_code == 413
            for kind, status in (
                ("text/plain", 415),
                ("application/x-www-form-urlencoded", 415),
                ("application/JSON; charset=utf-8", 200),
                ("application/json; charset=utf-16", 415),
            ):
                assert (await http.post("/rpc", json=LIST, headers={"Content-Type": kind})).status_code == status, kind
        async with served(tmp_path) as url, httpx2.AsyncClient(base_url=url, headers=bearer("reader")) as http:
            content = json.dumps(LIST).encode()
            answer = await http.post("/rpc", content=content)  # without any type, as the reference takes it
            assert [each["name"] for each in answer.json()["result"]["tools"]] == TOOLS

    talked(talk)


def test_a_call_too_many_is_refused_and_a_slow_body_holds_its_place_only_for_a_while(tmp_path: Path) -> None:
    settings = EntranceSettings(calls_max=1, body_timeout_ms=500)

    async def talk() -> None:
        async with served(tmp_path, settings=settings) as url, asked(url, **JSON, **bearer("reader")) as http:
            port = int(url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun(100, "reader"))
            await writer.drain()
            while (refused := await http.post("/rpc", json=LIST)).status_code == 200:
                await asyncio.sleep(0.01)
            assert (refused.status_code, refused.json()) == (503, error(-32072, "inflight_limit", "server overloaded"))
            assert refused.headers["retry-after"] == "1"
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408")
            writer.close()
            assert (await http.post("/rpc", json=LIST)).status_code == 200

    talked(talk)


def begun(size: int, name: str | None = None) -> bytes:
    """The head of a request whose body says to be so long, and the first byte of it."""
    token = f"Authorization: Bearer {name}\r\n" if name else ""
    return f"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}Content-Length: {size}\r\n\r\n{{".encode()


async def told(port: int, request: bytes) -> tuple[bytes, Any]:
    """The status and the body of what a server says to a request that goes no further."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    size = re.search(rb"content-length: (\d+)", head.lower())
    assert size is not None
    content = json.loads(await reader.readexactly(int(size[1])))
    writer.close()
    return head[9:12], content


def test_slow_bodies_of_strangers_take_no_place_from_those_who_are_known(tmp_path: Path) -> None:
    settings = EntranceSettings(calls_max=1, body_timeout_ms=600_000)

    async def talk() -> None:
        async with served(tmp_path, settings=settings) as url, asked(url, **JSON, **bearer("reader")) as http:
            port = int(url.rpartition(":")[2])
            names = [None, "nobody", "denied", "busy"] * (STRANGERS_MAX // 2)
            strangers = [asyncio.ensure_future(told(port, begun(100, name))) for name in names]
            while not all(each.done() for each in strangers):
                assert (await http.post("/rpc", json=LIST)).status_code == 200
                await asyncio.sleep(0.05)
            answers = [each.result() for each in strangers]
            assert {status for status, _ in answers} == {b"401", b"403", b"429"}
            # What has not come is not waited for: the refusal repeats no id.
            assert {content["id"] for _, content in answers} == {None}
            assert answers[0][1] == error(-32001, "unauthenticated", "unauthenticated")

    talked(talk)


def test_a_stranger_is_told_what_is_wrong_in_the_order_of_the_contract(tmp_path: Path) -> None:
    settings = EntranceSettings(body_timeout_ms=600_000)

    async def talk() -> None:
        async with served(tmp_path, settings=settings) as url, asked(url, **JSON) as http:
            port = int(url.rpartition(":")[2])
            assert (await http.post("/rpc", content=b"{]")).status_code == 400
            assert (await http.post("/rpc", json=LIST, headers={"Content-Type": "text/plain"})).status_code == 415
            large = json.dumps({**LIST, "params": "x" * STRANGER.bytes_max}).encode()
            assert (await http.post("/rpc", content=large)).json()["error"]["code"] == -32001
            status, content = await told(port, begun(1024 * 1024 + 1))
            assert (status, content["error"]["code"]) == (b"413", -32070)
            status, content = await told(port, begun(1024 * 1024))
            assert (status, content["error"]["code"]) == (b"401", -32001)

    talked(talk)


def test_no_more_is_kept_of_a_strangers_body_than_is_small(tmp_path: Path) -> None:
    async def endless() -> Any:
        for _ in range(20):
            yield b" " * 100_000

    async def talk() -> None:
        async with served(tmp_path) as url, asked(url, **JSON) as http:
            answer = await http.post("/rpc", content=endless())
            assert (answer.status_code, answer.json()["id"]) == (401, None)

    talked(talk)


def test_whoever_goes_within_a_body_leaves_nothing_behind(tmp_path: Path) -> None:
    settings = EntranceSettings(calls_max=1)

    async def talk() -> None:
        async with served(tmp_path, settings=settings) as url, asked(url, **JSON, **bearer("reader")) as http:
            port = int(url.rpartition(":")[2])
            for path in (b"/rpc", b"/mcp"):
                with socket.create_connection(("127.0.0.1", port)) as half:
                    head = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer reader\r\n" % path
                    half.sendall(head + b"Content-Length: 100\r\n\r\n{")
                    await asyncio.sleep(0.05)
            while (await http.post("/rpc", json=LIST)).status_code == 503:
                await asyncio.sleep(0.01)
            assert (await http.post("/rpc", json=LIST)).status_code == 200

    talked(talk)
