"""The published conformance suite of MCP and its Inspector, on our server and on its own profile over our transport.

They run on Node.js, which the first run installs under the cache together with them.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPDeprecationWarning
from starlette.routing import Route
from starlette.types import Scope

from interlock.base.principal import Principal
from interlock.surfaces.mcp.entrance import EntranceSettings
from interlock.surfaces.mcp.http import streamable
from tests.conformance.mcp import profile
from tests.conformance.mcp.install import Programs
from tests.conformance.mcp.install import programs as installed
from tests.surfaces.mcp.http_server import PRINCIPALS, listening, served, talked
from tests.surfaces.process import PRODUCT

pytestmark = pytest.mark.timeout(600)  # the first run installs from the registries

OURS = ("server-initialize", "ping", "tools-list", "dns-rebinding-protection")
"""Scenarios that ask nothing of a server but to be one."""

UNPRIMED = {"server-sse-priming-event", "server-sse-retry-field"}
"""What the suite recommends to a client of 2025-03-26, and the SDK sends from 2025-11-25 on: no older one reads it."""

SCENARIOS = 32
"""Scenarios of the suite's version that the lock names."""


@pytest.fixture(scope="module")
def programs() -> Programs:
    return installed()


async def anyone(_scope: Scope) -> Principal:
    """A server of this machine without tokens, as the suite wants it."""
    return PRINCIPALS["reader"]


async def said(line: Sequence[str], folder: Path) -> tuple[int, str]:
    """How a program ended, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *line, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=dict(os.environ)
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


def checks(folder: Path) -> list[dict[str, Any]]:
    """Every check that the suite stored."""
    return [
        check
        for path in sorted(folder.rglob("checks.json"))
        for check in json.loads(path.read_text(encoding="utf-8"))
        if check["status"] != "INFO"
    ]


def test_our_server_passes_the_scenarios_that_apply_to_it(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.surfaces.mcp.http_server.authenticate", anyone)

    async def talk() -> None:
        async with served(tmp_path) as url:
            for scenario in OURS:
                line = [*programs.conformance, "server", "--url", f"{url}/mcp", "--scenario", scenario]
                code, words = await said(line, tmp_path)
                assert code == 0, words
                assert "0 failed, 0 warnings" in words

    talked(talk)


def test_a_server_of_the_suites_profile_passes_every_scenario_over_our_transport(
    tmp_path: Path, programs: Programs, recwarn: pytest.WarningsRecorder
) -> None:
    async def talk() -> tuple[int, str]:
        async with AsyncExitStack() as stack:
            app, lifespan = streamable(profile.server(), anyone, EntranceSettings(), profile.Remembered())
            url = await stack.enter_async_context(listening([Route("/mcp", app)], lifespan))
            line = [*programs.conformance, "server", "--url", f"{url}/mcp", "--suite", "all", "-o", str(tmp_path)]
            return await said(line, tmp_path)

    code, words = talked(talk)
    assert (code, words.count("=== Running scenario: ")) == (0, SCENARIOS), words
    short = {check["id"]: check["status"] for check in checks(tmp_path) if check["status"] != "SUCCESS"}
    assert short == dict.fromkeys(UNPRIMED, "WARNING"), words
    assert all(each.category is MCPDeprecationWarning for each in recwarn)


LIST = ("--method", "tools/list")
CALL = ("--method", "tools/call", "--tool-name", "run_list")


def test_the_inspector_connects_over_http(tmp_path: Path, programs: Programs) -> None:
    async def talk() -> None:
        async with served(tmp_path) as url:
            line = [
                *programs.inspector,
                f"{url}/mcp",
                "--transport",
                "http",
                "--header",
                "Authorization: Bearer reader",
            ]
            tools = await told([*line, *LIST], tmp_path)
            assert {"run_list", "docs_search"} <= {tool["name"] for tool in tools["tools"]}
            assert (await told([*line, *CALL], tmp_path))["structuredContent"]["items"] == []

    talked(talk)


def test_the_inspector_connects_over_pipes(tmp_path: Path, programs: Programs) -> None:
    async def talk() -> None:
        line = [*programs.inspector, *PRODUCT, "mcp", "--allow", "changes", "--store", str(tmp_path / "store.db")]
        assert (await told([*line, *CALL], tmp_path))["structuredContent"]["items"] == []

    talked(talk)


async def told(line: Sequence[str], folder: Path) -> Any:
    """The JSON that a program printed, which may say more to people after it."""
    code, words = await said(line, folder)
    assert code == 0, words
    return json.JSONDecoder().raw_decode(words[words.index("{") :])[0]
