"""HTTP as a way out, against real servers of this machine. What attackers try stands in tests/attacks."""

from __future__ import annotations

import asyncio
import base64
import gzip
import sys
import zlib
from collections.abc import Iterator

import pytest

from interlock.base.canonical import Json
from interlock.base.errors import Category, InterlockError
from interlock.base.secrets import Secret, SecretRef
from interlock.engine.io.transports.http import HttpSettings, HttpTransport
from interlock.engine.io.transports.port import TransportContext
from tests.unit.engine.io.transports.server import Answer, Server, ok, serving

RUN_ID = "00000000-0000-4000-8000-000000000000"
LOCAL = TransportContext(RUN_ID, "m.s.l", 0, local_plan=True)
CANARY = "canary-value-0123456789"
OPEN = HttpSettings(allow_private_networks=True)


def secret(_: SecretRef) -> Secret:
    return Secret(CANARY)


async def send(
    url: str, context: TransportContext = LOCAL, settings: HttpSettings = OPEN, /, **request: Json
) -> dict[str, Json]:
    transport = HttpTransport(settings, secret)
    try:
        answer = await transport.call({"kind": "http_request_v1", "url": url, **request}, context)
    finally:
        await transport.close()
    assert isinstance(answer, dict)
    return answer


def exchange(
    answer: Answer | bytes | None,
    context: TransportContext = LOCAL,
    settings: HttpSettings = OPEN,
    path: str = "",
    /,
    **request: Json,
) -> tuple[dict[str, Json], Server]:
    """One request to a server that gives `answer`: what the transport answers, and what the server saw."""

    async def run() -> tuple[dict[str, Json], Server]:
        async with serving(answer) as server:
            return await send(server.url + path, context, settings, **request), server

    return asyncio.run(run())


def refused(
    answer: Answer | bytes | None,
    context: TransportContext = LOCAL,
    settings: HttpSettings = OPEN,
    /,
    **request: Json,
) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        exchange(answer, context, settings, **request)
    return caught.value


def test_an_answer_has_status_chosen_headers_and_body() -> None:
    response = ok(b'{"a": 1}', "Content-Type: application/json", 'ETag: "v1"', "Set-Cookie: a=b", "X-Powered-By: y")

    answer, server = exchange(response, LOCAL, OPEN, "items?page=2#part")

    assert answer == {
        "url": f"{server.url}items?page=2",
        "status": 200,
        "headers": {"content-type": "application/json", "etag": '"v1"'},
        "json": {"a": 1},
        "body": None,
        "body_base64": None,
        "body_bytes": 8,
    }
    assert server.requests[0].startswith(b"GET /items?page=2 HTTP/1.1\r\n")
    assert server.header("host") == [f"127.0.0.1:{server.port}"]
    assert server.header("user-agent") == ["interlock"]


def test_json_is_sent_in_canonical_form_and_text_as_utf8() -> None:
    _, server = exchange(ok(), method="POST", json={"b": 1, "a": "ä"})
    assert server.body == '{"a":"ä","b":1}'.encode()
    assert server.header("content-type") == ["application/json"]
    assert server.header("content-length") == ["16"]

    _, server = exchange(ok(), method="PUT", body="grüße", headers={"Content-Type": "text/markdown"})
    assert server.body == "grüße".encode()
    assert server.header("content-type") == ["text/markdown"]


def test_the_idempotency_key_of_an_effect_travels_as_a_header() -> None:
    for key, sent in (("release-1", "release-1"), ("größe", None), ("a\tb ", None)):
        _, server = exchange(ok(), TransportContext(RUN_ID, "m.s.l", 0, key), method="POST")
        [header] = server.header("idempotency-key")
        assert header == sent if sent else len(header) == 64

    _, server = exchange(ok(), method="POST")
    assert server.header("idempotency-key") == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get", "", None, 7])
def test_a_request_that_may_change_the_server_counts_as_an_effect(method: Json) -> None:
    assert HttpTransport(OPEN, secret).effectful({"method": method})


def test_reading_methods_and_an_absent_one_are_no_effects_and_a_malformed_request_is_one() -> None:
    transport = HttpTransport(OPEN, secret)

    assert not any(transport.effectful({"method": method}) for method in ("GET", "HEAD", "OPTIONS"))
    assert not transport.effectful({"url": "http://example.com"})
    assert transport.effectful(None)


