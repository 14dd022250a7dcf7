"""Errors of runs: the contract's records inside events, and the engine's own codes.

What it does: declares `ErrorInfo` and `StateError` as seed 001 fixes them (they are stored in events), and the codes
that the engine raises. What it does not do: it decides no retry; `retryable` is data that `decide` reads.

Rules: a stored message is safe to persist and to show; details of failures from handlers are dropped unless they come
from our own error tree, whose details are safe by construction.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct

from interlock.base.canonical import canonical
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.ids import ErrorCodeText, StateId, op_id


class ErrorCategory(StrEnum):
    """The contract's categories (seed 001, `errors`), in its spelling."""

    PARSING_INPUT = "ParsingInput"
    ON_CHAIN = "OnChain"
    OFF_CHAIN = "OffChain"
    RPC = "Rpc"
    STORAGE = "Storage"
    CONTEXT = "Context"
    UNKNOWN = "Unknown"


class ErrorInfo(Struct, frozen=True):
    """What went wrong, safe to store and to show. `details` is canonical JSON, `null` where there are none."""

    category: ErrorCategory
    code: ErrorCodeText
    details: msgspec.Raw
    message: str
    retryable: bool


class StateError(Struct, frozen=True):
    """An `ErrorInfo` attributed to a state."""

    info: ErrorInfo
    state_id: StateId | None


MESSAGE_CHARACTERS_MAX = 2000
DETAILS_BYTES_MAX = 64 * 1024


class StateFailure(Exception):
    """Raise it in a handler to fail the attempt: `code`, safe `message`, and whether a retry may help.

    `code` is a segment (`id_invalid` is raised otherwise); a long message is cut.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        category: ErrorCategory = ErrorCategory.UNKNOWN,
        details: dict[str, object] | None = None,
    ) -> None:
        self.code = op_id(code)
        self.message = message[:MESSAGE_CHARACTERS_MAX].encode("utf-8", "backslashreplace").decode("utf-8")
        super().__init__(self.message)
        self.retryable = retryable
        self.category = ErrorCategory(category)
        self.details = details


_CONTRACT_CATEGORY = {
    Category.INVALID: ErrorCategory.PARSING_INPUT,
    Category.STORAGE: ErrorCategory.STORAGE,
    Category.CORRUPT: ErrorCategory.STORAGE,
    Category.UNAVAILABLE: ErrorCategory.OFF_CHAIN,
    Category.OVERLOADED: ErrorCategory.OFF_CHAIN,
}

NO_DETAILS = msgspec.Raw(b"null")
HANDLER_EXCEPTION = "handler_exception"
CODE_RESERVED = "code_reserved"
CRASH_BUDGET_SPENT = "crash_budget_spent"
ORPHAN_RECOVERED = "orphan_attempt_recovered"
OUTCOME_UNKNOWN = "side_effect_outcome_unknown"
RUN_CANCELLED = "run_cancelled"
RUN_TIMED_OUT = "run_timed_out"
UNCOUNTED = frozenset({ORPHAN_RECOVERED, OUTCOME_UNKNOWN, RUN_CANCELLED, RUN_TIMED_OUT})
"""Codes of closures that spend no retry budget: how an attempt ended is not its own failure."""


def error_info(fault: BaseException) -> ErrorInfo:
    """The storable description of what a handler raised.

    Our own errors keep code, message and details; a `StateFailure` keeps what its author wrote, with details as
    canonical JSON; any other exception gives `handler_exception` with its class and place, never its text.
    """
    info = _described(fault)
    # The codes of closures are the engine's: a failure that carried one would be tried again for ever.
    return msgspec.structs.replace(info, code=CODE_RESERVED) if info.code in UNCOUNTED else info


def _described(fault: BaseException) -> ErrorInfo:
    if isinstance(fault, InterlockError):
        context = fault.kind in _OF_CONTEXT
        known = _CONTRACT_CATEGORY.get(fault.category, ErrorCategory.UNKNOWN)
        category = ErrorCategory.CONTEXT if context else known
        details = msgspec.Raw(canonical(fault.details or None))
        return ErrorInfo(category, fault.code, details, fault.message, fault.retryable)
    if isinstance(fault, StateFailure):
        details = msgspec.Raw(_details(fault.details))
        return ErrorInfo(fault.category, fault.code, details, fault.message, fault.retryable)
    name = type(fault).__name__ + place_of(fault)
    return ErrorInfo(
        ErrorCategory.UNKNOWN, HANDLER_EXCEPTION, NO_DETAILS, f"the handler raised {name}", retryable=False
    )


def place_of(fault: BaseException) -> str:
    """Where an exception came from, as ` at file.py:12`: a place in code holds no secret, its text may."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    file = trace.tb_frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f" at {file}:{trace.tb_lineno}"


