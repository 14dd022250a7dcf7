"""The calls of the golden conversation with the wire: every tool, with results and errors, as data.

`python -m tests.surfaces.mcp.conversation FOLDER` prints the answers of the program as they are now; what is in
`golden_wire.json` was printed by it, read against the contract, and is never written by a test.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.surfaces.mcp.wire_client import WireClient

GOLDEN = Path(__file__).with_name("golden_wire.json")
SETTINGS = """
[gates.trust]
min_lane = "asserted"

[gates.namespace]
allow_default = true
default_tenants = [1]

[gates.feedback.scenario_next]
max = "evidence"
evidence_subjects = ["stdio"]

[gates.provider_discovery]
denylist = ["env"]

[[gates.providers]]
name = "env"
type = "builtin"

[gates.docs]
include_default_docs = false
extra_paths = ["pages"]
"""
PAGE = "# Releases\nHow we release.\n\n## Evidence\nWheels are checked.\n"
RUN = {"tenant_id": 1, "namespace_id": 1, "run_id": "run-1"}
SHAPE = {"type": "object", "properties": {"after": {"type": "boolean"}}, "required": ["after"]}
SHAPE_RECORD = {
    "tenant_id": 1,
    "namespace_id": 1,
    "schema_id": "release",
    "version": "v1",
    "schema": SHAPE,
    "description": None,
    "created_at": {"kind": "logical", "value": 1},
}


def logical(value: int) -> dict[str, Any]:
    return {"kind": "logical", "value": value}


def packet(name: str) -> dict[str, Any]:
    return {
        "packet_id": name,
        "schema_id": "note",
        "content_type": "application/json",
        "visibility_labels": ["public"],
        "policy_tags": [],
        "expiry": None,
        "payload": {"kind": "json", "value": {"say": name}},
    }


def stage(name: str, advance_to: dict[str, Any]) -> dict[str, Any]:
    return {
        "stage_id": name,
        "entry_packets": [packet(f"packet-{name}")],
        "gates": [{"gate_id": f"gate-{name}", "requirement": {"Condition": "after"}}],
        "advance_to": advance_to,
        "timeout": None,
        "on_timeout": "fail",
    }


def scenario(name: str = "release", **members: Any) -> dict[str, Any]:
    return {
        "scenario_id": name,
        "namespace_id": 1,
        "spec_version": "1",
        "stages": [stage("one", {"kind": "linear"}), stage("two", {"kind": "terminal"})],
        "conditions": [
            {
                "condition_id": "after",
                "query": {"provider_id": "time", "check_id": "after", "params": {"timestamp": 5}},
                "comparator": "equals",
                "expected": True,
                "policy_tags": [],
            }
        ],
        "policies": [],
        "schemas": [],
        "default_tenant_id": 1,
        **members,
    }


def start(run_id: str = "run-1", **members: Any) -> dict[str, Any]:
    config = {
        **RUN,
        "run_id": run_id,
        "scenario_id": "release",
        "dispatch_targets": [{"kind": "agent", "agent_id": "builder"}],
        "policy_tags": ["kept-nowhere"],
        **members,
    }
    return {
        "scenario_id": "release",
        "run_config": config,
        "started_at": logical(1),
        "issue_entry_packets": True,
    }


def step(trigger_id: str, at: int, **members: Any) -> dict[str, Any]:
    request = {**RUN, "trigger_id": trigger_id, "agent_id": "builder", "time": logical(at), "correlation_id": "c-1"}
    return {"scenario_id": "release", "request": request, **members}


def trigger(trigger_id: str, at: int, **members: Any) -> dict[str, Any]:
    event = {
        **RUN,
        "trigger_id": trigger_id,
        "kind": "external_event",
        "time": logical(at),
        "source_id": "ci",
        "payload": {"kind": "json", "value": {"build": 7}},
        "correlation_id": None,
        **members,
    }
    return {"scenario_id": "release", "trigger": event}


def submit(value: Any) -> dict[str, Any]:
    request = {
        **RUN,
        "submission_id": "notes",
        "payload": {"kind": "json", "value": value},
        "content_type": "application/json",
        "submitted_at": logical(3),
        "correlation_id": None,
    }
    return {"scenario_id": "release", "request": request}


def query(provider_id: str, check_id: str, **params: Any) -> dict[str, Any]:
    context = {
        **RUN,
        "scenario_id": "release",
        "stage_id": "one",
        "trigger_id": "t",
        "trigger_time": logical(9),
        "correlation_id": None,
    }
    return {"query": {"provider_id": provider_id, "check_id": check_id, **params}, "context": context}


def precheck(**members: Any) -> dict[str, Any]:
    return {
        "tenant_id": 1,
        "namespace_id": 1,
        "scenario_id": "release",
        "data_shape": {"schema_id": "release", "version": "v1"},
        "payload": {"after": True},
        **members,
    }


STATUS = {"scenario_id": "release", "request": {**RUN, "requested_at": logical(8), "correlation_id": None}}
NAMESPACE = {"tenant_id": 1, "namespace_id": 1}
EXPORT = {"scenario_id": "release", **RUN, "generated_at": logical(9), "include_verification": True}
WRONG = [{**scenario()["conditions"][0], "comparator": "contains"}]

CALLS: list[tuple[str, Any]] = [
    ("scenario_define", {"spec": scenario()}),
    ("scenario_define", {"spec": scenario()}),
    ("scenario_define", {"spec": scenario(spec_version="2")}),
    ("scenario_define", {"spec": scenario("empty", stages=[])}),
    ("scenario_define", {"spec": scenario("wrong", conditions=WRONG)}),
    ("scenario_define", {"spec": scenario("default", default_tenant_id=None)}),
    ("scenario_define", {"spec": {"scenario_id": "half"}}),
    ("scenario_define", {"spec": scenario("another")}),
    ("scenarios_list", {**NAMESPACE, "limit": 1}),
    ("scenarios_list", {**NAMESPACE, "cursor": "another"}),
    ("scenarios_list", {**NAMESPACE, "cursor": "release", "limit": None}),
    ("scenarios_list", {**NAMESPACE, "limit": 0}),
    ("scenario_start", start()),
    ("scenario_start", start()),
    ("scenario_start", {**start(), "scenario_id": "none"}),
    ("scenario_start", start("run-2", scenario_id="another")),
    ("scenario_status", STATUS),
    ("scenario_next", step("t-1", 2)),
    ("scenario_next", step("t-1", 2, feedback="summary")),
    ("scenario_next", step("t-2", 3, feedback="evidence")),
    ("scenario_submit", submit({"notes": "done"})),
    ("scenario_submit", submit({"notes": "done"})),
    ("scenario_submit", submit({"notes": "other"})),
    ("scenario_trigger", trigger("t-3", 9)),
    ("scenario_trigger", trigger("t-3", 9)),
    ("scenario_trigger", trigger("t-4", 9, run_id="none")),
    ("scenario_trigger", trigger("t-4", 9, kind="tock")),
    ("scenario_trigger", trigger("t-5", 9)),
    ("scenario_trigger", trigger("t-6", 9)),
    ("scenario_status", STATUS),
    ("evidence_query", query("time", "after", params={"timestamp": 5})),
    ("evidence_query", query("env", "get", params={"key": "NO_SUCH_NAME"})),
    ("evidence_query", query("none", "get")),
    ("evidence_query", query("time", "after")),
    ("providers_list", {}),
    ("provider_contract_get", {"provider_id": "time"}),
    ("provider_contract_get", {"provider_id": "env"}),
    ("provider_contract_get", {"provider_id": "none"}),
    ("provider_contract_get", {"provider_id": " "}),
    ("provider_check_schema_get", {"provider_id": "time", "check_id": "after"}),
    ("provider_check_schema_get", {"provider_id": "time", "check_id": "none"}),
    ("provider_check_schema_get", {"provider_id": "time", "check_id": ""}),
    ("schemas_register", {"record": SHAPE_RECORD}),
    ("schemas_register", {"record": SHAPE_RECORD}),
    ("schemas_register", {"record": {**SHAPE_RECORD, "version": "v2", "schema": {"type": "no type"}}}),
    ("schemas_register", {"record": {**SHAPE_RECORD, "version": "v2", "signing": {"key_id": "k", "signature": "s"}}}),
    ("schemas_list", {**NAMESPACE, "limit": 1}),
    ("schemas_list", {**NAMESPACE, "cursor": '{"schema_id":"release","version":"v1"}'}),
    ("schemas_list", {**NAMESPACE, "cursor": '{"schema_id":"release","version":"v2"}'}),
    ("schemas_list", {**NAMESPACE, "cursor": "no cursor"}),
    ("schemas_list", {"tenant_id": 2, "namespace_id": 1}),
    ("schemas_get", {**NAMESPACE, "schema_id": "release", "version": "v1"}),
    ("schemas_get", {**NAMESPACE, "schema_id": "release", "version": "v9"}),
    ("precheck", precheck()),
    ("precheck", precheck(payload={"after": False}, stage_id="two")),
    ("precheck", precheck(payload={})),
    ("precheck", precheck(scenario_id=None)),
    ("precheck", precheck(data_shape={"schema_id": "none", "version": "v1"})),
    ("precheck", precheck(stage_id="none")),
    ("precheck", precheck(spec=scenario(default_tenant_id=2))),
    ("runpack_export", EXPORT),
    ("runpack_verify", {"runpack_dir": "packs", "manifest_path": "manifest.json"}),
    ("decision_gate_docs_search", {"query": "evidence"}),
    ("decision_gate_docs_search", {"query": "", "max_sections": 1}),
]


def prepared(folder: Path) -> Path:
    """A folder with the settings and the page of the conversation."""
    (folder / "pages").mkdir()
    (folder / "pages" / "releases.md").write_text(PAGE)
    (folder / "gates.toml").write_text(SETTINGS)
    return folder


def answers(folder: Path) -> list[tuple[str, Any, Any]]:
    """The conversation with the program as it is now."""
    with WireClient(prepared(folder), "--config", "gates.toml") as client:
        found = [(tool, arguments, client.call(tool, arguments)) for tool, arguments in CALLS]
        assert client.end() == (0, "")
    return found


if __name__ == "__main__":
    lines = [json.dumps([tool, answer]) for tool, _, answer in answers(Path(sys.argv[1]))]
    print("[\n" + ",\n".join(lines) + "\n]")
