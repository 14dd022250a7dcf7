"""Calls over HTTP: what is sent, what is made of answers, when a call is sent again, and what is never shown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError, NotFound
from interlock.client import AsyncClient, Retrying
from interlock.client.wire import ANSWER_BYTES_MAX
from interlock.engine.reports.records import RunReport, Waiting
from tests.surfaces.toy import APPLICATION, Counter, ListOutput, report
from tests.unit.engine.io.transports.server import Answer, Server, ok, serving

JSON = "Content-Type: application/json"
PROBLEM = "Content-Type: application/problem+json"
TOKEN = "t0ken-that-nobody-sees"  # noqa: S105 - of no server
APPLES = b'{"name":"apples","count":3,"changed_at_ms":1,"note":null}'


def problem(code: str, detail: str = "no", **more: Any) -> bytes:
    return msgspec.json.encode({"code": code, "detail": detail, **more})


def in_turn(*answers: bytes) -> Answer:
    """Each request gets the next answer; the last one stays."""
    left = list(answers)

    def answer(_request: bytes) -> Iterator[bytes]:
        yield left.pop(0) if len(left) > 1 else left[0]

    return answer


class Clock:
    """Stands for sleeping: remembers how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


def calling(
    answer: Answer | bytes | None,
    use: Callable[[AsyncClient], Coroutine[Any, Any, Any]],
    clock: Clock | None = None,
    **more: Any,
) -> tuple[Any, Server]:
    """What `use` gives with a client of a server with these answers; an `InterlockError` is given too."""

    async def main() -> tuple[Any, Server]:
        async with serving(answer) as server:
            options: dict[str, Any] = {"token": TOKEN, "application": APPLICATION, "sleep": clock or Clock()} | more
            async with AsyncClient(server.url, **options) as client:
                try:
                    return await use(client), server
                except InterlockError as fault:
                    return fault, server

    return asyncio.run(main())


async def add(client: AsyncClient) -> Any:
    return await client.call("counter.add", {"name": "apples", "by": 3})


async def listing(client: AsyncClient) -> Any:
    return await client.call("counter.list", {})


def test_a_call_gives_the_record_of_its_command() -> None:
    found, server = calling(ok(APPLES, JSON), add)

    assert found == Counter("apples", 3, 1)
    assert server.requests[0].startswith(b"POST /api/v1/counters HTTP/1.1\r\n")
    assert server.body == b'{"name":"apples","by":3}'
    assert server.header("authorization") == [f"Bearer {TOKEN}"]
    assert server.header("content-type") == ["application/json"]
    assert len(server.header("idempotency-key")) == 1


def test_members_that_this_version_does_not_know_are_passed_over() -> None:
    found, _ = calling(ok(b'{"counters":[],"newer":1}', JSON), listing)

    assert found == ListOutput(())


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"counters":3}', b"\xff", b"[" * 100_000])
def test_an_answer_of_another_form_is_refused(body: bytes) -> None:
    found, _ = calling(ok(body, JSON), listing)

    assert found.code == "client_answer_invalid"


def test_an_input_is_refused_before_anything_is_sent() -> None:
    found, server = calling(ok(), lambda client: client.call("counter.add", {"name": "a", "by": 1000}))

    assert (found.code, found.details["place"], server.requests) == ("input_invalid", "by", [])


def test_a_command_is_one_of_the_catalogue_that_has_a_route() -> None:
    unknown, _ = calling(ok(), lambda client: client.call("counter.ad", {"name": "a"}))
    local, _ = calling(ok(), lambda client: client.call("where", {"store": "x"}))

    assert (unknown.code, local.code) == ("command_unknown", "client_command_local")


def test_the_commands_of_a_server_are_those_with_a_route() -> None:
    client = AsyncClient("https://interlock.example", application=APPLICATION)
    names = [command.name for command in client.commands()]

    assert "counter.add" in names
    assert not {"where", "canonical"} & set(names)


