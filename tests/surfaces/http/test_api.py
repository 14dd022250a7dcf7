"""The API over a real socket: what it answers, what it refuses, and what it does once."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.access.check import Access
from interlock.surfaces.http.listening import listen
from interlock.surfaces.http.mcp_paths import MCP_PATH
from tests.surfaces.http.serving import TOKEN, Asking, problem, serving
from tests.surfaces.mcp.test_front import INITIALIZE
from tests.unit.gates.control.test_verbs import document as scenario

PLAN = """
from interlock import Plan

plan = Plan("ship", version="1")


@plan.state
async def pack(item: str) -> str:
    return f"a box with {item}"
"""


def over(tmp_path: Path, check: Callable[[Asking], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serving(tmp_path) as asking:
            await check(asking)

    asyncio.run(main())


def test_what_is_read_has_a_tag_and_is_not_sent_again_to_who_has_it(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        first = await asking.ask("GET", "/api/v1/leases")
        assert (first.status_code, first.json()) == (200, {"items": [], "next": None})
        tag = first.headers["etag"]
        again = await asking.ask("GET", "/api/v1/leases", headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        await asking.post("/api/v1/subscriptions", name="audit", sink="log")
        listed = await asking.ask("GET", "/api/v1/subscriptions", headers={"If-None-Match": tag})
        assert listed.status_code == 200

    over(tmp_path, check)


def test_what_makes_something_is_made_once_under_a_key_and_says_where_it_is(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        body = {"name": "audit", "sink": "log"}
        headers = {"Idempotency-Key": "k-1"}
        first, again = [await asking.ask("POST", "/api/v1/subscriptions", json=body, headers=headers) for _ in range(2)]
        assert (first.status_code, first.json()) == (201, {"name": "audit", "changed": True})
        assert (again.status_code, again.json()) == (201, first.json())
        shown = await asking.get(first.headers["location"])
        assert shown["name"] == "audit"
        gone = await asking.ask("DELETE", "/api/v1/subscriptions/audit")
        assert (gone.status_code, gone.json()["changed"]) == (200, True)
        assert problem(await asking.ask("GET", "/api/v1/subscriptions/audit")) == (404, "subscription_not_found")

    over(tmp_path, check)


def test_a_start_is_accepted_and_a_worker_drives_it(tmp_path: Path) -> None:
    (tmp_path / "ship.py").write_text(PLAN)

    async def check(asking: Asking) -> None:
        started = await asking.post("/api/v1/runs", plan=f"{tmp_path}/ship.py:plan", input={"item": "a lamp"})
        assert (started.status_code, started.json()["detached"]) == (202, True), started.text
        place = started.headers["location"]
        assert place == f"/api/v1/runs/{started.json()['run_id']}"
        await asking.app.runs.worker.work(partition="default", concurrency=2, until_idle=True)
        assert (await asking.get(place))["phase"] == "completed"
        output = await asking.get(f"{place}/output", params={"step": "pack"})
        assert output["values"] == {"pack": "a box with a lamp"}
        detached = await asking.post(f"{place}/resume")
        assert (detached.status_code, detached.json()["phase"]) == (202, "completed")

    over(tmp_path, check)


def test_what_is_started_under_a_key_is_started_once(tmp_path: Path) -> None:
    (tmp_path / "ship.py").write_text(PLAN)
    (tmp_path / "release.json").write_bytes(b"")

    async def check(asking: Asking) -> None:
        async def twice(path: str, key: str, **body: Any) -> list[Any]:
            headers = {"Idempotency-Key": key}
            return [(await asking.ask("POST", path, json=body, headers=headers)) for _ in range(2)]

        plan = f"{tmp_path}/ship.py:plan"
        first, again = await twice("/api/v1/runs", "k", plan=plan, input={"item": "a lamp"})
        assert (first.status_code, first.json()["run_id"]) == (again.status_code, again.json()["run_id"])
        assert len((await asking.get("/api/v1/runs"))["items"]) == 1
        other = await asking.ask(
            "POST", "/api/v1/runs", json={"plan": plan, "input": {"item": "x"}}, headers={"Idempotency-Key": "k"}
        )
        assert problem(other)[0] == 409
        spec = json.loads(Path(scenario(tmp_path / "release.json")).read_text())
        assert (await asking.post("/api/v1/scenario-specs", spec=spec)).status_code == 201
        begun = await twice("/api/v1/scenario-runs", "s", scenario="release", run="r1")
        assert [each.status_code for each in begun] == [201, 201], begun[1].text
        assert begun[0].json()["seq"] == begun[1].json()["seq"]
        unkeyed = await asking.post("/api/v1/scenario-runs", scenario="release", run="r1")
        assert problem(unkeyed) == (409, "scenario_run_exists")

    over(tmp_path, check)


def test_a_start_under_a_key_starts_one_run(tmp_path: Path) -> None:
    """And so does a fork; the same key over another input is a conflict, and no run of the other input."""
    (tmp_path / "ship.py").write_text(PLAN)
    body = {"plan": f"{tmp_path}/ship.py:plan", "input": {"item": "a lamp"}}

    async def check(asking: Asking) -> None:
        async def ids(path: str, body: dict[str, Any], key: str) -> set[str]:
            headers = {"Idempotency-Key": key}
            answers = [await asking.ask("POST", path, json=body, headers=headers) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [202, 202], answers[1].text
            return {answer.json()["run_id"] for answer in answers}

        [run_id] = await ids("/api/v1/runs", body, "k")
        other = {**body, "input": {"item": "a chair"}}
        answer = await asking.ask("POST", "/api/v1/runs", json=other, headers={"Idempotency-Key": "k"})
        assert problem(answer) == (409, "command_id_conflict")
        await asking.app.runs.worker.work(partition="default", concurrency=2, until_idle=True)
        more = {"from": "pack", "plan": body["plan"], "again_all": True}
        [forked] = await ids(f"/api/v1/runs/{run_id}/fork", more, "k-2")
        assert len((await asking.get("/api/v1/runs"))["items"]) == 2
        assert forked != run_id

    over(tmp_path, check)


def test_an_edit_under_a_key_is_made_once(tmp_path: Path) -> None:
    """Its retry policy is JSON within the command, which the digest of a command did not know."""
    (tmp_path / "ship.py").write_text(PLAN)

    async def check(asking: Asking) -> None:
        begun = await asking.post("/api/v1/runs", plan=f"{tmp_path}/ship.py:plan", input={"item": "a lamp"})
        path = f"{begun.headers['location']}/edit"
        body = {"reason": "slow today", "step": "pack", "max_attempts": 20, "backoff": "exponential"}

        async def edit(**more: Any) -> Any:
            return await asking.ask("POST", path, json=body | more, headers={"Idempotency-Key": "k"})

        first, again = await edit(), await edit()
        assert (first.status_code, again.status_code, again.json()) == (200, 200, first.json()), first.text
        assert problem(await edit(max_attempts=3))[0] == 409

    over(tmp_path, check)


def test_a_key_may_hold_whatever_a_name_may(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        answer = await asking.ask("GET", "/api/v1/leases/deploy%2Fproduction%20%C3%A9")
        assert problem(answer) == (404, "lease_not_found")
        assert problem(await asking.ask("GET", "/api/v1/leases/%ff")) == (400, "input_invalid")
        assert problem(await asking.ask("GET", "/api/v1/leases/a/b")) == (404, "path_unknown")

    over(tmp_path, check)


FORMS: list[tuple[str, dict[str, str]]] = [
    ("/api/v1/subscriptions", {"Content-Type": "application/json; charset=utf-16"}),
    ("/api/v1/subscriptions", {"Content-Type": 'application/json;charset="ISO-8859-1"'}),
    ("/api/v1/subscriptions", {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
    ("/api/events/", {"Content-Type": "application/cloudevents+json", "Content-Encoding": "gzip"}),
    ("/api/v1/packs/verify", {"Content-Type": "application/octet-stream", "Content-Encoding": "br"}),
    ("/mcp", {"Content-Type": "application/json; charset=utf-16"}),
    ("/mcp", {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
]
"""Bodies in a form that is not read."""


def test_a_path_or_a_method_that_was_mistaken_is_answered_with_what_there_is(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        for path, meant in (("/api/v1/run", "/api/v1/runs"), ("/api/v1/openapi.jsn", "/api/v1/openapi.json")):
            answer = await asking.ask("GET", path)
            assert answer.json()["detail"] == f"there is no such path; did you mean {meant}?"
        assert (await asking.ask("GET", "/nowhere/at/all")).json()["detail"] == "there is no such path"
        answer = await asking.ask("PATCH", "/api/v1/runs")
        assert answer.json()["detail"] == f"the path knows no such method; it takes {answer.headers['allow']}"
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}

    over(tmp_path, check)


def test_the_description_says_what_each_success_means_and_nothing_of_a_command_line(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        document = await asking.get("/api/v1/openapi.json")
        start = document["paths"]["/api/v1/runs"]["post"]
        assert "goes on" in start["responses"]["202"]["description"]
        schema = start["requestBody"]["content"]["application/json"]["schema"]
        assert "KEY=VALUE" not in schema["properties"]["input"]["description"]

    over(tmp_path, check)


WRONG: list[tuple[str, str, dict[str, Any], tuple[int, str]]] = [
    ("GET", "/api/v1/nothing", {}, (404, "path_unknown")),
    ("GET", "/api/v1/runs/", {}, (404, "path_unknown")),
    ("PATCH", "/api/v1/runs", {}, (405, "method_not_allowed")),
    ("GET", "/api/v1/runs?limit=many", {}, (400, "input_invalid")),
    ("GET", "/api/v1/runs?limit=0", {}, (400, "input_invalid")),
    ("GET", "/api/v1/runs?limit=1&limit=2", {}, (400, "input_invalid")),
    ("GET", "/api/v1/runs?colour=red", {}, (400, "input_invalid")),
    ("GET", "/api/v1/runs?cursor=forged", {}, (400, "cursor_invalid")),
    ("GET", "/api/v1/runs/x", {}, (400, "id_invalid")),
    ("GET", "/api/v1/runs/x/graph?run=y", {}, (400, "input_invalid")),
    ("GET", "/api/v1/runs/x/graph?full=perhaps", {}, (400, "input_invalid")),
    ("POST", "/api/v1/subscriptions", {"content": b"{"}, (415, "media_type_unsupported")),
    ("POST", "/api/v1/subscriptions", {"json": []}, (400, "input_invalid")),
    ("POST", "/api/v1/subscriptions", {"json": {"name": "a"}}, (400, "input_invalid")),
    ("POST", "/api/v1/subscriptions", {"json": {"name": "a", "sink": "log", "x": 1}}, (400, "input_invalid")),
    ("POST", "/api/v1/subscriptions/a/pause", {"json": {"name": "b", "reason": "r"}}, (400, "input_invalid")),
    ("POST", "/api/v1/subscriptions?limit=1", {"json": {"name": "a", "sink": "log"}}, (400, "input_invalid")),
    ("GET", "/api/v1/runs", {"json": {"limit": 1}}, (400, "input_invalid")),
    ("DELETE", "/api/v1/subscriptions/a", {"json": {"name": "b"}}, (400, "input_invalid")),
    ("GET", "/api/v1/runs/x/pack", {"json": {}}, (400, "input_invalid")),
    *[("POST", path, {"content": b"{}", "headers": form}, (415, "media_type_unsupported")) for path, form in FORMS],
    ("GET", "/api/v1/events/stream?type=engine.run_compleeted", {}, (400, "event_filter_invalid")),
    ("GET", "/api/v1/runs", {"token": None}, (401, "credentials_missing")),
    ("GET", "/api/v1/runs", {"token": "guessed"}, (401, "token_invalid")),
    ("GET", "/api/v1/runs", {"token": "x" * 600}, (401, "credentials_missing")),
    ("GET", "/api/v1/runs", {"headers": {"Host": "evil.example"}}, (403, "origin_refused")),
    ("GET", "/api/v1/runs", {"headers": {"Origin": "https://evil.example"}}, (403, "origin_refused")),
    ("GET", "/api/v1/runs", {"headers": {"Sec-Fetch-Site": "cross-site"}}, (403, "origin_refused")),
    ("POST", "/api/v1/subscriptions", {"json": {}, "headers": {"If-Match": '"1"'}}, (400, "input_invalid")),
]


def test_what_is_wrong_is_told_as_a_problem(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        for method, path, more, expected in WRONG:
            response = await asking.ask(method, path, **more)
            assert problem(response) == expected, (method, path, more)
            if expected[0] == 401:
                assert response.headers["www-authenticate"].startswith("Bearer")

    over(tmp_path, check)


def test_a_method_that_a_path_has_not_is_told_every_one_that_it_has(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        for path, methods in (
            ("/api/v1/subscriptions", {"GET", "HEAD", "POST"}),
            ("/api/v1/subscriptions/audit", {"GET", "HEAD", "DELETE"}),
            ("/api/v1/subscriptions/audit/pause", {"POST"}),
        ):
            answer = await asking.ask("PATCH", path)
            assert problem(answer) == (405, "method_not_allowed")
            assert {each.strip() for each in answer.headers["allow"].split(",")} == methods

    over(tmp_path, check)


def test_json_that_no_reader_agrees_on_is_refused(tmp_path: Path) -> None:
    headers = {"Content-Type": "application/json"}

    async def check(asking: Asking) -> None:
        for content, code in ((b"{", "json_invalid"), (b'{"name":"a","name":"b"}', "json_duplicate_key")):
            answer = await asking.ask("POST", "/api/v1/subscriptions", content=content, headers=headers)
            assert problem(answer)[0] == 400, code
        deep = b'{"name":"a","sink":"log","target":' + b"[" * 100 + b"]" * 100 + b"}"
        assert problem(await asking.ask("POST", "/api/v1/subscriptions", content=deep, headers=headers))[0] == 400

    over(tmp_path, check)


def test_a_body_that_is_too_large_is_refused_unread_or_where_it_turns_out_to_be(tmp_path: Path) -> None:
    async def pieces() -> Any:
        for _ in range(100):
            yield b"x" * 65_536

    async def check(asking: Asking) -> None:
        headers = {"Content-Type": "application/json"}
        announced = await asking.ask("POST", "/api/v1/subscriptions", content=b" " * 5_000_000, headers=headers)
        assert problem(announced) == (413, "request_too_large")
        chunked = await asking.ask("POST", "/api/v1/subscriptions", content=pieces(), headers=headers)
        assert problem(chunked) == (413, "request_too_large")

    over(tmp_path, check)


def test_more_than_may_be_under_way_is_told_to_wait_and_a_draining_server_takes_nothing(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        asking.server.gate.seats.most = 0
        busy = await asking.ask("GET", "/api/v1/runs")
        assert (problem(busy), busy.headers["retry-after"]) == ((503, "server_busy"), "1")
        asking.server.gate.seats.most = 10
        assert (await asking.ask("GET", "/readyz")).status_code == 200
        asking.server.gate.draining = True
        assert problem(await asking.ask("GET", "/api/v1/runs")) == (503, "server_draining")
        ready = await asking.ask("GET", "/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert (await asking.ask("GET", "/healthz")).status_code == 200

    over(tmp_path, check)


def test_a_fault_of_the_program_says_nothing_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(asking: Asking) -> None:
        async def fail(*_given: object, **_more: object) -> None:
            raise RuntimeError("the password is hunter2")

        monkeypatch.setattr(asking.app.leases, "list", fail, raising=False)
        monkeypatch.setattr(asking.app.views, "query", fail)
        answer = await asking.ask("GET", "/api/v1/leases")
        assert problem(answer) == (500, "program_fault")
        assert "hunter2" not in answer.text

    over(tmp_path, check)


EVENT = {"specversion": "1.0", "id": "1", "source": "/crowd", "type": "t"}
INITIALIZED = {"Accept": "application/json, text/event-stream"}
ANSWERS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/healthz", {}, 200),
    ("GET", "/readyz", {}, 200),
    ("GET", "/api/v1/leases", {}, 200),
    ("GET", "/api/v1/leases", {"token": None}, 401),
    ("GET", "/nothing", {}, 404),
    ("PATCH", "/api/v1/runs", {}, 405),
    ("POST", "/api/events/", {"json": EVENT, "headers": {"Content-Type": "application/cloudevents+json"}}, 202),
    ("POST", "/api/events/", {"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
    ("POST", "/hooks/a", {"json": EVENT, "headers": {"Content-Type": "application/cloudevents+json"}}, 202),
    ("GET", "/api/events/stream?colour=red", {}, 400),
    ("HEAD", "/api/events/stream", {}, 200),
    ("POST", "/mcp", {"json": INITIALIZE, "headers": INITIALIZED}, 200),
    ("POST", "/mcp", {"json": {}, "token": None}, 401),
    ("POST", "/mcp", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    ("POST", "/rpc", {"json": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}}, 200),
    ("POST", "/rpc", {"content": b"{}", "headers": {"Content-Type": "application/json", "Content-Encoding": "x"}}, 415),
    ("GET", "/debug/mutation_stats", {}, 200),
]


def test_every_answer_bears_the_id_that_its_request_brings_if_that_has_the_form_of_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, {"events": {"sources": {"crowd": {"source": "/crowd"}}}}) as asking:
            for given, kept in (("abc-1", True), ("a b", False), ("x" * 200, False)):
                for method, path, more, status in ANSWERS:
                    headers = {"X-Request-Id": given, **more.get("headers", {})}
                    answer = await asking.ask(method, path, **{**more, "headers": headers})
                    assert answer.status_code == status, (method, path, answer.text)
                    found = answer.headers["x-request-id"]
                    assert (found == given) is kept, (method, path)
                    assert answer.headers["x-content-type-options"] == "nosniff", path
                    assert "cache-control" in answer.headers, path
                    if answer.headers.get("content-type") == "application/problem+json":
                        assert problem(answer)[0] == status

    asyncio.run(main())


def test_no_answer_waits_for_the_other_sides_acknowledgement() -> None:
    """A socket without its protocol named leaves Nagle's algorithm on: about 40 ms for each answer in two parts."""

    async def main() -> None:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def met(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made = writer.get_extra_info("socket")
            seen.set_result(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0) as listening:
            server = await asyncio.start_server(met, sock=listening)
            host, port = listening.getsockname()
            _, writer = await asyncio.open_connection(host, port)
            assert await asyncio.wait_for(seen, 10) == 1
            writer.close()
            server.close()

    asyncio.run(main())


def test_every_route_is_described_and_every_description_is_served(tmp_path: Path) -> None:
    """Of MCP its own specification says what there is, and each of its tools has the permission of its command."""

    async def check(asking: Asking) -> None:
        document = await asking.get("/api/v1/openapi.json", token=None)
        assert document["openapi"].startswith("3.1")
        described = {
            (method.upper(), path): operation
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if path != MCP_PATH
        }
        assert set(described) == paths_of(asking.server.app)
        for (method, path), operation in sorted(described.items()):
            body = {"json": CALL} if path == "/rpc" else {}  # its form is looked at before who asks
            answer = await asking.ask(method, path.replace("{", "").replace("}", ""), token=None, **body)
            if operation.get("security") == []:
                assert (answer.status_code, "x-permission" in operation) == (200, False), path
                continue
            needed = operation["x-permission"]
            named = set(needed.values()) if isinstance(needed, dict) else {needed}
            assert named <= {*asking.app.get(Access).table.names}, path
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Bearer")

    over(tmp_path, check)


CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def paths_of(app: Any) -> set[tuple[str, str]]:
    """Every method and path that a server answers, but those of MCP, and `HEAD`, which follows from `GET`."""
    while not hasattr(app, "routes"):
        app = app._app
    return {
        (method, route.path) for route in app.routes if route.path != MCP_PATH for method in {*route.methods} - {"HEAD"}
    }


def test_the_token_of_the_machine_is_compared_whole(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        for forged in (TOKEN[:-1], TOKEN + "x", TOKEN.upper()):
            assert problem(await asking.ask("GET", "/api/v1/leases", token=forged)) == (401, "token_invalid")

    over(tmp_path, check)