@pytest.mark.parametrize(
    ("mode", "content_type", "body", "value", "text", "packed"),
    [
        ("auto", "application/json; charset=utf-8", b"[1]", [1], None, None),
        ("auto", "application/problem+json", b"[1]", [1], None, None),
        ("auto", "application/json", b"no", None, "no", None),
        ("auto", "text/plain", b"[1]", None, "[1]", None),
        ("auto", "text/plain; charset=ISO-8859-1", b"\xe4", None, "ä", None),
        ("auto", "application/octet-stream", b"\xff\x00", None, None, base64.b64encode(b"\xff\x00").decode()),
        ("auto", "text/plain; charset=rot13", b"abc", None, None, base64.b64encode(b"abc").decode()),
        ("auto", "application/json", b"", None, None, None),
        ("json", "text/plain", b"[1]", [1], None, None),
        ("text", "application/json", b"[1]", None, "[1]", None),
        ("none", "application/json", b"[1]", None, None, None),
    ],
)
def test_the_mode_and_the_content_type_say_what_becomes_of_a_body(
    mode: str, content_type: str, body: bytes, value: Json, text: str | None, packed: str | None
) -> None:
    answer, _ = exchange(ok(body, f"Content-Type: {content_type}"), response=mode)

    assert (answer["json"], answer["body"], answer["body_base64"]) == (value, text, packed)
    assert answer["body_bytes"] == len(body)


@pytest.mark.parametrize(
    ("mode", "body"), [("json", b"no"), ("json", b""), ("json", b'{"a":1,"a":2}'), ("text", b"\xff")]
)
def test_a_body_that_is_not_what_was_asked_for_is_an_error_without_the_body(mode: str, body: bytes) -> None:
    assert refused(ok(body), response=mode).code == "http_response_invalid"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(b"x" * 5000, mtime=0)), ("deflate", zlib.compress(b"x" * 5000))],
    ids=["gzip", "deflate"],
)
def test_a_compressed_body_is_unpacked(encoding: str, packed: bytes) -> None:
    answer, server = exchange(ok(packed, f"Content-Encoding: {encoding}"))

    assert answer["body"] == "x" * 5000
    assert server.header("accept-encoding") == ["gzip, deflate"]


def test_a_head_request_has_no_body() -> None:
    answer, _ = exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\nContent-Encoding: gzip\r\n\r\n", method="HEAD")

    assert (answer["status"], answer["body_bytes"]) == (200, 0)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("301 Moved", ("http_status_refused", Category.FAILED, False)),
        ("400 Bad Request", ("http_status_refused", Category.FAILED, False)),
        ("404 Not Found", ("http_status_refused", Category.FAILED, False)),
        ("408 Timeout", ("http_unavailable", Category.UNAVAILABLE, True)),
        ("429 Too Many", ("http_rate_limited", Category.FAILED, True)),
        ("500 Error", ("http_unavailable", Category.UNAVAILABLE, True)),
        ("503 Unavailable", ("http_unavailable", Category.UNAVAILABLE, True)),
        ("501 Not Implemented", ("http_status_refused", Category.FAILED, False)),
    ],
)
def test_a_status_that_was_not_expected_is_an_error_and_not_an_answer(
    status: str, expected: tuple[str, Category, bool]
) -> None:
    fault = refused(ok(CANARY.encode(), status=status))

    assert (fault.code, fault.category, fault.retryable) == expected
    assert fault.details["status"] == int(status[:3])
    assert CANARY not in f"{fault} {fault.details}"


def test_a_status_that_the_request_lists_is_an_answer_and_no_other_is() -> None:
    answer, _ = exchange(ok(b"none", status="404 Not Found"), ok_statuses=[200, 404])
    assert (answer["status"], answer["body"]) == (404, "none")

    assert refused(ok(status="201 Created"), ok_statuses=[200]).code == "http_status_refused"


@pytest.mark.parametrize(("header", "wait_ms"), [("Retry-After: 7", 7000), ("Retry-After: soon", 1000), ("X: y", 1000)])
def test_a_server_that_asks_to_wait_says_how_long(header: str, wait_ms: int) -> None:
    fault = refused(ok(b"", header, status="429 Too Many Requests"))

    assert fault.details["retry_after_ms"] == wait_ms


def test_a_server_that_does_not_answer_in_time_leaves_the_outcome_open() -> None:
    fault = refused(None, method="POST", timeout_ms=1000)

    assert (fault.code, fault.category, fault.retryable) == ("http_timeout", Category.UNAVAILABLE, True)


