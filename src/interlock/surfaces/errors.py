"""Error codes of the surfaces: what is wrong with a call before a handler sees it, or with showing its answer.

It raises nothing itself; the errors of commands are declared by the parts that own them.
"""

from interlock.base.errors import Category, ErrorCode

COMMAND_UNKNOWN = ErrorCode(
    "command_unknown", Category.INVALID, "Name a command of the catalogue; docs/reference/cli.md lists them."
)
COMMAND_UNSOUND = ErrorCode(
    "command_unsound",
    Category.INVALID,
    "Correct the declaration of the command in the part that the message names.",
)
INPUT_INVALID = ErrorCode("input_invalid", Category.INVALID, "Correct the value at the place named.")
INPUT_UNREADABLE = ErrorCode(
    "input_unreadable",
    Category.INVALID,
    "Name a file that exists and can be read, or `-` for standard input.",
)
OUTPUT_UNWRITABLE = ErrorCode(
    "output_unwritable",
    Category.STORAGE,
    "The command itself is done: make room where its answer goes, and ask for the outcome.",
)
USAGE_INVALID = ErrorCode(
    "usage_invalid", Category.INVALID, "Add `--help` to see what this command takes, with an example."
)
PROGRAM_EXITED = ErrorCode(
    "program_exited",
    Category.FAILED,
    "Let a handler raise StateFailure instead of ending the process, then resume the run.",
)
PROGRAM_FAULT = ErrorCode(
    "program_fault",
    Category.FAILED,
    "This is a fault of the program: report it with the trace on standard error.",
)

ERRORS = (
    COMMAND_UNKNOWN,
    COMMAND_UNSOUND,
    INPUT_INVALID,
    INPUT_UNREADABLE,
    OUTPUT_UNWRITABLE,
    USAGE_INVALID,
    PROGRAM_EXITED,
    PROGRAM_FAULT,
)
