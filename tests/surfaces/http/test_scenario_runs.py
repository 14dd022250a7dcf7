"""A run of a scenario is there under that scenario alone, whichever way somebody asks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest

from interlock.gates.control.keys import run_stream
from tests.surfaces.http.serving import Asking, problem, serving
from tests.surfaces.mcp import conversation
from tests.surfaces.mcp.http_server import connected

SETTINGS: Final = {"gates": {"namespace": {"allow_default": True, "default_tenants": [1]}}}
NOT_THERE: Final = (404, "scenario_run_not_found")
ASKED: Final = (
    ("GET", "", None),
    ("GET", "?at=1", None),
    ("GET", "/explain", None),
    ("GET", "/pack", None),
    ("POST", "/trigger", {"id": "t2", "time": "logical:9"}),
    ("POST", "/next", {"id": "t3", "agent": "builder", "time": "logical:9"}),
    ("POST", "/submit", {"id": "s1", "payload": {}, "time": "logical:9"}),
)


async def begun(asking: Asking) -> None:
    """`wheel` and `other`, whose stages are called alike, and a decided run of the first with packets."""
    for name, packets in (("wheel", True), ("other", False)):
        spec = conversation.scenario(name)
        for stage in () if packets else spec["stages"]:
            stage["entry_packets"] = []
        assert (await asking.post("/api/v1/scenario-specs", spec=spec)).status_code < 300
    started = {"scenario": "wheel", "run": "run-1", "to": ["agent:builder"], "packets": True, "time": "logical:1"}
    assert (await asking.post("/api/v1/scenario-runs", **started)).status_code < 300
    decided = await asking.post("/api/v1/scenario-runs/wheel/run-1/trigger", id="t1", time="logical:6")
    assert decided.status_code == 200, decided.text


async def events(asking: Asking) -> int:
    return len(await asking.app.journal.tail(run_stream("default", 1, 1, "run-1"), 0))


def test_a_run_of_another_scenario_is_answered_like_one_that_is_not_there(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, SETTINGS) as asking:
            await begun(asking)
            before = await events(asking)
            for method, path, body in ASKED:
                more: dict[str, Any] = {} if body is None else {"json": body}
                told = []
                for run in ("run-1", "run-2"):
                    answer = await asking.ask(method, f"/api/v1/scenario-runs/other/{run}{path}", **more)
                    assert problem(answer) == NOT_THERE, (path, answer.text)
                    told.append({**answer.json(), "request_id": ""})
                assert told[0] == told[1], path
            assert await events(asking) == before
            found = await asking.get("/api/v1/scenario-runs/wheel/run-1")
            assert (found["scenario"], found["run"], found["stage"]) == ("wheel", "run-1", "two")
            again = {"scenario": "other", "run": "run-1"}
            assert problem(await asking.post("/api/v1/scenario-runs", **again)) == (409, "scenario_run_exists")

    asyncio.run(main())


def wire_calls(run: str) -> list[tuple[str, Any]]:
    """The calls of the reference's wire that name a run, for one of the scenario `other`."""
    place = {**conversation.RUN, "run_id": run}
    time = conversation.logical(9)
    status = {**place, "requested_at": time, "correlation_id": None}
    step = {**conversation.step("t4", 9)["request"], **place}
    fire = {**conversation.trigger("t5", 9)["trigger"], **place}
    given = {**conversation.submit({})["request"], **place}
    pack = {"scenario_id": "other", **place, "output_dir": "packs", "generated_at": time, "include_verification": False}
    return [
        ("scenario_status", {"scenario_id": "other", "request": status}),
        ("scenario_next", {"scenario_id": "other", "request": step}),
        ("scenario_trigger", {"scenario_id": "other", "trigger": fire}),
        ("scenario_submit", {"scenario_id": "other", "request": given}),
        ("runpack_export", pack),
    ]


def test_the_wire_of_the_reference_and_mcp_answer_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with serving(tmp_path, SETTINGS) as asking:
            await begun(asking)
            before = await events(asking)
            for (tool, other), (_, absent) in zip(wire_calls("run-1"), wire_calls("run-2"), strict=True):
                told = []
                for arguments in (other, absent):
                    params = {"name": tool, "arguments": arguments}
                    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
                    told.append((await asking.ask("POST", "/rpc", json=body)).json())
                assert told[0] == told[1], tool
                assert told[0]["error"]["message"] == "there is no such run", tool
            async with connected(asking.url, await asking.token_of("admin")) as client:
                for tool in ("scenario_status", "scenario_explain"):
                    answer = await client.call_tool(tool, {"scenario": "other", "run": "run-1"})
                    assert answer.is_error
                    assert "scenario_run_not_found" in str(answer.content)
            assert await events(asking) == before
            assert not (tmp_path / "packs").exists()

    asyncio.run(main())