def _details(details: dict[str, object] | None) -> bytes:
    """Details as canonical JSON; none where they are not JSON or too large: the failure itself must be recorded."""
    try:
        content = canonical(details)
    except InterlockError:
        return bytes(NO_DETAILS)
    return content if len(content) <= DETAILS_BYTES_MAX else bytes(NO_DETAILS)


def plan_invalid(reason: str, message: str, **details: str | list[str]) -> InterlockError:
    """The error of a plan that breaks the rule `reason`."""
    return PLAN_INVALID.error(message, reason=reason, **details)


def own_error(code: str, message: str, *, retryable: bool) -> ErrorInfo:
    """An `ErrorInfo` that the engine writes on its own account."""
    return ErrorInfo(ErrorCategory.UNKNOWN, code, NO_DETAILS, message, retryable)


HANDLER_RAISED = ErrorCode(HANDLER_EXCEPTION, Category.FAILED, "Mend the handler at the place named; the log has more.")
HANDLER_CODE_RESERVED = ErrorCode(
    CODE_RESERVED, Category.FAILED, "Fail with a code of your own: this one is how the engine closes attempts."
)
ATTEMPT_ORPHANED = ErrorCode(
    ORPHAN_RECOVERED,
    Category.FAILED,
    "Nothing to do: the process ended, and the state was entered again.",
    retryable=True,
)
CRASHED_TOO_OFTEN = ErrorCode(
    CRASH_BUDGET_SPENT,
    Category.FAILED,
    "See why the state ends its process, then `interlock run resolve`.",
    retryable=True,
)

