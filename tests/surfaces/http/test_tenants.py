"""Two tenants on one server: nothing that one does, asks or guesses shows it anything of the other.

Both have of everything: runs with artifacts, scenarios with runs, shapes, subscriptions, leases, events, filters,
batches, tokens. What is one's own has a mark in it; the test looks for the other's mark, and for the other's ids, in
everything that it is answered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx2

from interlock import Plan
from interlock.base.principal import Principal, PrincipalKind, local_principal
from interlock.journal.cursor import write_cursor
from interlock.surfaces.http.routes import Routes
from interlock.surfaces.mcp.tools import tool_name
from tests.surfaces.http.callers import MINUTE_MS
from tests.surfaces.http.serving import TOKEN, Asking, problem, serving
from tests.surfaces.mcp import conversation
from tests.surfaces.mcp.http_server import connected

TENANTS: Final = ("acme", "globex")
SETTINGS: Final[Mapping[str, Mapping[str, object]]] = {
    "events": {"sources": {"all": {"source": "/*"}}},
    "gates": {"namespace": {"allow_default": True, "default_tenants": [1]}},
}
LARGE: Final = 100_000
"""Characters that make a value an artifact of its own."""

plan = Plan("ship", version="1")


@plan.state
async def pack(mark: str) -> str:
    return mark * (LARGE // len(mark))


@dataclass
class Side:
    """One tenant: who asks for it, what marks its own, and the ids of it."""

    tenant: str
    token: str
    ids: dict[str, Any] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        return f"mark-of-{self.tenant}"

    @property
    def principal(self) -> Principal:
        return Principal(id="token:x", tenant=self.tenant, kind=PrincipalKind.TOKEN, roles=("admin",))


async def _filled(asking: Asking, side: Side) -> None:
    """Of everything two in a tenant, so that each listing has a second page."""
    app, mark = asking.app, side.mark
    for number in range(2):
        name = f"{mark}-{number}"
        done = await app.runs.start(plan, {"mark": mark}, principal=side.principal)
        await app.runs.start(plan, {"mark": mark}, attributes={"team": name}, detach=True, principal=side.principal)
        side.ids["run"] = done.run_id
        for path, body in (
            ("subscriptions", {"name": name, "sink": "log"}),
            ("filters", {"name": name, "state": "failed"}),
            ("tokens", {"name": name, "role": ["viewer"]}),
            ("scenario-specs", {"spec": conversation.scenario(name)}),
            ("shapes", {"record": {**conversation.SHAPE_RECORD, "schema_id": name}}),
            ("scenario-runs", {"scenario": f"{mark}-0", "run": name, "to": ["agent:builder"]}),
            (f"scenario-runs/{mark}-0/{name}/next", {"agent": "builder"}),
            ("runs/batch", {"action": "cancel", "reason": mark, "expect": 1, "attribute": [f"team={name}"]}),
        ):
            answer = await asking.ask("POST", f"/api/v1/{path}", token=side.token, json=body)
            assert answer.status_code < 300, (path, answer.text)
            found = answer.json()
            if path == "tokens":
                side.ids["id"] = found["id"]
            if path == "runs/batch":
                side.ids["batch"] = found["batch_id"]
        event = {"specversion": "1.0", "id": name, "source": f"/{mark}", "type": mark, "data": mark}
        headers = {"Content-Type": "application/cloudevents+json"}
        sent = await asking.ask("POST", "/api/events/", token=side.token, json=event, headers=headers)
        assert sent.status_code == 202, sent.text
        await app.leases.acquire(
            name, holder=mark, request_id=name, lease_ms=MINUTE_MS, capacity=1, principal=side.principal
        )
    side.ids |= {"lease": f"{mark}-0", "name": f"{mark}-0", "scenario": f"{mark}-0", "schema_id": f"{mark}-0"}
    side.ids |= {"version": "v1", "source": f"/{mark}", "tenant": side.tenant, "a": side.ids["run"]}


@asynccontextmanager
async def sides(folder: Path) -> AsyncIterator[tuple[Asking, Side, Side]]:
    """A server with both tenants."""
    async with serving(folder, SETTINGS) as asking:
        made = []
        for tenant in TENANTS:
            token = await asking.app.tokens.new(
                "x", roles=("admin",), groups=(), lifetime_ms=MINUTE_MS, principal=local_principal("ada", tenant)
            )
            assert token.text is not None
            made.append(Side(tenant, token.text))
            await _filled(asking, made[-1])
        yield asking, made[0], made[1]


def over(folder: Path, check: Callable[[Asking, Side, Side], Awaitable[None]]) -> None:
    async def main() -> None:
        async with sides(folder) as (asking, one, other):
            await check(asking, one, other)
            await check(asking, other, one)

    asyncio.run(main())


def shows(text: str, side: Side) -> bool:
    """Whether a text holds anything of a tenant: its mark, its name, or an id of it."""
    return any(each in text for each in (side.mark, side.tenant, side.ids["run"], side.ids["id"], side.ids["batch"]))


def keyed(asking: Asking) -> list[str]:
    """The routes that name one thing, each with the inputs that it needs beside."""
    return [name for name, route in Routes(asking.app.catalogue).by_name.items() if route.keys]


ABSENT: Final = {
    "run": "01890a5d-ac96-774b-bcce-b302099a8057",
    "a": "01890a5d-ac96-774b-bcce-b302099a8057",
    "batch": "7f1c2b5e-9c4d-4e2a-8f6b-7d1c2e3f4a5b",
    "id": "0000000000000000",
    "version": "v1",
}
"""Ids of things that nobody has; any other name is `nobody`."""

MORE: Final[Mapping[str, Any]] = {
    "lease.seize": {"token": 1, "reason": "r"},
    "lease.release": {"token": 1},
    "subscription.pause": {"reason": "r"},
    "run.resolve": {"step": "pack", "reason": "r", "retry": True},
    "run.signal": {"step": "pack", "name": "go", "value": 1},
    **{f"run.{verb}": {"reason": "r"} for verb in ("cancel", "pause", "unpause")},
    **{f"run.{verb}": {"reason": "r", "step": "pack"} for verb in ("skip", "retry")},
    "run.edit": {"reason": "r", "step": "pack", "max_attempts": 3},
    "run.fork": {"from": "pack", "absorb_all": True},
    "run.migrate": {"plan": "none.py:plan"},
    "token.revoke": {"reason": "r"},
    "scenario.trigger": {"id": "t"},
    "scenario.next": {"agent": "builder"},
    "scenario.submit": {"payload": {}},
    "scenario.precheck": {"shape": "none@v1", "payload": {}},
}
SHARED: Final = {"role.show", "provider.show"}
"""What is of the installation, and not of a tenant."""


async def named(asking: Asking, side: Side, name: str, ids: Mapping[str, Any]) -> tuple[int, str, str]:
    """What a tenant is answered about a thing: status, code and text."""
    route = Routes(asking.app.catalogue).by_name[name]
    path = route.path
    for key in route.keys:
        path = path.replace(f"{{{key}}}", quote(str(ids.get(key, "nobody")), safe=""))
    more: dict[str, Any] = dict(MORE.get(name, {}))
    if name == "run.diff":
        more = {"b": ids["run"]}
    if name == "shape.get":
        more = {"tenant_id": 1, "namespace_id": 1}
    sent = {"json": more} if route.body else {"params": more}
    answer = await asking.ask(route.method, path, token=side.token, **sent)
    body = answer.json() if answer.content else {}
    return answer.status_code, body.get("code", ""), answer.text


def test_what_is_the_others_is_answered_as_what_nobody_has(tmp_path: Path) -> None:
    async def check(asking: Asking, one: Side, other: Side) -> None:
        for name in keyed(asking):
            theirs = {**other.ids, "id": other.ids["id"] if name.startswith("token") else f"{other.mark}-0"}
            theirs["run"] = f"{other.mark}-0" if name.startswith("scenario") else other.ids["run"]
            asked = await named(asking, one, name, theirs)
            nobody = await named(asking, one, name, ABSENT)
            assert asked[:2] == nobody[:2], (name, asked, nobody)
            if name not in SHARED and not name.endswith(".remove"):
                assert asked[0] >= 400, (name, asked)

    over(tmp_path, check)


def test_what_is_ones_own_is_there_or_the_test_would_prove_nothing(tmp_path: Path) -> None:
    async def check(asking: Asking, one: Side, _other: Side) -> None:
        for name in keyed(asking):
            if Routes(asking.app.catalogue).by_name[name].method != "GET" or name in SHARED:
                continue
            own = {**one.ids, "id": f"{one.mark}-0"}
            own["run"] = f"{one.mark}-0" if name.startswith("scenario") else one.ids["run"]
            assert (await named(asking, one, name, own))[0] == 200, name

    over(tmp_path, check)


LISTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "leases": {},
    "subscriptions": {},
    "events": {},
    "runs": {},
    "filters": {},
    "batches": {},
    "tokens": {},
    "scenario-specs": {},
    "scenario-runs": {"scenario": "{mark}-0"},
    "shapes": {"tenant_id": 1, "namespace_id": 1},
}


async def listed(asking: Asking, side: Side, path: str, **more: Any) -> httpx2.Response:
    given = {
        key: value.format(mark=side.mark) if isinstance(value, str) else value for key, value in LISTS[path].items()
    }
    return await asking.ask("GET", f"/api/v1/{path}", token=side.token, params={**given, **more})


def test_no_listing_shows_the_other_and_no_cursor_is_taken_from_it(tmp_path: Path) -> None:
    async def check(asking: Asking, one: Side, other: Side) -> None:
        paths = {
            route.path.rpartition("/")[2]
            for name, route in Routes(asking.app.catalogue).by_name.items()
            if name.endswith((".list", ".runs"))
        }
        assert paths == set(LISTS) | {"providers", "roles", "principals", "tenants"}
        for path in LISTS:
            whole = await listed(asking, one, path)
            assert whole.status_code == 200, (path, whole.text)
            assert shows(whole.text, one), path
            assert not shows(whole.text, other), path
            first = await listed(asking, one, path, limit=1)
            cursor = first.json()["next"]
            if path == "scenario-runs" and cursor is None:
                continue
            assert (await listed(asking, one, path, limit=1, cursor=cursor)).status_code == 200, path
            foreign = await listed(asking, other, path, limit=1, cursor=cursor)
            assert problem(foreign) == (400, "cursor_foreign"), path
        for path in ("providers", "roles", "principals", "tenants", "principals/show", "tenants/show"):
            answer = await asking.ask("GET", f"/api/v1/{path}", token=one.token)
            assert answer.status_code == 200
            assert not shows(answer.text, other), path

    over(tmp_path, check)


def test_a_filter_and_a_key_of_the_other_mean_nothing(tmp_path: Path) -> None:
    async def check(asking: Asking, one: Side, other: Side) -> None:
        used = await asking.ask("GET", "/api/v1/runs", token=one.token, params={"filter": f"{other.mark}-0"})
        assert used.status_code in {400, 404}
        headers = {"Idempotency-Key": "the same key"}
        body = {"name": "shared", "sink": "log"}
        for side in (one, other):
            made = await asking.ask("POST", "/api/v1/subscriptions", token=side.token, json=body, headers=headers)
            assert made.status_code == 201, made.text
        start = await asking.app.journal.store.events.position(other.tenant)
        cursor = (await asking.ask("GET", "/api/v1/subscriptions/shared", token=other.token)).json()["cursor"]
        assert start > 0
        body = {"name": f"from-{other.tenant}", "sink": "log", "start": cursor}
        refused = await asking.ask("POST", "/api/v1/subscriptions", token=one.token, json=body)
        assert problem(refused) == (400, "cursor_foreign")

    over(tmp_path, check)


def test_no_artifact_is_had_by_its_id(tmp_path: Path) -> None:
    """An id names content whoever stored it, so that no route takes one."""

    async def check(asking: Asking, one: Side, other: Side) -> None:
        artifacts = asking.app.journal.store.artifacts
        kept = await artifacts.scan("", 1000)
        contents = dict(zip(kept, await artifacts.get(kept), strict=True))
        theirs = [each for each, content in contents.items() if other.mark.encode() in content]
        assert theirs
        for found in theirs:
            for path in (f"artifacts/{found}", f"artifacts/{found}/show", f"runs/{found}", f"events/x/{found}"):
                for method in ("GET", "POST"):
                    refused = await asking.ask(method, f"/api/v1/{path}", token=one.token)
                    assert refused.status_code in {400, 404, 405}, path
        tools = {command.name for command in asking.app.catalogue if not command.local and not command.machine}
        assert not [name for name in tools if name.startswith("artifact")]

    over(tmp_path, check)


def test_no_tool_of_mcp_shows_the_other(tmp_path: Path) -> None:
    async def check(asking: Asking, one: Side, other: Side) -> None:
        async with connected(asking.url, one.token) as client:
            for name in keyed(asking):
                codes = []
                for ids in ({**other.ids}, ABSENT):
                    route = Routes(asking.app.catalogue).by_name[name]
                    keys = {key: str(ids.get(key, "nobody")) for key in route.keys}
                    more = {"b": ids["run"]} if name == "run.diff" else dict(MORE.get(name, {}))
                    if name == "shape.get":
                        more = {"tenant_id": 1, "namespace_id": 1}
                    answer = await client.call_tool(tool_name(route.command), {**keys, **more})
                    told = json.loads(answer.content[0].text)  # type: ignore[union-attr]
                    codes.append(told.get("error", {}).get("code"))
                assert codes[0] == codes[1], (name, codes)
            for name in ("run_list", "event_list", "token_list", "batch_list", "filter_list", "scenario_list"):
                answer = await client.call_tool(name, {})
                text = answer.content[0].text  # type: ignore[union-attr]
                assert shows(text, one), name
                assert not shows(text, other), name

    over(tmp_path, check)


async def _wire(asking: Asking, side: Side, tool: str, arguments: Any) -> tuple[Any, str]:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    answer = await asking.ask("POST", "/rpc", token=side.token, json=body)
    return answer.json().get("error", {}).get("code"), answer.text


def test_no_call_of_the_wire_shows_the_other(tmp_path: Path) -> None:
    async def check(asking: Asking, one: Side, other: Side) -> None:
        for tool, arguments in dict(conversation.CALLS).items():
            if tool in {"scenario_define", "schemas_register"} or "scenario_id" not in json.dumps(arguments):
                continue
            mine, theirs, nobody = (
                json.loads(json.dumps(arguments).replace('"release"', f'"{name}"').replace('"run-1"', f'"{name}"'))
                for name in (f"{one.mark}-0", f"{other.mark}-0", "nobody")
            )
            found, expected = await _wire(asking, one, tool, theirs), await _wire(asking, one, tool, nobody)
            assert found[0] == expected[0], (tool, found, expected)
            await _wire(asking, one, tool, mine)
        for tool in ("scenarios_list", "schemas_list"):
            _, text = await _wire(asking, one, tool, conversation.NAMESPACE)
            assert shows(text, one), tool
            assert not shows(text, other), tool
        given = {**conversation.NAMESPACE, "schema_id": f"{other.mark}-0", "version": "v1"}
        assert (await _wire(asking, one, "schemas_get", given))[0] == -32004

    over(tmp_path, check)


async def _heard(asking: Asking, side: Side, until: str, **query: str) -> tuple[str, str]:
    """What a stream tells until a word stands in it; and the last cursor in it."""
    headers = {"Authorization": f"Bearer {side.token}"}
    text = ""
    url = f"{asking.url}/api/events/stream"
    async with asyncio.timeout(20), asking.client.stream("GET", url, headers=headers, params=query) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            text += line + "\n"
            if until in text:
                break
    ids = [line.removeprefix("id: ") for line in text.splitlines() if line.startswith("id:")]
    return text, ids[-1].removeprefix("id:").strip()


async def _told(asking: Asking, side: Side, word: str) -> None:
    event = {"specversion": "1.0", "id": word, "source": f"/{side.mark}", "type": side.mark, "data": word}
    headers = {"Content-Type": "application/cloudevents+json"}
    assert (await asking.ask("POST", "/api/events/", token=side.token, json=event, headers=headers)).status_code == 202


def test_no_stream_tells_of_the_other_and_none_goes_on_from_its_place(tmp_path: Path) -> None:
    async def check(asking: Asking, one: Side, other: Side) -> None:
        store = asking.app.journal.store.id
        hearing = asyncio.ensure_future(_heard(asking, one, "-end-", after=write_cursor(store, one.tenant, 0)))
        for number in range(5):
            await _told(asking, other, f"{other.mark}-{one.tenant}-{number}"[:60])
        await _told(asking, one, f"word-end-{other.ids['batch']}"[:9])
        await _told(asking, one, "x-end-")
        text, cursor = await hearing
        assert one.mark in text
        assert other.mark not in text
        for given in ({"params": {"after": cursor}}, {"headers": {"Last-Event-ID": cursor}}):
            refused = await asking.ask("GET", "/api/events/stream", token=other.token, **given)
            assert problem(refused) == (400, "cursor_foreign")
        streams = {"stream": f"{one.tenant}/run/{one.ids['run']}"}
        refused = await asking.ask("GET", "/api/events/stream", token=other.token, params=streams)
        assert problem(refused) == (400, "event_filter_invalid")

    over(tmp_path, check)


def test_the_figures_of_scenario_runs_are_each_tenants_own(tmp_path: Path) -> None:
    async def check(asking: Asking, one: Side, other: Side) -> None:
        before, whole = [(await asking.get("/debug/mutation_stats", token=each)) for each in (one.token, TOKEN)]
        assert 0 < before["lock_acquisitions"] < whole["lock_acquisitions"]
        name = f"{other.mark}-0"
        body = {"agent": "builder"}
        path = f"/api/v1/scenario-runs/{name}/{name}/next"
        assert (await asking.ask("POST", path, token=other.token, json=body)).status_code == 200
        assert await asking.get("/debug/mutation_stats", token=one.token) == before
        after = await asking.get("/debug/mutation_stats")
        assert after["lock_acquisitions"] == whole["lock_acquisitions"] + 1

    over(tmp_path, check)
