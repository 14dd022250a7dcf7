"""The walk over the permissions on a real server: whoever asks for whatever gets what the table says, and no more.

It asks every route of the catalogue, every tool of MCP and of the wire, and everything beside them, as everybody; and
it finds nothing that the server answers and the table does not know.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from starlette.applications import Starlette
from starlette.routing import Route as Path_

from interlock.access.audit import audit_stream
from interlock.access.table import PermissionRow
from interlock.base.part import Command
from interlock.surfaces import ingest
from interlock.surfaces.http import content_paths
from interlock.surfaces.http.by_hand import OPENAPI_PATH
from interlock.surfaces.http.examples import Examples
from interlock.surfaces.http.requests import parts_of
from interlock.surfaces.http.routes import Route, Routes
from interlock.surfaces.mcp.tools import tool_name
from interlock.surfaces.mcp.wire.permissions import FREE, LOCAL, WIRE_PERMISSIONS
from interlock.surfaces.members import members_of
from interlock.surfaces.sse import routes as sse
from tests.surfaces.http.callers import NAMESPACE, SETTINGS, Caller, callers
from tests.surfaces.http.serving import Asking, serving
from tests.surfaces.mcp import conversation

PUBLIC: Final = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", OPENAPI_PATH),
    ("OPTIONS", "/api/events"),
    ("OPTIONS", "/api/events/"),
}
"""All that is answered to anybody: the handshake of webhooks says only what the settings let it."""

BESIDE: Final = {
    ("POST", "/api/events"): ingest.PERMISSION,
    ("POST", "/api/events/"): ingest.PERMISSION,
    ("GET", "/api/events/stream"): sse.PERMISSION,
    ("GET", "/api/v1/events/stream"): sse.PERMISSION,
    ("GET", "/debug/mutation_stats"): "debug.read",
    ("POST", content_paths.ARTIFACTS): "run.attach",
    ("GET", content_paths.ARTIFACT): "run.read",
    ("GET", content_paths.RUN_PACK): "run.read",
    ("GET", content_paths.SCENARIO_PACK): "run.read",
    ("POST", content_paths.VERIFY): "pack.verify",
}
BY_TOOL: Final = {("POST", "/rpc"), *((method, "/mcp") for method in ("POST", "GET", "DELETE"))}
"""Addresses whose calls each have a permission of their own."""

GIVEN: Final[Mapping[str, Mapping[str, Any]]] = {
    "run.start": {"plan": "there_is_none.py:plan"},
    "scenario.define": {"spec": conversation.scenario()},
    "shape.register": {"record": conversation.SHAPE_RECORD},
}
"""Inputs of commands whose example is a file, or one that would set something going."""

IN_DOCUMENT: Final = {"scenario.define", "shape.register"}
"""Commands whose document names the namespace."""

SPACES: Final = ("namespace", "namespace_id")
DENIED: Final = {"permission_denied", "mcp_tool_not_permitted"}


@asynccontextmanager
async def walked(folder: Path) -> AsyncIterator[tuple[Asking, dict[str, Caller]]]:
    async with serving(folder, SETTINGS) as asking:
        yield asking, await callers(asking.app)


def given_to(command: Command, example: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """An input that is valid, and whether it names the namespace of the walk."""
    spaces = {member.name for member in members_of(command.input)} & {*SPACES}
    given = {**GIVEN.get(command.name, example), **dict.fromkeys(spaces, NAMESPACE)}
    if command.name in IN_DOCUMENT:
        given = in_namespace(given)
    return given, bool(spaces) or command.name in IN_DOCUMENT


def expected(caller: Caller, row: PermissionRow, *, named: bool) -> int | None:
    """The status of a refusal that the table calls for; None: the call is made, whatever comes of it."""
    if caller.may is None:
        return 401
    return None if caller.may(row, named) else 403


def as_told(status: int) -> int | None:
    """The status, if it is a refusal of whoever asks."""
    return status if status in {401, 403} else None


async def asked(asking: Asking, route: Route, given: Mapping[str, Any], caller: Caller) -> int | None:
    parts = parts_of(route, given)
    body = {} if parts.body is None else {"json": parts.body}
    answer = await asking.ask(route.method, parts.path, token=caller.token, params=parts.query, **body)
    assert answer.status_code < 500, (route.path, answer.text)
    if answer.status_code == 403 and answer.json()["code"] != "permission_denied":
        return None  # a plan of a file is refused by another rule than the table
    return as_told(answer.status_code)


def test_every_route_gives_everybody_what_the_table_says(tmp_path: Path) -> None:
    async def walk() -> None:
        async with walked(tmp_path) as (asking, people):
            table, examples = asking.app.access.table.rows, Examples(asking.app.catalogue)
            found, wanted = {}, {}
            for route in Routes(asking.app.catalogue).by_name.values():
                given, named = given_to(route.command, examples.of(route.command))
                row = table[route.command.permission]
                for who, caller in people.items():
                    place = (route.command.name, who)
                    found[place] = await asked(asking, route, given, caller)
                    wanted[place] = expected(caller, row, named=named)
            assert found == wanted

    asyncio.run(walk())


async def _status(asking: Asking, method: str, path: str, caller: Caller) -> int:
    """The status of an address beside the routes; a stream is not read."""
    headers = {} if caller.token is None else {"Authorization": f"Bearer {caller.token}"}
    content = None
    if method == "POST":
        headers["Content-Type"] = "application/cloudevents+json"
        event = {"specversion": "1.0", "id": str(uuid4()), "source": "/walk", "type": "walked"}
        content = json.dumps(event).encode()
    async with asking.client.stream(method, f"{asking.url}{path}", headers=headers, content=content) as answer:
        return answer.status_code


def test_what_stands_beside_the_routes_gives_everybody_what_the_table_says(tmp_path: Path) -> None:
    async def walk() -> None:
        async with walked(tmp_path) as (asking, people):
            table = asking.app.access.table.rows
            for (method, path), permission in BESIDE.items():
                for who, caller in people.items():
                    status = await _status(asking, method, path, caller)
                    assert status < 500, (path, who)
                    assert as_told(status) == expected(caller, table[permission], named=False), (path, who)

    asyncio.run(walk())


def wire_calls() -> Iterator[tuple[str, Any]]:
    """Each tool of the wire, with arguments that are valid and name the namespace of the walk wherever they can."""
    for tool, arguments in dict(reversed(conversation.CALLS)).items():
        yield tool, in_namespace(arguments)


def in_namespace(value: Any) -> Any:
    """The same arguments in the namespace of the walk."""
    if isinstance(value, list):
        return [in_namespace(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: NAMESPACE if key == "namespace_id" else in_namespace(each) for key, each in value.items()}


def _wire_expected(asking: Asking, tool: str, caller: Caller, *, named: bool) -> int | None:
    if caller.may is None:
        return 401
    if tool in FREE:
        return None
    if tool in LOCAL and not caller.local:
        return 403
    return expected(caller, asking.app.access.table.rows[WIRE_PERMISSIONS[tool].permission], named=named)


def test_every_tool_of_the_wire_gives_everybody_what_the_table_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    calls = dict(wire_calls())
    assert set(calls) == {*WIRE_PERMISSIONS, *FREE}

    async def walk() -> None:
        async with walked(tmp_path) as (asking, people):
            found, wanted = {}, {}
            for tool, arguments in calls.items():
                named = f'"namespace_id": {NAMESPACE}' in json.dumps(arguments)
                params = {"name": tool, "arguments": arguments}
                body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
                for who, caller in people.items():
                    answer = await asking.ask("POST", "/rpc", token=caller.token, json=body)
                    refused = answer.json().get("error", {}).get("code") in {-32001, -32003}
                    found[tool, who] = as_told(answer.status_code) if refused else None
                    wanted[tool, who] = _wire_expected(asking, tool, caller, named=named)
            assert found == wanted

    asyncio.run(walk())


VERSION: Final = "2026-07-28"


async def _mcp(asking: Asking, caller: Caller, method: str, **params: Any) -> Any:
    """The result of one message, of a version that has no sessions."""
    about = {"protocolVersion": VERSION, "clientInfo": {"name": "walk", "version": "1"}, "clientCapabilities": {}}
    meta = {f"io.modelcontextprotocol/{key}": each for key, each in about.items()}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": VERSION, "Mcp-Method": method}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    named = {"Mcp-Name": params["name"]} if "name" in params else {}
    answer = await asking.ask("POST", "/mcp", token=caller.token, headers=headers | named, json=message)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


async def _tools(asking: Asking, who: str, caller: Caller, given_of: Mapping[str, tuple[dict[str, Any], bool]]) -> None:
    table = asking.app.access.table.rows
    assert caller.may is not None
    listed = {tool["name"] for tool in (await _mcp(asking, caller, "tools/list"))["tools"]} - {"docs_search"}
    commands = [each for each in asking.app.catalogue if each.name in given_of]
    assert listed == {tool_name(each) for each in commands if caller.may(table[each.permission], True)}, who
    for command in commands:
        given, named = given_of[command.name]
        found = await _mcp(asking, caller, "tools/call", name=tool_name(command), arguments=given)
        refused = found["isError"] and json.loads(found["content"][0]["text"])["error"]["code"] in DENIED
        assert refused is not caller.may(table[command.permission], named), (who, command.name)


def test_every_tool_of_mcp_gives_everybody_what_the_table_says(tmp_path: Path) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

    async def walk() -> None:
        async with walked(tmp_path) as (asking, people):
            examples = Examples(asking.app.catalogue)
            commands = [each for each in asking.app.catalogue if not each.machine and not each.local]
            given_of = {each.name: given_to(each, examples.of(each)) for each in commands}
            for who, caller in people.items():
                if caller.may is None:
                    assert (await asking.ask("POST", "/mcp", token=caller.token, json=message)).status_code == 401
                else:
                    await _tools(asking, who, caller, given_of)

    asyncio.run(walk())


def answered(asking: Asking) -> set[tuple[str, str]]:
    """Every method and path that the server answers, as its own table of routes has them."""
    app = asking.server.app._app._app  # type: ignore[attr-defined]
    assert isinstance(app, Starlette)
    found: set[tuple[str, str]] = set()
    for route in app.routes:
        assert isinstance(route, Path_)
        found |= {(method, route.path) for method in route.methods or {"*"} if method != "HEAD"}
    return found


def test_nothing_is_answered_that_the_table_does_not_know(tmp_path: Path) -> None:
    async def walk() -> None:
        async with walked(tmp_path) as (asking, _):
            routes = {(route.method, route.path) for route in Routes(asking.app.catalogue).by_name.values()}
            assert answered(asking) == routes | PUBLIC | set(BESIDE) | BY_TOOL
            document = await asking.get(OPENAPI_PATH, token=None)
            described = {(method.upper(), path) for path, each in document["paths"].items() for method in each}
            assert described <= routes | PUBLIC | set(BESIDE) | BY_TOOL
            assert described >= BY_TOOL
            rows = asking.app.access.table.rows
            assert {each.permission for each in WIRE_PERMISSIONS.values()} | set(BESIDE.values()) <= set(rows)
            for _, path in routes | set(BESIDE) | BY_TOOL:
                for method in ("HEAD", "OPTIONS", "PUT", "PATCH"):
                    status = await _status(asking, method, path.replace("{", "").replace("}", ""), Caller(None, None))
                    assert status in {401, 405} or (method, path) in PUBLIC, (method, path)

    asyncio.run(walk())


def test_what_is_public_says_the_same_to_everybody(tmp_path: Path) -> None:
    async def walk() -> None:
        async with walked(tmp_path) as (asking, people):
            for method, path in sorted(PUBLIC):
                told = {
                    (answer := await asking.ask(method, path, token=caller.token)).status_code: answer.content
                    for caller in people.values()
                }
                assert set(told) == {200}, path

    asyncio.run(walk())


def test_an_attempt_that_is_refused_is_recorded_whichever_way_it_came(tmp_path: Path) -> None:
    """Once for each permission and principal, and without anything that the attempt was about."""
    started = {"plan": "secret.py:plan", "input": {"a": "secret"}}
    wire = {"name": "scenario_define", "arguments": {"spec": "secret"}}

    async def walk() -> None:
        async with walked(tmp_path) as (asking, people):
            nobody = people["a role without permissions"]
            await asking.ask("POST", "/api/v1/runs", token=nobody.token, json=started)
            await _mcp(asking, nobody, "tools/call", name="lease_list", arguments={"secret": 1})
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": wire}
            await asking.ask("POST", "/rpc", token=nobody.token, json=body)
            for path in ("/debug/mutation_stats", "/api/events/stream"):
                await asking.ask("GET", path, token=nobody.token)
            kept = asking.app.journal.read(audit_stream("default"))
            recorded = [event.record async for page in kept for event in page]
            assert [(each.command, each.permission, each.principal) for each in recorded] == [  # type: ignore[union-attr]
                ("run.start", "run.start", "token:idle"),
                ("lease.list", "lease.read", "token:idle"),
                ("rpc.scenario_define", "scenario.define", "token:idle"),
                ("debug.mutation_stats", "debug.read", "token:idle"),
                ("event.stream", "event.stream", "token:idle"),
            ]

    asyncio.run(walk())
