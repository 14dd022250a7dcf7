"""Which addresses of the network a plan may reach.

What it does: says whether an address is public, and resolves a name to addresses that all are. What it does
not do: it opens no connection.

Rules: a name is resolved once, and the connection goes to an address that was checked, so that a second
answer of the name server changes nothing; one address that is not public refuses the whole name; an IPv4
address within an IPv6 one counts as itself. Source: RFC 6890, RFC 6052, RFC 4291.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from interlock.engine.io.transports.http_errors import HTTP_ADDRESS_REFUSED, HTTP_CONNECT_FAILED

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Gives the addresses of a host name; raises `OSError`."""

_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet: none of this machine, this network, or a tunnel."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped
        if parsed in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is None:
            return parsed in _GLOBAL_UNICAST and parsed.is_global and parsed.sixtofour is None
        parsed = inner
    return parsed.is_global and not parsed.is_multicast


async def system_resolver(host: str, port: int) -> list[str]:
    """The addresses that the operating system gives for a name, in its order of preference."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def checked_addresses(host: str, port: int, resolve: Resolver, *, allow_private: bool) -> list[str]:
    """The addresses of `host`, every one of them public unless `allow_private`.

    Raises: `http_address_refused`; `http_connect_failed` when the name does not resolve.
    """
    try:
        addresses = await resolve(host, port)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise HTTP_CONNECT_FAILED.error(f"the name {host} does not resolve", host=host)
    if not allow_private and not all(map(is_public, addresses)):
        raise HTTP_ADDRESS_REFUSED.error(f"{host} is not on the public internet", host=host)
    return addresses
