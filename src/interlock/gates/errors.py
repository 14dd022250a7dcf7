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

ERRORS = (GATE_INPUT_INVALID, SCENARIO_INVALID, REQUIREMENT_INVALID)
