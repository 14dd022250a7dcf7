"""Error codes of gates.

What it does: declares each code once, with what to do next. What it does not do: it raises nothing; what an error is
called on the reference's wire is `surfaces`' affair.
"""

from interlock.base.errors import Category, ErrorCode

GATE_INPUT_INVALID = ErrorCode(
    "gate_input_invalid", Category.INVALID, "Correct the member at the place named; the reference lists each shape."
)
SCENARIO_INVALID = ErrorCode(
    "scenario_invalid", Category.INVALID, "Run `interlock scenario lint` for all findings with their places."
)
REQUIREMENT_INVALID = ErrorCode("requirement_invalid", Category.INVALID, "Correct the requirement at the place named.")
REQUIREMENT_TOO_DEEP = ErrorCode("requirement_too_deep", Category.INVALID, "Nest requirements at most 32 levels deep.")
REQUIREMENT_TOO_LARGE = ErrorCode(
    "requirement_too_large", Category.INVALID, "Split it over several gates; a requirement has at most 1 MiB."
)
REQUIREMENT_GROUP_INVALID = ErrorCode(
    "requirement_group_invalid", Category.INVALID, "Ask for at least one of the group's members and at most for all."
)
REQUIREMENT_EMPTY = ErrorCode("requirement_empty", Category.INVALID, "Name what must hold, or leave the part out.")
REQUIREMENT_TOKEN_UNEXPECTED = ErrorCode(
    "requirement_token_unexpected", Category.INVALID, "Correct the text of the requirement at the byte named."
)
REQUIREMENT_CONDITION_UNKNOWN = ErrorCode(
    "requirement_condition_unknown", Category.INVALID, "Name a condition that there is, or add the condition."
)
REQUIREMENT_FUNCTION_UNKNOWN = ErrorCode(
    "requirement_function_unknown", Category.INVALID, "Use `all`, `any`, `not` or `at_least`."
)
REQUIREMENT_NUMBER_INVALID = ErrorCode(
    "requirement_number_invalid", Category.INVALID, "Give a whole number from 0 to 255 as the first of `at_least`."
)
REQUIREMENT_TRAILING_INPUT = ErrorCode(
    "requirement_trailing_input", Category.INVALID, "Join the two parts by `and` or `or`, or remove the second."
)
COMPARATOR_SCHEMA_INVALID = ErrorCode(
    "comparator_schema_invalid",
    Category.INVALID,
    "Give the schema of the value a type, or values of one type; `x-decision-gate.dynamic_type` takes any value.",
)
COMPARATOR_DISABLED = ErrorCode(
    "comparator_disabled",
    Category.INVALID,
    "Use another comparator, or set `enable_lexicographic` or `enable_deep_equals` of `validation`.",
)
COMPARATOR_FORBIDDEN = ErrorCode(
    "comparator_forbidden", Category.INVALID, "Use a comparator that the type of the value allows."
)
COMPARATOR_NOT_LISTED = ErrorCode(
    "comparator_not_listed",
    Category.INVALID,
    "Use a comparator of the schema's `x-decision-gate.allowed_comparators`, or list this one there.",
)
COMPARATOR_EXPECTED_INVALID = ErrorCode(
    "comparator_expected_invalid", Category.INVALID, "Give `expected` the form that the comparator and the schema take."
)
CONDITION_UNBOUND = ErrorCode(
    "condition_unbound", Category.INVALID, "Give the data shape a property with a schema for each condition."
)
SCENARIO_STAGES_MISSING = ErrorCode("scenario_stages_missing", Category.INVALID, "Add a stage.")
SCENARIO_STAGE_DUPLICATE = ErrorCode(
    "scenario_stage_duplicate", Category.INVALID, "Give each stage an id of its own, and correct what leads to it."
)
SCENARIO_GATE_DUPLICATE = ErrorCode(
    "scenario_gate_duplicate", Category.INVALID, "Give each gate an id of its own, over all stages."
)
SCENARIO_PACKET_DUPLICATE = ErrorCode(
    "scenario_packet_duplicate", Category.INVALID, "Give each packet an id of its own, over all stages."
)
SCENARIO_CONDITION_DUPLICATE = ErrorCode(
    "scenario_condition_duplicate", Category.INVALID, "Give each condition an id of its own."
)
SCENARIO_QUERY_INVALID = ErrorCode("scenario_query_invalid", Category.INVALID, "Name a provider and one of its checks.")
SCENARIO_CONDITION_UNDEFINED = ErrorCode(
    "scenario_condition_undefined", Category.INVALID, "Define the condition, or name one that is defined."
)
SCENARIO_TARGET_UNKNOWN = ErrorCode("scenario_target_unknown", Category.INVALID, "Name a stage of this scenario.")
SHAPE_INVALID = ErrorCode("shape_invalid", Category.INVALID, "Correct the member that is named.")
SHAPE_SCHEMA_INVALID = ErrorCode(
    "shape_schema_invalid", Category.INVALID, "Give a JSON Schema (2020-12) that refers to nothing outside of itself."
)
SHAPE_TOO_LARGE = ErrorCode("shape_too_large", Category.INVALID, "Split the schema.")
SHAPE_EXISTS = ErrorCode("shape_exists", Category.CONFLICT, "Shapes never change: register it under a new version.")
SHAPE_NOT_FOUND = ErrorCode("shape_not_found", Category.NOT_FOUND, "List the shapes, and name one of them.")

