"""What web servers answer, as evidence: real servers of this machine. Attacks stand in tests/attacks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import UNSET

from interlock.base.canonical import digest
from interlock.base.errors import InterlockError
from interlock.gates.evidence.port import Answered
from interlock.gates.evidence.providers.http import HttpConfig, HttpProvider
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceRef
from tests.unit.engine.io.transports.server import Answer, Server, ok, serving
from tests.unit.gates.evidence.asking import cause_of, context, query, value_of

OPEN: dict[str, Any] = {"allow_http": True, "allow_private_networks": True}


def get(
    check: str, answer: Answer | bytes | None, path: str = "", url: str | None = None, **config: Any
) -> tuple[Answered, Server]:
    async def run() -> tuple[Answered, Server]:
        async with serving(answer) as server:
            provider = HttpProvider(HttpConfig(**(OPEN | config)))
            place = server.url + path if url is None else url
            asked = query("http", check, {"url": place.replace("PORT", str(server.port))})
            try:
                return await provider.query(asked, context(), tenant="default"), server
            finally:
                await provider.close()

    return asyncio.run(run())


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "302 Found", "404 Not Found", "503 Busy", "429 Wait"])
def test_any_status_is_an_answer_with_anchor_and_reference(status: str) -> None:
    answered, server = get("status", ok(b"", "Location: /elsewhere", status=status), "health?x=1")

    assert value_of(answered) == int(status[:3])
    assert answered.result.evidence_anchor == EvidenceAnchor("url", f"{server.url}health?x=1")
    assert answered.result.evidence_ref == EvidenceRef(f"{server.url}health?x=1")
    assert (answered.result.content_type, len(answered.calls)) == ("application/json", 1)
    assert len(server.requests) == 1
    assert server.header("user-agent") == ["decision-gate/0.1"]


def test_for_the_status_no_body_is_read() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"

    answered, _ = get("status", endless, timeout_ms=60_000)

    assert value_of(answered) == 200


@pytest.mark.parametrize("body", [b"", b"hello", b'{"a": 1}', bytes(range(256))])
def test_a_body_is_named_by_its_digest(body: bytes) -> None:
    answered, _ = get("body_hash", ok(body, "Content-Type: application/json"))

    assert value_of(answered) == {"algorithm": "sha256", "value": digest(body)}


@pytest.mark.parametrize("status", ["302 Found", "404 Not Found", "500 Broken"])
def test_only_a_body_of_success_has_a_digest(status: str) -> None:
    answered, _ = get("body_hash", ok(b"x", "Location: /elsewhere", status=status))

    assert cause_of(answered) in {"http_status_refused", "http_unavailable"}
    assert answered.result.evidence_anchor is not None


@pytest.mark.parametrize(
    ("url", "config", "code"),
    [
        ("http://127.0.0.1:PORT/", {"allow_http": False}, "http_plain_not_allowed"),
        ("http://127.0.0.1:PORT/", {"allow_private_networks": False}, "http_address_refused"),
        ("http://127.0.0.1:PORT/", {"allowed_hosts": ()}, "http_host_not_allowed"),
        ("http://127.0.0.1:PORT/", {"allowed_hosts": ("localhost",)}, "http_host_not_allowed"),
        ("http://user:secret@127.0.0.1:PORT/", {}, "http_request_invalid"),
        ("http://evil@127.0.0.1:PORT/", {"allowed_hosts": ("evil",)}, "http_request_invalid"),
        ("ftp://127.0.0.1:PORT/", {}, "http_request_invalid"),
        ("", {}, "http_request_invalid"),
    ],
)
def test_what_may_not_be_reached_is_an_error_and_never_asked(url: str, config: dict[str, Any], code: str) -> None:
    answered, server = get("status", ok(), url=url, **config)

    assert cause_of(answered) == code
    assert server.connections == 0
    assert "secret" not in repr(answered.result)


@pytest.mark.parametrize("listed", ["localhost", "LOCALHOST", "localhost."])
def test_hosts_are_compared_without_case_brackets_and_final_dot(listed: str) -> None:
    assert value_of(get("status", ok(), url="http://LocalHost:PORT/", allowed_hosts=(listed,))[0]) == 200


def test_a_body_is_limited_to_the_byte() -> None:
    assert value_of(get("body_hash", ok(b"x" * 100), max_response_bytes=100)[0])["value"] == digest(b"x" * 100)
    assert cause_of(get("body_hash", ok(b"x" * 101), max_response_bytes=100)[0]) == "http_body_too_large"


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    assert cause_of(get("status", None, timeout_ms=50)[0]) == "http_timeout"


@pytest.mark.parametrize(("params", "code"), [(UNSET, "params_missing"), ({"url": 1}, "params_invalid")])
def test_params_that_are_none_are_refused(params: Any, code: str) -> None:
    with pytest.raises(InterlockError) as caught:
        asyncio.run(HttpProvider(HttpConfig()).query(query("http", "status", params), context(), tenant="default"))

    assert caught.value.code == code
