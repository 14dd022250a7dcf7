"""Threat: who is not the user of this machine reads its environment and files, or has it send requests, by evidence.

A scenario is an oracle for whoever writes it: `contains` says of a value, character by character, what it is. So each
way by which a query or a document comes in refuses a provider that the settings do not offer, and keeps nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from interlock.base.errors import InterlockError
from interlock.base.principal import Principal, PrincipalKind
from interlock.gates.control.keys import scenario_stream
from tests.surfaces.http.serving import Asking, problem, serving
from tests.surfaces.mcp import conversation
from tests.surfaces.mcp.http_server import connected

VALUE: Final = "hunter2-of-the-server"
QUERIES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "env": ("get", {"key": "TOPSECRET"}),
    "json": ("path", {"file": "data.json", "jsonpath": "$.secret"}),
    "http": ("status", {"url": "http://127.0.0.1:1/"}),
    "exec": ("output", {"program": "/bin/cat"}),
    "none": ("get", {"key": "TOPSECRET"}),
}
REFUSED: Final = (403, "provider_not_offered")
UNAUTHORIZED: Final = (403, -32003, "unauthorized")


def scenario(provider: str, name: str = "oracle") -> dict[str, Any]:
    """A scenario of one gate, which is true where the value of the provider contains what the asker guesses."""
    check, params = QUERIES[provider]
    query = {"provider_id": provider, "check_id": check, "params": params}
    compared = {"comparator": "contains", "expected": "hunt"} if provider == "env" else {"comparator": "exists"}
    asked = {"condition_id": "after", "query": query, "policy_tags": [], **compared}
    stages = [conversation.stage("one", {"kind": "terminal"})]
    return conversation.scenario(name, stages=stages, conditions=[asked])


def settings(folder: Path, **offered: bool) -> dict[str, Any]:
    """Providers of every kind, each as far offered as is said."""
    config: dict[str, Any] = {"json": {"root": str(folder), "root_id": "here"}, "env": {"allowlist": ["TOPSECRET"]}}
    names = ("time", "env", "json", "http", "exec")
    listed = [
        {"name": name, "type": "builtin", "config": config.get(name, {})}
        | ({"offered": offered[name]} if name in offered else {})
        for name in names
    ]
    namespace = {"allow_default": True, "default_tenants": [1]}
    return {"gates": {"namespace": namespace, "providers": listed}}


@asynccontextmanager
async def asking(folder: Path, **offered: bool) -> AsyncIterator[tuple[Asking, str]]:
    """A server with those providers, and an administrator's token."""
    (folder / "data.json").write_text(json.dumps({"secret": VALUE}))
    async with serving(folder, settings(folder, **offered)) as server:
        yield server, await server.token_of("admin")


async def rpc(server: Asking, token: str, tool: str, arguments: Any) -> tuple[int, int, str]:
    params = {"name": tool, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = await server.ask("POST", "/rpc", token=token, json=body)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def precheck(spec: Any) -> dict[str, Any]:
    shape = {"schema_id": "release", "version": "v1"}
    return {"tenant_id": 1, "namespace_id": 1, "data_shape": shape, "payload": {"after": True}, "spec": spec}


@pytest.mark.parametrize("provider", QUERIES)
def test_no_way_in_takes_a_query_or_a_document_that_asks_what_is_not_offered(
    tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOPSECRET", VALUE)
    spec = scenario(provider)
    check, params = QUERIES[provider]

    async def main() -> None:
        async with asking(tmp_path) as (server, token):
            assert (await server.post("/api/v1/shapes", record=conversation.SHAPE_RECORD)).status_code < 300
            for path, body in (
                ("evidence/query", {"provider": provider, "check": check, "params": params}),
                ("scenario-specs", {"spec": spec}),
            ):
                assert problem(await server.ask("POST", f"/api/v1/{path}", token=token, json=body)) in {
                    REFUSED,
                    *({(400, "scenario_invalid")} if provider == "none" else ()),
                }, path
            for tool, arguments in (
                ("evidence_query", conversation.query(provider, check, params=params)),
                ("precheck", precheck(spec)),
                *(() if provider == "none" else [("scenario_define", {"spec": spec})]),
            ):
                assert await rpc(server, token, tool, arguments) == UNAUTHORIZED, tool
            async with connected(server.url, token) as client:
                answer = await client.call_tool("scenario_define", {"spec": spec})
                assert answer.is_error
                answer = await client.call_tool(
                    "evidence_query", {"provider": provider, "check": check, "params": params}
                )
                assert answer.is_error
                assert "provider_not_offered" in str(answer.content)
            assert (await server.get("/api/v1/scenario-specs"))["items"] == []
            assert await server.app.journal.tail(scenario_stream("default", 1, "oracle"), 0) == []

    asyncio.run(main())


@pytest.mark.parametrize("kind", sorted(set(PrincipalKind) - {PrincipalKind.LOCAL, PrincipalKind.SYSTEM}))
def test_it_is_refused_however_somebody_is_known_and_whatever_the_role(tmp_path: Path, kind: PrincipalKind) -> None:
    async def main() -> None:
        async with asking(tmp_path) as (server, _token):
            client = server.app.client(Principal(id=f"{kind}:zoe", kind=kind, roles=("admin",)))
            with pytest.raises(InterlockError) as fault:
                await client.call("scenario.define", {"spec": scenario("env")})
            assert fault.value.code == "provider_not_offered"
            assert "time" in fault.value.message
            assert "gates.providers" in fault.value.kind.advice

    asyncio.run(main())


async def opened(server: Asking, token: str) -> Any:
    """Whether the gate of the scenario opens for a caller who starts and triggers it."""
    answer = await server.ask("POST", "/api/v1/scenario-runs", token=token, json={"scenario": "oracle", "run": "r"})
    assert answer.status_code < 300, answer.text
    answer = await server.ask("POST", "/api/v1/scenario-runs/oracle/r/trigger", token=token, json={"id": "t"})
    assert answer.status_code == 200, answer.text
    return answer.json()["opened"]


async def defined(server: Asking, token: str | None = None) -> httpx2.Response:
    asked = {"spec": scenario("env")}
    if token is None:
        return await server.post("/api/v1/scenario-specs", **asked)
    return await server.ask("POST", "/api/v1/scenario-specs", token=token, json=asked)


def test_a_scenario_of_the_user_of_this_machine_is_started_and_triggered_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOPSECRET", VALUE)

    async def main() -> None:
        async with asking(tmp_path) as (server, token):
            assert (await defined(server)).status_code < 300
            assert problem(await defined(server, token)) == REFUSED
            assert await opened(server, token) is True

    asyncio.run(main())


def test_a_provider_that_the_settings_offer_is_asked_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOPSECRET", VALUE)
    check, params = QUERIES["env"]
    asked = {"provider": "env", "check": check, "params": params}

    async def main() -> None:
        async with asking(tmp_path, env=True, time=False) as (server, token):
            answer = await server.ask("POST", "/api/v1/evidence/query", token=token, json=asked)
            assert answer.status_code == 200, answer.text
            assert (await defined(server, token)).status_code < 300
            assert await opened(server, token) is True
            clock = {"provider": "time", "check": "now"}
            assert problem(await server.ask("POST", "/api/v1/evidence/query", token=token, json=clock)) == REFUSED
            assert (await server.post("/api/v1/evidence/query", **clock)).status_code == 200

    asyncio.run(main())
