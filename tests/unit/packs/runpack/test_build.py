"""The bytes of a runpack, against bytes that are made here by other means."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.gates.evidence.config import AnchorRequirement
from interlock.gates.records import RunState
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import Logical, UnixMillis, converted
from interlock.packs.runpack.build import Wish, built
from interlock.packs.runpack.model import FULL, Security
from interlock.testing.loop import run
from tests.unit.gates.redecide.lives import Life, Told, long_life

ONE = {"kind": "logical", "value": 1}
TWO = {"kind": "logical", "value": 2}


def digest(content: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()}


def jcs(value: Any) -> bytes:
    return rfc8785.dumps(value)


def jcs_digest(value: Any) -> dict[str, str]:
    return digest(jcs(value))


SPEC: dict[str, Any] = {
    "scenario_id": "ship",
    "namespace_id": 4,
    "spec_version": "1",
    "default_tenant_id": 3,
    "policies": [],
    "schemas": [{"schema_id": "s", "version": None, "uri": None}],
    "conditions": [
        {
            "condition_id": "ready",
            "query": {"provider_id": "env", "check_id": "get", "params": {"key": "R\u00c9ADY", "n": 1.0, "at": 1e21}},
            "comparator": "equals",
            "expected": None,
            "policy_tags": [],
        },
        {
            "condition_id": "after",
            "query": {"provider_id": "time", "check_id": "after", "params": {"timestamp": 0}},
            "comparator": "equals",
            "expected": True,
            "policy_tags": ["t"],
            "trust": {"min_lane": "asserted"},
        },
    ],
    "stages": [
        {
            "stage_id": "one",
            "entry_packets": [
                {
                    "packet_id": "p",
                    "schema_id": "s",
                    "content_type": "application/json",
                    "visibility_labels": ["public"],
                    "policy_tags": [],
                    "expiry": None,
                    "payload": {"kind": "json", "value": {"\U0001f600": 1, "\ufb33": 2, "hello": "world"}},
                }
            ],
            "gates": [{"gate_id": "g", "requirement": {"Or": [{"Condition": "ready"}, {"Condition": "after"}]}}],
            "advance_to": {"kind": "terminal"},
            "timeout": {"timeout_ms": 9, "policy_tags": []},
            "on_timeout": "fail",
        }
    ],
}
INIT = {
    "trigger_id": "init",
    "tenant_id": 3,
    "namespace_id": 4,
    "run_id": "r/1",
    "kind": "external_event",
    "time": ONE,
    "source_id": "system",
    "payload": None,
    "correlation_id": None,
}
TRIGGER = {**INIT, "trigger_id": "t1", "time": TWO, "source_id": "ci", "correlation_id": "c"}
RESULT = {
    "value": {"kind": "json", "value": True},
    "lane": "verified",
    "error": None,
    "evidence_hash": digest(b"true"),
    "evidence_ref": None,
    "evidence_anchor": {"anchor_type": "trigger_time_logical", "anchor_value": "2"},
    "signature": None,
    "content_type": "application/json",
}
NOTHING = dict.fromkeys(RESULT) | {"lane": "verified"}
GATE = {
    "trigger_id": "t1",
    "stage_id": "one",
    "evaluation": {
        "gate_id": "g",
        "status": "True",
        "trace": [{"condition_id": "ready", "status": "Unknown"}, {"condition_id": "after", "status": "True"}],
    },
    "evidence": [
        {"condition_id": "after", "status": "True", "result": RESULT},
        {"condition_id": "ready", "status": "Unknown", "result": NOTHING},
    ],
}
START = {
    "decision_id": "decision-1",
    "seq": 1,
    "trigger_id": "init",
    "stage_id": "one",
    "decided_at": ONE,
    "outcome": {"kind": "start", "stage_id": "one"},
    "correlation_id": None,
}
END = {
    "decision_id": "decision-2",
    "seq": 2,
    "trigger_id": "t1",
    "stage_id": "one",
    "decided_at": TWO,
    "outcome": {"kind": "complete", "stage_id": "one"},
    "correlation_id": "c",
}
ENVELOPE = {
    "scenario_id": "ship",
    "run_id": "r/1",
    "stage_id": "one",
    "packet_id": "p",
    "schema_id": "s",
    "content_type": "application/json",
    "content_hash": jcs_digest({"\U0001f600": 1, "\ufb33": 2, "hello": "world"}),
    "visibility": {"labels": ["public"], "policy_tags": []},
    "issued_at": ONE,
    "expiry": None,
    "correlation_id": None,
}
TARGET = {"kind": "agent", "agent_id": "a1"}
PACKET = {
    "envelope": ENVELOPE,
    "payload": {"kind": "json", "value": {"\U0001f600": 1, "\ufb33": 2, "hello": "world"}},
    "receipts": [
        {
            "dispatch_id": "mcp-p",
            "target": TARGET,
            "receipt_hash": jcs_digest(ENVELOPE),
            "dispatched_at": ONE,
            "dispatcher": "mcp",
        }
    ],
    "decision_id": "decision-1",
}
SUBMISSION = {
    "submission_id": "s1",
    "run_id": "r/1",
    "payload": {"kind": "bytes", "bytes": [0, 255]},
    "content_type": "application/octet-stream",
    "content_hash": digest(b"\x00\xff"),
    "submitted_at": TWO,
    "correlation_id": None,
}
SUBMIT = {name: SUBMISSION[name] for name in SUBMISSION if name != "content_hash"} | {"tenant_id": 3, "namespace_id": 4}
CALLS = [
    {
        "call_id": "call-1",
        "method": "scenario.trigger",
        "request_hash": jcs_digest(TRIGGER),
        "response_hash": jcs_digest({"decision": END, "packets": [], "status": "completed"}),
        "called_at": TWO,
        "correlation_id": "c",
        "error": None,
    },
    {
        "call_id": "call-2",
        "method": "scenario.submit",
        "request_hash": jcs_digest(SUBMIT),
        "response_hash": jcs_digest({"record": SUBMISSION}),
        "called_at": TWO,
        "correlation_id": None,
        "error": None,
    },
]
LOGS: dict[str, list[dict[str, Any]]] = {
    "triggers": [{"seq": 1, "event": INIT}, {"seq": 2, "event": TRIGGER}],
    "gate_evals": [GATE],
    "decisions": [START, END],
    "packets": [PACKET],
    "submissions": [SUBMISSION],
    "tool_calls": CALLS,
}
KINDS = {
    "scenario_spec": "scenario_spec",
    "triggers": "trigger_log",
    "gate_evals": "gate_eval_log",
    "decisions": "decision_log",
    "packets": "packet_log",
    "submissions": "submission_log",
    "tool_calls": "tool_transcript",
    "verifier_report": "verifier_report",
}


def state_of() -> tuple[ScenarioSpec, RunState]:
    """The run as the product holds it."""
    state: Any = {
        "tenant_id": 3,
        "namespace_id": 4,
        "run_id": "r/1",
        "scenario_id": "ship",
        "spec_hash": jcs_digest(SPEC),
        "current_stage_id": "one",
        "stage_entered_at": ONE,
        "status": "completed",
        "dispatch_targets": [TARGET],
        **LOGS,
    }
    return converted(SPEC, ScenarioSpec), converted(state, RunState)


def manifest_of(names: list[str], contents: dict[str, bytes], **members: Any) -> dict[str, Any]:
    paths = [f"artifacts/{name}.json" for name in names]
    hashes = [{"path": path, "hash": digest(contents[path])} for path in paths]
    return {
        "manifest_version": "v1",
        "generated_at": {"kind": "unix_millis", "value": 1_700_000_000_000},
        "scenario_id": "ship",
        "tenant_id": 3,
        "namespace_id": 4,
        "run_id": "r/1",
        "spec_hash": jcs_digest(SPEC),
        "hash_algorithm": "sha256",
        "verifier_mode": "offline_strict",
        "integrity": {"file_hashes": hashes, "root_hash": jcs_digest(hashes)},
        "artifacts": [
            {
                "artifact_id": path,
                "kind": KINDS[name],
                "path": path,
                "content_type": "application/json",
                "hash": digest(contents[path]),
                "required": True,
            }
            for name, path in zip(names, paths, strict=True)
        ],
        **members,
    }


LEFT_OUT = ("artifacts", "hash_algorithm", "integrity", "spec_hash")
WISH = Wish(generated_at=UnixMillis(1_700_000_000_000))


def golden() -> dict[str, bytes]:
    values = {"scenario_spec": SPEC, **LOGS}
    return {f"artifacts/{name}.json": jcs(value) for name, value in values.items()}


def test_the_seven_files_and_the_manifest_are_these_bytes() -> None:
    contents = golden()
    found = built(*state_of(), WISH)

    assert list(found.files) == [*contents, "manifest.json"]
    for path, content in contents.items():
        assert found.files[path] == content, path
    assert found.files["manifest.json"] == jcs(manifest_of(list(KINDS)[:7], contents))
    assert found.report is None


def test_a_report_is_the_eighth_file_and_speaks_of_the_seven() -> None:
    contents = golden()
    report = {"status": "pass", "checked_files": 7, "errors": []}
    contents["artifacts/verifier_report.json"] = jcs(report)
    found = built(*state_of(), replace(WISH, report=True))

    assert list(found.files) == [*contents, "manifest.json"]
    assert found.files["artifacts/verifier_report.json"] == contents["artifacts/verifier_report.json"]
    assert found.files["manifest.json"] == jcs(manifest_of(list(KINDS), contents))


def test_anchors_and_settings_stand_in_the_manifest_only_where_there_are_some() -> None:
    anchors = [
        AnchorRequirement(provider_id="time", anchor_type="trigger_time_logical"),
        AnchorRequirement(provider_id="json", anchor_type="file", required_fields=("path",)),
    ]
    security = Security(dev_permissive=False, namespace_authority="dg_registry")
    found = built(*state_of(), replace(WISH, anchors=anchors, security=security, manifest_name="runpack.json"))

    manifest = json.loads(found.files["runpack.json"])
    assert manifest["anchor_policy"] == {
        "providers": [
            {"provider_id": "json", "requirement": {"anchor_type": "file", "required_fields": ["path"]}},
            {"provider_id": "time", "requirement": {"anchor_type": "trigger_time_logical", "required_fields": []}},
        ]
    }
    assert manifest["security"] == {"dev_permissive": False, "namespace_authority": "dg_registry"}


def test_the_files_of_a_full_export_stand_behind_the_seven_and_before_the_report() -> None:
    found = built(*state_of(), replace(WISH, report=True, full=b"pack"))
    manifest = json.loads(found.files["manifest.json"])
    head = {name: manifest[name] for name in manifest if name not in LEFT_OUT}

    assert found.files[FULL] == b"pack"
    assert found.files["artifacts/manifest_head.json"] == jcs(head)
    kinds = [each["kind"] for each in manifest["artifacts"]]
    assert kinds[6:] == ["tool_transcript", "custom", "custom", "verifier_report"]
    assert [each["required"] for each in manifest["artifacts"]][6:] == [True, False, False, True]
    assert json.loads(found.files["artifacts/verifier_report.json"])["checked_files"] == 9


def test_another_scenario_than_the_run_is_of_is_refused() -> None:
    spec, state = state_of()
    with pytest.raises(InterlockError) as caught:
        built(replace(spec, spec_version="2"), state, WISH)
    assert caught.value.code == "runpack_scenario_wrong"


def test_a_file_that_would_be_too_large_is_refused() -> None:
    with pytest.raises(InterlockError) as caught:
        built(*state_of(), replace(WISH, full=bytes(16 * 1024 * 1024 + 1)))
    assert caught.value.code == "runpack_too_large"


@settings(deadline=None, max_examples=20)
@given(st.lists(st.permutations(range(4)), min_size=1, max_size=4))
def test_no_order_in_which_evidence_arrives_shows_in_a_runpack(orders: list[list[int]]) -> None:
    async def lived(order: list[int]) -> dict[str, bytes]:
        told = Told()
        told.order = order
        life: Life = await long_life(told)
        return built(life.document, await life.state(), Wish(generated_at=Logical(10), report=True)).files

    async def main() -> None:
        first = await lived([0, 1, 2, 3])
        for order in orders:
            assert await lived(order) == first

    run(main())
