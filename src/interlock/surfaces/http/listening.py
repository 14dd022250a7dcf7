"""The socket of a server.

What it does: makes a socket that listens, and says where it is reached. What it does not do: it answers nobody.

Rule: the protocol of the socket is named, so that no answer waits for the other side's acknowledgement.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Final

from interlock.surfaces.http.errors import ADDRESS_INVALID

BACKLOG: Final = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises: `server_address_invalid`."""
    host = _address(host)
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        raise ADDRESS_INVALID.error("the address is neither an IP address nor localhost") from None
    # With the protocol named, asyncio turns Nagle's algorithm off; without, each answer waits 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as fault:
        made.close()
        where = f"{_shown(host)}:{port}"
        in_use = fault.errno == errno.EADDRINUSE
        reason = f"{where} is in use" if in_use else f"nothing can listen at {where}: {fault.strerror}"
        raise ADDRESS_INVALID.error(reason, port=port) from None
    made.setblocking(False)  # noqa: FBT003 - the call has no name for it
    return made


def _address(host: str) -> str:
    """The address that a name stands for: of this machine's own, which nobody has to be asked for."""
    return "127.0.0.1" if host.lower() == "localhost" else host


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, and reached by nobody else."""
    try:
        return ipaddress.ip_address(_address(host)).is_loopback
    except ValueError:
        return False


def url_of(listening: socket.socket, *, tls: bool = False) -> str:
    """Where a socket is reached from this machine."""
    host, port = listening.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{_shown(host)}:{port}"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
