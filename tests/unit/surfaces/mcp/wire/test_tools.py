"""Tools of the wire whose services are another part's, and limits that a session of the product does not meet."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from interlock.app import App
from interlock.base.principal import Principal, local_principal
from interlock.gates.showing import DiscoverySettings, DocsSettings
from interlock.gates.values import plain
from interlock.parts import PARTS, sections_of
from interlock.settings import load
from interlock.surfaces.mcp.search import Library
from interlock.surfaces.mcp.wire.documents import WireDocuments
from interlock.surfaces.mcp.wire.requests import ExportRunpack, VerifyRunpack
from interlock.surfaces.mcp.wire.rpc import Rpc
from interlock.surfaces.mcp.wire.services import wire_services
from interlock.surfaces.mcp.wire.tools import WireTools
from tests.unit.gates.control.test_asserted import document

DOCUMENTS = WireDocuments(Library([]), DocsSettings())
RUN = {"scenario_id": "s", "tenant_id": 1, "namespace_id": 2, "run_id": "r"}


class Written:
    """A port of runpacks that says what it was asked."""

    async def export(self, request: ExportRunpack, /, *, principal: Principal) -> Any:
        return {"manifest": plain(request), "report": None, "by": principal.id}

    async def verify(self, request: VerifyRunpack, /, *, principal: Principal) -> Any:
        return {"report": {"status": "pass"}, "status": "pass", "given": plain(request), "by": principal.id}


def session(*calls: tuple[str, Any], **gates: Any) -> list[Any]:
    """What each tool answers, or its error."""

    async def asked() -> list[Any]:
        settings = load(sections_of(PARTS), arguments={"gates": gates})
        async with App.open(settings=settings) as app:
            services = replace(wire_services(app, DOCUMENTS, local_principal("ada")), runpacks=Written())
            rpc = Rpc(WireTools(services), DOCUMENTS)
            return [await _answer(rpc, {"name": tool, "arguments": arguments}) for tool, arguments in calls]

    return asyncio.run(asked())


async def _answer(rpc: Rpc, params: Any) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    response = json.loads((await rpc.answer(json.dumps(request).encode())).body)
    return response["error"] if "error" in response else response["result"]["content"][0]["json"]


def call(tool: str, arguments: Any, **gates: Any) -> Any:
    """What one tool answers, or its error."""
    [answer] = session((tool, arguments), **gates)
    return answer


def test_runpacks_are_asked_for_as_the_contract_has_it() -> None:
    asked = {**RUN, "generated_at": {"kind": "unix_millis", "value": -1}, "include_verification": False}
    optional = {"output_dir": "packs", "manifest_name": "manifest.json"}
    for given in (asked, {**asked, **optional}):
        expected = {"output_dir": None, "manifest_name": None, **given}
        assert call("runpack_export", given) == {"manifest": expected, "report": None, "by": "local:ada"}
    place = {"runpack_dir": "packs", "manifest_path": "manifest.json"}
    assert call("runpack_verify", place)["given"] == place


@pytest.mark.parametrize(("tool", "arguments"), [("runpack_export", RUN), ("runpack_verify", {})])
def test_a_request_for_runpacks_with_a_missing_member_is_refused(tool: str, arguments: Any) -> None:
    assert call(tool, arguments)["code"] == -32602


def test_a_run_of_the_default_namespace_is_exported_only_for_who_may_use_it() -> None:
    asked = {**RUN, "namespace_id": 1, "generated_at": {"kind": "logical", "value": 1}, "include_verification": True}
    assert call("runpack_export", asked)["code"] == -32003


def test_a_contract_that_is_too_large_to_be_shown_is_an_error() -> None:
    error = call("provider_contract_get", {"provider_id": "time"}, provider_discovery={"max_response_bytes": 100})
    assert (error["code"], error["data"]["kind"]) == (-32070, "request_too_large")
    assert error["message"].startswith("provider discovery response exceeds size limit (")


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (DiscoverySettings(), True),
        (DiscoverySettings(allowlist=("time",)), True),
        (DiscoverySettings(allowlist=("env",)), False),
        (DiscoverySettings(allowlist=("time",), denylist=("time",)), False),
    ],
)
def test_contracts_are_shown_of_what_is_listed_and_not_denied(settings: DiscoverySettings, shown: bool) -> None:
    assert settings.shows("time") == shown
    answer = call("provider_contract_get", {"provider_id": "time"}, provider_discovery=plain(settings))
    assert ("contract" in answer) == shown


def evidence_told(at: int, **disclosure: Any) -> dict[str, Any]:
    """The one record of evidence that is told beside the decision of a trigger."""
    time = {"kind": "logical", "value": at}
    config = {**RUN, "dispatch_targets": [], "policy_tags": []}
    step = {**RUN, "trigger_id": "t", "agent_id": "a", "time": time}
    *_, answer = session(
        ("scenario_define", {"spec": document()}),
        (
            "scenario_start",
            {"scenario_id": "s", "run_config": config, "started_at": time, "issue_entry_packets": False},
        ),
        ("scenario_next", {"scenario_id": "s", "request": step, "feedback": "evidence"}),
        evidence=disclosure,
        feedback={"scenario_next": {"max": "evidence", "evidence_subjects": ["stdio"]}},
        providers=[{"name": "time", "type": "builtin", "config": {"allow_logical": at != 13}}],
    )
    [gate] = answer["feedback"]["gate_records"]
    [record] = gate["evidence"]
    found: dict[str, Any] = record
    return found


def test_raw_values_of_evidence_are_told_only_where_they_are_disclosed() -> None:
    hidden, shown = evidence_told(9), evidence_told(9, allow_raw_values=True, require_provider_opt_in=False)
    assert (hidden["status"], hidden["result"]["value"], hidden["result"]["content_type"]) == ("True", None, None)
    assert (shown["status"], shown["result"]["value"]) == ("True", {"kind": "json", "value": True})
    assert hidden["result"]["evidence_hash"] == shown["result"]["evidence_hash"] is not None
    assert evidence_told(9, allow_raw_values=True)["result"]["value"] is None


def test_of_evidence_that_is_an_error_neither_value_nor_hash_is_told() -> None:
    record = evidence_told(13, allow_raw_values=True, require_provider_opt_in=False)
    assert record["status"] == "Unknown"
    assert record["result"]["error"] is not None
    assert [record["result"][name] for name in ("value", "content_type", "evidence_hash")] == [None] * 3
