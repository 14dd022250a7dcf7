"""The description of the API: OpenAPI 3.1, made of the catalogue, and for what stands beside it of `by_hand`.

What it does: writes operations, parameters, bodies, answers, problems and examples of every route. What it does not do:
it serves nothing.

Rules: schemas are those by which inputs are checked and outputs are written; an example is the one of the command line,
read as the command line reads it, and left out where a needed member stands in a file; each operation lists the
statuses that it can answer (`answers`), and no other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

import interlock
from interlock.base.part import Command, Effect
from interlock.engine.document.schema import plain_patterns
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.http import answers, by_hand
from interlock.surfaces.http.bodies import JSON
from interlock.surfaces.http.content_paths import content_paths
from interlock.surfaces.http.made import ACCEPTED, DETACH, DONE, MADE, statuses_of
from interlock.surfaces.http.mcp_paths import MCP_SCHEMAS, mcp_paths
from interlock.surfaces.http.routes import PREFIX, Route, Routes
from interlock.surfaces.http.tags import expects_version
from interlock.surfaces.members import Kind, Member, members_of

VERSION: Final = "3.1.1"
CURSOR: Final = "cursor"
Example = Callable[[Command], Mapping[str, Any]]
_SAID: Final = {
    DONE: "Done.",
    MADE: "Made, and durable.",
    ACCEPTED: "Begun, and durable: it goes on behind this answer, and `Location` says where to look at it.",
}


def describe(routes: Routes, example: Example) -> dict[str, Any]:
    """The document."""
    schemas: dict[str, Any] = {"Problem": dict(answers.PROBLEM), **by_hand.SCHEMAS, **MCP_SCHEMAS}
    paths: dict[str, Any] = copy.deepcopy({**by_hand.PATHS, **content_paths(), **mcp_paths()})
    showing = {_collection(route) for route in routes.by_name.values() if _shows_one(route)}
    for route in routes.by_name.values():
        operation = _operation(route, example(route.command), schemas, has_place=_collection(route) in showing)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": VERSION,
        "info": {"title": "Interlock", "version": interlock.__version__, "summary": "Runs that must not go wrong."},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            **answers.components(),
        },
    }


def _collection(route: Route) -> str:
    return route.path.removeprefix(PREFIX).split("/")[1]


def _shows_one(route: Route) -> bool:
    """Whether a route shows one thing of its collection: where what is made can be looked at."""
    return route.method == "GET" and bool(route.keys) and route.path.endswith("}")


def _operation(route: Route, example: Mapping[str, Any], schemas: dict[str, Any], *, has_place: bool) -> dict[str, Any]:
    command = route.command
    given = _taken(Catalogue.input_schema(command), schemas, command.noun)
    properties = given.get("properties", {})
    members = [each for each in members_of(command.input) if each.name != DETACH]
    operation: dict[str, Any] = {
        "operationId": command.name,
        "summary": command.summary,
        "tags": [_collection(route)],
        "x-permission": command.permission,
        "parameters": [_parameter(route, each, properties, example) for each in members if _in_address(route, each)],
        "responses": _responses(route, schemas, has_place=has_place),
    }
    operation["parameters"] += _headers_taken(route)
    if route.body:
        names = [each.name for each in members if each.name not in route.keys]
        needed = [name for name in given.get("required", []) if name in names]
        schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: properties[name] for name in names},
            "required": needed,
        }
        shown = {name: value for name, value in example.items() if name in names}
        whole = {"example": shown} if set(needed) <= set(shown) else {}
        operation["requestBody"] = {
            "required": bool(needed),
            "content": {JSON: {"schema": schema, **whole}},
        }
    return operation


def _in_address(route: Route, member: Member) -> bool:
    return member.name in route.keys or not route.body


def _parameter(
    route: Route, member: Member, properties: Mapping[str, Any], example: Mapping[str, Any]
) -> dict[str, Any]:
    in_path = member.name in route.keys
    found: dict[str, Any] = {
        "name": member.name,
        "in": "path" if in_path else "query",
        "required": in_path or member.required,
    }
    schema = _without_null(properties[member.name])
    if member.kind is Kind.JSON and not in_path:
        found["content"] = {JSON: {"schema": schema}}
    else:
        found["schema"] = {**schema, "minLength": max(1, schema.get("minLength", 1))} if in_path else schema
    if member.description:
        found["description"] = member.description
    if member.name in example and "content" not in found:
        found["example"] = example[member.name]
    return found


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a value that is given: in an address there is no null."""
    found = {name: value for name, value in schema.items() if name != "default" or value is not None}
    options = [each for each in found.get("anyOf", []) if each != {"type": "null"}]
    if "anyOf" in found and len(options) == 1:
        del found["anyOf"]
        found |= options[0]
    return found


