"""Which error of the reference's wire an error of ours is.

What it does: holds the table of the wire's errors, and finds the one for an error of ours. What it does not do: it
writes no response.

Rules (seed 000): programs test `code` and `kind`; only a limit that passes by itself is retryable; who may not do
something is told nothing more; what a table does not name is the error of the tool that was called.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from interlock.base.errors import Category, InterlockError

Kind = Literal[
    "invalid_request",
    "method_not_found",
    "invalid_params",
    "unauthenticated",
    "unauthorized",
    "not_found",
    "conflict",
    "evidence",
    "control_plane",
    "runpack",
    "internal",
    "serialization",
    "request_too_large",
    "rate_limited",
    "inflight_limit",
    "invalid_correlation_id",
]


class Fault(Struct, frozen=True):
    """An error of the wire: the status is that of its response where it goes over HTTP."""

    kind: Kind
    message: str
    status: int
    retry_after_ms: int | None = None

    @property
    def code(self) -> int:
        """The code of JSON-RPC."""
        return CODES[self.kind]

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.kind in {"rate_limited", "inflight_limit"}


CODES: Final[dict[Kind, int]] = {
    "invalid_request": -32600,
    "method_not_found": -32601,
    "invalid_params": -32602,
    "unauthenticated": -32001,
    "unauthorized": -32003,
    "not_found": -32004,
    "conflict": -32009,
    "evidence": -32020,
    "control_plane": -32030,
    "runpack": -32040,
    "internal": -32050,
    "serialization": -32060,
    "request_too_large": -32070,
    "rate_limited": -32071,
    "inflight_limit": -32072,
    "invalid_correlation_id": -32073,
}
_STATUS: Final[dict[Kind, int]] = {
    "invalid_request": 400,
    "method_not_found": 400,
    "invalid_params": 400,
    "unauthenticated": 401,
    "unauthorized": 403,
    "inflight_limit": 503,
    "invalid_correlation_id": 400,
}

INVALID_REQUEST: Final = Fault("invalid_request", "invalid json-rpc request", 400)
INVALID_VERSION: Final = Fault("invalid_request", "invalid json-rpc version", 400)
INVALID_FRAME: Final = Fault("invalid_request", "invalid frame", 400)
METHOD_NOT_FOUND: Final = Fault("method_not_found", "method not found", 400)
UNKNOWN_TOOL: Final = Fault("method_not_found", "unknown tool", 400)
INVALID_TOOL_PARAMS: Final = Fault("invalid_params", "invalid tool params", 400)
INTERNAL: Final = Fault("internal", "internal error", 200)
SERIALIZATION: Final = Fault("serialization", "serialization failed", 200)
BODY_TOO_LARGE: Final = Fault("request_too_large", "request body too large", 413)
BODY_LATE: Final = Fault("invalid_request", "request body timed out", 408)
MEDIA_TYPE: Final = Fault("invalid_request", "content type must be application/json", 415)
UNAUTHENTICATED: Final = Fault("unauthenticated", "unauthenticated", 401)
UNAUTHORIZED: Final = Fault("unauthorized", "unauthorized", 403)
RATE_LIMITED: Final = Fault("rate_limited", "rate limit exceeded", 429)
OVERLOADED: Final = Fault("inflight_limit", "server overloaded", 503)
INVALID_CORRELATION_ID: Final = Fault("invalid_correlation_id", "invalid correlation id", 400)

_CAPABILITY: Final = {
    "provider_missing",
    "check_missing",
    "params_missing",
    "params_invalid",
    "expected_invalid",
    "comparator_not_allowed",
}
_BY_CODE: Final[dict[str, Kind]] = {
    "scenario_not_found": "not_found",
    "shape_not_found": "not_found",
    "scenario_conflict": "conflict",
    "submission_conflict": "conflict",
    "shape_exists": "conflict",
    "wire_answer_too_large": "request_too_large",
    "gate_input_invalid": "invalid_params",
    "wire_input_invalid": "invalid_params",
    "precheck_invalid": "invalid_params",
    "payload_unfit": "invalid_params",
    "condition_unbound": "invalid_params",
    "comparator_schema_invalid": "invalid_params",
    "comparator_disabled": "invalid_params",
    "comparator_forbidden": "invalid_params",
    "comparator_not_listed": "invalid_params",
    "comparator_expected_invalid": "invalid_params",
    "namespace_denied": "unauthorized",
    "tenant_denied": "unauthorized",
    "contract_hidden": "unauthorized",
    "provider_not_offered": "unauthorized",
    "mcp_tool_not_permitted": "unauthorized",
    "scenario_run_moved": "rate_limited",
}
_BY_TOOL: Final[dict[tuple[Kind, str], Kind]] = {("runpack", "scenario_run_not_found"): "not_found"}
_BY_CATEGORY: Final[dict[Category, Kind]] = {
    Category.OVERLOADED: "rate_limited",
    Category.STORAGE: "internal",
    Category.CORRUPT: "internal",
}


def fault_of(error: InterlockError, own: Kind, *, contracts: bool = False) -> Fault:
    """The error of the wire; `own` is the kind of the tool that was called, which may hold input to `contracts`."""
    if contracts and error.code in _CAPABILITY:
        return fault("invalid_params", f"{error.code}: {error.message}")
    kind = _BY_TOOL.get((own, error.code)) or _BY_CODE.get(error.code) or _BY_CATEGORY.get(error.category) or own
    if own == "runpack" and error.category is Category.CORRUPT:  # a folder that is damaged, and not the store
        kind = own
    if kind == "unauthorized":
        return fault(kind, "unauthorized")
    if kind == "rate_limited":
        after = error.details.get("retry_after_ms")
        return fault(kind, error.message, after if isinstance(after, int) else None)
    return fault(kind, error.message)


def fault(kind: Kind, message: str, retry_after_ms: int | None = None) -> Fault:
    """An error of a tool."""
    return Fault(kind, message, _STATUS.get(kind, 200), retry_after_ms)
