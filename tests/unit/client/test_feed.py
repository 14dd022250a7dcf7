"""The feed of a server: messages go on where a lost connection had ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.client import AsyncClient, Client, Retrying
from interlock.client import feed as one_connection
from tests.surfaces.toy import APPLICATION
from tests.unit.client.test_remote import PROBLEM, Clock, problem
from tests.unit.engine.io.transports.server import Answer, Server, ok, serving

STREAM = "Content-Type: text/event-stream; charset=utf-8"


def piece(number: int) -> bytes:
    return f'id: c{number}\ndata: {{"n": {number}}}\n\n'.encode()


def connections(*answers: bytes | list[bytes]) -> Answer:
    """Each connection gets the next answer; a list is the chunks of a body without an end that then is cut off."""
    left = list(answers)

    def answer(_request: bytes) -> Iterator[bytes]:
        found = left.pop(0)
        if isinstance(found, bytes):
            yield found
            return
        yield f"HTTP/1.1 200 OK\r\n{STREAM}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        for chunk in found:
            yield f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"
        yield b"0\r\n\r\n"

    return answer


def heard(answer: Answer | bytes, count: int, clock: Clock | None = None, **more: Any) -> tuple[list[Any], Server]:
    """The numbers of the first messages, or the code of what ended them."""

    async def main() -> tuple[list[Any], Server]:
        found: list[Any] = []
        async with serving(answer) as server:
            retrying = Retrying(attempts_max=3)
            client = AsyncClient(server.url, application=APPLICATION, sleep=clock or Clock(), retrying=retrying)
            async with client, aclosing(client.events(**more)) as messages:
                try:
                    async for message in messages:
                        found.append(message.data["n"])
                        if len(found) == count:
                            break
                except InterlockError as fault:
                    found.append(fault.code)
            return found, server

    return asyncio.run(main())


def test_messages_go_on_where_the_connection_had_ended() -> None:
    clock = Clock()
    answer = connections([piece(1), piece(2)[:-1]], [b"retry: 250\n\n" + piece(2)], [piece(3)])
    found, server = heard(answer, 3, clock)

    assert found == [1, 2, 3]
    assert b"last-event-id" not in server.requests[0].lower()
    assert server.header("last-event-id") == ["c2"]
    assert clock.slept == [1.0, 0.25]


def test_a_caller_begins_where_it_likes_and_asks_for_what_it_likes() -> None:
    found, server = heard(connections([piece(1)]), 1, after="c0", filters={"type": ["a b", "c"], "run": "r"})

    assert found == [1]
    assert server.header("last-event-id") == ["c0"]
    assert server.requests[0].startswith(b"GET /api/v1/events/stream?type=a+b&type=c&run=r HTTP/1.1\r\n")


def test_a_server_that_is_away_for_a_moment_is_asked_again() -> None:
    away = ok(problem("server_busy"), PROBLEM, "Retry-After: 1", status="503 Service Unavailable")
    gone = ok(b"", status="503 Service Unavailable")

    assert heard(connections(away, [piece(1)], away, gone, [piece(2)]), 2)[0] == [1, 2]
    lasting, server = heard(connections(away, gone, gone), 1)
    assert (lasting, len(server.requests)) == (["server_error"], 3)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ok(problem("toy_refused"), PROBLEM, status="403 Forbidden"), "toy_refused"),
        (ok(b"x" * 1_000_000, status="404 Not Found"), "server_error"),
        (ok(b"{}", "Content-Type: application/json"), "client_answer_invalid"),
        (ok(b"data: {\n\n", STREAM), "client_answer_invalid"),
        (ok(b"", "Location: /elsewhere", status="302 Found"), "client_redirect_refused"),
    ],
)
def test_what_no_other_connection_would_mend_ends_the_messages(answer: bytes, code: str) -> None:
    found, server = heard(answer, 1)

    assert (found, len(server.requests)) == ([code], 1)


def test_heartbeats_are_not_told_and_move_the_place() -> None:
    answer = connections([b": heartbeat\n\nevent: heartbeat\nid: c5\ndata: {}\n\n"], [piece(6)])
    found, server = heard(answer, 1)

    assert (found, server.header("last-event-id")) == ([6], ["c5"])


def test_a_message_that_says_why_nothing_follows_is_raised_unless_it_may_pass() -> None:
    def ended(code: str, *, retryable: bool) -> list[bytes]:
        body = msgspec.json.encode({"code": code, "message": "no more", "retryable": retryable})
        return [piece(1), b"event: error\ndata: " + body + b"\n\n"]

    assert heard(connections(ended("toy_corrupt", retryable=False)), 2)[0] == [1, "toy_corrupt"]
    assert heard(connections(ended("newer_code", retryable=True), [piece(2)]), 2)[0] == [1, 2]
    assert heard(connections([b"event: error\ndata: 3\n\n"]), 1)[0] == ["server_error"]


def test_a_silent_stream_is_a_lost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_connection, "SECONDS_SILENT_MAX", 0.05)
    silent = f"HTTP/1.1 200 OK\r\n{STREAM}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()

    assert heard(connections(*[silent] * 3), 1)[0] == ["client_connection_lost"]


def test_an_id_that_no_server_gives_is_refused() -> None:
    assert heard(ok(), 1, after="a\r\nb")[0] == ["input_invalid"]


def test_a_program_without_a_loop_hears_the_same() -> None:
    async def main() -> tuple[list[Any], Server]:
        async with serving(connections([piece(1), piece(2), piece(3)])) as server:
            return await asyncio.to_thread(plain, server.url), server

    def plain(url: str) -> list[Any]:
        with Client(url, application=APPLICATION) as client:
            messages = client.events()
            found = [next(messages).data["n"], next(messages).data["n"]]
            messages.close()  # type: ignore[attr-defined]
            return found

    found, server = asyncio.run(main())
    assert (found, len(server.requests)) == ([1, 2], 1)


def test_a_program_without_a_loop_is_told_what_ends_the_messages() -> None:
    async def main() -> str:
        async with serving(ok(problem("toy_refused"), PROBLEM, status="403 Forbidden")) as server:
            return await asyncio.to_thread(plain, server.url)

    def plain(url: str) -> str:
        with Client(url, application=APPLICATION) as client, pytest.raises(InterlockError) as caught:
            list(client.events())
        return caught.value.code

    assert asyncio.run(main()) == "toy_refused"