_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request under the same key takes effect once; another one under it is refused.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
}


def _headers_taken(route: Route) -> list[dict[str, Any]]:
    """The parameters of the protocol."""
    found = [answers.if_none_match()] if route.method == "GET" else []
    if route.command.effect is not Effect.READS:
        found.append(dict(_IDEMPOTENCY_KEY))
    if expects_version(route.command):
        found.append(answers.if_match())
    return found


def _responses(route: Route, schemas: dict[str, Any], *, has_place: bool) -> dict[str, Any]:
    output = _taken(Catalogue.output_schema(route.command), schemas, route.command.noun)["$id"]
    content = {JSON: {"schema": _ref(output)}}
    found: dict[str, Any] = {}
    for status in statuses_of(route):
        names = ["X-Request-Id", *(["ETag"] if route.method == "GET" else [])]
        if has_place and status != DONE:
            names.append("Location")
        found[str(status)] = {
            "description": _SAID[status],
            "headers": answers.headers(*names),
            "content": content,
        }
    if route.method == "GET":
        found |= answers.unchanged()
    return found | answers.problems(_refusals(route))


def _refusals(route: Route) -> list[int]:
    carried_out = route.command.effect is not Effect.READS or route.body
    named = carried_out or any(
        each.kind is Kind.TEXT and each.name != CURSOR for each in members_of(route.command.input)
    )
    found = answers.statuses(carried_out=carried_out, named=named, body=route.body)
    return sorted({*found, *([412] if expects_version(route.command) else [])})


def _taken(schema: Mapping[str, Any], schemas: dict[str, Any], noun: str) -> dict[str, Any]:
    """The top record of a schema, its definitions taken into the components: under their names, or behind the noun's.

    Two parts may have a record of one name.
    """
    plain = plain_patterns(copy.deepcopy(dict(schema)))
    definitions: dict[str, Any] = plain.get("$defs", {})
    own = {name: _moved(each, {}) for name, each in definitions.items()}
    names = {name: name if schemas.get(name, own[name]) == own[name] else f"{noun}.{name}" for name in definitions}
    for name, each in definitions.items():
        schemas[names[name]] = _moved(each, names)
    top = plain["$ref"].rpartition("/")[2]
    found: dict[str, Any] = {**schemas[names[top]], "$id": names[top]}
    return found


def _moved(value: Any, names: Mapping[str, str]) -> Any:
    """The schema with its definitions named as the components have them."""
    if isinstance(value, list):
        return [_moved(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: _moved(each, names) for key, each in value.items()}
    if isinstance(reference := found.get("$ref"), str):
        name = reference.rpartition("/")[2]
        found["$ref"] = f"#/components/schemas/{names.get(name, name)}"
    return found


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def encoded(document: Mapping[str, Any]) -> bytes:
    """The document as it is sent."""
    return msgspec.json.encode(document)


def permissions(routes: Iterable[Route]) -> dict[str, str]:
    """Which permission each operation needs, by method and path."""
    return {f"{route.method} {route.path}": route.command.permission for route in routes}
