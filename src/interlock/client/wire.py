"""The connections of a client to its server.

What it does: sends a request and reads the answer within its limits, or gives the lines of an answer that goes on. What
it does not do: it follows no redirect, keeps no cookie, asks no proxy that it was not given, reads no environment
variable, and repeats nothing.

Rules: this module alone imports the HTTP library, and is itself imported at the first call. The token is in one header
and nowhere else; errors name the server and never more of what was sent or answered.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import httpx2

from interlock.base.errors import InterlockError
from interlock.client.addresses import Address
from interlock.client.errors import (
    CLIENT_ANSWER_INVALID,
    CLIENT_ANSWER_TOO_LARGE,
    CLIENT_CA_UNREADABLE,
    CLIENT_CONNECT_FAILED,
    CLIENT_CONNECTION_LOST,
    CLIENT_REDIRECT_REFUSED,
    CLIENT_TIMEOUT,
    CLIENT_TLS_FAILED,
    CLIENT_URL_INVALID,
)
from interlock.client.exchange import Received, Sending, Taking
from interlock.client.places import Place

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
CONNECT_SECONDS_MAX: Final = 10.0
_CONNECTIONS_MAX: Final = 20
_GRANTED: Final = 200
_KEEPALIVE_SECONDS_MAX: Final = 30.0
_NOT_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


class Wire:
    """The connections to one server."""

    def __init__(self, place: Place, *, proxy: str | None = None) -> None:
        self._place = place
        try:
            self._client = httpx2.AsyncClient(
                verify=_tls(place),
                proxy=proxy,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS_MAX, pool=CONNECT_SECONDS_MAX),
                limits=httpx2.Limits(
                    max_connections=_CONNECTIONS_MAX,
                    max_keepalive_connections=_CONNECTIONS_MAX,
                    keepalive_expiry=_KEEPALIVE_SECONDS_MAX,
                ),
            )
        except (httpx2.InvalidURL, ValueError):
            raise CLIENT_URL_INVALID.error("the proxy's address is not one") from None

    async def ask(self, sending: Sending, timeout_s: float, taking: Taking | None = None) -> Received:
        """Send a request and read its answer, of any status but a redirect. Raises: `client_…`.

        For a body that is sent or taken piece by piece the time begins anew with each piece.
        """
        try:
            async with asyncio.timeout(timeout_s) as limit, self._answer(_paced(sending, limit, timeout_s)) as response:
                body = bytearray()
                if taking is not None and response.status_code == _GRANTED:
                    await _taken(response, taking, limit, timeout_s)
                else:
                    async for chunk in _bounded(response, ANSWER_BYTES_MAX):
                        body += chunk
                return Received(response.status_code, dict(response.headers.items()), bytes(body))
        except TimeoutError:
            raise self._late(timeout_s) from None

    @asynccontextmanager
    async def listen(self, sending: Sending, timeout_s: float) -> AsyncIterator[httpx2.Response]:
        """An answer whose body goes on; only its head is waited for no longer than `timeout_s`. Raises: `client_…`."""
        try:
            async with asyncio.timeout(timeout_s) as limit, self._answer(sending) as response:
                limit.reschedule(None)
                yield response
        except TimeoutError:
            raise self._late(timeout_s) from None

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    @asynccontextmanager
    async def _answer(self, sending: Sending) -> AsyncIterator[httpx2.Response]:
        """The head of an answer; what goes wrong until the end of its body is told in our words."""
        try:
            response = await self._client.send(self._request(sending), stream=True)
            try:
                self._judge(response)
                yield response
            finally:
                await response.aclose()
        except (InterlockError, TimeoutError):
            raise
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as fault:
            raise fault_of(self._place.address, fault) from None

    def _request(self, sending: Sending) -> httpx2.Request:
        headers = {"accept": "application/json, application/problem+json", "accept-encoding": "identity"}
        headers |= sending.headers
        if self._place.token is not None:
            headers["authorization"] = f"Bearer {self._place.token.reveal()}"
        query = f"?{sending.query}" if sending.query else ""
        url = f"{self._place.address.url}{sending.path}{query}"
        try:
            return self._client.build_request(sending.method, url, headers=headers, content=sending.content)
        except httpx2.InvalidURL:
            raise CLIENT_URL_INVALID.error("the call is too long for an address") from None

    def _late(self, timeout_s: float) -> InterlockError:
        host = self._place.address.host
        return CLIENT_TIMEOUT.error(f"{host} did not answer within {timeout_s:g} s", host=host)

    def _judge(self, response: httpx2.Response) -> None:
        host = self._place.address.host
        if 300 <= response.status_code < 400:
            raise CLIENT_REDIRECT_REFUSED.error(f"{host} sends elsewhere (status {response.status_code})", host=host)
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise CLIENT_ANSWER_INVALID.error(f"{host} sent an encoding that was not asked for", host=host)


def fault_of(address: Address, fault: Exception) -> InterlockError:
    """What a failure of the connection means for a call."""
    host = address.host
    if _is_of_tls(fault):
        return CLIENT_TLS_FAILED.error(f"no trusted TLS connection to {address.url}", host=host)
    if isinstance(fault, _NOT_SENT):
        return CLIENT_CONNECT_FAILED.error(f"no connection to {address.url}", host=host)
    if isinstance(fault, httpx2.TimeoutException):
        return CLIENT_TIMEOUT.error(f"{host} was silent for too long", host=host)
    return CLIENT_CONNECTION_LOST.error(f"{host} broke off before its answer was whole", host=host)


async def _bounded(response: httpx2.Response, bytes_max: int) -> AsyncIterator[bytes]:
    """The pieces of a body. Raises: `client_answer_too_large`, instead of the piece that is one too many."""
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > bytes_max:
            raise CLIENT_ANSWER_TOO_LARGE.error(f"the answer has more than {bytes_max} bytes", limit_bytes=bytes_max)
        yield chunk


async def _taken(response: httpx2.Response, taking: Taking, limit: asyncio.Timeout, timeout_s: float) -> None:
    async for chunk in _bounded(response, taking.bytes_max):
        limit.reschedule(None)  # the time is the server's: a slow disk of ours does not count
        await taking.write(chunk)
        limit.reschedule(asyncio.get_running_loop().time() + timeout_s)


def _paced(sending: Sending, limit: asyncio.Timeout, timeout_s: float) -> Sending:
    content = sending.content
    if content is None or isinstance(content, bytes):
        return sending

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in content:
            limit.reschedule(asyncio.get_running_loop().time() + timeout_s)
            yield piece

    return replace(sending, content=pieces())


def _is_of_tls(fault: BaseException) -> bool:
    cause: BaseException | None = fault
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _tls(place: Place) -> ssl.SSLContext | bool:
    """Whose certificates are trusted: those of the named file alone, else those of the library."""
    if place.address.is_plain:
        return False  # there is none to check
    if place.ca is None:
        return httpx2.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=str(place.ca))
    except (OSError, ValueError):
        raise CLIENT_CA_UNREADABLE.error(f"{place.ca} holds no certificates") from None