PROVIDER_NOT_OFFERED = ErrorCode(
    "provider_not_offered",
    Category.REFUSED,
    "Name a provider that is offered; or let the user of this machine define the scenario, or set `offered = true` on "
    "the provider in `[[gates.providers]]`.",
)
PROVIDER_MISSING = ErrorCode(
    "provider_missing", Category.INVALID, "Name a provider that `interlock provider list` shows, or configure this one."
)
CHECK_MISSING = ErrorCode(
    "check_missing", Category.INVALID, "Name a check of the provider's contract: `interlock provider show` lists them."
)
PARAMS_MISSING = ErrorCode(
    "params_missing", Category.INVALID, "Give the query the params that the check's params_schema asks for."
)
PARAMS_INVALID = ErrorCode("params_invalid", Category.INVALID, "Correct the params by the check's params_schema.")
EXPECTED_INVALID = ErrorCode(
    "expected_invalid", Category.INVALID, "Give an expected value that the check's result_schema allows."
)
COMPARATOR_NOT_ALLOWED = ErrorCode(
    "comparator_not_allowed", Category.INVALID, "Use a comparator that the check's allowed_comparators list."
)
CONTRACT_MISSING = ErrorCode(
    "contract_missing", Category.INVALID, "Set capabilities_path of the provider to the file of its contract."
)
CONTRACT_READ_FAILED = ErrorCode(
    "contract_read_failed", Category.INVALID, "Let capabilities_path name a readable file of at most 1 MiB."
)
CONTRACT_PARSE_FAILED = ErrorCode(
    "contract_parse_failed", Category.INVALID, "Correct the contract's JSON at the place named."
)
CONTRACT_INVALID = ErrorCode(
    "contract_invalid", Category.INVALID, "Correct the contract where the message says; the reference lists its shape."
)
CONTRACT_PATH_INVALID = ErrorCode(
    "contract_path_invalid", Category.INVALID, "Shorten the path: 4096 bytes in all, 255 for each part of it."
)
DUPLICATE_PROVIDER = ErrorCode(
    "duplicate_provider", Category.INVALID, "Give each provider a name of its own; those of built-in ones are taken."
)
SCHEMA_COMPILE_FAILED = ErrorCode(
    "schema_compile_failed",
    Category.INVALID,
    "Correct the JSON Schema of the contract; it may refer to nothing outside.",
)
CONTRACT_HASH_FAILED = ErrorCode(
    "contract_hash_failed", Category.INVALID, "Use finite numbers and whole characters in the contract."
)
PROVIDER_CONFIG_INVALID = ErrorCode(
    "provider_config_invalid", Category.INVALID, "Correct the provider's configuration where the message says."
)
SIGNING_KEY_UNREADABLE = ErrorCode(
    "signing_key_unreadable",
    Category.INVALID,
    "Let each path of require_signature.keys name an Ed25519 public key: 32 raw bytes, or base64 of them.",
)
EVIDENCE_TOO_LARGE = ErrorCode(
    "evidence_too_large", Category.INVALID, "Ask for a smaller value: one of at most 1 MiB, such as a digest."
)
CORRELATION_ID_INVALID = ErrorCode(
    "correlation_id_invalid", Category.INVALID, "Give a correlation id of 1 to 128 characters that a token may have."
)
PROVIDER_ANSWER_INVALID = ErrorCode(
    "provider_answer_invalid", Category.UNAVAILABLE, "Let the provider answer with one item of JSON: its evidence."
)
PROVIDER_TIMEOUT = ErrorCode(
    "provider_timeout", Category.UNAVAILABLE, "Give the provider more time, or see why it is slow.", retryable=True
)
VALIDATION_PERMISSIVE = ErrorCode(
    "validation_permissive", Category.INVALID, "Leave strict validation on, or set allow_permissive as well."
)

