"""External providers by the reference's protocol: a real program, a real server, and every answer that is none."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from interlock.base.errors import InterlockError
from interlock.base.secrets import SecretRef
from interlock.gates.evidence.config import BearerAuth, ProviderSettings, Timeouts
from interlock.gates.evidence.external import ExternalProvider, FramedChannel, PostChannel
from interlock.gates.evidence.port import Answered
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceContext
from interlock.gates.values import plain
from tests.unit.engine.io.transports.server import Server, ok, serving
from tests.unit.gates.evidence import provider_program
from tests.unit.gates.evidence.asking import ask, context, query, value_of

PROGRAM = (sys.executable, str(Path(provider_program.__file__)))
BAD = {
    "text": "provider_answer_invalid",
    "nothing": "provider_answer_invalid",
    "no evidence": "provider_answer_invalid",
    "unknown": "provider_answer_invalid",
    "error": "provider_answer_invalid",
    "another's": "provider_answer_invalid",
    "another version": "provider_answer_invalid",
}


def framed(params: Any = UNSET, of: EvidenceContext | None = None, timeout_ms: int = 20_000) -> Answered:
    provider = ExternalProvider("scans", FramedChannel(PROGRAM), timeout_ms)
    return ask(provider, query("scans", "count", params), of)


def code_of(caught: pytest.ExceptionInfo[InterlockError]) -> str:
    assert "the secret" not in str(caught.value)
    return caught.value.code


def test_a_program_answers_with_evidence() -> None:
    answered = framed({"value": {"count": 2**60}, "lane": "asserted"})

    assert value_of(answered) == {"count": 2**60}
    assert answered.result.lane == "asserted"
    [call] = answered.calls
    assert call.namespace == "gates.provider.scans"


def test_a_program_is_told_the_whole_context() -> None:
    of = context(correlation_id="corr-1")

    answered = framed({"say": "context"}, of)

    assert value_of(answered) == plain(of)


@pytest.mark.parametrize(("correlation_id", "seen"), [(None, "1"), ("corr-1", "corr-1"), ("a" * 128, "a" * 128)])
def test_the_id_of_a_request_is_the_correlation_id_or_counts(correlation_id: str | None, seen: str) -> None:
    answered = framed(of=context(correlation_id=correlation_id))

    assert answered.result.evidence_anchor == EvidenceAnchor("correlation", seen)


@pytest.mark.parametrize("correlation_id", ["", "a" * 129, "a b", "a\r\nx: y", "ä", "a\0"])
def test_a_correlation_id_that_is_none_is_refused_before_anything_is_sent(correlation_id: str) -> None:
    with pytest.raises(InterlockError) as caught:
        framed({"say": "ends"}, context(correlation_id=correlation_id))

    assert code_of(caught) == "correlation_id_invalid"


@pytest.mark.parametrize(("say", "code"), BAD.items())
def test_an_answer_that_is_none_is_a_failure(say: str, code: str) -> None:
    with pytest.raises(InterlockError) as caught:
        framed({"say": say})

    assert code_of(caught) == code


def test_a_program_that_is_slow_is_not_waited_for() -> None:
    with pytest.raises(InterlockError) as caught:
        framed({"say": "sleeps"}, timeout_ms=600)

    assert code_of(caught) == "provider_timeout"


def test_a_program_that_has_ended_is_started_again() -> None:
    async def run() -> tuple[str, Any]:
        provider = ExternalProvider("scans", FramedChannel(PROGRAM), 20_000)
        try:
            with pytest.raises(InterlockError) as caught:
                await provider.query(query("scans", "count", {"say": "ends"}), context(), tenant="t")
            again = await provider.query(query("scans", "count", {"value": 1}), context(), tenant="t")
            return caught.value.code, value_of(again)
        finally:
            await provider.close()

    assert asyncio.run(run()) == ("peer_gone", 1)


def responding(request: bytes) -> Iterable[bytes]:
    """What the program would answer, by HTTP."""
    body = json.loads(request.split(b"\r\n\r\n", 1)[1])
    response = provider_program.answer(body["params"]["arguments"], body["id"])
    return [ok(json.dumps(response).encode(), "Content-Type: application/json")]


def post(
    answer: Any = responding, params: Any = UNSET, correlation_id: str | None = None, **settings: Any
) -> tuple[Answered, Server]:
    async def run() -> tuple[Answered, Server]:
        async with serving(answer) as server:
            given = ProviderSettings(
                name="scans", type="mcp", url=server.url + "rpc", **({"allow_insecure_http": True} | settings)
            )
            provider = ExternalProvider("scans", PostChannel(given), given.timeouts.request_timeout_ms)
            try:
                asked = query("scans", "count", params)
                return await provider.query(asked, context(correlation_id=correlation_id), tenant="t"), server
            finally:
                await provider.close()

    return asyncio.run(run())


def test_a_server_answers_with_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_SCANS", "token-0123456789")
    auth = BearerAuth(bearer_token=SecretRef("env:TOKEN_OF_SCANS"))

    answered, server = post(params={"value": 2**60}, correlation_id="corr-1", auth=auth)

    assert value_of(answered) == 2**60
    assert server.requests[0].startswith(b"POST /rpc ")
    assert server.header("content-type") == ["application/json"]
    assert server.header("authorization") == ["Bearer token-0123456789"]
    assert server.header("x-correlation-id") == ["corr-1"]


def test_without_a_token_and_a_correlation_id_none_is_sent() -> None:
    _, server = post()

    assert (server.header("authorization"), server.header("x-correlation-id")) == ([], [])


@pytest.mark.parametrize(("say", "code"), BAD.items())
def test_a_servers_answer_that_is_none_is_a_failure(say: str, code: str) -> None:
    with pytest.raises(InterlockError) as caught:
        post(params={"say": say})

    assert code_of(caught) == code


@pytest.mark.parametrize(
    ("answer", "settings", "code"),
    [
        (ok(b"the secret", status="500 Broken"), {}, "http_unavailable"),
        (ok(b"", "Location: /elsewhere", status="307 Away"), {}, "http_status_refused"),
        (ok(b"the secret", status="401 Who"), {}, "http_status_refused"),
        (ok(b"the secret"), {}, "provider_answer_invalid"),
        (ok(b""), {}, "provider_answer_invalid"),
        (ok(b"x" * (1024 * 1024 + 1)), {}, "http_body_too_large"),
        (None, {"timeouts": Timeouts(connect_timeout_ms=100, request_timeout_ms=500)}, "provider_timeout"),
        (ok(), {"allow_insecure_http": False}, "http_plain_not_allowed"),
        (ok(), {"auth": BearerAuth(bearer_token=SecretRef("env:NOT_SET"))}, "secret_not_found"),
    ],
)
def test_a_server_that_fails_is_a_failure(answer: Any, settings: dict[str, Any], code: str) -> None:
    with pytest.raises(InterlockError) as caught:
        post(answer, **settings)

    assert code_of(caught) == code or (code == "provider_timeout" and caught.value.code == "http_timeout")
