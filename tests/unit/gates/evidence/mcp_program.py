"""A provider that speaks MCP, by the official SDK: over its input and output, or by HTTP at a given port.

Run as `python mcp_program.py`, or with a port.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from mcp.server.mcpserver import MCPServer
from typing_extensions import TypedDict

SERVER = MCPServer("scans")


class Evidence(TypedDict):
    """A result of evidence, with a structure."""

    value: dict[str, Any] | None
    lane: str


@SERVER.tool()
def evidence_query(query: dict[str, Any], context: dict[str, Any]) -> Evidence:
    """What the params ask for."""
    params = query.get("params") or {}
    if params.get("say") == "ends":
        os._exit(1)
    if params.get("say") == "error":
        raise ValueError("the secret")
    if params.get("say") == "no evidence":
        return {"value": {"kind": "nothing"}, "lane": "verified"}
    given = context["run_id"] if params.get("say") == "context" else params.get("value")
    return {"value": {"kind": "json", "value": given}, "lane": params.get("lane", "verified")}


def textual() -> None:
    """Let the tool answer with text alone."""
    SERVER.remove_tool("evidence_query")

    @SERVER.tool(name="evidence_query", structured_output=False)
    def text_query(query: dict[str, Any], context: dict[str, Any]) -> Any:
        del context
        params = query.get("params") or {}
        if params.get("say") == "nothing":
            return []
        if params.get("say") == "words":
            return "words"
        return json.dumps({"value": {"kind": "json", "value": params.get("value")}, "lane": "asserted"})


if __name__ == "__main__":
    if "text" in sys.argv:
        textual()
    if sys.argv[-1].isdigit():
        SERVER.run("streamable-http", host="127.0.0.1", port=int(sys.argv[-1]))
    else:
        SERVER.run()
