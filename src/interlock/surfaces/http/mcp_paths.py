"""The path of MCP, and how the API describes it.

What it does: writes by hand what OpenAPI says of MCP over streamable HTTP: methods, headers, statuses and forms. What
it does not do: it answers nothing, and says nothing of the tools, which the protocol itself lists.

Rules: what is refused before the protocol is a problem, what the protocol refuses is its own error; where one status
has both, both forms stand here, and where it has none in some version, no form does. The path is there where the
library of MCP is installed, and described there alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, Final

from interlock.surfaces.http import answers
from interlock.surfaces.http.bodies import JSON
from interlock.surfaces.http.problems import MEDIA_TYPE

MCP_PATH: Final = "/mcp"
EVENTS: Final = "text/event-stream"
_LAST_WITH_SESSIONS: Final = "2025-11-25"
_FIRST_WITHOUT: Final = "2026-07-28"
_TEXT: Final = {"type": "string"}
_ID: Final = {"type": ["string", "integer", "null"]}
_MESSAGE: Final = {
    "type": "object",
    "required": ["jsonrpc", "method"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "id": {"type": ["string", "integer"]},
        "method": _TEXT,
        "params": {"type": "object"},
    },
}
_OPENING: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": _LAST_WITH_SESSIONS,
        "capabilities": {},
        "clientInfo": {"name": "desk", "version": "1"},
    },
}

MCP_SCHEMAS: Final[dict[str, Any]] = {
    "McpMessage": _MESSAGE,
    "McpResult": {
        "type": "object",
        "required": ["jsonrpc", "id", "result"],
        "properties": {"jsonrpc": {"const": "2.0"}, "id": _ID, "result": {"type": "object"}},
    },
    "McpError": {
        "type": "object",
        "required": ["jsonrpc", "id", "error"],
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": _ID,
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": {"type": "integer"}, "message": _TEXT, "data": {}},
            },
        },
    },
}
"""The messages of the protocol, as far as their form goes."""


def has_mcp() -> bool:
    """Whether the library of MCP is installed."""
    return find_spec("mcp") is not None


def mcp_paths() -> dict[str, Any]:
    """The path, as OpenAPI has it; none where the library is missing."""
    return {MCP_PATH: {"post": _post(), "get": _get(), "delete": _delete()}} if has_mcp() else {}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": _TEXT}


_SESSION: Final = _header(
    "Mcp-Session-Id",
    f"The session, as the answer to `initialize` named it; up to {_LAST_WITH_SESSIONS}, with every other message.",
)
_VERSION: Final = _header(
    "MCP-Protocol-Version", f"The version of the protocol; from {_FIRST_WITHOUT} on there are no sessions."
)
_ROUTING: Final = (
    _header("Mcp-Method", f"The method of the message once more; needed from {_FIRST_WITHOUT} on."),
    _header("Mcp-Name", f"The name that the message calls or reads once more; needed from {_FIRST_WITHOUT} on."),
)


def _answer(description: str, **content: Any) -> dict[str, Any]:
    named = {kind: {} if schema is None else {"schema": schema} for kind, schema in content.items()}
    return {"description": description, **({"content": named} if named else {})}


def _refused(statuses: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Refusals of the protocol, each with its error."""
    return {status: _answer(description, **{JSON: _ref("McpError")}) for status, description in statuses}


_PROBLEMS: Final = answers.problems((401, 403, 408, 413, 429))
"""What is refused before the protocol sees it: who asks, from where, and with how large a body."""

_EITHER: Final = {MEDIA_TYPE: _ref("Problem"), JSON: _ref("McpError")}
_COMMON: Final[dict[str, Any]] = {
    **_PROBLEMS,
    **_refused(
        [
            ("400", "No message, no session where one is needed, or no version that this server speaks."),
            ("404", "The session has ended, or is another principal's; or there is no such method."),
        ]
    ),
    "500": _answer("A fault of the program, or a session that ended before its answer.", **_EITHER),
    "503": {
        **_answer("Too much is under way, too many sessions are open, or the server is about to stop.", **_EITHER),
        "headers": answers.own_headers(503),
    },
}
_NOT_ACCEPTABLE: Final = _answer("`Accept` does not name what may be answered.")
_NO_SESSIONS: Final = {
    **_answer(f"From {_FIRST_WITHOUT} on only `POST` is there."),
    "headers": {"Allow": {"schema": _TEXT}},
}


def _operation(name: str, summary: str, parameters: list[dict[str, Any]], responses: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "tags": ["mcp"], "parameters": parameters, "responses": responses}


def _post() -> dict[str, Any]:
    answered = _answer(
        "What the message is answered with; a tool is called under its own permission.",
        **{JSON: {"anyOf": [_ref("McpResult"), _ref("McpError")]}, EVENTS: None},
    )
    session = {"Mcp-Session-Id": {"description": "The session that was opened.", "schema": _TEXT}}
    return {
        **_operation(
            "mcp.send",
            f"Send a message of MCP; `Accept` names `{JSON}` and `{EVENTS}`.",
            [_VERSION, _SESSION, *_ROUTING],
            {
                "200": {**answered, "headers": session},
                "202": _answer("A notification, or an answer to the server, was taken."),
                **_COMMON,
                "406": _NOT_ACCEPTABLE,
                **answers.problems([415]),
            },
        ),
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": _ref("McpMessage"), "example": _OPENING}},
        },
    }


def _get() -> dict[str, Any]:
    return _operation(
        "mcp.listen",
        f"Hear what the server says of itself in a session; `Accept` names `{EVENTS}`.",
        [_VERSION, _SESSION],
        {
            "200": _answer("Messages, until one side ends.", **{EVENTS: None}),
            **_COMMON,
            "405": _NO_SESSIONS,
            "406": _NOT_ACCEPTABLE,
            **_refused([("409", "The session is listened to already.")]),
        },
    )


def _delete() -> dict[str, Any]:
    return _operation(
        "mcp.end",
        "End a session.",
        [_VERSION, _SESSION],
        {"200": _answer("It has ended."), **_COMMON, "405": _NO_SESSIONS},
    )
