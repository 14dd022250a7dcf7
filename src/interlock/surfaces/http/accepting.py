"""Taking connections: each is counted from the moment that it is there, and has a time in which its TLS begins.

What it does: accepts what comes to a socket, has TLS begin where there is any, and hands the connection to the protocol
of the server. What it does not do: it reads and answers nothing, and knows no HTTP.

Rules: half a handshake is a connection like any other; one that does not end in its time is given up; with a connection
too many no handshake is begun: it is closed, and in the clear its protocol says so. Only servers load this module.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, Final

AT_ONCE_MAX: Final = 128
"""Connections that are accepted before others are looked after again."""

PAUSE_S: Final = 1.0
_WANTING: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Place:
    """The place of one connection; `beyond` says that it is one too many."""

    def __init__(self, places: Places, *, beyond: bool) -> None:
        self.beyond = beyond
        self._places: Places | None = places

    def back(self) -> None:
        """Give it back; once, however often it is said."""
        if self._places is not None:
            self._places.taken -= 1
            self._places = None


class Places:
    """How many connections there are."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    def take(self) -> Place:
        """The place of a connection that was accepted."""
        self.taken += 1
        return Place(self, beyond=self.taken > self._most)


class Accepting:
    """Accepts connections until it is closed. Made in the loop that serves them.

    `protocol` makes what answers a connection, and from then on gives its place back. `tls` is the context of TLS, if
    there is any; `handshake_ms` is how long it may take to begin, and to end.
    """

    def __init__(
        self,
        listening: socket.socket,
        places: Places,
        protocol: Callable[[Place], asyncio.Protocol],
        tls: Any,
        handshake_ms: int,
    ) -> None:
        self._listening = listening
        self._places = places
        self._protocol = protocol
        self._tls = {}
        if tls is not None:
            self._tls = {
                "ssl": tls,
                "ssl_handshake_timeout": handshake_ms / 1000,
                "ssl_shutdown_timeout": handshake_ms / 1000,
            }
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Accept nothing more, and give up what has not begun; what has begun goes on."""
        if self._later is None:
            self._loop.remove_reader(self._listening)
        else:
            self._later.cancel()
        for each in self._beginning:
            each.cancel()

    async def wait_closed(self) -> None:
        """Return when nothing begins any more."""
        await asyncio.gather(*self._beginning, return_exceptions=True)

    def _listen(self) -> None:
        self._later = None
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE_MAX):
            try:
                made, _ = self._listening.accept()
            except OSError as fault:  # nobody waits any more, or who did has gone
                if fault.errno in _WANTING:
                    # Nobody can be taken until something ends; the socket would say again and again that they wait.
                    self._loop.remove_reader(self._listening)
                    self._later = self._loop.call_later(PAUSE_S, self._listen)
                return
            made.setblocking(False)  # noqa: FBT003 - the call has no name for it
            place = self._places.take()
            if self._tls and place.beyond:
                made.close()
                place.back()
                continue
            task = self._loop.create_task(self._begin(made, place))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    async def _begin(self, made: socket.socket, place: Place) -> None:
        begun = False
        try:
            await self._loop.connect_accepted_socket(lambda: self._protocol(place), made, **self._tls)
            begun = True
        except OSError:  # faults of TLS are some
            pass
        finally:
            if not begun:
                place.back()
