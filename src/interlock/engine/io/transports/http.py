"""Speaks to HTTP servers: the transport of the namespace `http`.

What it does: sends one request `http_request_v1` and answers with status, chosen headers and body. What it
does not do: it follows no redirect, keeps no cookie, and repeats nothing by itself; retries are the
engine's.

Rules: addresses that are not public are refused unless the setting allows them; a name is resolved once and
the connection goes to the address that was checked; methods, times and sizes are bounded; a status that the
request does not expect is an error, so that no failure is recorded as an answer; the idempotency key
travels as a header; errors name the host and the status, and nothing else of request or answer. Source:
seed 001, `live_io`.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from interlock.base.canonical import Json, canonical, digest, parse
from interlock.base.errors import InterlockError
from interlock.base.extras import install_advice
from interlock.engine.io.transports.addresses import Resolver, system_resolver
from interlock.engine.io.transports.http_errors import (
    HTTP_LIBRARY_MISSING,
    HTTP_METHOD_NOT_ALLOWED,
    HTTP_RATE_LIMITED,
    HTTP_REQUEST_INVALID,
    HTTP_REQUEST_TOO_LARGE,
    HTTP_RESPONSE_INVALID,
    HTTP_STATUS_REFUSED,
    HTTP_UNAVAILABLE,
)
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.requests import SecretsOfCall, SecretSource, SecretText, read_request

if TYPE_CHECKING:
    from interlock.engine.io.transports.http_wire import Received, Wire

READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""

ANSWER_HEADERS: Final = frozenset(
    {"content-type", "etag", "last-modified", "link", "location", "retry-after", "x-request-id"}
)
"""The headers of a response that become part of the answer."""

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?")
_OWN_HEADERS: Final = frozenset(
    {"connection", "content-length", "host", "idempotency-key", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "accept-encoding", "proxy-connection", "proxy-authorization", "expect"}
)
_TEXT_CHARSETS: Final = frozenset({"utf-8", "us-ascii", "iso-8859-1", "windows-1252"})
_CHARSET: Final = re.compile(r";\s*charset=\"?([\w.-]{1,40})", re.IGNORECASE)
_FAILURES_OF_SERVERS: Final = frozenset({408, 500, 502, 503, 504})
_JSON_TYPE: Final = re.compile(r"\s*application/(?:[\w.-]+\+)?json\s*(?:;|$)", re.IGNORECASE)
_RETRY_AFTER_SECONDS: Final = re.compile(r"[0-9]{1,6}")
_RETRY_AFTER_MS: Final = 1000


class HttpSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where requests may go, and how much they may send, take and wait."""

    allow_private_networks: Annotated[
        bool, Meta(description="Whether plans may reach this machine and private networks.")
    ] = False
    allow_plain: Annotated[bool, Meta(description="Whether addresses may be http ones, without TLS.")] = True
    allowed_hosts: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...] | None,
        Meta(description="Hosts that plans may reach; unless set, all."),
    ] = None
    methods: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A[A-Z]{1,20}\Z")], ...],
        Meta(description="Methods that plans may use."),
    ] = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
    connections_max: Annotated[int, Meta(ge=1, le=10_000, description="Connections at one time.")] = 100
    connect_timeout_ms: Annotated[
        int, Meta(ge=1, le=600_000, description="How long a connection, or a free one, is waited for.")
    ] = 10_000
    request_bytes_max: Annotated[int, Meta(ge=0, le=16 * 1024 * 1024, description="Bytes of a body sent.")] = (
        1024 * 1024
    )
    response_bytes_max: Annotated[
        int, Meta(ge=0, le=16 * 1024 * 1024, description="Bytes of a body received, packed and unpacked.")
    ] = 8 * 1024 * 1024


class HttpRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request of the namespace `http`.

    One of `json` and `body` (text, sent as UTF-8) is the content. `response` says how the body becomes an
    answer: `json` demands JSON, `text` demands text, `bytes` takes it as base64, `auto` takes what the
    content type says, `none` drops it, and `unread` does not wait for it. `ok_statuses` are those that are
    an answer; none listed means 200 to 299.
    """

    kind: Literal["http_request_v1"]
    url: Annotated[str, Meta(min_length=1, max_length=8192)]
    method: Annotated[str, Meta(pattern=r"\A[A-Z]{1,20}\Z")] = "GET"
    headers: Annotated[dict[str, str | SecretText], Meta(max_length=100)] = {}
    json: object | UnsetType = UNSET
    body: str | UnsetType = UNSET
    timeout_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 30_000
    response: Literal["auto", "json", "text", "bytes", "none", "unread"] = "auto"
    ok_statuses: tuple[Annotated[int, Meta(ge=200, le=599)], ...] = ()


class HttpTransport:
    """The transport of the namespace `http`.

    Answers `{url, status, headers, json, body, body_base64, body_bytes}`: at most one of `json`, `body`
    (text) and `body_base64` (what is neither) is not null. `resolve` and `tls` stand for the name server
    and the trusted certificates of the system.
    """

    def __init__(
        self,
        settings: HttpSettings,
        secrets: SecretSource,
        *,
        resolve: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._resolve = resolve
        self._tls = tls
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()

    def effectful(self, request: Json) -> bool:
        """Whether the method is one that may change the server."""
        method = request.get("method", "GET") if isinstance(request, dict) else None
        return method not in READING_METHODS

    async def call(self, request: Json, context: TransportContext) -> Json:
        """Send what `request` says. Raises: the `http_…` codes; those of secrets."""
        order = read_request(request, HttpRequest, HTTP_REQUEST_INVALID)
        if order.method not in self._settings.methods:
            raise HTTP_METHOD_NOT_ALLOWED.error(f"the method {order.method} is not allowed", method=order.method)
        secrets = SecretsOfCall(self._secrets, context)
        content = self._content(order)
        headers = _headers(order, context, secrets)
        received = await self._exchange(order, headers, content)
        _judge(order, received)
        kept = {name: value for name, value in received.headers if name in ANSWER_HEADERS}
        secrets.refuse_echo(received.body, *(value.encode() for value in kept.values()))
        return _answer(order, received, kept)

    async def close(self) -> None:
        """Close every connection."""
        if self._wire is not None:
            await self._wire.close()
            self._wire = None

    async def _exchange(self, order: HttpRequest, headers: dict[str, str], content: bytes) -> Received:
        async with self._opening:
            if self._wire is None:
                # The library takes a third of a second to load, and the certificates some more.
                self._wire = await asyncio.to_thread(self._open)
            wire = self._wire
        from interlock.engine.io.transports.http_wire import Sending

        return await wire.send(
            Sending(
                method=order.method,
                url=order.url,
                headers=headers,
                content=content,
                timeout_ms=order.timeout_ms,
                connect_timeout_ms=self._settings.connect_timeout_ms,
                response_bytes_max=self._settings.response_bytes_max,
                wanted=lambda status: order.response != "unread" and _is_expected(order, status),
            )
        )

    def _open(self) -> Wire:
        try:
            from interlock.engine.io.transports.http_wire import Reach, Wire, bare_host
        except ImportError:
            raise HTTP_LIBRARY_MISSING.error(f"the HTTP library is not installed. {install_advice('http')}") from None
        hosts = self._settings.allowed_hosts
        return Wire(
            self._resolve,
            reach=Reach(
                allow_private=self._settings.allow_private_networks,
                allowed_hosts=None if hosts is None else frozenset(map(bare_host, hosts)),
                allow_plain=self._settings.allow_plain,
            ),
            connections_max=self._settings.connections_max,
            tls=self._tls,
        )

    def _content(self, order: HttpRequest) -> bytes:
        if order.json is not UNSET and order.body is not UNSET:
            raise HTTP_REQUEST_INVALID.error("the request has both $.json and $.body")
        try:
            text = b"" if order.body is UNSET else order.body.encode()
        except UnicodeEncodeError:
            raise HTTP_REQUEST_INVALID.error("the request breaks its form at $.body") from None
        content = text if order.json is UNSET else canonical(order.json)
        limit = self._settings.request_bytes_max
        if len(content) > limit:
            raise HTTP_REQUEST_TOO_LARGE.error(
                f"a body of {len(content)} bytes, of {limit} at most",
                body_bytes=len(content),
                limit_bytes=limit,
            )
        return content


def _headers(order: HttpRequest, context: TransportContext, secrets: SecretsOfCall) -> dict[str, str]:
    """The headers to send. Raises: `http_request_invalid` for one that would change the request's framing."""
    headers = {"user-agent": "interlock"}
    if order.json is not UNSET:
        headers["content-type"] = "application/json"
    elif order.body is not UNSET:
        headers["content-type"] = "text/plain; charset=utf-8"
    given = {name: secrets.text(value) for name, value in order.headers.items()}
    check_headers(given)
    headers.update((name.lower(), value) for name, value in given.items())
    if context.idempotency_key is not None:
        headers["idempotency-key"] = _header_text(context.idempotency_key)
    return headers


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that would change a request's framing, or cannot be sent. Raises: `http_request_invalid`."""
    if len({name.lower() for name in headers}) != len(headers):
        raise HTTP_REQUEST_INVALID.error("a header stands twice at $.headers")
    for name, value in headers.items():
        if _HEADER_NAME.fullmatch(name) is None or _HEADER_VALUE.fullmatch(value) is None:
            raise HTTP_REQUEST_INVALID.error("a header at $.headers has characters that a header cannot have")
        if name.lower() in _OWN_HEADERS:
            raise HTTP_REQUEST_INVALID.error(
                f"the header {name.lower()} is not a request's to set", header=name.lower()
            )


