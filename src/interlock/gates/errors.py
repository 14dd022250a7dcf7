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

ERRORS = (
    GATE_INPUT_INVALID,
    SCENARIO_INVALID,
    REQUIREMENT_INVALID,
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
)
