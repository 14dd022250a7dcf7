"""Error codes of HTTP: what is wrong with a request before a command sees it.

It raises nothing itself; nothing of a server is imported with it.
"""

from __future__ import annotations

from interlock.base.errors import Category, ErrorCode
from interlock.base.extras import install_advice

CREDENTIALS_MISSING = ErrorCode(
    "credentials_missing",
    Category.REFUSED,
    "Send `Authorization: Bearer TOKEN`; at a shell, set INTERLOCK_TOKEN, or `token` of the profile. "
    "`interlock token new` makes a token, and `interlock up` has its own in the file that it names.",
)
ORIGIN_REFUSED = ErrorCode(
    "origin_refused",
    Category.REFUSED,
    "Reach the server by its address or a name of `server.hosts`; ask from a program, or from a page of this server.",
)
REQUEST_TOO_LARGE = ErrorCode(
    "request_too_large",
    Category.INVALID,
    "Send less: `server.body_bytes_max` and `server.upload_bytes_max` say how much.",
)
REQUEST_TIMEOUT = ErrorCode(
    "request_timeout",
    Category.UNAVAILABLE,
    "Send the body faster, or raise `server.body_timeout_ms`; of a pack, lower `server.transfer_bytes_per_second_min`.",
    retryable=True,
)
MEDIA_TYPE_UNSUPPORTED = ErrorCode(
    "media_type_unsupported",
    Category.INVALID,
    "Send the body with the content type that the message names, in UTF-8, and not compressed.",
)
PATH_UNKNOWN = ErrorCode("path_unknown", Category.NOT_FOUND, "Ask for a path of `/api/v1/openapi.json`.")
METHOD_NOT_ALLOWED = ErrorCode("method_not_allowed", Category.INVALID, "Use a method that the `Allow` header names.")
SERVER_BUSY = ErrorCode(
    "server_busy", Category.OVERLOADED, "Wait as long as `Retry-After` says, then ask again.", retryable=True
)
SERVER_DRAINING = ErrorCode(
    "server_draining", Category.UNAVAILABLE, "Ask again: another server takes over.", retryable=True
)
ADDRESS_INVALID = ErrorCode(
    "server_address_invalid",
    Category.INVALID,
    "Give an address of this machine and a port that is free; `--port 0` takes one that is.",
)
SERVER_RUNNING = ErrorCode(
    "server_running",
    Category.CONFLICT,
    "Use that server, or end its process first; a server of another store needs a folder of its own.",
)
SERVER_UNSAFE = ErrorCode(
    "server_unsafe", Category.INVALID, "Serve this machine alone, or say how others are kept safe; see `--help`."
)
SERVER_CERTIFICATE_INVALID = ErrorCode(
    "server_certificate_invalid",
    Category.INVALID,
    "Give PEM files that can be read: the certificate chain, and its private key without a password.",
)
SERVER_LIBRARY_ABSENT = ErrorCode("server_library_absent", Category.REFUSED, install_advice("server"))
UP_CHILD_FAILED = ErrorCode(
    "up_child_failed", Category.FAILED, "Mend what the process said on standard error, then bring it up again."
)

ERRORS = (
    SERVER_RUNNING,
    SERVER_UNSAFE,
    SERVER_CERTIFICATE_INVALID,
    SERVER_LIBRARY_ABSENT,
    UP_CHILD_FAILED,
    CREDENTIALS_MISSING,
    ORIGIN_REFUSED,
    REQUEST_TOO_LARGE,
    REQUEST_TIMEOUT,
    MEDIA_TYPE_UNSUPPORTED,
    PATH_UNKNOWN,
    METHOD_NOT_ALLOWED,
    SERVER_BUSY,
    SERVER_DRAINING,
    ADDRESS_INVALID,
)
