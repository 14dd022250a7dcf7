"""Where a request begins and ends: what two readers could see differently is no request.

What it does: reads HTTP/1.1 as h11 does, and refuses heads that h11 is lenient with. What it does not do: it answers
nothing (whoever reads says 400 and closes), and reads no body.

Rules: a length and a transfer coding are never both there, whoever would be right (RFC 9112, 6.1), and HTTP/1.0 has no
transfer coding; each line ends as the protocol says, and goes on on no other. A proxy before us that reads such a head
in another way would take the rest of one sender's bytes for the request of somebody else. Only servers load this
module.
"""

from __future__ import annotations

import h11


class StrictConnection(h11.Connection):
    """A connection that takes no head of two meanings."""

    def next_event(self) -> type[h11.NEED_DATA | h11.PAUSED] | h11.Event:
        """The next event. Raises: `h11.RemoteProtocolError`, for such a head, too."""
        before = self.trailing_data[0] if self.their_state is h11.IDLE else b""
        event = super().next_event()
        if isinstance(event, h11.Request):
            _check(before[: len(before) - len(self.trailing_data[0])], event)
        return event


def _check(head: bytes, request: h11.Request) -> None:
    rest = head.replace(b"\r\n", b"")
    if b"\n" in rest or b"\r" in rest:
        raise h11.RemoteProtocolError("a line of the head that does not end as lines do")
    if b"\r\n " in head or b"\r\n\t" in head:
        raise h11.RemoteProtocolError("a line of the head that goes on on the next")
    names = [name for name, _ in request.headers]
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version < b"1.1"):
        raise h11.RemoteProtocolError("a body with two ends")