def test_what_the_server_refuses_is_raised_as_its_own_error() -> None:
    refusal = ok(problem("toy_not_found", "there is none", details={"limit": 3}), PROBLEM, status="404 Not Found")
    found, _ = calling(refusal, listing)

    assert isinstance(found, NotFound)
    assert (found.code, found.message, found.details) == ("toy_not_found", "there is none", {"limit": 3})


BUSY = ok(problem("toy_overloaded"), PROBLEM, "Retry-After: 2", status="429 Too Many Requests")


def test_a_call_that_is_sent_again_has_the_same_key() -> None:
    clock = Clock()
    found, server = calling(in_turn(BUSY, BUSY, ok(APPLES, JSON)), add, clock)
    keys = [line for each in server.requests for line in each.split(b"\r\n") if line.startswith(b"idempotency-key")]

    assert (found, len(server.requests), len(set(keys)), len(keys)) == (Counter("apples", 3, 1), 3, 1, 3)
    assert all(2 <= seconds < 2.2 for seconds in clock.slept)


def test_a_refusal_is_sent_again_a_bounded_number_of_times() -> None:
    found, server = calling(BUSY, add, retrying=Retrying(attempts_max=3))

    assert (found.code, len(server.requests)) == ("toy_overloaded", 3)


def test_who_is_asked_to_wait_for_too_long_is_told_at_once() -> None:
    long = ok(problem("toy_overloaded"), PROBLEM, "Retry-After: 3600", status="429 Too Many Requests")
    found, server = calling(long, add)

    assert (found.code, len(server.requests)) == ("toy_overloaded", 1)


@pytest.mark.parametrize(
    ("status", "headers"),
    [("503 Service Unavailable", ()), ("500 Internal Server Error", ("Retry-After: 0",)), ("409 Conflict", ())],
)
def test_any_other_refusal_is_the_answer(status: str, headers: tuple[str, ...]) -> None:
    found, server = calling(ok(problem("toy_conflict"), PROBLEM, *headers, status=status), add)

    assert (found.code, len(server.requests)) == ("toy_conflict", 1)


@pytest.mark.parametrize(("code", "sent"), [("toy_storage", 1), ("toy_overloaded", 2), ("server_draining", 2)])
def test_a_start_is_sent_again_only_if_it_was_not_even_begun(code: str, sent: int) -> None:
    away = ok(problem(code), PROBLEM, "Retry-After: 0", status="503 Service Unavailable")
    started = ok(b'{"run_id":"r","phase":"completed","waiting":null,"final_snapshot_id":null}', JSON)
    _, server = calling(in_turn(away, started), lambda client: client.call("run.start", {"plan": "p"}))

    assert len(server.requests) == sent


def test_a_connection_that_is_not_made_is_tried_again() -> None:
    clock = Clock()

    async def main() -> InterlockError:
        async with serving(ok()) as server:
            pass
        async with AsyncClient(server.url, application=APPLICATION, sleep=clock) as client:
            with pytest.raises(InterlockError) as caught:
                await add(client)
        return caught.value

    assert asyncio.run(main()).code == "client_connect_failed"
    assert len(clock.slept) == 3


def test_what_may_have_been_done_is_not_sent_again() -> None:
    lost, server = calling(in_turn(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), add, timeout_s=0.3)
    late, silent = calling(None, add, timeout_s=0.1)

    assert (lost.code, len(server.requests)) == ("client_timeout", 1)
    assert (late.code, len(silent.requests)) == ("client_timeout", 1)
    assert "command id" in late.advice


def test_a_server_that_breaks_off_is_told_of() -> None:
    async def main() -> InterlockError:
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
        async with serving(half, breaks_off=True) as server, AsyncClient(server.url, application=APPLICATION) as client:
            with pytest.raises(InterlockError) as caught:
                await add(client)
        return caught.value

    assert asyncio.run(main()).code == "client_connection_lost"


