"""The paths of content, and how the API describes them.

What it does: writes by hand what OpenAPI says of artifacts and packs. What it does not do: it answers nothing.

Rule: parameters and statuses are those that `content` reads and gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from interlock.base.bounds import COMMAND_ID_CHARACTERS_MAX
from interlock.engine.attachments import FILE_NAME_CHARACTERS_MAX, KIND, KIND_CHARACTERS_MAX, MEDIA_TYPE
from interlock.engine.control.attach_command import PERMISSION, Attached
from interlock.packs.commands import Verification
from interlock.surfaces.http import answers
from interlock.surfaces.http.routes import PREFIX

ARTIFACTS: Final = f"{PREFIX}/runs/{{run}}/artifacts"
ARTIFACT: Final = f"{ARTIFACTS}/{{id}}/content"
RUN_PACK: Final = f"{PREFIX}/runs/{{run}}/pack"
SCENARIO_PACK: Final = f"{PREFIX}/scenario-runs/{{scenario}}/{{run}}/pack"
VERIFY: Final = f"{PREFIX}/packs/verify"
LABEL_MAX: Final = 10**15 - 1
SEQ_MAX: Final = 2**53 - 1
_BYTES: Final = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
_DISPOSITION: Final = {"Content-Disposition": {"description": "A name for the file.", "schema": {"type": "string"}}}


def content_paths() -> dict[str, Any]:
    """The paths, as OpenAPI has them."""
    return {
        ARTIFACTS: {"post": _attach()},
        ARTIFACT: {
            "get": _sent(
                "artifacts.content",
                "The bytes of an artifact of a run.",
                [*_texts("run", "id"), _parameter("seq", {"type": "integer", "minimum": 1, "maximum": SEQ_MAX})],
            )
        },
        RUN_PACK: {
            "get": _sent(
                "packs.download",
                "A run with all that proves it, as one file.",
                [*_texts("run"), _query("contract", "boolean"), _query("without_children", "boolean")],
            )
        },
        SCENARIO_PACK: {
            "get": _sent(
                "packs.download_scenario_run",
                "A scenario's run with all that proves it, as one file.",
                [*_texts("scenario", "run"), _query("tenant", "integer"), _query("namespace", "integer")],
            )
        },
        VERIFY: {"post": _verify()},
    }


def _sent(operation: str, summary: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    headers = answers.headers("X-Request-Id", "ETag") | _DISPOSITION
    found = {"200": {"description": "The bytes.", "content": _BYTES, "headers": headers}, **answers.unchanged()}
    refusals = answers.statuses(named=True)
    return _operation(operation, summary, "run.read", [*parameters, answers.if_none_match()], found, refusals)


def _verify() -> dict[str, Any]:
    _, definitions = msgspec.json.schema_components([Verification])
    proved = {
        "description": "What was proved.",
        "headers": answers.headers("X-Request-Id"),
        "content": {"application/json": {"schema": _inlined(definitions)}},
    }
    refusals = answers.statuses(body=True)
    found = _operation("packs.verify", "Prove a pack that is uploaded.", "pack.verify", [], {"200": proved}, refusals)
    return {**found, "requestBody": {"required": True, "content": _BYTES}}


def _attach() -> dict[str, Any]:
    _, definitions = msgspec.json.schema_components([Attached])
    ok = {
        "description": "It is attached.",
        "content": {"application/json": {"schema": definitions[Attached.__name__]}},
        "headers": answers.headers("X-Request-Id", "ETag", "Location"),
    }
    refusals = answers.statuses(carried_out=True, named=True, body=True)
    parameters = [
        *_texts("run"),
        _parameter("name", {"type": "string", "minLength": 1, "maxLength": FILE_NAME_CHARACTERS_MAX}, required=True),
        _parameter("kind", {"type": "string", "minLength": 1, "maxLength": KIND_CHARACTERS_MAX, "default": KIND}),
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": COMMAND_ID_CHARACTERS_MAX},
        },
    ]
    found = _operation("artifacts.attach", "Attach a file to a run.", PERMISSION, parameters, {"201": ok}, refusals)
    return {**found, "requestBody": {"required": True, "content": {**_BYTES, "*/*": _BYTES[MEDIA_TYPE]}}}


def _inlined(definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a verification with every record in its place: none of them holds itself."""

    def placed(value: Any) -> Any:
        if isinstance(value, list):
            return [placed(each) for each in value]
        if not isinstance(value, dict):
            return value
        if isinstance(reference := value.get("$ref"), str):
            return placed(definitions[reference.rpartition("/")[2]])
        return {key: placed(each) for key, each in value.items()}

    found: dict[str, Any] = placed(definitions[Verification.__name__])
    return found


def _operation(
    name: str,
    summary: str,
    permission: str,
    parameters: list[dict[str, Any]],
    found: Mapping[str, Any],
    refusals: Iterable[int],
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "tags": [name.partition(".")[0]],
        "x-permission": permission,
        "parameters": parameters,
        "responses": {**found, **answers.problems(refusals)},
    }


def _texts(*names: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names
    ]


def _parameter(name: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _query(name: str, kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": kind, "default": False}
    if kind == "integer":
        schema = {"type": kind, "minimum": 1, "maximum": LABEL_MAX, "default": 1}
    return _parameter(name, schema)
