"""Error codes of the transport of the namespace `http`.

It declares them and does nothing else. Rule: `unavailable` is what leaves open whether the server did it;
every other category was not sent, or was answered with a refusal.
"""

from interlock.base.errors import Category, ErrorCode
from interlock.base.extras import install_advice

HTTP_REQUEST_INVALID = ErrorCode(
    "http_request_invalid", Category.INVALID, "Correct the request where the message says."
)
HTTP_METHOD_NOT_ALLOWED = ErrorCode(
    "http_method_not_allowed", Category.REFUSED, "Use a method that the setting http.methods lists."
)
HTTP_ADDRESS_REFUSED = ErrorCode(
    "http_address_refused",
    Category.REFUSED,
    "Ask a host of the public internet, or set http.allow_private_networks where plans may do this.",
)
HTTP_HOST_NOT_ALLOWED = ErrorCode(
    "http_host_not_allowed", Category.REFUSED, "Ask a host that the setting http.allowed_hosts lists."
)
HTTP_PLAIN_NOT_ALLOWED = ErrorCode(
    "http_plain_not_allowed", Category.REFUSED, "Use an https address, or set http.allow_plain where http may be used."
)
HTTP_REQUEST_TOO_LARGE = ErrorCode(
    "http_request_too_large", Category.INVALID, "Send less, or raise http.request_bytes_max."
)
HTTP_LIBRARY_MISSING = ErrorCode("http_library_missing", Category.REFUSED, install_advice("http"))
HTTP_CONNECT_FAILED = ErrorCode(
    "http_connect_failed", Category.FAILED, "Check host, port and network, then try again.", retryable=True
)
HTTP_TLS_FAILED = ErrorCode(
    "http_tls_failed",
    Category.REFUSED,
    "Check the server's certificate and the certificates that are trusted.",
)
HTTP_TIMEOUT = ErrorCode(
    "http_timeout", Category.UNAVAILABLE, "Try again, or give more time with timeout_ms.", retryable=True
)
HTTP_CONNECTION_LOST = ErrorCode(
    "http_connection_lost",
    Category.UNAVAILABLE,
    "The server went away before it had answered.",
    retryable=True,
)
HTTP_BODY_TOO_LARGE = ErrorCode(
    "http_body_too_large", Category.UNAVAILABLE, "Ask for less, or raise http.response_bytes_max."
)
HTTP_RESPONSE_INVALID = ErrorCode(
    "http_response_invalid",
    Category.UNAVAILABLE,
    "The server's answer cannot be read as asked: ask for text.",
)
HTTP_UNAVAILABLE = ErrorCode(
    "http_unavailable",
    Category.UNAVAILABLE,
    "The server failed (status 5xx): try again later.",
    retryable=True,
)
HTTP_RATE_LIMITED = ErrorCode(
    "http_rate_limited", Category.FAILED, "Wait retry_after_ms, then try again.", retryable=True
)
HTTP_STATUS_REFUSED = ErrorCode(
    "http_status_refused",
    Category.FAILED,
    "See the status: correct the request, or list the status in ok_statuses to get it as an answer.",
)

ERRORS = (
    HTTP_REQUEST_INVALID,
    HTTP_METHOD_NOT_ALLOWED,
    HTTP_ADDRESS_REFUSED,
    HTTP_HOST_NOT_ALLOWED,
    HTTP_PLAIN_NOT_ALLOWED,
    HTTP_REQUEST_TOO_LARGE,
    HTTP_LIBRARY_MISSING,
    HTTP_CONNECT_FAILED,
    HTTP_TLS_FAILED,
    HTTP_TIMEOUT,
    HTTP_CONNECTION_LOST,
    HTTP_BODY_TOO_LARGE,
    HTTP_RESPONSE_INVALID,
    HTTP_UNAVAILABLE,
    HTTP_RATE_LIMITED,
    HTTP_STATUS_REFUSED,
)
