"""The reference's wire over real pipes: the golden conversation, hostile frames, and how a session ends."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.surfaces.mcp.conversation import CALLS, GOLDEN, answers, scenario, start, trigger
from tests.surfaces.mcp.wire_client import WireClient

TOOLS = [
    "scenario_define",
    "scenario_start",
    "scenario_status",
    "scenario_next",
    "scenario_submit",
    "scenario_trigger",
    "evidence_query",
    "runpack_export",
    "runpack_verify",
    "providers_list",
    "provider_contract_get",
    "provider_check_schema_get",
    "schemas_register",
    "schemas_list",
    "schemas_get",
    "scenarios_list",
    "precheck",
    "decision_gate_docs_search",
]
MEMBERS = {
    "scenario_define": {"scenario_id", "spec_hash"},
    "scenario_start": {
        "tenant_id",
        "namespace_id",
        "run_id",
        "scenario_id",
        "spec_hash",
        "current_stage_id",
        "stage_entered_at",
        "status",
        "dispatch_targets",
        "triggers",
        "gate_evals",
        "decisions",
        "packets",
        "submissions",
        "tool_calls",
    },
    "scenario_status": {
        "run_id",
        "scenario_id",
        "current_stage_id",
        "status",
        "last_decision",
        "issued_packet_ids",
        "safe_summary",
    },
    "scenario_next": {"decision", "packets", "status", "feedback"},
    "scenario_submit": {"record"},
    "scenario_trigger": {"decision", "packets", "status"},
    "evidence_query": {"result"},
    "runpack_export": {"manifest", "report"},
    "runpack_verify": {"report", "status"},
    "providers_list": {"providers"},
    "provider_contract_get": {"provider_id", "contract", "contract_hash", "source", "version"},
    "provider_check_schema_get": {
        "provider_id",
        "check_id",
        "params_required",
        "params_schema",
        "result_schema",
        "allowed_comparators",
        "determinism",
        "anchor_types",
        "content_types",
        "examples",
        "contract_hash",
    },
    "schemas_register": {"record"},
    "schemas_list": {"items", "next_token"},
    "schemas_get": {"record"},
    "scenarios_list": {"items", "next_token"},
    "precheck": {"decision", "gate_evaluations"},
    "decision_gate_docs_search": {"sections", "docs_covered", "suggested_followups"},
}
"""What the contract says that each tool answers."""

UNREADABLE = -32600
SOUND = b'{"jsonrpc":"2.0","id":1,"method":"providers_list"}'


def test_every_tool_answers_as_it_did_byte_for_byte(tmp_path: Path) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = [[tool, answer] for tool, _, answer in answers(tmp_path)]
    for (tool, arguments), now, before in zip(CALLS, found, golden, strict=True):
        assert json.dumps(now) == json.dumps(before), (tool, arguments)


def test_the_golden_answers_have_the_members_of_the_contract() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert {tool for tool, _ in golden} == set(TOOLS)
    answered: dict[str, set[str]] = {}
    for tool, answer in golden:
        if set(answer) == {"error"}:
            assert set(answer["error"]) == {"code", "message", "data"}
            assert set(answer["error"]["data"]) == {"kind", "retryable", "request_id"}
        else:
            answered[tool] = set(answer)
    assert answered == MEMBERS


def test_the_tools_are_the_eighteen_of_the_contract_each_with_the_schema_of_its_input(tmp_path: Path) -> None:
    import jsonschema_rs

    with WireClient(tmp_path) as client:
        tools = {tool["name"]: tool for tool in client.ask("tools/list")["result"]["tools"]}
        assert list(tools) == TOOLS
        for tool, arguments in CALLS:
            fits = jsonschema_rs.is_valid(tools[tool]["input_schema"], arguments)
            assert fits == (arguments not in SHAPELESS), (tool, arguments)
        for tool in ("scenario_submit", "scenario_trigger"):
            assert "kept and exported exactly as it is given" in tools[tool]["description"]
        resources = client.ask("resources/list")["result"]["resources"]
        uri = next(each["uri"] for each in resources if each["name"] == "Replay a run")
        [content] = client.ask("resources/read", {"uri": uri})["result"]["contents"]
        assert content["text"].startswith("# Replay a run")
        assert client.end() == (0, "")


SHAPELESS = [
    {"spec": {"scenario_id": "half"}},
    trigger("t-4", 9, kind="tock"),
]


def test_without_configuration_the_default_namespace_is_nobodys(tmp_path: Path) -> None:
    with WireClient(tmp_path) as client:
        assert client.call("scenario_define", {"spec": scenario()})["error"]["code"] == -32003
        assert "error" not in client.call("scenario_define", {"spec": scenario(namespace_id=2)})


def test_what_was_defined_and_started_is_there_for_the_next_session(tmp_path: Path) -> None:
    beginning = start(namespace_id=2)
    with WireClient(tmp_path) as client:
        client.call("scenario_define", {"spec": scenario(namespace_id=2)})
        first = client.call("scenario_start", beginning)
        client.process.kill()
    with WireClient(tmp_path) as client:
        assert client.call("scenario_start", beginning)["error"]["message"] == "run already exists"
        status = {**STATUS, "request": {**STATUS["request"], "namespace_id": 2}}
        assert client.call("scenario_status", status)["last_decision"] == first["decisions"][-1]


STATUS: dict[str, Any] = next(arguments for tool, arguments in CALLS if tool == "scenario_status")


UNACCEPTABLE: list[tuple[bytes, int]] = [
    (b"Content-Length: 0\r\n\r\n", UNREADABLE),
    (b"Content-Length: 3\r\n\r\n{]}", UNREADABLE),
    (b"Content-Length: 4\r\n\r\n\xff\xfe{}", UNREADABLE),
    (b"Content-Length: %d\r\n\r\n%b" % (len(SOUND), SOUND), -32601),
    (b"content-length:2\n\n[]", UNREADABLE),
    (b"Content-Length: 1048577\r\n\r\n" + b" " * 1048577, -32070),
    (b"X-Correlation-Id: not one\r\nContent-Length: 2\r\n\r\n{}", -32073),
    (b"Content-Length: 200000\r\n\r\n" + b"[" * 200000, UNREADABLE),
]


def test_a_request_that_cannot_be_accepted_is_answered_and_the_next_one_too(tmp_path: Path) -> None:
    with WireClient(tmp_path) as client:
        for content, code in UNACCEPTABLE:
            client.send(content)
            assert json.loads(client.receive())["error"]["code"] == code, content[:60]
            assert len(client.ask("tools/list")["result"]["tools"]) == len(TOOLS)
        assert client.end() == (0, "")


@pytest.mark.parametrize(
    "content",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"Content-Length: x\r\n\r\n",
        b"\r\n\r\n",
        b"A: b\r\n" * 65,
        b"y" * 9000,
        b"Content-Length: 999999999999\r\n\r\n",
    ],
)
def test_a_head_that_leaves_no_place_to_go_on_from_is_answered_and_is_the_end(tmp_path: Path, content: bytes) -> None:
    with WireClient(tmp_path) as client:
        client.send(content)
        error = json.loads(client.receive())["error"]
        assert (error["code"], error["message"], error["data"]["request_id"]) == (UNREADABLE, "invalid frame", None)
        code, words = client.end()
    assert code == 2
    assert "[wire_frame_invalid]" in words


@pytest.mark.parametrize("content", [b"", b"Content-Le", b"Content-Length: 5\r\n\r\n{"])
def test_whoever_stops_within_a_frame_has_ended_the_session_in_good_order(tmp_path: Path, content: bytes) -> None:
    with WireClient(tmp_path) as client:
        client.send(content)
        assert client.end() == (0, "")


def test_a_session_is_ended_by_a_signal_although_nobody_closes_its_input(tmp_path: Path) -> None:
    with WireClient(tmp_path) as client:
        client.ask("tools/list")
        os.kill(client.process.pid, signal.SIGTERM)
        assert client.receive() == b""
        assert client.process.wait(60) == 143


def test_a_session_ends_where_nobody_reads_any_more(tmp_path: Path) -> None:
    with WireClient(tmp_path) as client:
        client.ask("tools/list")
        assert client.process.stdout is not None
        client.process.stdout.close()
        client.send(b"Content-Length: %d\r\n\r\n%b" % (len(SOUND), SOUND))
        assert client.process.wait(60) == 141


def test_a_page_that_is_left_out_is_said_to_people_alone(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Page")
    (tmp_path / "link.md").symlink_to(tmp_path / "page.md")
    (tmp_path / "gates.toml").write_text("[gates.docs]\nextra_paths = ['link.md', 'page.md']\n")
    with WireClient(tmp_path, "--config", "gates.toml") as client:
        uris = [each["uri"] for each in client.ask("resources/list")["result"]["resources"]]
        assert uris[-1] == "decision-gate://docs/custom/page"
        assert client.end() == (0, "link.md: left out, because it is a link\n")


def test_settings_that_cannot_be_are_said_before_anything_is_answered(tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_text("[gates.docs]\nextra_paths = ['none.md']\n")
    with WireClient(tmp_path, "--config", "gates.toml") as client:
        code, words = client.end()
    assert code == 2
    assert "[documents_unreadable]" in words


def test_a_bound_of_the_other_front_is_refused_rather_than_left_unheard(tmp_path: Path) -> None:
    with WireClient(tmp_path, "--allow", "reads") as client:
        code, words = client.end()
    assert code == 2
    assert "[usage_invalid]" in words
    assert list(tmp_path.iterdir()) == []
