"""A process that another one supervises: it ends when its supervisor has, and takes over what that one holds.

What it does: watches the pipe that a supervisor leaves as standard input, and takes the socket that it hands over. What
it does not do: it starts nothing.

Rules: the end of the pipe is the end of the supervisor, however it came; the process then ends as if told to. What is
handed over is named by variables, which nothing that this process starts inherits; a socket that others of the network
reach is never taken from a variable.
"""

from __future__ import annotations

import os
import signal
import socket
import threading

from interlock.base.errors import InterlockError
from interlock.surfaces.http.errors import ADDRESS_INVALID
from interlock.surfaces.http.listening import is_loopback

VARIABLE = "INTERLOCK_SUPERVISED"
LISTENING_VARIABLE = "INTERLOCK_LISTENING"
"""Holds the number of the open file that is a socket which listens."""


def watch_parent() -> bool:
    """Let this process be told to stop when its supervisor has ended; False where nobody supervises it."""
    if os.environ.pop(VARIABLE, None) is None:
        return False

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor", daemon=True).start()
    return True


def handed_over() -> socket.socket | None:
    """The socket that a supervisor has handed over; None where there is none. Raises: `server_address_invalid`."""
    number = os.environ.pop(LISTENING_VARIABLE, None)
    if number is None:
        return None
    try:
        found = socket.socket(fileno=int(number))
    except (OSError, ValueError, OverflowError):
        raise _refused() from None
    if found.family not in {socket.AF_INET, socket.AF_INET6} or not _listens_here(found):
        found.close()
        raise _refused()
    # Named again: with the protocol, the loop turns Nagle's algorithm off, and not every system tells it of a file.
    taken = socket.socket(found.family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=found.detach())
    taken.set_inheritable(False)
    taken.setblocking(False)  # noqa: FBT003 - the call has no name for it
    return taken


def _listens_here(found: socket.socket) -> bool:
    listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return bool(listens) and is_loopback(found.getsockname()[0])


def _refused() -> InterlockError:
    return ADDRESS_INVALID.error(f"{LISTENING_VARIABLE} names no socket of this machine that listens: unset it")
