"""The connections behind the transport of the namespace `http`.

What it does: keeps one pool of connections, each to an address that was checked, sends one request over it,
and reads the answer within its limits. What it does not do: it follows no redirect, keeps no cookie, asks
no proxy, reads no environment variable, and judges no status; `http` does.

Rules: this module alone imports the HTTP library, and is itself imported at the first call. Bodies are
counted as they arrive and again as they are decompressed. Errors name the host and never the rest of an
address.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final

import httpcore2
import httpx2

from interlock.base.errors import InterlockError
from interlock.engine.io.transports.addresses import Resolver, checked_addresses
from interlock.engine.io.transports.http_errors import (
    HTTP_BODY_TOO_LARGE,
    HTTP_CONNECT_FAILED,
    HTTP_CONNECTION_LOST,
    HTTP_HOST_NOT_ALLOWED,
    HTTP_PLAIN_NOT_ALLOWED,
    HTTP_REQUEST_INVALID,
    HTTP_RESPONSE_INVALID,
    HTTP_TIMEOUT,
    HTTP_TLS_FAILED,
)

_KEEPALIVE_SECONDS_MAX: Final = 30.0
_ENCODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})
_HOST: Final = re.compile(rb"[A-Za-z0-9._:-]{1,255}")
_PORTS: Final = range(1, 65_536)


@dataclass(frozen=True, slots=True)
class Received:
    """An answer, its body decompressed."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Sending:
    """What to send, and within which limits to take the answer.

    `wanted(status)` says whether the body of an answer is read; time counts from the call of `send`.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes
    timeout_ms: int
    connect_timeout_ms: int
    response_bytes_max: int
    wanted: Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Reach:
    """Where requests may go: whether off the public internet, to which hosts (None: any), whether without TLS."""

    allow_private: bool
    allowed_hosts: frozenset[str] | None
    allow_plain: bool

    def check(self, url: httpx2.URL) -> None:
        """Raise what forbids an address: `http_host_not_allowed`, `http_plain_not_allowed`."""
        if url.scheme != "https" and not self.allow_plain:
            raise HTTP_PLAIN_NOT_ALLOWED.error("http addresses are not allowed")
        if self.allowed_hosts is not None and bare_host(url.raw_host.decode()) not in self.allowed_hosts:
            raise HTTP_HOST_NOT_ALLOWED.error(f"the host {url.host} is not allowed", host=url.host)


def bare_host(host: str) -> str:
    """A host as it is compared: in small letters, without brackets and final dot."""
    return host.lower().removeprefix("[").removesuffix("]").removesuffix(".")


class _Progress:
    """How far a request has come: `sent` once its first byte may have left."""

    def __init__(self) -> None:
        self.sent = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by the library at each of its steps."""
        del info
        self.sent = self.sent or event.endswith("send_request_headers.started")


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to checked addresses; TLS above it still speaks to the name."""

    def __init__(self, resolve: Resolver, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first checked address of `host` that takes one."""
        addresses = await checked_addresses(host, port, self._resolve, allow_private=self._allow_private)
        for address in addresses[:-1]:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)


class Counted(httpx2.AsyncByteStream):
    """A body as it arrives, with a limit on what is taken from the connection."""

    def __init__(self, stream: Any, bytes_max: int) -> None:
        self._stream = stream
        self._bytes_max = bytes_max

    async def __aiter__(self) -> AsyncIterator[bytes]:
        arrived = 0
        async for chunk in self._stream:
            arrived += len(chunk)
            if arrived > self._bytes_max:
                raise _too_large(self._bytes_max)
            yield chunk


