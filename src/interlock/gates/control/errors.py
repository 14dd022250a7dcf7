"""Error codes of scenario runs.

What it does: declares each code once, with what to do next. What it does not do: it raises nothing.
"""

from interlock.base.errors import Category, ErrorCode

SCENARIO_NOT_FOUND = ErrorCode(
    "scenario_not_found", Category.NOT_FOUND, "Define the scenario, or list those that there are."
)
SCENARIO_CONFLICT = ErrorCode(
    "scenario_conflict", Category.CONFLICT, "Give the changed document another scenario id: a definition never changes."
)
SCENARIO_MISMATCH = ErrorCode(
    "scenario_mismatch", Category.INVALID, "Name one scenario, in the call and in the configuration."
)
STAGE_NOT_FOUND = ErrorCode("stage_not_found", Category.NOT_FOUND, "Name a stage of the scenario.")
SCENARIO_CALL_INVALID = ErrorCode(
    "scenario_call_invalid", Category.INVALID, "Correct the member that is named; --help shows how it is spelled."
)
SCENARIO_RUN_NOT_FOUND = ErrorCode(
    "scenario_run_not_found",
    Category.NOT_FOUND,
    "Start the run, or check its scenario, tenant, namespace and id.",
)
TRIGGER_NOT_FOUND = ErrorCode(
    "scenario_trigger_not_found",
    Category.NOT_FOUND,
    "Name a trigger that was decided, or none for the last; a run that has ended takes no more of them.",
)
NOT_EVALUATED = ErrorCode(
    "scenario_not_evaluated", Category.NOT_FOUND, "Trigger the run first: only what was decided can be explained."
)
SCENARIO_RUN_EXISTS = ErrorCode("scenario_run_exists", Category.CONFLICT, "Start the run under another id.")
SCENARIO_RUN_INACTIVE = ErrorCode("scenario_run_inactive", Category.CONFLICT, "Start another run: this one has ended.")
SCENARIO_RUN_MOVED = ErrorCode(
    "scenario_run_moved", Category.CONFLICT, "Ask again: the run moved on while it was looked at.", retryable=True
)
SUBMISSION_CONFLICT = ErrorCode(
    "submission_conflict", Category.CONFLICT, "Hand changed content in under another submission id."
)
GATE_RESOLUTION_FAILED = ErrorCode(
    "gate_resolution_failed", Category.FAILED, "Give the branch a default, or a rule for this outcome."
)
TRIGGER_TIME_MISMATCH = ErrorCode(
    "trigger_time_mismatch", Category.INVALID, "Give the trigger the kind of time that the run was started with."
)
TIMEOUT_OVERFLOW = ErrorCode("timeout_overflow", Category.INVALID, "Give the stage a shorter time.")
POLICY_DENIED = ErrorCode(
    "policy_denied", Category.REFUSED, "Let the policy permit the packet, or leave the target out."
)
POLICY_FAILED = ErrorCode("policy_failed", Category.FAILED, "Mend what the policy's rule complains of.")
POLICY_INVALID = ErrorCode("disclosure_policy_invalid", Category.INVALID, "Correct the rule of the policy.")
PAYLOAD_TOO_LARGE = ErrorCode("payload_too_large", Category.INVALID, "Hand in a reference to large content.")
NAMESPACE_DENIED = ErrorCode(
    "namespace_denied",
    Category.REFUSED,
    "Use another namespace, or list the tenant in `default_tenants` and set `allow_default` of `namespace`.",
)
TENANT_DENIED = ErrorCode("tenant_denied", Category.REFUSED, "Ask as the tenant that the scenario is of.")
PRECHECK_INVALID = ErrorCode(
    "precheck_invalid", Category.INVALID, "Name one scenario of the namespace, and give data for its conditions."
)
PAYLOAD_UNFIT = ErrorCode("payload_unfit", Category.INVALID, "Give data that the data shape takes.")

ERRORS = (
    SCENARIO_NOT_FOUND,
    SCENARIO_CONFLICT,
    SCENARIO_MISMATCH,
    STAGE_NOT_FOUND,
    SCENARIO_CALL_INVALID,
    SCENARIO_RUN_NOT_FOUND,
    TRIGGER_NOT_FOUND,
    NOT_EVALUATED,
    SCENARIO_RUN_EXISTS,
    SCENARIO_RUN_INACTIVE,
    SCENARIO_RUN_MOVED,
    SUBMISSION_CONFLICT,
    GATE_RESOLUTION_FAILED,
    TRIGGER_TIME_MISMATCH,
    TIMEOUT_OVERFLOW,
    POLICY_DENIED,
    POLICY_FAILED,
    POLICY_INVALID,
    PAYLOAD_TOO_LARGE,
    NAMESPACE_DENIED,
    TENANT_DENIED,
    PRECHECK_INVALID,
    PAYLOAD_UNFIT,
)