PLAN_INVALID = ErrorCode("plan_invalid", Category.INVALID, "Correct the plan as the message says.")
OP_NOT_FOUND = ErrorCode(
    "op_not_found", Category.NOT_FOUND, "Register the operation, or name a version of it that is registered."
)
PLAN_NOT_FOUND = ErrorCode(
    "plan_not_found",
    Category.NOT_FOUND,
    "Name a plan that is there: a document (plan.yaml), file.py:PLAN or MODULE:PLAN.",
)
PLAN_NOT_OFFERED = ErrorCode(
    "plan_not_offered", Category.REFUSED, "Name a plan that `plans.offered` lists, or have it listed there."
)
PLAN_DRIFTED = ErrorCode(
    "plan_drifted", Category.CONFLICT, "Resume with the plan that started the run, or start a new run."
)
RUN_NOT_FOUND = ErrorCode("run_not_found", Category.NOT_FOUND, "List the runs with `interlock run list`.")
RUN_CONFLICT = ErrorCode(
    "run_conflict", Category.CONFLICT, "Go on with the run by `interlock run resume`, or choose a new id."
)
RUN_CORRUPT = ErrorCode("run_corrupt", Category.CORRUPT, "The run's history breaks a rule: run `interlock doctor`.")
RUN_HELD = ErrorCode(
    "run_held",
    Category.CONFLICT,
    "Another process drives this run: watch it, or take it over with --steal.",
    retryable=True,
)
MANIFEST_MISMATCH = ErrorCode("manifest_mismatch", Category.INVALID, "Give the manifest whose digest you name.")
RUN_CONFIG_UNSUPPORTED = ErrorCode("run_config_unsupported", Category.INVALID, "Use the values that the message names.")
INPUT_INVALID = ErrorCode("run_input_invalid", Category.INVALID, "Give the input that the plan asks for.")
INPUT_TOO_LARGE = ErrorCode(
    "run_input_too_large",
    Category.INVALID,
    "Keep large content outside, and give the run what names it; or raise [engine] input_bytes_max.",
)
CONTEXT_VALUE_TOO_LARGE = ErrorCode(
    "context_value_too_large",
    Category.INVALID,
    "Store large content with `rec.artifact` and keep its id; or raise [engine] context_value_bytes_max.",
)
ARTIFACT_TOO_LARGE = ErrorCode(
    "artifact_too_large",
    Category.INVALID,
    "Keep content of that size in a file and record its digest; or raise [engine] artifact_bytes_max.",
)
CONTEXT_DESERIALIZE_FAILED = ErrorCode(
    "context_deserialize_failed", Category.INVALID, "Read the value as the type that was written."
)
CONTEXT_SERIALIZE_FAILED = ErrorCode(
    "context_serialize_failed", Category.INVALID, "Write JSON values, or records that convert to JSON."
)
CONTEXT_KEY_RESERVED = ErrorCode(
    "context_key_reserved", Category.INVALID, "Write under another key: this one is the engine's."
)
CONTEXT_MISSING_KEY = ErrorCode(
    "context_missing_key", Category.NOT_FOUND, "Give it as input, or let an earlier state write it."
)
VALUE_UNKNOWN = ErrorCode(
    "run_value_unknown",
    Category.NOT_FOUND,
    "List what the run has with `interlock run output`; a step that returned nothing, or has not completed, has none.",
)
MISSING_FACT_KEY = ErrorCode("missing_fact_key", Category.INVALID, "Give the call a fact key.")
FACT_REQUEST_MISMATCH = ErrorCode(
    "fact_request_mismatch", Category.CONFLICT, "A fact of this key answers another request: use a new key."
)
FACT_PAYLOAD_CONFLICT = ErrorCode(
    "fact_payload_conflict", Category.CONFLICT, "A fact is recorded once: use a new key for a new value."
)
FACT_PAYLOAD_INVALID = ErrorCode("fact_payload_invalid", Category.CORRUPT, "The recorded fact has another kind.")
EFFECT_UNDECLARED = ErrorCode(
    "side_effects_undeclared",
    Category.REFUSED,
    "Declare side_effects on the state before it writes to the outside.",
)
EFFECT_KEY_REUSED = ErrorCode(
    "idempotency_key_reused", Category.CONFLICT, "Give each effect of a run an idempotency key of its own."
)
EFFECT_UNKNOWN = ErrorCode(
    OUTCOME_UNKNOWN,
    Category.UNAVAILABLE,
    "Look at the outside system, then `interlock run resolve`.",
    retryable=True,
)
ATTEMPT_CLOSED = ErrorCode("attempt_closed", Category.CONFLICT, "Use io and rec only while their state runs.")
RESOLVE_INVALID = ErrorCode(
    "resolve_invalid", Category.CONFLICT, "Resolve a step that is parked; `interlock run why` names it."
)
EVENT_NAME_INVALID = ErrorCode("event_name_invalid", Category.INVALID, "Name a domain event with a key of your own.")
PAYLOAD_REF_UNKNOWN = ErrorCode(
    "payload_ref_unknown", Category.INVALID, "Store the payload first, with `rec.artifact`, and name the id it gives."
)
PLAN_IMPORT_FAILED = ErrorCode(
    "plan_import_failed", Category.INVALID, "Mend the plan's own code at the place named, then start again."
)
RESOLUTION_UNCLEAR = ErrorCode(
    "resolution_unclear", Category.INVALID, "Choose exactly one of --adopt, --retry and --abandon."
)
STATE_TIMEOUT = ErrorCode("state_timeout", Category.FAILED, "Give the state more time.", retryable=True)
ATTEMPT_CANCELLED = ErrorCode(
    RUN_CANCELLED, Category.FAILED, "Nothing to do: the run was cancelled; `interlock run why` says by whom."
)
RUN_DEADLINE = ErrorCode(RUN_TIMED_OUT, Category.FAILED, "Start the run again with more time.")
RUN_ENDED = ErrorCode(
    "run_ended",
    Category.CONFLICT,
    "The run has ended: `interlock run fork` begins another where it failed, or start a new one.",
)
STEP_UNKNOWN = ErrorCode(
    "step_unknown", Category.NOT_FOUND, "Name a step of the run; `interlock run status` lists them."
)
STEP_NOT_READY = ErrorCode(
    "step_not_ready", Category.CONFLICT, "See with `interlock run status` where the step stands, then ask again."
)
WAIT_UNKNOWN = ErrorCode(
    "wait_unknown",
    Category.NOT_FOUND,
    "Name a wait of this run, as `interlock run why` lists them; --early keeps an answer for a later one.",
)
WAIT_TIMED_OUT = ErrorCode("wait_timed_out", Category.FAILED, "Give the wait a default, or handle its deadline.")
WAIT_INVALID = ErrorCode("wait_invalid", Category.INVALID, "Name each wait of a state once, with a deadline ahead.")
SIGNAL_UNCLEAR = ErrorCode(
    "signal_unclear", Category.INVALID, "Give STEP and NAME, or --token; `interlock run why` gives the whole line."
)
EDIT_UNCLEAR = ErrorCode(
    "edit_unclear", Category.INVALID, "Give --max-attempts with its back-off, --timeout-ms, or both."
)
SIGNAL_INVALID = ErrorCode(
    "signal_invalid",
    Category.INVALID,
    "Send a value that fits the schema of the wait, as `interlock run why` shows it.",
)
FACT_KEY_RESERVED = ErrorCode("fact_key_reserved", Category.INVALID, "Choose a key that does not begin with `wait:`.")
CONTEXT_WRITE_CONFLICT = ErrorCode(
    "context_write_conflict",
    Category.CONFLICT,
    "Give states that may run at once keys of their own, or put an edge between them.",
)
ATTRIBUTES_INVALID = ErrorCode(
    "run_attributes_invalid", Category.INVALID, "Give a run few and short attributes: what you would search for."
)
CHILD_CONFLICT = ErrorCode("child_run_conflict", Category.CONFLICT, "Name each child of a state differently.")
CHILD_LIMIT = ErrorCode("child_limit_exceeded", Category.REFUSED, "Spawn fewer children, or nest them less deeply.")
FORK_POSITION_NEEDED = ErrorCode(
    "fork_position_needed", Category.INVALID, "Name the step where the fork begins, with --from STEP."
)
FORK_CHOICE_NEEDED = ErrorCode(
    "fork_choice_needed",
    Category.REFUSED,
    "Give --again KEY (it is sent anew) or, if it has an idempotency key, --absorb KEY for each effect that is named.",
)
FORK_CHOICE_INVALID = ErrorCode(
    "fork_choice_invalid",
    Category.INVALID,
    "Name each effect that the fork would send under one choice.",
)
MIGRATION_IMPOSSIBLE = ErrorCode(
    "migration_impossible", Category.REFUSED, "Change the plan so that completed work fits it, or fork the run."
)
MIGRATION_UNSEEN = ErrorCode(
    "migration_unseen", Category.CONFLICT, "Look at `interlock run migrate` without --apply, then give its fingerprint."
)