def _header_text(key: str) -> str:
    """An idempotency key as a header can carry it: as it is, or its digest."""
    return key if _HEADER_VALUE.fullmatch(key) else digest(key.encode())


def _is_expected(order: HttpRequest, status: int) -> bool:
    return status in order.ok_statuses if order.ok_statuses else 200 <= status <= 299


def _judge(order: HttpRequest, received: Received) -> None:
    """Raise for a status that is no answer to this request."""
    status = received.status
    if _is_expected(order, status):
        return
    if status == 429:
        after = _RETRY_AFTER_SECONDS.fullmatch(dict(received.headers).get("retry-after", "").strip())
        wait_ms = int(after[0]) * 1000 if after else _RETRY_AFTER_MS
        raise HTTP_RATE_LIMITED.error("the server asks to wait", status=status, retry_after_ms=wait_ms)
    kind = HTTP_UNAVAILABLE if status in _FAILURES_OF_SERVERS else HTTP_STATUS_REFUSED
    raise kind.error(f"the server answered with status {status}", status=status)


def _answer(order: HttpRequest, received: Received, headers: dict[str, str]) -> Json:
    value, text, packed = _read_body(order, received.body, headers.get("content-type", ""))
    return {
        "url": order.url.partition("#")[0],
        "status": received.status,
        "headers": dict(headers),
        "json": value,
        "body": text,
        "body_base64": packed,
        "body_bytes": len(received.body),
    }


def _read_body(order: HttpRequest, body: bytes, content_type: str) -> tuple[Json, str | None, str | None]:
    """The body as JSON value, as text, or as base64."""
    if order.response in {"none", "unread"} or (not body and order.response != "json"):
        return None, None, None
    if order.response == "bytes":
        return None, None, base64.b64encode(body).decode("ascii")
    if order.response == "json" or (order.response == "auto" and _JSON_TYPE.match(content_type)):
        try:
            return parse(body), None, None
        except InterlockError as fault:
            if order.response == "json":
                raise HTTP_RESPONSE_INVALID.error(f"the body is no acceptable JSON ({fault.code})") from None
    text = _text(body, content_type)
    if text is not None:
        return None, text, None
    if order.response == "text":
        raise HTTP_RESPONSE_INVALID.error("the body is no text in a known encoding")
    return None, None, base64.b64encode(body).decode("ascii")


def _text(body: bytes, content_type: str) -> str | None:
    named = _CHARSET.search(content_type)
    charset = named[1].lower() if named else "utf-8"
    try:
        return body.decode(charset) if charset in _TEXT_CHARSETS else None
    except UnicodeDecodeError:
        return None
