"""The official protocol over real pipes, by the official client: tools, resources, errors, progress, cancellation."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp_types import CallToolResult

from tests.surfaces.process import PRODUCT, SECONDS_MAX, run

PLAN = """
import asyncio

from interlock import Plan

plan = Plan("greeting")


@plan.state
async def find(name: str) -> str:
    print("a state that prints")
    await asyncio.sleep(0.6)
    return name.title()


@plan.state
async def greet(find: str) -> dict[str, str]:
    return {"text": f"Hello {find}"}
"""
LASTING = """
import asyncio
from pathlib import Path

from interlock import Plan

plan = Plan("lasting")


@plan.state
async def last(folder: str) -> str:
    Path(folder, "begun").touch()
    await asyncio.sleep(600)
    return "done"
"""
Talk = Callable[[Client], Awaitable[Any]]


def session(folder: Path, talk: Talk, *line: str, mode: str = "auto") -> Any:
    """What is said in one session with the program in `folder`."""
    command = StdioServerParameters(
        command=PRODUCT[0], args=[*PRODUCT[1:], "mcp", "--store", "store.db", *line], cwd=folder, env=dict(os.environ)
    )

    async def whole() -> Any:
        fault: BaseException | None = None
        async with Client(command, mode=mode) as client:
            try:
                return await asyncio.wait_for(talk(client), SECONDS_MAX)
            except (AssertionError, LookupError, TimeoutError) as failure:
                fault = failure  # raised outside of the client, which would wrap it
        raise fault

    return asyncio.run(whole())


def value(answer: CallToolResult) -> Any:
    """The structure of an answer, which is also its text."""
    [item] = answer.content
    assert json.loads(item.text) == answer.structured_content  # type: ignore[union-attr]
    return answer.structured_content


def made(folder: Path) -> Path:
    """A folder with plans and a store."""
    (folder / "greeting.py").write_text(PLAN)
    (folder / "lasting.py").write_text(LASTING)
    line = ("run", "start", "greeting.py:plan", "--input", '{"name": "ada"}', "--store", "store.db")
    assert run(*line, program=PRODUCT, folder=folder).code == 0
    return folder


def test_a_session_reads_by_default_and_nothing_more(tmp_path: Path) -> None:
    async def talk(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"run_list", "run_why", "scenario_status", "docs_search"} <= set(tools)
        assert not {"run_start", "run_cancel", "scenario_trigger", "mcp", "work"} & set(tools)
        for tool in tools.values():
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint
            jsonschema_rs.validator_for(tool.input_schema)
        listed = value(await client.call_tool("run_list", {}))
        [row] = listed["items"]
        assert jsonschema_rs.is_valid(tools["run_list"].output_schema or False, listed)
        assert value(await client.call_tool("run_why", {"run": row["run_id"]}))["reasons"] == []

        refused = await client.call_tool("run_start", {"plan": "greeting.py:plan"})
        assert refused.is_error
        assert value(refused)["error"]["code"] == "mcp_tool_not_allowed"
        assert "--allow" in value(refused)["error"]["advice"]

    session(made(tmp_path), talk)


def test_who_may_start_nothing_has_no_file_read_or_written(tmp_path: Path) -> None:
    async def talk(client: Client) -> list[Any]:
        [row] = value(await client.call_tool("run_list", {}))["items"]
        calls: list[tuple[str, dict[str, Any]]] = [
            ("pack_export", {"run": row["run_id"], "out": "out.pack"}),
            ("run_replay", {"run": row["run_id"], "plan": "greeting.py:plan"}),
            ("run_lint", {"documents": ["greeting.py"]}),
            ("scenario_lint", {"documents": ["greeting.py"]}),
            ("evidence_query", {"provider": "exec", "check": "output", "params": {"program": "/usr/bin/id"}}),
        ]
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert not {"pack_export", "artifact_show", "run_lint", "scenario_lint"} & tools  # they would always refuse
        return [value(await client.call_tool(*call)) for call in calls]

    for allowed in ("reads", "changes"):
        folder = tmp_path / allowed
        folder.mkdir()
        answers = session(made(folder), talk, "--allow", allowed)
        assert [set(answer) for answer in answers] == [{"error"}] * 5
        assert {answer["error"]["category"] for answer in answers} == {"refused"}
        assert not (folder / "out.pack").exists()


def test_a_run_is_started_with_progress_and_its_prints_stay_out_of_the_protocol(tmp_path: Path) -> None:
    reports: list[tuple[float, float | None, str | None]] = []

    async def reported(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, total, message))

    async def talk(client: Client) -> Any:
        assert {"pack_export", "run_lint"} <= {tool.name for tool in (await client.list_tools()).tools}
        given = {"plan": "greeting.py:plan", "input": {"name": "grace"}}
        answer = await client.call_tool("run_start", given, progress_callback=reported)
        assert not answer.is_error
        found = value(answer)
        output = value(await client.call_tool("run_output", {"run": found["run_id"], "step": "greet"}))
        return found, output

    found, output = session(made(tmp_path), talk, "--allow", "starts")
    assert found["phase"] == "completed"
    assert "Hello Grace" in json.dumps(output)
    assert reports
    assert all(total == 2 and message.startswith(found["run_id"]) for _, total, message in reports if message)


def test_a_cancelled_call_lets_go_of_its_run_and_the_session_goes_on(tmp_path: Path) -> None:
    run_id = "01890a5d-ac96-774b-bcce-b302099a8057"

    async def talk(client: Client) -> Any:
        given = {"plan": "lasting.py:plan", "input": {"folder": str(tmp_path)}, "run_id": run_id}
        call = asyncio.ensure_future(client.call_tool("run_start", given))
        while not (tmp_path / "begun").exists():
            await asyncio.sleep(0.05)
        assert value(await client.call_tool("run_status", {"run": run_id}))["owner"]
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        while (found := value(await client.call_tool("run_status", {"run": run_id})))["owner"]:
            await asyncio.sleep(0.05)
        return found

    assert session(made(tmp_path), talk, "--allow", "starts")["phase"] == "running"


def test_errors_have_a_stable_code_and_say_what_to_do(tmp_path: Path) -> None:
    nobody = "01890a5d-ac96-774b-bcce-b302099a8057"

    async def talk(client: Client) -> None:
        calls: list[tuple[str, dict[str, Any], str]] = [
            ("run_status", {"run": nobody}, "run_not_found"),
            ("run_status", {}, "input_invalid"),
            ("run_status", {"run": nobody, "colour": "red"}, "input_invalid"),
            ("run_list", {"limit": "many"}, "input_invalid"),
            ("docs_search", {"question": "what"}, "gate_input_invalid"),
        ]
        for name, given, code in calls:
            answer = await client.call_tool(name, given)
            assert answer.is_error
            error = value(answer)["error"]
            assert (error["code"], bool(error["advice"])) == (code, True)
        with pytest.raises(MCPError) as refused:
            await client.call_tool("run_stat", {})
        assert (refused.value.code, "run_start" in refused.value.message) == (-32602, True)

    session(made(tmp_path), talk)


def test_the_same_call_under_the_same_id_takes_effect_once(tmp_path: Path) -> None:
    async def talk(client: Client) -> None:
        given = {"plan": "greeting.py:plan", "input": {"name": "x"}, "run_id": "01890a5d-ac96-774b-bcce-b302099a8058"}
        first = value(await client.call_tool("run_start", {**given, "command_id": "once"}))
        again = value(await client.call_tool("run_start", {**given, "command_id": "once"}))
        assert first["run_id"] == again["run_id"] == given["run_id"]
        assert len(value(await client.call_tool("run_list", {}))["items"]) == 2
        for other in ({**given, "run_id": "01890a5d-ac96-774b-bcce-b302099a8059"}, {**given, "input": {"name": "y"}}):
            refused = await client.call_tool("run_start", {**other, "command_id": "once"})
            assert value(refused)["error"]["code"] == "command_id_conflict"
        assert len(value(await client.call_tool("run_list", {}))["items"]) == 2

    session(made(tmp_path), talk, "--allow", "starts")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_documentation_is_a_resource_and_can_be_searched(tmp_path: Path, mode: str) -> None:
    async def talk(client: Client) -> None:
        resources = {each.uri: each for each in (await client.list_resources()).resources}
        replay = resources["interlock://docs/how-to-replay-a-run"]
        assert (replay.title, replay.mime_type) == ("Replay a run", "text/markdown")
        [content] = (await client.read_resource(replay.uri)).contents
        assert content.text.startswith("# Replay a run")  # type: ignore[union-attr]
        with pytest.raises(MCPError) as refused:
            await client.read_resource("interlock://docs/none")
        assert refused.value.code == -32602
        found = value(await client.call_tool("docs_search", {"query": "replay a run", "max_sections": 2}))
        assert len(found["sections"]) == 2

    session(made(tmp_path), talk, mode=mode)


def lines(folder: Path, *line: str) -> subprocess.Popen[bytes]:
    """The program, spoken to by hand."""
    return subprocess.Popen(
        [*PRODUCT, "mcp", "--store", "store.db", *line],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def test_lines_that_are_no_messages_are_passed_over(tmp_path: Path) -> None:
    sound = json.dumps(INITIALIZE).encode() + b"\n"
    hostile = [b"\n", b"{]\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"x" * (5 * 1024 * 1024) + b"\n"]
    with lines(made(tmp_path)) as process:
        out, err = process.communicate(b"".join([*hostile, sound]), SECONDS_MAX)
    [answer] = out.splitlines()
    assert json.loads(answer)["result"]["serverInfo"]["name"] == "interlock"
    assert (process.returncode, err) == (0, b"")


def test_a_session_is_ended_by_a_signal_although_nobody_closes_its_input(tmp_path: Path) -> None:
    with lines(made(tmp_path)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 143


def test_a_session_ends_where_nobody_reads_any_more(tmp_path: Path) -> None:
    with lines(made(tmp_path)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        assert process.wait(SECONDS_MAX) == 141


def test_without_a_store_only_a_session_that_may_write_makes_one(tmp_path: Path) -> None:
    with lines(tmp_path) as process:
        out, err = process.communicate(b"", SECONDS_MAX)
    assert (process.returncode, out) == (3, b"")
    assert b"[store_not_found]" in err
    with lines(tmp_path, "--allow", "changes") as process:
        assert process.communicate(b"", SECONDS_MAX)[0] == b""
    assert process.returncode == 0
    assert (tmp_path / "store.db").exists()


def test_a_session_on_the_default_store_makes_its_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PRODUCT, "mcp", "--wire", "decision-gate"],
        cwd=tmp_path,
        input=b"",
        capture_output=True,
        timeout=SECONDS_MAX,
        check=False,
        env={key: given for key, given in os.environ.items() if key != "INTERLOCK_STORE"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / ".interlock" / "store.db").exists()


def test_without_the_library_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    hiding = "import sys; sys.modules['mcp'] = None; from interlock.surfaces.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", hiding, "mcp", "--store", "store.db"],
        cwd=made(tmp_path),
        input=b"",
        capture_output=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert (done.returncode, done.stdout) == (5, b"")
    assert b"[mcp_library_absent]" in done.stderr