ERRORS = (
    GATE_INPUT_INVALID,
    SCENARIO_INVALID,
    REQUIREMENT_INVALID,
    REQUIREMENT_TOO_DEEP,
    REQUIREMENT_TOO_LARGE,
    REQUIREMENT_GROUP_INVALID,
    REQUIREMENT_EMPTY,
    REQUIREMENT_TOKEN_UNEXPECTED,
    REQUIREMENT_CONDITION_UNKNOWN,
    REQUIREMENT_FUNCTION_UNKNOWN,
    REQUIREMENT_NUMBER_INVALID,
    REQUIREMENT_TRAILING_INPUT,
    COMPARATOR_SCHEMA_INVALID,
    COMPARATOR_DISABLED,
    COMPARATOR_FORBIDDEN,
    COMPARATOR_NOT_LISTED,
    COMPARATOR_EXPECTED_INVALID,
    CONDITION_UNBOUND,
    SCENARIO_STAGES_MISSING,
    SCENARIO_STAGE_DUPLICATE,
    SCENARIO_GATE_DUPLICATE,
    SCENARIO_PACKET_DUPLICATE,
    SCENARIO_CONDITION_DUPLICATE,
    SCENARIO_QUERY_INVALID,
    SCENARIO_CONDITION_UNDEFINED,
    SCENARIO_TARGET_UNKNOWN,
    SHAPE_INVALID,
    SHAPE_SCHEMA_INVALID,
    SHAPE_TOO_LARGE,
    SHAPE_EXISTS,
    SHAPE_NOT_FOUND,
    PROVIDER_NOT_OFFERED,
    PROVIDER_MISSING,
    CHECK_MISSING,
    PARAMS_MISSING,
    PARAMS_INVALID,
    EXPECTED_INVALID,
    COMPARATOR_NOT_ALLOWED,
    CONTRACT_MISSING,
    CONTRACT_READ_FAILED,
    CONTRACT_PARSE_FAILED,
    CONTRACT_INVALID,
    CONTRACT_PATH_INVALID,
    DUPLICATE_PROVIDER,
    SCHEMA_COMPILE_FAILED,
    CONTRACT_HASH_FAILED,
    PROVIDER_CONFIG_INVALID,
    SIGNING_KEY_UNREADABLE,
    EVIDENCE_TOO_LARGE,
    CORRELATION_ID_INVALID,
    PROVIDER_ANSWER_INVALID,
    PROVIDER_TIMEOUT,
    VALIDATION_PERMISSIVE,
)