_OF_CONTEXT = (
    CONTEXT_DESERIALIZE_FAILED,
    CONTEXT_SERIALIZE_FAILED,
    CONTEXT_VALUE_TOO_LARGE,
    CONTEXT_KEY_RESERVED,
    CONTEXT_MISSING_KEY,
)

ERRORS = (
    HANDLER_RAISED,
    HANDLER_CODE_RESERVED,
    ATTEMPT_ORPHANED,
    CRASHED_TOO_OFTEN,
    PLAN_INVALID,
    OP_NOT_FOUND,
    PLAN_NOT_FOUND,
    PLAN_NOT_OFFERED,
    PLAN_DRIFTED,
    RUN_NOT_FOUND,
    RUN_CONFLICT,
    RUN_CORRUPT,
    RUN_HELD,
    MANIFEST_MISMATCH,
    RUN_CONFIG_UNSUPPORTED,
    INPUT_INVALID,
    INPUT_TOO_LARGE,
    CONTEXT_VALUE_TOO_LARGE,
    ARTIFACT_TOO_LARGE,
    CONTEXT_DESERIALIZE_FAILED,
    CONTEXT_SERIALIZE_FAILED,
    CONTEXT_KEY_RESERVED,
    CONTEXT_MISSING_KEY,
    VALUE_UNKNOWN,
    MISSING_FACT_KEY,
    FACT_REQUEST_MISMATCH,
    FACT_PAYLOAD_CONFLICT,
    FACT_PAYLOAD_INVALID,
    EFFECT_UNDECLARED,
    EFFECT_KEY_REUSED,
    EFFECT_UNKNOWN,
    ATTEMPT_CLOSED,
    RESOLVE_INVALID,
    EVENT_NAME_INVALID,
    PAYLOAD_REF_UNKNOWN,
    PLAN_IMPORT_FAILED,
    RESOLUTION_UNCLEAR,
    STATE_TIMEOUT,
    ATTEMPT_CANCELLED,
    RUN_DEADLINE,
    RUN_ENDED,
    STEP_UNKNOWN,
    STEP_NOT_READY,
    WAIT_UNKNOWN,
    WAIT_TIMED_OUT,
    WAIT_INVALID,
    SIGNAL_INVALID,
    SIGNAL_UNCLEAR,
    EDIT_UNCLEAR,
    FACT_KEY_RESERVED,
    CONTEXT_WRITE_CONFLICT,
    ATTRIBUTES_INVALID,
    CHILD_CONFLICT,
    CHILD_LIMIT,
    FORK_POSITION_NEEDED,
    FORK_CHOICE_NEEDED,
    FORK_CHOICE_INVALID,
    MIGRATION_IMPOSSIBLE,
    MIGRATION_UNSEEN,
)
