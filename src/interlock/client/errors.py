"""Error codes of the client of a server.

It declares them and does nothing else; what the server refuses has the server's own codes. Rule: `unavailable` is what
leaves open whether the server did it.
"""

from interlock.base.errors import Category, ErrorCode
from interlock.base.extras import install_advice

CLIENT_LIBRARY_MISSING = ErrorCode("client_library_missing", Category.REFUSED, install_advice("http"))
CLIENT_PLACE_UNCLEAR = ErrorCode(
    "client_place_unclear", Category.INVALID, "Name a server by its address or by a profile: one of the two."
)
CLIENT_URL_INVALID = ErrorCode(
    "client_url_invalid",
    Category.INVALID,
    "Give the address as https://host, with a port and a path if need be, and nothing else.",
)
CLIENT_PLAIN_REFUSED = ErrorCode(
    "client_plain_refused",
    Category.REFUSED,
    "Use the server's https address; plain http is for servers of this machine.",
)
CLIENT_TOKEN_INVALID = ErrorCode(
    "client_token_invalid", Category.INVALID, "Give the token as it was issued: one line of visible characters."
)
CLIENT_CA_UNREADABLE = ErrorCode(
    "client_ca_unreadable", Category.INVALID, "Let `ca` name a readable file of certificates in PEM."
)
CLIENT_CLOSED = ErrorCode("client_closed", Category.INVALID, "Call a client before it is closed, or open another.")
CLIENT_COMMAND_LOCAL = ErrorCode(
    "client_command_local",
    Category.INVALID,
    "Call it on the machine that it is about: it works on that machine's own files.",
)
CLIENT_CONNECT_FAILED = ErrorCode(
    "client_connect_failed",
    Category.UNAVAILABLE,
    "Check that the server runs, its address and the network, then try again.",
    retryable=True,
)
CLIENT_TLS_FAILED = ErrorCode(
    "client_tls_failed",
    Category.REFUSED,
    "Check the server's certificate; let `ca` name the authority that issued it, if it is your own.",
)
CLIENT_TIMEOUT = ErrorCode(
    "client_timeout",
    Category.UNAVAILABLE,
    "It may have been done: look, or send the same call again under the same command id.",
    retryable=True,
)
CLIENT_CONNECTION_LOST = ErrorCode(
    "client_connection_lost",
    Category.UNAVAILABLE,
    "It may have been done: look, or send the same call again under the same command id.",
    retryable=True,
)
CLIENT_REDIRECT_REFUSED = ErrorCode(
    "client_redirect_refused", Category.REFUSED, "Name the address where the server is now; a token goes nowhere else."
)
CLIENT_ANSWER_TOO_LARGE = ErrorCode(
    "client_answer_too_large", Category.UNAVAILABLE, "Ask for less, with a smaller `limit` if the command has one."
)
CLIENT_ANSWER_INVALID = ErrorCode(
    "client_answer_invalid",
    Category.UNAVAILABLE,
    "Check that the address is that of an Interlock server, and that both are of one version.",
)
CLIENT_CONTENT_WRONG = ErrorCode(
    "client_content_wrong", Category.CORRUPT, "Ask again: what came was thrown away, and nothing was written."
)
SERVER_ERROR = ErrorCode(
    "server_error", Category.UNAVAILABLE, "Ask whoever runs the server; its log knows the request id."
)
PROFILE_UNKNOWN = ErrorCode(
    "profile_unknown", Category.NOT_FOUND, "Name a profile that the file of profiles has, or add it there."
)
PROFILES_INVALID = ErrorCode(
    "profiles_invalid", Category.INVALID, "Correct the file of profiles at the place that is named."
)
PROFILES_UNREADABLE = ErrorCode(
    "profiles_unreadable", Category.INVALID, "Make the file of profiles one that you can read."
)
PROFILE_TOKEN_LITERAL = ErrorCode(
    "profile_token_literal",
    Category.INVALID,
    "Put the token into a variable or a file of its own, and name that: env:NAME or file:/absolute/path.",
)
SERVER_FILE_UNSAFE = ErrorCode(
    "server_file_unsafe",
    Category.REFUSED,
    "Make it yours alone (chmod 600), or remove it: `interlock up` writes it anew.",
)
SERVER_FILE_INVALID = ErrorCode(
    "server_file_invalid", Category.INVALID, "Remove the file: `interlock up` writes it anew."
)

ERRORS = (
    CLIENT_LIBRARY_MISSING,
    CLIENT_PLACE_UNCLEAR,
    CLIENT_URL_INVALID,
    CLIENT_PLAIN_REFUSED,
    CLIENT_TOKEN_INVALID,
    CLIENT_CA_UNREADABLE,
    CLIENT_CLOSED,
    CLIENT_COMMAND_LOCAL,
    CLIENT_CONNECT_FAILED,
    CLIENT_TLS_FAILED,
    CLIENT_TIMEOUT,
    CLIENT_CONNECTION_LOST,
    CLIENT_REDIRECT_REFUSED,
    CLIENT_ANSWER_TOO_LARGE,
    CLIENT_ANSWER_INVALID,
    CLIENT_CONTENT_WRONG,
    SERVER_ERROR,
    PROFILE_UNKNOWN,
    PROFILES_INVALID,
    PROFILES_UNREADABLE,
    PROFILE_TOKEN_LITERAL,
    SERVER_FILE_UNSAFE,
    SERVER_FILE_INVALID,
)
