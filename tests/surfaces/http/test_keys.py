"""Idempotency keys over a real socket: of every command that changes or starts something the same is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2

from interlock.base.part import Effect
from interlock.surfaces.http.examples import Examples
from interlock.surfaces.http.requests import parts_of
from interlock.surfaces.http.routes import Routes
from tests.surfaces.http.serving import TOKEN, Asking, problem
from tests.surfaces.http.test_api import PLAN, over
from tests.surfaces.http.test_permissions import given_to
from tests.unit.gates.control.test_verbs import document as scenario

RUN = "01890a5d-ac96-774b-bcce-b302099a805{}"
TAKEN = (409, "command_id_conflict")


async def keyed(asking: Asking, key: str, method: str, path: str, /, **body: Any) -> httpx2.Response:
    more: dict[str, Any] = {} if method == "DELETE" else {"json": body}
    return await asking.ask(method, path, headers={"Idempotency-Key": key}, **more)


def test_no_command_takes_a_key_that_another_call_has(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await keyed(asking, "k", "POST", "/api/v1/subscriptions", name="first", sink="log")
        examples = Examples(asking.app.catalogue)
        before = await asking.app.store.events.position("default")
        refused = set()
        for route in Routes(asking.app.catalogue).by_name.values():
            if route.command.effect is Effect.READS:
                continue
            given, _ = given_to(route.command, examples.of(route.command))
            parts = parts_of(route, given)
            answer = await keyed(asking, "k", route.method, parts.path, **(parts.body or {}))
            assert problem(answer) == TAKEN, (route.command.name, answer.text)
            refused.add(route.command.name)
        assert {"run.start", "run.cancel", "scenario.trigger", "token.new", "subscription.remove"} <= refused
        assert await asking.app.store.events.position("default") == before

    over(tmp_path, check)


def test_a_start_that_names_its_run_is_one_start_under_its_key(tmp_path: Path) -> None:
    (tmp_path / "ship.py").write_text(PLAN)
    plan = f"{tmp_path}/ship.py:plan"

    async def check(asking: Asking) -> None:
        async def start(number: int, item: str) -> httpx2.Response:
            body = {"plan": plan, "input": {"item": item}, "run_id": RUN.format(number)}
            return await keyed(asking, "k", "POST", "/api/v1/runs", **body)

        first = await start(1, "a lamp")
        again = await start(1, "a lamp")
        assert (first.status_code, first.content, first.headers["location"]) == (
            202,
            again.content,
            again.headers["location"],
        )
        assert problem(await start(2, "a lamp")) == TAKEN
        assert problem(await start(1, "a chair")) == TAKEN
        assert [each["run_id"] for each in (await asking.get("/api/v1/runs"))["items"]] == [RUN.format(1)]

    over(tmp_path, check)


def test_a_key_of_a_scenario_is_of_one_trigger_whatever_it_is_called(tmp_path: Path) -> None:
    spec = json.loads(Path(scenario(tmp_path / "release.json")).read_text())
    place = "/api/v1/scenario-runs/release/r1"

    async def check(asking: Asking) -> None:
        await asking.post("/api/v1/scenario-specs", spec=spec)
        await asking.post("/api/v1/scenario-runs", scenario="release", run="r1", time="0")
        first = await keyed(asking, "t", "POST", f"{place}/trigger", source="ci", time="1")
        again = await keyed(asking, "t", "POST", f"{place}/trigger", source="ci", time="1")
        assert (first.status_code, first.json()) == (200, again.json())
        decided = (await asking.get(place))["triggers"]
        for other in ({"source": "cd"}, {"source": "ci", "correlation": "c"}, {"source": "ci", "id": "mine"}):
            assert problem(await keyed(asking, "t", "POST", f"{place}/trigger", time="1", **other)) == TAKEN
        await keyed(asking, "n", "POST", f"{place}/next", agent="a1", time="2")
        assert problem(await keyed(asking, "n", "POST", f"{place}/next", agent="a2", time="2")) == TAKEN
        assert (await asking.get(place))["triggers"] == decided + 1

    over(tmp_path, check)


def test_a_definition_that_was_there_already_has_its_key_too(tmp_path: Path) -> None:
    spec = json.loads(Path(scenario(tmp_path / "release.json")).read_text())

    async def check(asking: Asking) -> None:
        path = "/api/v1/scenario-specs"
        assert (await asking.post(path, spec=spec)).status_code == 201
        nothing = await keyed(asking, "d", "POST", path, spec=spec)
        assert (nothing.status_code, nothing.json()["fresh"]) == (200, False)
        assert problem(await keyed(asking, "d", "POST", path, spec={**spec, "scenario_id": "other"})) == TAKEN
        assert [each["scenario"] for each in (await asking.get(path))["items"]] == ["release"]

    over(tmp_path, check)


def test_a_request_has_one_key_one_version_and_one_credential(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        async def ask(method: str, path: str, *headers: tuple[str, str], **more: Any) -> httpx2.Response:
            return await asking.client.request(method, f"{asking.url}{path}", headers=list(headers), **more)

        mine, other = ("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer another")
        keys = [("Idempotency-Key", name) for name in ("k-1", "k-2")]
        body = {"name": "audit", "sink": "log"}
        refused = await ask("POST", "/api/v1/subscriptions", mine, *keys, json=body)
        assert (*problem(refused), refused.json()["details"]["place"]) == (400, "input_invalid", "idempotency-key")
        versions = [("If-Match", "1"), ("If-Match", "2")]
        refused = await ask("POST", "/api/v1/subscriptions", mine, *versions, json=body)
        assert (*problem(refused), refused.json()["details"]["place"]) == (400, "input_invalid", "If-Match")
        for pair in ((mine, other), (other, mine), (mine, mine)):
            for path in ("/api/v1/subscriptions", "/api/v1/events/stream"):
                assert problem(await ask("GET", path, *pair)) == (401, "credentials_missing")
            for method, path in (("GET", "/debug/mutation_stats"), ("POST", "/rpc"), ("POST", "/mcp")):
                call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
                assert (await ask(method, path, *pair, json=call)).status_code == 401, path
        assert (await asking.get("/api/v1/subscriptions"))["items"] == []

    over(tmp_path, check)
