"""Error codes of the surfaces: what is wrong with a call before a handler sees it, or with showing its answer.

It raises nothing itself; the errors of commands are declared by the parts that own them.
"""

from interlock.base.errors import Category, ErrorCode
from interlock.base.extras import install_advice

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
WIRE_FRAME_INVALID = ErrorCode(
    "wire_frame_invalid",
    Category.INVALID,
    "Send each message as one Content-Length, an empty line and so many bytes; a head has at most 8 KiB in 64 lines.",
)
MCP_LIBRARY_ABSENT = ErrorCode("mcp_library_absent", Category.REFUSED, install_advice("mcp"))
MCP_TOOL_NOT_ALLOWED = ErrorCode(
    "mcp_tool_not_allowed",
    Category.REFUSED,
    "Ask whoever runs the server to start it with `--allow changes`, or `--allow starts` for tools that start work or "
    "use files.",
)
MCP_TOOL_NOT_PERMITTED = ErrorCode(
    "mcp_tool_not_permitted",
    Category.REFUSED,
    "Ask whoever administers the server for the permission that this needs.",
)
MCP_BUSY = ErrorCode(
    "mcp_busy", Category.OVERLOADED, "Wait until some of the session's calls are answered.", retryable=True
)
DOCUMENTS_UNREADABLE = ErrorCode(
    "documents_unreadable", Category.INVALID, "Let each of `docs.extra_paths` name a Markdown file or a folder of them."
)
DOCUMENT_UNKNOWN = ErrorCode("document_unknown", Category.INVALID, "Name an address that the list of resources has.")
WIRE_INPUT_INVALID = ErrorCode("wire_input_invalid", Category.INVALID, "Correct the argument that is named.")
WIRE_ANSWER_TOO_LARGE = ErrorCode(
    "wire_answer_too_large", Category.INVALID, "Raise `max_response_bytes` of `provider_discovery`."
)
CONTRACT_HIDDEN = ErrorCode(
    "contract_hidden", Category.REFUSED, "Let `provider_discovery` list the provider, and not deny it."
)
RUNPACKS_ABSENT = ErrorCode(
    "runpacks_absent", Category.UNAVAILABLE, "Export and verify runpacks with an installation that has them."
)
EVENT_BODY_SLOW = ErrorCode(
    "event_body_slow", Category.UNAVAILABLE, "Send the whole request at once, then again later.", retryable=True
)
EVENT_FILTER_INVALID = ErrorCode(
    "event_filter_invalid",
    Category.INVALID,
    "Use `type`, `kind` and `stream` as often as wanted, and `after` once with a cursor that was given out.",
)
SHARE_TAKEN = ErrorCode(
    "share_taken",
    Category.OVERLOADED,
    "Let some of what you have under way end, then ask again; `server.principal_percent_max` and "
    "`server.tenant_percent_max` say how much that may be.",
    retryable=True,
)
STREAM_READERS_FULL = ErrorCode(
    "stream_readers_full", Category.OVERLOADED, "Wait retry_after_ms, then connect again.", retryable=True
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
    WIRE_FRAME_INVALID,
    MCP_LIBRARY_ABSENT,
    MCP_TOOL_NOT_ALLOWED,
    MCP_TOOL_NOT_PERMITTED,
    MCP_BUSY,
    DOCUMENTS_UNREADABLE,
    DOCUMENT_UNKNOWN,
    WIRE_INPUT_INVALID,
    WIRE_ANSWER_TOO_LARGE,
    CONTRACT_HIDDEN,
    RUNPACKS_ABSENT,
    EVENT_BODY_SLOW,
    EVENT_FILTER_INVALID,
    SHARE_TAKEN,
    STREAM_READERS_FULL,
)
