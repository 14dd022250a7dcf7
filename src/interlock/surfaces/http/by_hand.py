"""What stands beside the generated routes, as OpenAPI has it: written by hand, because no command stands behind it.

What it does: describes health, events in and out, the reference's wire, and the description itself. What it does not
do: it answers nothing. Content (`content_paths`) and MCP (`mcp_paths`) describe themselves.

Rules: a path is named by the module that answers it; who needs no credentials is said to need none; whatever can be
answered stands here, the wire's own errors too; an operation says which permission it needs (`x-permission`), the wire
which each of its tools does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from interlock.gates.control.turns import MutationStats
from interlock.surfaces import ingest
from interlock.surfaces.http import answers
from interlock.surfaces.http.bodies import JSON
from interlock.surfaces.http.health import Readiness
from interlock.surfaces.http.routes import PREFIX
from interlock.surfaces.mcp.wire.permissions import STATISTICS, WIRE_PERMISSIONS
from interlock.surfaces.sse import routes as sse

OPENAPI_PATH: Final = f"{PREFIX}/openapi.json"
STREAM_PATH: Final = f"{PREFIX}/events/stream"
_REF: Final = "#/components/schemas/{name}"
_OBJECT: Final = {"type": "object"}
_TEXT: Final = {"type": "string"}
_NOBODY: Final[dict[str, Any]] = {"security": []}
_LOOKED_AT: Final = (400, 401, 403, 429, 503)
_CALLED: Final = (*_LOOKED_AT, 408, 413, 415)

SCHEMAS: Final[dict[str, Any]] = {
    **msgspec.json.schema_components([Readiness, MutationStats], ref_template=_REF)[1],
    "WireError": {
        "type": "object",
        "required": ["jsonrpc", "id", "error"],
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {},
            "error": {
                "type": "object",
                "required": ["code", "message", "data"],
                "properties": {"code": {"type": "integer"}, "message": _TEXT, "data": _OBJECT},
            },
        },
    },
    "WireResult": {
        "type": "object",
        "required": ["jsonrpc", "id", "result"],
        "properties": {"jsonrpc": {"const": "2.0"}, "id": {}, "result": {}},
    },
}
"""The records that the paths name."""


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}


def _json(schema: object, description: str = "Done.") -> dict[str, Any]:
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _faults(statuses: Iterable[int]) -> dict[str, Any]:
    """Refusals in the form of the wire; a fault of the program is told as everywhere."""
    own = {
        str(each): {**_json(_ref("WireError"), "What went wrong."), "headers": answers.own_headers(each)}
        for each in sorted(statuses)
    }
    return own | answers.problems((500,))


def _query(name: str, description: str, *, repeated: bool = False) -> dict[str, Any]:
    schema = {"type": "array", "items": _TEXT} if repeated else _TEXT
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _operation(name: str, summary: str, tag: str, **more: Any) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "tags": [tag], **more}


_ALIVE: Final = {"type": "object", "required": ["alive"], "properties": {"alive": {"const": True}}}
_EVENT: Final = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {"specversion": {"const": "1.0"}, "id": _TEXT, "source": _TEXT, "type": _TEXT},
}
_EVENTS: Final = {
    "application/cloudevents+json": {"schema": _EVENT},
    "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _EVENT}},
}
_CALL: Final = {
    "type": "object",
    "required": ["jsonrpc", "id", "method"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "id": {},
        "method": {"type": "string", "examples": ["tools/list", "tools/call"]},
        "params": {},
    },
}


def _events_in(suffix: str) -> dict[str, Any]:
    return {
        "post": _operation(
            f"events.receive{suffix}",
            "Take CloudEvents: structured, in a batch, or binary.",
            "events",
            **{"x-permission": ingest.PERMISSION},
            requestBody={"required": True, "content": _EVENTS},
            responses={"202": {"description": "The events are durable."}}
            | answers.problems(answers.statuses(body=True)),
        ),
        "options": _operation(
            f"events.handshake{suffix}",
            "Whether a sender of webhooks may deliver here.",
            "events",
            responses={"200": {"description": "The headers say it."}},
            **_NOBODY,
        ),
    }


def _stream(suffix: str) -> dict[str, Any]:
    return _operation(
        f"events.stream{suffix}",
        "Follow what happens, as server-sent events.",
        "events",
        **{"x-permission": sse.PERMISSION},
        parameters=[
            _query("type", "Only events of this type, or of types that begin so.", repeated=True),
            _query("kind", "Only events of streams of this kind.", repeated=True),
            _query("stream", "Only events of this stream.", repeated=True),
            _query("after", "The id of the last event that was read."),
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "description": "The same, as browsers send it when they come back.",
                "schema": _TEXT,
            },
        ],
        responses={
            "200": {"description": "Events, until one side ends.", "content": {"text/event-stream": {}}},
            **answers.problems(answers.statuses()),
        },
    )


PATHS: Final[dict[str, Any]] = {
    "/healthz": {
        "get": _operation(
            "healthz", "Whether the server answers.", "health", responses={"200": _json(_ALIVE)}, **_NOBODY
        )
    },
    "/readyz": {
        "get": _operation(
            "readyz",
            "Whether store, writer, feed and timers are of use.",
            "health",
            responses={"200": _json(_ref("Readiness"), "Ready."), "503": _json(_ref("Readiness"), "Not ready.")},
            **_NOBODY,
        )
    },
    OPENAPI_PATH: {
        "get": _operation(
            "openapi",
            "This description.",
            "health",
            responses={
                "200": {**_json(_OBJECT), "headers": answers.headers("X-Request-Id")},
                **answers.problems(answers.ALWAYS),
            },
            **_NOBODY,
        )
    },
    ingest.PATH: _events_in(""),
    ingest.PATH.rstrip("/"): _events_in(".bare"),
    STREAM_PATH: {"get": _stream("")},
    **{path: {"get": _stream(".unversioned")} for path in sse.PATHS if path != STREAM_PATH},
    "/rpc": {
        "post": _operation(
            "rpc",
            "Call a tool of the reference's wire, JSON-RPC 2.0.",
            "wire",
            **{"x-permission": {name: row.permission for name, row in sorted(WIRE_PERMISSIONS.items())}},
            requestBody={"required": True, "content": {JSON: {"schema": _CALL}}},
            responses={
                "200": _json({"anyOf": [_ref("WireResult"), _ref("WireError")]}, "What the tool answers."),
                **_faults(_CALLED),
            },
        )
    },
    "/debug/mutation_stats": {
        "get": _operation(
            "debug.mutation_stats",
            "Figures of the turns of scenario runs: of the caller's tenant, or of all for the user of the machine.",
            "wire",
            **{"x-permission": STATISTICS.permission},
            responses={"200": _json(_ref("MutationStats")), **_faults(_LOOKED_AT)},
        )
    },
}
"""The paths, as OpenAPI has them."""