def test_a_server_that_drips_its_answer_is_not_waited_for_beyond_the_time_of_the_whole() -> None:
    def drip(_: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"1\r\nx\r\n"

    assert refused(drip, timeout_ms=300).code == "http_timeout"


@pytest.mark.parametrize(
    "half", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_server_that_breaks_off_leaves_the_outcome_open(half: bytes) -> None:
    async def run() -> InterlockError:
        async with serving(half, breaks_off=True) as server:
            with pytest.raises(InterlockError) as caught:
                await send(server.url, method="POST")
            return caught.value

    fault = asyncio.run(run())
    assert (fault.code, fault.category) == ("http_connection_lost", Category.UNAVAILABLE)


def test_no_server_at_all_means_that_nothing_was_sent() -> None:
    async def closed_port() -> int:
        async with serving(b"") as server:
            return server.port

    port = asyncio.run(closed_port())
    with pytest.raises(InterlockError) as caught:
        asyncio.run(send(f"http://127.0.0.1:{port}/{CANARY}", method="POST"))

    fault = caught.value
    assert (fault.code, fault.category, fault.retryable) == ("http_connect_failed", Category.FAILED, True)
    assert CANARY not in f"{fault} {fault.details}"


def test_a_name_that_does_not_resolve_means_that_nothing_was_sent() -> None:
    with pytest.raises(InterlockError) as caught:
        asyncio.run(send("http://does-not-exist.invalid/"))

    assert (caught.value.code, caught.value.category) == ("http_connect_failed", Category.FAILED)


def test_connections_are_shared_by_the_calls_of_an_application() -> None:
    async def run() -> Server:
        transport = HttpTransport(OPEN, secret)
        async with serving(ok(b"x")) as server:
            for _ in range(3):
                await transport.call({"kind": "http_request_v1", "url": server.url}, LOCAL)
            await asyncio.gather(
                *(transport.call({"kind": "http_request_v1", "url": server.url}, LOCAL) for _ in range(4))
            )
            await transport.close()
            return server

    server = asyncio.run(run())
    assert len(server.requests) == 7
    assert server.connections <= 4


def test_cancelling_a_call_lets_the_connection_go() -> None:
    async def run() -> None:
        transport = HttpTransport(HttpSettings(allow_private_networks=True, connections_max=1), secret)
        async with serving(None) as silent, serving(ok(b"x")) as server:
            call = asyncio.create_task(transport.call({"kind": "http_request_v1", "url": silent.url}, LOCAL))
            await silent.asked.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            answer = await transport.call({"kind": "http_request_v1", "url": server.url}, LOCAL)
            assert isinstance(answer, dict)
            assert answer["body"] == "x"
            await transport.close()

    asyncio.run(run())


def test_a_body_to_send_is_limited_to_the_byte() -> None:
    settings = HttpSettings(allow_private_networks=True, request_bytes_max=10)

    exchange(ok(), LOCAL, settings, method="POST", body="x" * 10)
    too_large: list[dict[str, Json]] = [{"body": "x" * 11}, {"json": "x" * 9}]
    for request in too_large:
        assert refused(ok(), LOCAL, settings, method="POST", **request).code == "http_request_too_large"


def test_a_secret_named_in_a_header_is_sent_and_no_part_of_the_answer() -> None:
    headers: Json = {"Authorization": {"secret": "env:TOKEN", "prefix": "Bearer "}}

    answer, server = exchange(ok(b"fine"), headers=headers)

    assert server.header("authorization") == [f"Bearer {CANARY}"]
    assert CANARY not in str(answer)


def test_a_missing_library_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "interlock.engine.io.transports.http_wire", None)

    fault = refused(ok())

    assert fault.code == "http_library_missing"
    assert "pip install '/path/to/the/clone[http]'" in fault.advice


@pytest.mark.parametrize(
    "request_",
    [
        {"kind": "http_request_v2"},
        {"method": "get"},
        {"method": "GET\r\n"},
        {"timeout_ms": 0},
        {"json": 1, "body": "x"},
        {"body": "\ud800"},
        {"headers": {"a": 1}},
        {"ok_statuses": [99]},
        {"response": "xml"},
        {"follow_redirects": True},
    ],
    ids=repr,
)
def test_a_malformed_request_is_refused_and_nothing_is_sent(request_: dict[str, Json]) -> None:
    async def run() -> Server:
        async with serving(ok()) as server:
            with pytest.raises(InterlockError) as caught:
                await send(server.url, **request_)
            assert caught.value.code == "http_request_invalid"
            return server

    assert asyncio.run(run()).connections == 0


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (HttpSettings(allow_private_networks=True, allow_plain=False), "http_plain_not_allowed"),
        (HttpSettings(allow_private_networks=True, allowed_hosts=()), "http_host_not_allowed"),
        (HttpSettings(allow_private_networks=True, allowed_hosts=("127.0.0.2",)), "http_host_not_allowed"),
    ],
)
def test_a_host_and_an_address_without_tls_may_be_refused(settings: HttpSettings, code: str) -> None:
    fault = refused(ok(), LOCAL, settings)

    assert (fault.code, fault.category) == (code, Category.REFUSED)


def test_a_host_that_is_listed_is_reached() -> None:
    answer, _ = exchange(ok(), LOCAL, HttpSettings(allow_private_networks=True, allowed_hosts=("127.0.0.1.",)))

    assert answer["status"] == 200


def test_a_body_can_be_asked_for_as_bytes_whatever_it_is() -> None:
    answer, _ = exchange(ok(b'{"a": 1}', "Content-Type: application/json"), response="bytes")

    assert (answer["json"], answer["body"], answer["body_base64"]) == (
        None,
        None,
        base64.b64encode(b'{"a": 1}').decode(),
    )


def test_a_body_can_be_left_unread() -> None:
    answer, _ = exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", response="unread")

    assert (answer["status"], answer["body_bytes"], answer["body_base64"]) == (200, 0, None)
