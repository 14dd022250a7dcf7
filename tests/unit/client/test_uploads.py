"""Files as bodies: what is sent of them, when they are sent again, and how long a server may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from interlock.app import APPLICATION
from interlock.base.errors import InterlockError
from interlock.client import AsyncClient
from tests.unit.client.test_remote import JSON, PROBLEM, calling, in_turn, problem
from tests.unit.engine.io.transports.server import ok

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
ANSWER = ok(
    b'{"artifact_id":"a","bytes":3,"kind":"Attachment","media_type":"application/octet-stream","name":"n"}', JSON
)
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n"


def busy() -> bytes:
    body = problem("server_busy")
    return BUSY + f"{PROBLEM}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def sending(source: Any, **more: Any) -> Any:
    async def use(client: AsyncClient) -> Any:
        return await client.attach(RUN, source, **more)

    return use


def test_a_file_has_its_length_and_is_sent_again_under_its_key_where_the_server_is_busy(tmp_path: Path) -> None:
    place = tmp_path / "a b.txt"
    place.write_bytes(b"abc")
    found, server = calling(in_turn(busy(), ANSWER), sending(place, media_type="text/plain"), application=APPLICATION)

    assert (found.bytes, len(server.requests)) == (3, 2), found
    first, second = server.requests
    assert first == second
    assert first.startswith(f"POST /api/v1/runs/{RUN}/artifacts?name=a+b.txt&kind=Attachment HTTP/1.1".encode())
    assert (server.body, server.header("content-length"), server.header("content-type")) == (
        b"abc",
        ["3"],
        ["text/plain"],
    )
    assert server.header("transfer-encoding") == []
    assert len(server.header("idempotency-key")[0]) == 36


def test_what_gives_its_bytes_once_is_sent_once() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"

    fault, server = calling(
        in_turn(busy(), ANSWER), sending(pieces(), name="n", command_id="mine"), application=APPLICATION
    )

    assert isinstance(fault, InterlockError)
    assert fault.code == "server_busy"
    [sent] = [each for each in server.requests if each.startswith(b"POST")]  # what follows are the pieces
    assert b"idempotency-key: mine\r\n" in sent


def test_a_body_may_take_longer_than_an_answer_as_long_as_it_goes_on() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0.15)
            yield b"x"

    found, _ = calling(ANSWER, sending(pieces(), name="n"), application=APPLICATION, timeout_s=0.5)
    late, _ = calling(None, sending(b"x", name="n"), application=APPLICATION, timeout_s=0.2)

    assert found.bytes == 3
    assert late.code == "client_timeout"


@pytest.mark.parametrize(
    ("source", "more", "code"),
    [
        ("/nonexistent/file", {}, "attachment_unreadable"),
        (b"x", {}, "input_invalid"),
        (b"x", {"name": "a/b"}, "attachment_invalid"),
        (b"x", {"name": "a", "media_type": "a\r\nb: c"}, "attachment_invalid"),
        (b"x", {"name": "a", "command_id": "\n"}, "id_invalid"),
    ],
)
def test_what_cannot_be_attached_is_not_sent(source: Any, more: dict[str, Any], code: str) -> None:
    fault, server = calling(ANSWER, sending(source, **more), application=APPLICATION)

    assert (fault.code, server.requests) == (code, [])


def test_an_answer_of_another_form_is_told() -> None:
    fault, _ = calling(ok(b"[]", JSON), sending(b"x", name="n"), application=APPLICATION)

    assert fault.code == "client_answer_invalid"