class Wire:
    """The connections of an application."""

    def __init__(
        self,
        resolve: Resolver,
        *,
        reach: Reach,
        connections_max: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._reach = reach
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls or httpx2.create_ssl_context(trust_env=False),
            max_connections=connections_max,
            max_keepalive_connections=connections_max,
            keepalive_expiry=_KEEPALIVE_SECONDS_MAX,
            network_backend=CheckedBackend(resolve, allow_private=reach.allow_private),
        )

    async def send(self, sending: Sending) -> Received:
        """Send a request and read its answer.

        Raises: `http_request_invalid`, `http_host_not_allowed`, `http_plain_not_allowed`,
        `http_address_refused`, `http_connect_failed`, `http_tls_failed`,
        `http_timeout`, `http_connection_lost`, `http_body_too_large`, `http_response_invalid`.
        """
        request = _request(sending)
        self._reach.check(request.url)
        host = request.url.host
        progress = _Progress()
        try:
            async with asyncio.timeout(sending.timeout_ms / 1000):
                return await self._exchange(request, sending, progress)
        except InterlockError:
            raise
        except Exception as fault:  # noqa: BLE001 - what a library of the network raises is not all declared
            raise _fault(host, fault, sending, sent=progress.sent) from None

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    async def _exchange(self, request: httpx2.Request, sending: Sending, progress: _Progress) -> Received:
        url = request.url
        connect_seconds = sending.connect_timeout_ms / 1000
        response = await self._pool.handle_async_request(
            httpcore2.Request(
                request.method,
                httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions={
                    "timeout": {"connect": connect_seconds, "pool": connect_seconds},
                    "trace": progress.trace,
                },
            )
        )
        try:
            return await _received(request, response, sending)
        finally:
            await response.aclose()


def _request(sending: Sending) -> httpx2.Request:
    """The request for an absolute `http` or `https` address without user and password."""
    try:
        url = httpx2.URL(sending.url).copy_with(fragment=None)
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise HTTP_REQUEST_INVALID.error("the request has no valid address at $.url") from None
    if url.scheme not in {"http", "https"} or url.userinfo:
        raise HTTP_REQUEST_INVALID.error("the address at $.url is not an http or https one without user and password")
    if _HOST.fullmatch(url.raw_host) is None or (url.port is not None and url.port not in _PORTS):
        raise HTTP_REQUEST_INVALID.error("the address at $.url has no valid host and port")
    fixed = {"accept": "*/*", "accept-encoding": "gzip, deflate"}
    return httpx2.Request(sending.method, url, headers=fixed | dict(sending.headers), content=sending.content)


async def _received(request: httpx2.Request, response: httpcore2.Response, sending: Sending) -> Received:
    bytes_max = sending.response_bytes_max
    decoded = httpx2.Response(
        response.status,
        headers=response.headers,
        stream=Counted(response.stream, bytes_max),
        request=request,
    )
    headers = tuple((name.lower(), value) for name, value in decoded.headers.multi_items())
    if not sending.wanted(response.status):
        return Received(response.status, headers, b"")
    # Stacked encodings multiply what a small body can grow to.
    if decoded.headers.get("content-encoding", "").strip().lower() not in _ENCODINGS:
        raise HTTP_RESPONSE_INVALID.error(f"{request.url.host} sent an encoding that was not asked for")
    body = bytearray()
    try:
        async with aclosing(decoded.aiter_bytes()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > bytes_max:
                    raise _too_large(bytes_max)
    except httpx2.DecodingError:
        raise HTTP_RESPONSE_INVALID.error(f"the body from {request.url.host} does not decompress") from None
    return Received(response.status, headers, bytes(body))


def _fault(host: str, fault: Exception, sending: Sending, *, sent: bool) -> InterlockError:
    """What a failure of the connection means for the request."""
    if _is_of_tls(fault):
        return HTTP_TLS_FAILED.error(f"no trusted TLS connection to {host}", host=host)
    if not sent:
        return HTTP_CONNECT_FAILED.error(f"no connection to {host}", host=host)
    if isinstance(fault, httpcore2.TimeoutException | TimeoutError):
        return HTTP_TIMEOUT.error(f"{host} did not answer within {sending.timeout_ms} ms", host=host)
    return HTTP_CONNECTION_LOST.error(f"{host} broke off before its answer was whole", host=host)


def _is_of_tls(fault: BaseException) -> bool:
    cause: BaseException | None = fault
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _too_large(bytes_max: int) -> InterlockError:
    return HTTP_BODY_TOO_LARGE.error(f"the body has more than {bytes_max} bytes", limit_bytes=bytes_max)
