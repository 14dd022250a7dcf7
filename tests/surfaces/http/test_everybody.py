"""Callers beside each other: keys are each one's own, and one worker drives the runs of every tenant."""

from __future__ import annotations

import asyncio
from pathlib import Path

from interlock.base.principal import local_principal
from interlock.working import _deliver
from tests.surfaces.http.serving import problem, serving
from tests.surfaces.http.test_api import PLAN


def test_a_key_of_one_principal_says_nothing_to_another(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(tmp_path) as asking:
            for name in ("ann", "bob"):
                token = await asking.token_of("operator", name=name)
                headers = {"Idempotency-Key": "release-1"}
                for _ in range(2):
                    body = {"name": name, "state": "parked"}
                    made = await asking.ask("POST", "/api/v1/filters", token=token, headers=headers, json=body)
                    assert made.status_code == 201, made.text
            listed = await asking.get("/api/v1/filters")
            assert {each["name"] for each in listed["items"]} == {"ann", "bob"}

    asyncio.run(check())


def test_one_worker_drives_and_delivers_for_every_tenant(tmp_path: Path) -> None:
    (tmp_path / "ship.py").write_text(PLAN)
    delivered = tmp_path / "out" / "staging.jsonl"

    async def check() -> None:
        settings: dict[str, dict[str, object]] = {
            "plans": {"offered": {"ship": f"{tmp_path}/ship.py:plan"}},
            "sinks": {"file_root": str(tmp_path / "out")},
        }
        async with serving(tmp_path, settings) as asking:
            token = await asking.token_of("operator", tenant="staging")
            await asking.app.subscriptions.add(
                "all",
                sink="file",
                target={"path": "staging.jsonl"},
                types=["engine.run_completed"],
                principal=local_principal("ada", "staging"),
            )
            body = {"plan": "ship", "input": {"item": "a lamp"}}
            started = await asking.ask("POST", "/api/v1/runs", token=token, json=body)
            assert started.status_code == 202, started.text
            await asking.app.runs.worker.work(partition=None, until_idle=True)
            shown = await asking.ask("GET", started.headers["location"], token=token)
            assert shown.json()["phase"] == "completed"
            task = asyncio.ensure_future(_deliver(asking.app))
            while not delivered.exists():
                assert not task.done(), task.exception()
                await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(check())


def test_a_reader_whose_token_is_revoked_hears_no_more(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(tmp_path, {"event_stream": {"heartbeat_ms": 100}}) as asking:
            token = await asking.token_of("viewer")
            headers = {"Authorization": f"Bearer {token}"}
            url = f"{asking.url}/api/events/stream"
            async with asking.client.stream("GET", url, headers=headers) as response:
                assert response.status_code == 200
                lines = response.aiter_lines()
                while await anext(lines) != "event: snapshot":
                    pass
                [row] = (await asking.get("/api/v1/tokens"))["items"]
                revoked = await asking.post(f"/api/v1/tokens/{row['id']}/revoke", reason="it leaked")
                assert revoked.status_code == 200, revoked.text
                rest = [line async for line in lines]
            assert any("token_invalid" in line for line in rest), rest
            again = await asking.ask("GET", "/api/events/stream", token=token)
            assert again.status_code == 401

    asyncio.run(check())


def test_what_a_revoked_token_has_made_can_do_nothing_more(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(tmp_path, {"event_stream": {"heartbeat_ms": 100}}) as asking:
            first = await asking.token_of("admin")

            async def child(maker: str, **given: str) -> str:
                body = {"name": "ci", "role": ["admin"], **given}
                made = await asking.ask("POST", "/api/v1/tokens", token=maker, json=body)
                assert made.status_code == 201, made.text
                return str(made.json()["token"])

            body = {"name": "ci", "role": ["admin"], "expires": "1h"}
            longer = await asking.ask("POST", "/api/v1/tokens", token=first, json=body)
            assert problem(longer) == (403, "token_outlives")
            second = await child(first)
            third = await child(second)
            headers = {"Authorization": f"Bearer {third}"}
            async with asking.client.stream("GET", f"{asking.url}/api/events/stream", headers=headers) as response:
                lines = response.aiter_lines()
                while await anext(lines) != "event: snapshot":
                    pass
                revoked = await asking.post(f"/api/v1/tokens/{first.split('.')[1]}/revoke", reason="it leaked")
                assert revoked.json()["with_it"] == [each.split(".")[1] for each in (second, third)]
                rest = [line async for line in lines]
            assert any("token_invalid" in line for line in rest), rest
            for token in (first, second, third):
                for method, path in (("GET", "/api/v1/tokens"), ("POST", "/api/v1/tokens"), ("POST", "/mcp")):
                    answer = await asking.ask(method, path, token=token, json=body)
                    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid"), (path, answer.text)

    asyncio.run(check())


EVENT = {"Content-Type": "application/cloudevents+json"}
EVERYWHERE: list[tuple[str, str, dict[str, str]]] = [
    ("POST", "/mcp", {}),
    ("DELETE", "/mcp", {}),
    ("GET", "/mcp", {}),
    ("POST", "/rpc", {}),
    ("GET", "/debug/mutation_stats", {}),
    ("POST", "/api/events/", EVENT),
    ("POST", "/api/events", EVENT),
    ("POST", "/hooks/of/nobody", EVENT),
    ("OPTIONS", "/hooks/of/nobody", {"WebHook-Request-Origin": "a.example"}),
    ("GET", "/api/events/stream", {}),
    ("GET", "/api/v1/events/stream", {}),
    ("GET", "/api/v1/runs", {}),
    ("POST", "/api/v1/packs/verify", {}),
    ("GET", "/nothing", {}),
    ("PATCH", "/api/v1/runs", {}),
]
"""Something at every place that answers; streams are not counted among what is under way."""


def test_whatever_is_asked_is_under_way_and_a_draining_server_takes_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(tmp_path) as asking:
            gate, most = asking.server.gate, asking.server.gate.seats.most
            for code in ("server_busy", "server_draining"):
                gate.seats.most, gate.draining = (0 if code == "server_busy" else most), code == "server_draining"
                for method, path, headers in EVERYWHERE:
                    streams = method == "GET" and (path == "/mcp" or path.endswith("/stream"))
                    if streams and code == "server_busy":
                        continue
                    answer = await asking.ask(method, path, headers=headers, content=b"{}")
                    assert answer.headers["retry-after"] == "1", (path, answer.text)
                    assert answer.headers["x-request-id"]
                    if path in {"/rpc", "/debug/mutation_stats"}:
                        assert (answer.status_code, answer.json()["error"]["code"]) == (503, -32072)
                    else:
                        assert problem(answer) == (503, code), path
                assert (await asking.ask("GET", "/healthz")).status_code == 200
            gate.seats.most, gate.draining = most, False
            for method, path, headers in EVERYWHERE:
                if not path.endswith("/stream"):
                    assert (await asking.ask(method, path, headers=headers)).status_code != 503, path
            assert gate.in_flight == 0

    asyncio.run(check())
