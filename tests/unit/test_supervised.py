"""What a supervised process takes over from the one that began it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from interlock.base.errors import InterlockError
from interlock.supervised import LISTENING_VARIABLE, handed_over
from interlock.surfaces.http.listening import listen


@contextmanager
def handing(monkeypatch: pytest.MonkeyPatch, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket that listens, with a second number of it named as a supervisor does."""
    with listen(host, 0) as listening:
        number = os.dup(listening.fileno())
        os.set_inheritable(number, True)
        monkeypatch.setenv(LISTENING_VARIABLE, str(number))
        yield listening


def test_a_socket_that_was_handed_over_answers_without_waiting_and_is_handed_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nodelay(listening: socket.socket) -> int:
        seen = asyncio.get_running_loop().create_future()

        def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made: socket.socket = writer.get_extra_info("socket")
            seen.set_result(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(connected, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            found: int = await seen
            writer.close()
        return found

    with handing(monkeypatch) as first:
        taken = handed_over()
        assert taken is not None
        assert taken.getsockname() == first.getsockname()
        assert (taken.get_inheritable(), LISTENING_VARIABLE in os.environ) == (False, False)
        first.close()
        assert asyncio.run(nodelay(taken)) == 1
    assert handed_over() is None


@pytest.mark.parametrize("number", ["", "x", "-1", "0x1", "1" * 30, "99999"])
def test_what_is_no_socket_is_refused(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    monkeypatch.setenv(LISTENING_VARIABLE, number)
    with pytest.raises(InterlockError) as refused:
        handed_over()

    assert refused.value.code == "server_address_invalid"


def test_a_socket_that_others_reach_or_that_does_not_listen_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with handing(monkeypatch, "0.0.0.0"), pytest.raises(InterlockError, match="of this machine"):
        handed_over()
    with socket.socket() as idle:
        monkeypatch.setenv(LISTENING_VARIABLE, str(os.dup(idle.fileno())))
        with pytest.raises(InterlockError, match="of this machine"):
            handed_over()