def test_a_slow_server_is_waited_for_so_long_and_no_longer() -> None:
    def drip(_request: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"1\r\n \r\n"

    found, _ = calling(drip, listing, timeout_s=0.3)

    assert found.code == "client_timeout"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_refused_and_the_token_goes_nowhere_else(status: str) -> None:
    async def main() -> tuple[InterlockError, int]:
        async with serving(ok(APPLES, JSON)) as other:
            found, _ = await asyncio.to_thread(calling, ok(b"", f"Location: {other.url}", status=status), add)
            return found, other.connections

    found, connections = asyncio.run(main())
    assert (found.code, connections) == ("client_redirect_refused", 0)


def test_an_answer_beyond_the_bound_is_dropped_as_it_arrives() -> None:
    def endless(_request: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"10000\r\n" + b" " * 0x10000 + b"\r\n"

    assert ANSWER_BYTES_MAX == 64 * 1024 * 1024
    found, _ = calling(endless, listing)

    assert found.code == "client_answer_too_large"


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, gzip"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str) -> None:
    found, server = calling(ok(b"x", f"Content-Encoding: {encoding}"), listing)

    assert (found.code, server.header("accept-encoding")) == ("client_answer_invalid", ["identity"])


def test_no_proxy_and_no_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("default login user password pa55word\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    found, server = calling(ok(b'{"counters":[]}', JSON), listing, token=None)

    assert (found, server.header("authorization")) == (ListOutput(()), [])


def test_a_proxy_is_asked_where_one_is_given() -> None:
    async def main() -> bytes:
        async with serving(ok(b'{"counters":[]}', JSON)) as proxy:
            url = "http://interlock.example"
            async with AsyncClient(url, application=APPLICATION, proxy=proxy.url, unsafe_plain_http=True) as client:
                await listing(client)
            return proxy.requests[0]

    assert asyncio.run(main()).startswith(b"GET http://interlock.example/api/v1/counters ")


def test_the_token_is_in_its_header_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = f"your {TOKEN} is wrong"
    echo = problem("toy_refused", said, advice=said, request_id=said, details={"a": said})
    found, server = calling(ok(echo, PROBLEM, status="401 Unauthorized"), add)
    client = AsyncClient("https://interlock.example", TOKEN, application=APPLICATION)

    assert server.requests[0].count(TOKEN.encode()) == 1
    assert TOKEN not in f"{found!r} {found} {found.advice} {found.details} {client!r} {vars(client)}"
    assert TOKEN not in caplog.text


def test_a_closed_client_says_so() -> None:
    async def main() -> str:
        client = AsyncClient("https://interlock.example", application=APPLICATION)
        await client.close()
        with pytest.raises(InterlockError) as caught:
            await listing(client)
        return caught.value.code

    assert asyncio.run(main()) == "client_closed"


def test_many_calls_at_once_share_a_client() -> None:
    async def many(client: AsyncClient) -> list[Any]:
        return await asyncio.gather(*[listing(client) for _ in range(60)])

    found, server = calling(ok(b'{"counters":[]}', JSON), many)

    assert found == [ListOutput(())] * 60
    assert server.connections <= 20


def told(*reports: RunReport) -> Answer:
    return in_turn(*[ok(msgspec.json.encode(each), JSON) for each in reports])


def waiting(kind: str, until_ms: int | None = None) -> RunReport:
    return msgspec.structs.replace(report("r", "p", 1), waiting=Waiting(kind, None, 0, until_ms))


ENDED = msgspec.structs.replace(report("r", "p", 2), phase="completed")


@pytest.mark.parametrize(
    "last", [ENDED, waiting("suspended"), waiting("parked"), waiting("paused"), waiting("backoff", 9**15)]
)
def test_waiting_for_a_run_ends_when_it_has_ended_or_waits_for_somebody(last: RunReport) -> None:
    clock = Clock()
    stands = [waiting("queued"), report("r", "p", 0), waiting("backoff", 1), last]
    found, server = calling(told(*stands), lambda client: client.wait("r"), clock)

    assert (found, len(server.requests)) == (last, 4)
    assert clock.slept == sorted(clock.slept)


def test_waiting_for_a_run_is_bounded_where_the_caller_says_so() -> None:
    clock = Clock()
    found, _ = calling(told(report("r", "p", 0)), lambda client: client.wait("r", timeout_s=30), clock)

    assert found.code == "client_timeout"
    assert 20 < sum(clock.slept) <= 30
