"""External providers by MCP: real servers of the official SDK, a program and an HTTP server."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.base.secrets import Secret
from interlock.engine.io.transports import mcp_client
from interlock.engine.io.transports.mcp_client import McpCaller, McpProgram, McpServer
from interlock.gates.evidence.external import ExternalProvider, McpChannel
from interlock.gates.evidence.port import Answered
from tests.unit.engine.io.transports.server import ok, serving
from tests.unit.gates.evidence.asking import context, query, value_of

SERVER = str(Path(__file__).with_name("mcp_program.py"))
PROGRAM = McpProgram((sys.executable, SERVER))
SECONDS_MAX = 30


async def answers(server: McpProgram | McpServer, *each: dict[str, Any]) -> list[Answered | str]:
    """What a server answers to queries with these params: evidence, or the code of a failure."""
    provider = ExternalProvider("scans", McpChannel(McpCaller(server)), SECONDS_MAX * 1000)
    found: list[Answered | str] = []
    try:
        for params in each:
            try:
                found.append(await provider.query(query("scans", "count", params), context(), tenant="t"))
            except InterlockError as fault:
                assert "secret" not in str(fault)
                found.append(fault.code)
    finally:
        await provider.close()
    return found


def values(found: list[Answered | str]) -> list[Any]:
    return [each if isinstance(each, str) else value_of(each) for each in found]


def test_a_program_answers_with_evidence_and_is_started_again_after_its_end() -> None:
    found = asyncio.run(
        answers(
            PROGRAM,
            {"value": {"count": 3}},
            {"say": "context"},
            {"say": "error"},
            {"say": "no evidence"},
            {"say": "ends"},
            {"value": 4},
        )
    )

    assert values(found) == [
        {"count": 3},
        "run-1",
        "mcp_tool_failed",
        "provider_answer_invalid",
        "mcp_failed",
        4,
    ]


def test_a_text_that_is_json_is_evidence_and_words_are_not() -> None:
    textual = McpProgram((sys.executable, SERVER, "text"))
    found = asyncio.run(answers(textual, {"value": [1]}, {"say": "words"}, {"say": "nothing"}))

    assert values(found) == [[1], "provider_answer_invalid", "provider_answer_invalid"]
    assert isinstance(found[0], Answered)
    assert found[0].result.lane == "asserted"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("/there/is/none",), "peer_start_failed"),
        ((sys.executable, "-c", "pass"), "mcp_failed"),
        ((sys.executable, "-c", "import os; os.close(0); input()"), "mcp_failed"),
        (("/bin/true",), "mcp_failed"),
        ((sys.executable, "-c", "print('words'); input()"), "mcp_failed"),
        ((sys.executable, "-c", "print('x' * 3_000_000); input()"), "mcp_failed"),
    ],
)
def test_a_program_that_speaks_no_mcp_is_a_failure(command: tuple[str, ...], code: str) -> None:
    assert asyncio.run(answers(McpProgram(command), {})) == [code]


MALFORMED = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    said = {"jsonrpc": "2.0", "id": asked.get("id")}
    if asked["method"] == "initialize":
        version = asked["params"]["protocolVersion"]
        server = {"name": "x", "version": "1"}
        said["result"] = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
    elif asked["method"] == "tools/call":
        said["result"] = {"content": 7}
    else:
        said["error"] = {"code": -32601, "message": "no"}
    if "id" in asked:
        print(json.dumps(said), flush=True)
"""


def test_a_result_that_is_none_of_mcp_is_a_failure() -> None:
    assert asyncio.run(answers(McpProgram((sys.executable, "-c", MALFORMED)), {})) == ["mcp_failed"]


def test_a_program_that_says_nothing_is_not_waited_for() -> None:
    async def run() -> str:
        silent = McpProgram((sys.executable, "-c", "import time; time.sleep(60)"))
        provider = ExternalProvider("scans", McpChannel(McpCaller(silent)), 1_500)
        with pytest.raises(InterlockError) as caught:
            await provider.query(query("scans", "count"), context(), tenant="t")
        await provider.close()
        return caught.value.code

    assert asyncio.run(run()) == "provider_timeout"


@contextmanager
def running() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A server, once it takes connections, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, SERVER, str(number)], stderr=subprocess.DEVNULL)
    ends = time.monotonic() + SECONDS_MAX
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", number), 1).close()
                break
            except OSError:
                assert time.monotonic() < ends
                time.sleep(0.05)
        yield number, process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running() as (number, _):
        yield number


def server_at(port: int, **more: Any) -> McpServer:
    given: dict[str, Any] = {"allow_plain": True, "connect_timeout_ms": 2_000, "request_timeout_ms": 10_000} | more
    return McpServer(url=f"http://127.0.0.1:{port}/mcp", **given)


def test_a_server_answers_with_evidence(port: int) -> None:
    found = asyncio.run(answers(server_at(port), {"value": {"count": 3}}, {"say": "error"}, {"value": 4}))

    assert values(found) == [{"count": 3}, "mcp_tool_failed", 4]


def test_a_server_that_goes_away_is_a_failure() -> None:
    async def run() -> list[str]:
        with running() as (number, process):
            caller = McpCaller(server_at(number))
            await caller.call("evidence_query", {"query": {}, "context": {"run_id": ""}})
            process.kill()
            process.wait()
            found = []
            for _ in range(2):
                with pytest.raises(InterlockError) as caught:
                    await caller.call("evidence_query", {"query": {}, "context": {"run_id": ""}})
                found.append(caught.value.code)
            await caller.close()
            return found

    assert asyncio.run(run()) == ["mcp_failed", "mcp_failed"]


def test_a_server_without_tls_is_not_asked_unless_it_may_be(port: int) -> None:
    assert asyncio.run(answers(server_at(port, allow_plain=False), {})) == ["http_plain_not_allowed"]


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"secret", status="500 Broken"),
        ok(b"secret", "Content-Type: application/json"),
        ok(b"{" + b" " * 2_000_000 + b"}", "Content-Type: application/json"),
        ok(b"", "Location: http://127.0.0.1:1/", status="307 Away"),
    ],
)
def test_a_server_that_speaks_no_mcp_is_a_failure(answer: bytes) -> None:
    async def run() -> tuple[list[Answered | str], list[str]]:
        async with serving(answer) as server:
            found = await answers(server_at(server.port, token=Secret("token-0123456789")), {})
            return found, server.header("authorization")

    found, sent = asyncio.run(run())
    assert found in (["mcp_failed"], ["http_body_too_large"])
    assert sent == ["Bearer token-0123456789"]


def test_a_server_that_is_not_there_is_a_failure() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = asyncio.run(answers(server_at(free.getsockname()[1]), {}))

    assert found == ["mcp_failed"]


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "interlock.engine.io.transports.mcp_wire", None)
    monkeypatch.delattr("interlock.engine.io.transports.mcp_wire", raising=False)

    assert asyncio.run(answers(PROGRAM, {})) == ["mcp_library_missing"]
    assert "mcp" in mcp_client.MCP_LIBRARY_MISSING.advice
