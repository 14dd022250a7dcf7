"""The provider `json`: values of JSON and YAML files under one folder.

What it does: reads a file, and selects of it by JSONPath (RFC 9535). What it does not do: it writes nothing, and reads
nothing that is not under the folder.

Rules (seed 000): one match is its value, several are a list, none is an error; the parser is chosen by the file's name;
files, paths and what is selected are bounded. Evidence is as old as the last change of its file.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct

from interlock.base.canonical import Json, canonical, parse
from interlock.base.errors import InterlockError
from interlock.engine.document.findings import Findings
from interlock.engine.document.reading_yaml import read_yaml
from interlock.engine.document.tree import plain
from interlock.gates.evidence.port import Answered
from interlock.gates.evidence.providers.answers import APPLICATION_JSON, call_made
from interlock.gates.evidence.providers.rooted import FileFault, Found, read_file, real_path
from interlock.gates.evidence.records import (
    EvidenceAnchor,
    EvidenceContext,
    EvidenceError,
    EvidenceRef,
    EvidenceResult,
    failed,
)
from interlock.gates.spec import EvidenceQuery
from interlock.gates.values import JsonValue

_YAML_SUFFIXES: Final = (".yaml", ".yml")
_APPLICATION_YAML: Final = "application/yaml"


class JsonConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `json` is configured: the folder, what it is called, and the limits."""

    root: Annotated[str, Meta(min_length=1, max_length=4096)]
    root_id: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9_-]{0,63}\Z")]
    max_bytes: Annotated[int, Meta(ge=1, le=16 * 1024 * 1024)] = 1_048_576
    allow_yaml: bool = True


class JsonParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which file, and what of it."""

    file: str
    jsonpath: str | None = None


class JsonProvider:
    """Answers from files under a folder."""

    def __init__(self, config: JsonConfig) -> None:
        self._config = config

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> Answered:
        """As `EvidenceProvider.query`."""
        del context, tenant
        try:
            params = _params(query)
            return await asyncio.to_thread(self._answer, params)
        except FileFault as fault:
            return Answered(failed(fault.code, fault.message))

    async def close(self) -> None:
        """Nothing is held."""

    def _answer(self, params: JsonParams) -> Answered:
        config = self._config
        path = real_path(config.root, params.file)
        place: dict[str, Json] = {"path": path, "root_id": config.root_id}
        known = EvidenceResult(
            evidence_ref=EvidenceRef(f"dg+file://{config.root_id}/{path}"),
            evidence_anchor=EvidenceAnchor("file_path_rooted", canonical(place).decode()),
        )
        try:
            found = read_file(config.root, path, config.max_bytes)
            value, content_type = self._value(found, params)
        except FileFault as fault:
            return Answered(msgspec.structs.replace(known, error=EvidenceError(fault.code, fault.message)))
        result = msgspec.structs.replace(known, value=JsonValue(value), content_type=content_type)
        return Answered(result, found.changed_ms, (call_made("file", place, found.content),))

    def _value(self, found: Found, params: JsonParams) -> tuple[Json, str]:
        is_yaml = found.path.lower().endswith(_YAML_SUFFIXES)
        if is_yaml and not self._config.allow_yaml:
            raise FileFault("yaml_disabled", "YAML is not read")
        document = _yaml(found.content) if is_yaml else _json(found.content, self._config.max_bytes)
        value = document if params.jsonpath is None else self._selected(params.jsonpath, document)
        return value, _APPLICATION_YAML if is_yaml else APPLICATION_JSON

    def _selected(self, path: str, document: Json) -> Json:
        from interlock.gates.evidence.providers.jsonpath import PathFault, selected

        try:
            values = selected(path, document, self._config.max_bytes)
        except PathFault as fault:
            raise FileFault("invalid_jsonpath", str(fault)) from None
        except OverflowError:
            raise FileFault(
                "size_limit_exceeded", f"what the path selects has more than {self._config.max_bytes} bytes"
            ) from None
        if not values:
            raise FileFault("jsonpath_not_found", "the path selects nothing")
        return values[0] if len(values) == 1 else values


def _params(query: EvidenceQuery) -> JsonParams:
    params: Any = query.params
    if params is UNSET:
        raise FileFault("params_missing", "the check path needs params")
    if isinstance(params, dict) and "file" not in params:
        raise FileFault("path_missing", "the params name no file")
    try:
        return msgspec.convert(params, JsonParams, strict=True)
    except msgspec.ValidationError as fault:
        raise FileFault("params_invalid", f"the params are not of this check: {fault}") from None


def _json(content: bytes, bytes_max: int) -> Json:
    try:
        return parse(content, bytes_max=bytes_max, wide=True)
    except InterlockError as fault:
        raise FileFault("invalid_json", f"the file is no JSON ({fault.code})") from None


def _yaml(content: bytes) -> Json:
    findings = Findings("")
    try:
        node = read_yaml(content.decode(), findings)
    except UnicodeDecodeError:
        raise FileFault("invalid_yaml", "the file is not UTF-8") from None
    if node is None or findings.has_errors:
        rules = sorted({each.rule for each in findings.sorted})
        raise FileFault("invalid_yaml", f"the file is no YAML that is read here ({', '.join(rules)})")
    return plain(node)
