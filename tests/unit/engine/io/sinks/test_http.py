"""The sink `http` against a real server: what it posts, and what each status means."""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypeVar

import msgspec
import pytest

from interlock.base.clock import SystemClock
from interlock.base.errors import InterlockError
from interlock.base.part import TransportFactory
from interlock.base.secrets import Secret, SecretRef
from interlock.engine.io.router import Router
from interlock.engine.io.sinks.http import HttpSink, HttpTarget
from interlock.engine.io.transports.http import HttpSettings, HttpTransport
from interlock.journal.subscriptions import Delivery
from tests.unit.engine.io.sinks.deliveries import CLOUD_EVENT, DELIVERY, delivery
from tests.unit.engine.io.transports.server import Answer, Server, ok, serving

Service = TypeVar("Service")
NOW_MS = 1_767_225_600_000
CANARY = "canary-value-0123456789"


class At(SystemClock):
    """A clock that stands still."""

    def now_ms(self) -> int:
        return NOW_MS


def secret(_: SecretRef) -> Secret:
    return Secret(CANARY)


class NoServices:
    def get(self, kind: type[Service]) -> Service:
        raise KeyError(kind.__name__)


async def post(
    server: Server,
    *deliveries: Delivery,
    settings: HttpSettings = HttpSettings(allow_private_networks=True),  # noqa: B008 - immutable
    local: bool = True,
    **target: Any,
) -> None:
    router = Router([TransportFactory("http", lambda _: HttpTransport(settings, secret))], NoServices())
    given = msgspec.convert({"url": f"{server.url}events", **target}, HttpTarget)
    sink = HttpSink(router, At(), given, local=local)
    try:
        for each in deliveries or (DELIVERY,):
            await sink.deliver(each)
    finally:
        await sink.close()
        await router.close()


def posted(answer: Answer | bytes | None = None, *deliveries: Delivery, **given: Any) -> Server:
    """What a server that gives an answer saw."""

    async def run() -> Server:
        async with serving(ok() if answer is None else answer) as server:
            await post(server, *deliveries, **given)
            return server

    return asyncio.run(run())


def refused(answer: Answer | bytes | None, **given: Any) -> InterlockError:
    async def run() -> None:
        async with serving(answer) as server:
            await post(server, **given)

    with pytest.raises(InterlockError) as caught:
        asyncio.run(run())
    return caught.value


def test_an_event_is_posted_as_a_cloud_event_with_its_key() -> None:
    server = posted(headers={"X-Team": "audit", "Authorization": {"secret": "env:TOKEN", "prefix": "Bearer "}})

    assert server.requests[0].startswith(b"POST /events HTTP/1.1\r\n")
    assert server.header("content-type") == ["application/cloudevents+json; charset=utf-8"]
    assert server.header("idempotency-key") == [DELIVERY.key]
    assert server.header("x-team") == ["audit"]
    assert server.header("authorization") == [f"Bearer {CANARY}"]
    event = json.loads(server.body)
    CLOUD_EVENT.validate(event)
    assert (event["id"], event["data"], event["attempt"]) == (DELIVERY.key, {"phase": "completed"}, 2)


def test_one_connection_serves_many_deliveries() -> None:
    server = posted(None, delivery(1), delivery(2), delivery(3))

    assert server.connections == 1
    assert [json.loads(each.split(b"\r\n\r\n", 1)[1])["sequence"] for each in server.requests] == ["1", "2", "3"]


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content"])
def test_a_status_of_success_has_arrived_whatever_the_server_says_beside_it(status: str) -> None:
    body = b"" if status.startswith("204") else b"\xff\xfe no JSON and no text"

    assert len(posted(ok(body, status=status)).requests) == 1


IN_A_MINUTE, BEFORE = "Thu, 01 Jan 2026 00:01:00 GMT", "Wed, 31 Dec 2025 00:00:00 GMT"


@pytest.mark.parametrize(
    ("status", "retry_after", "code", "wait_ms"),
    [
        ("410 Gone", None, "sink_gone", None),
        ("429 Too Many Requests", "7", "delivery_refused", 7_000),
        ("429 Too Many Requests", None, "delivery_refused", None),
        ("429 Too Many Requests", "soon", "delivery_refused", None),
        ("503 Service Unavailable", "120", "delivery_refused", 120_000),
        ("503 Service Unavailable", IN_A_MINUTE, "delivery_refused", 60_000),
        ("503 Service Unavailable", IN_A_MINUTE.replace("GMT", "-0000"), "delivery_refused", 60_000),
        ("503 Service Unavailable", BEFORE, "delivery_refused", 0),
        ("503 Service Unavailable", "-1", "delivery_refused", None),
        ("500 Internal Server Error", "7", "delivery_refused", None),
        ("404 Not Found", None, "delivery_refused", None),
        ("400 Bad Request", None, "delivery_refused", None),
        ("301 Moved Permanently", None, "delivery_refused", None),
    ],
)
def test_what_a_status_means(status: str, retry_after: str | None, code: str, wait_ms: int | None) -> None:
    headers = [] if retry_after is None else [f"Retry-After: {retry_after}"]

    fault = refused(ok(b"a secret word", *headers, status=status))

    assert (fault.code, fault.details.get("retry_after_ms")) == (code, wait_ms)
    assert fault.details["status"] == int(status[:3])
    assert "secret word" not in str(fault)


def test_a_redirect_is_not_followed() -> None:
    async def run() -> list[Server]:
        async with (
            serving(ok()) as other,
            serving(ok(b"", f"Location: {other.url}", status="307 Temporary Redirect")) as server,
        ):
            with pytest.raises(InterlockError, match=r"\[delivery_refused\]"):
                await post(server)
            return [server, other]

    assert [len(each.requests) for each in asyncio.run(run())] == [1, 0]


@pytest.mark.parametrize(
    ("answer", "given", "code"),
    [
        (None, {"timeout_ms": 50}, "http_timeout"),
        (b"", {}, "http_connection_lost"),
        (ok(), {"settings": HttpSettings()}, "http_address_refused"),
        (ok(), {"settings": HttpSettings(allow_private_networks=True, request_bytes_max=10)}, "http_request_too_large"),
        (ok(), {"headers": {"x": {"secret": "env:TOKEN"}}, "local": False}, "secret_not_allowed"),
        (ok(), {"headers": {"idempotency-key": "mine"}}, "sink_target_invalid"),
    ],
)
def test_what_the_transport_refuses_is_refused_here_too(answer: bytes | None, given: dict[str, Any], code: str) -> None:
    def silent(_request: bytes) -> list[bytes]:
        raise OSError

    assert refused(silent if answer == b"" else answer, **given).code == code


@pytest.mark.parametrize(
    "target", [{}, {"url": "ftp://example.com"}, {"url": ""}, {"url": "http://x", "method": "GET"}, {"url": 3}]
)
def test_a_target_of_another_form_is_refused(target: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(target), type=HttpTarget)
