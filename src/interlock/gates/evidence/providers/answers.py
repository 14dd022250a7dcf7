"""What the built-in providers share: how they read configuration and params, and how they answer.

What it does: reads records strictly, and makes evidence of values and of faults. What it does not do: it asks nobody.

Rules: a fault of the outside is evidence with the error `provider_error`, whose details name the code of what failed;
nothing of a value stands in it.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

from interlock.base.canonical import Json, canonical, digest
from interlock.base.errors import InterlockError
from interlock.engine.io.surface import digest_of_request
from interlock.gates.errors import PARAMS_INVALID, PARAMS_MISSING, PROVIDER_CONFIG_INVALID
from interlock.gates.evidence.port import CallMade
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceError, EvidenceRef, EvidenceResult
from interlock.gates.evidence.trust import PROVIDER_ERROR
from interlock.gates.spec import EvidenceQuery
from interlock.gates.values import JsonValue

Record = TypeVar("Record", bound=Struct)
APPLICATION_JSON = "application/json"


def config_of(provider: str, given: dict[str, Any], record: type[Record]) -> Record:
    """A provider's configuration. Raises: `provider_config_invalid`, without a word of a value."""
    try:
        return msgspec.convert(given, record, strict=True)
    except msgspec.ValidationError as fault:
        raise PROVIDER_CONFIG_INVALID.error(f"the configuration of {provider}: {fault}") from None


def params_of(query: EvidenceQuery, record: type[Record]) -> Record:
    """A query's params. Raises: `params_missing`, `params_invalid`."""
    if query.params is UNSET:
        raise PARAMS_MISSING.error(f"the check {query.check_id} needs params")
    try:
        return msgspec.convert(query.params, record, strict=True)
    except msgspec.ValidationError as fault:
        raise PARAMS_INVALID.error(f"the params of {query.check_id}: {fault}") from None


def fault_of(fault: InterlockError) -> EvidenceError:
    """The error of evidence that a fault leaves behind."""
    return EvidenceError(PROVIDER_ERROR, fault.message, {"code": fault.code})


def refused(message: str, anchor: EvidenceAnchor | None = None) -> EvidenceResult:
    """Evidence that a provider does not give."""
    return EvidenceResult(error=EvidenceError(PROVIDER_ERROR, message), evidence_anchor=anchor)


def json_value(
    value: Json,
    anchor: EvidenceAnchor,
    *,
    ref: str | None = None,
    content_type: str = APPLICATION_JSON,
) -> EvidenceResult:
    """Evidence that is a JSON value."""
    return EvidenceResult(
        value=JsonValue(value),
        evidence_ref=None if ref is None else EvidenceRef(ref),
        evidence_anchor=anchor,
        content_type=content_type,
    )


def call_made(namespace: str, request: Json, response: bytes) -> CallMade:
    """What is recorded of a call to the outside."""
    return CallMade(namespace, digest_of_request(namespace, canonical(request)), digest(response))
