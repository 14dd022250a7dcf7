"""The table of the reference's eighteen tools.

What it does: says of each tool its name, what it is for, what it is asked, whose error an unnamed one is, and what
answers it; makes their definitions; calls them. What it does not do: it knows no JSON-RPC.

Rules (seed 000): the names and their order are the contract's; the schema of a tool's input is made from the record
that reads it, so that the two cannot disagree; a tool that is switched off is unknown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from interlock.gates.control.asserted import PrecheckRequest
from interlock.gates.scenario.schema import requirement_hook, requirement_schema
from interlock.gates.values import converted
from interlock.surfaces.errors import MCP_TOOL_NOT_PERMITTED
from interlock.surfaces.mcp.schemas import rooted
from interlock.surfaces.mcp.wire import registry, scenarios
from interlock.surfaces.mcp.wire import requests as r
from interlock.surfaces.mcp.wire.faults import Kind
from interlock.surfaces.mcp.wire.permissions import Where, namespace_of
from interlock.surfaces.mcp.wire.services import WireServices

_KEPT = "The payload is kept and exported exactly as it is given: put no secret into it."


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: `fault` is the kind of its errors that no table names, `contracts` whether it holds input to them."""

    name: str
    description: str
    asked: type[Struct]
    fault: Kind
    answer: Callable[[WireServices, Any], Awaitable[Any]]
    contracts: bool = False


TOOLS: tuple[Tool, ...] = (
    Tool(
        "scenario_define",
        "Define a scenario: it is validated, kept under its id, and never changes.",
        r.DefineScenario,
        "control_plane",
        scenarios.define,
        contracts=True,
    ),
    Tool(
        "scenario_start",
        "Start a run of a scenario in its first stage; gives the whole run.",
        r.StartScenario,
        "control_plane",
        scenarios.start,
    ),
    Tool(
        "scenario_status",
        "Say how a run stands, and what it holds at; the question is recorded in the run.",
        r.ScenarioStatusCall,
        "control_plane",
        scenarios.status,
    ),
    Tool(
        "scenario_next",
        "Ask as an agent to go on: the stage's gates are evaluated, and a decision is recorded.",
        r.ScenarioNextCall,
        "control_plane",
        scenarios.next_step,
    ),
    Tool(
        "scenario_submit",
        f"Hand something in to a run; no gate changes by it. {_KEPT}",
        r.ScenarioSubmitCall,
        "control_plane",
        scenarios.submit,
    ),
    Tool(
        "scenario_trigger",
        f"Tell a run that something happened: its gates are evaluated, and a decision is recorded. {_KEPT}",
        r.ScenarioTriggerCall,
        "control_plane",
        scenarios.trigger,
    ),
    Tool(
        "evidence_query",
        "Ask a provider for evidence; raw values are shown only where the configuration says so.",
        r.QueryEvidence,
        "evidence",
        registry.query,
        contracts=True,
    ),
    Tool(
        "runpack_export",
        "Write a run as a folder of files that can be verified offline.",
        r.ExportRunpack,
        "runpack",
        registry.export,
    ),
    Tool(
        "runpack_verify",
        "Verify a folder that was exported: its hashes, and every decision anew.",
        r.VerifyRunpack,
        "runpack",
        registry.verify,
    ),
    Tool("providers_list", "List the evidence providers and their checks.", r.Nothing, "internal", registry.providers),
    Tool(
        "provider_contract_get",
        "Show the contract of a provider, with its hash.",
        r.ProviderCall,
        "invalid_params",
        registry.contract,
        contracts=True,
    ),
    Tool(
        "provider_check_schema_get",
        "Show what a check takes and gives, and which comparators it allows.",
        r.CheckCall,
        "invalid_params",
        registry.check_schema,
        contracts=True,
    ),
    Tool(
        "schemas_register",
        "Register a data shape: a JSON Schema under an id and a version, which never changes.",
        r.RegisterSchema,
        "invalid_params",
        registry.register,
    ),
    Tool("schemas_list", "List the data shapes of a namespace.", r.ListCall, "invalid_params", registry.shapes),
    Tool("schemas_get", "Show a data shape.", r.SchemaCall, "invalid_params", registry.shape),
    Tool(
        "scenarios_list",
        "List the scenarios of a namespace that a tenant may use.",
        r.ListCall,
        "invalid_params",
        scenarios.listed,
    ),
    Tool(
        "precheck",
        "Say what a stage would come to if the given data were true; nothing is recorded.",
        PrecheckRequest,
        "control_plane",
        scenarios.precheck,
        contracts=True,
    ),
    Tool(
        "decision_gate_docs_search",
        "Search the documentation for the sections that answer a question.",
        r.SearchDocs,
        "internal",
        registry.search,
    ),
)
DOCS_SEARCH = TOOLS[-1]


async def unheard(_name: str) -> None:
    """Nobody wants to know of a refusal."""


class WireTools:
    """The tools of one session."""

    def __init__(
        self,
        services: WireServices,
        tools: tuple[Tool, ...] = TOOLS,
        may: Callable[[str, Where], bool] = lambda _name, _where: True,
        refused: Callable[[str], Awaitable[None]] = unheard,
    ) -> None:
        self._services = services
        self._may = may
        self._refused = refused
        self._tools = {tool.name: tool for tool in tools if tool is not DOCS_SEARCH or services.documents.has_search}

    def listed(self) -> list[dict[str, Any]]:
        """The definition of every tool."""
        return [
            {"name": tool.name, "description": tool.description, "input_schema": input_schema(tool)}
            for tool in self._tools.values()
        ]

    def get(self, name: str) -> Tool | None:
        """The tool of that name; None where there is none, or it is switched off."""
        return self._tools.get(name)

    async def call(self, tool: Tool, arguments: Any) -> Any:
        """What a tool answers.

        Raises: `mcp_tool_not_permitted`, `gate_input_invalid`, and what the tool's service raises.
        """
        await self._check(tool, "somewhere")
        asked = converted(arguments, tool.asked)
        await self._check(tool, namespace_of(asked))
        return await tool.answer(self._services, asked)

    async def _check(self, tool: Tool, where: Where) -> None:
        if not self._may(tool.name, where):
            await self._refused(tool.name)
            raise MCP_TOOL_NOT_PERMITTED.error(f"{tool.name} is not permitted")


@lru_cache(maxsize=len(TOOLS) * 2)
def input_schema(tool: Tool) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments."""
    schema = rooted(msgspec.json.schema(tool.asked, schema_hook=requirement_hook))
    if "GateSpec" in schema.get("$defs", {}):
        schema["$defs"]["Requirement"] = requirement_schema()
    return schema
