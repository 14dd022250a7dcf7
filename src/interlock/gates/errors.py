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

ERRORS = (
    GATE_INPUT_INVALID,
    SCENARIO_INVALID,
    REQUIREMENT_INVALID,
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
)
