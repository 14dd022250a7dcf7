"""A fault of a target is none of the events': it is refused when the subscription is added, or holds events back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace

from interlock.app import App
from interlock.base.clock import SystemClock
from interlock.base.errors import InterlockError
from interlock.base.principal import PrincipalKind, local_principal
from interlock.testing.app import memory_app
from tests.unit.engine.io.transports.server import ok, serving

ADA = local_principal("ada")
SETTINGS: dict[str, dict[str, Any]] = {
    "http": {"allow_private_networks": True},
    "subscriptions": {"backoff_base_ms": 50, "backoff_max_ms": 50, "attempts_max": 100},
}
GRANTED = ["journal.lease_granted"]
URL = "http://127.0.0.1:9/events"


def app_of(**http: Any) -> App:
    return memory_app(clock=SystemClock(), settings={**SETTINGS, "http": {**SETTINGS["http"], **http}})


async def lease(app: App) -> None:
    """Let something happen that a subscription delivers."""
    given = {"holder": "h", "request_id": "r", "lease_ms": 60_000, "capacity": 1}
    await app.leases.acquire("ci", **given, principal=ADA)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "target",
    [
        {"url": "http://"},
        {"url": "http:///events"},
        {"url": "http://ada:pw@example.com/"},
        {"url": "http://example.com:99999/"},
        {"url": "http://example.com:0/"},
        {"url": "http://example.com:x/"},
        {"url": "http://[::1/"},
        {"url": "http://exa mple.com/"},
        {"url": "http://example.com/\nx"},
        {"url": URL, "headers": {"no name": "x"}},
        {"url": URL, "headers": {"": "x"}},
        {"url": URL, "headers": {"x": "a\r\nb: c"}},
        {"url": URL, "headers": {"x": "é"}},
        {"url": URL, "headers": {"x": "y "}},
        {"url": URL, "headers": {"X-Team": "a", "x-team": "b"}},
        {"url": URL, "headers": {"Host": "elsewhere"}},
        {"url": URL, "headers": {"Content-Length": "1"}},
        {"url": URL, "headers": {"idempotency-key": "mine"}},
        {"url": URL, "headers": {"Content-Type": "text/plain"}},
        {"url": URL, "headers": {"x": {"secret": "TOKEN"}}},
        {"url": URL, "headers": {"x": {"secret": "file:relative"}}},
        {"url": URL, "headers": {"x": {"secret": "env:TOKEN", "prefix": "a\nb"}}},
    ],
)
def test_a_target_that_no_event_could_go_to_is_refused_as_it_is_added(target: dict[str, Any]) -> None:
    async def main() -> None:
        app = app_of()
        with pytest.raises(InterlockError) as fault:
            await app.subscriptions.add("audit", sink="http", target=target, principal=ADA)
        assert (fault.value.code, fault.value.details["place"] in {"url", "headers"}) == ("sink_target_invalid", True)
        assert "pw" not in fault.value.message
        assert await app.store.events.position("default") == 0

    asyncio.run(main())


@pytest.mark.parametrize(
    "target",
    [
        {"url": "https://example.com"},
        {"url": "http://[::1]:8080/a?b=c#d"},
        {"url": URL, "headers": {"X-Team": "audit and more", "x-empty": ""}},
        {"url": URL, "headers": {"Authorization": {"secret": "env:TOKEN", "prefix": "Bearer "}}},
    ],
)
def test_a_target_that_events_can_go_to_is_taken(target: dict[str, Any]) -> None:
    async def main() -> None:
        assert await app_of().subscriptions.add("audit", sink="http", target=target, principal=ADA)

    asyncio.run(main())


def test_secrets_of_this_machine_are_refused_to_others_as_they_add() -> None:
    async def main() -> None:
        target = {"url": URL, "headers": {"x": {"secret": "env:TOKEN"}}}
        bob = replace(ADA, id="token:bob", kind=PrincipalKind.TOKEN)
        with pytest.raises(InterlockError) as fault:
            await app_of().subscriptions.add("audit", sink="http", target=target, principal=bob)
        assert fault.value.code == "secret_not_allowed"

    asyncio.run(main())


def test_a_path_that_no_file_can_have_is_refused_as_it_is_added() -> None:
    async def main() -> None:
        for path in ("a" * 256, "é" * 128 + "/x", "../x"):
            with pytest.raises(InterlockError) as fault:
                await app_of().subscriptions.add("audit", sink="file", target={"path": path}, principal=ADA)
            assert fault.value.code == "sink_path_refused"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("wrong", "code"),
    [("two\nlines", "sink_target_unusable"), (" ", "sink_target_unusable"), (None, "secret_not_found")],
)
def test_a_secret_that_cannot_be_sent_holds_events_back_until_it_is_mended(
    monkeypatch: pytest.MonkeyPatch, wrong: str | None, code: str
) -> None:
    async def main() -> None:
        app = app_of()
        async with serving(ok()) as server:
            headers = {"x-key": {"secret": "env:SINK_KEY"}}
            target = {"url": f"{server.url}events", "headers": headers}
            await app.subscriptions.add("audit", sink="http", target=target, types=GRANTED, principal=ADA)
            await lease(app)
            if wrong is None:
                monkeypatch.delenv("SINK_KEY", raising=False)
            else:
                monkeypatch.setenv("SINK_KEY", wrong)
            failed = 0
            while failed < 3:
                [done] = (await app.subscriptions.deliver_once()).values()
                failed += done.failed
                assert (done.delivered, done.dead) == (0, 0)
                [lane] = (await app.subscriptions.standing("audit", principal=ADA)).lanes
                assert (lane.code, lane.attempts, server.requests) == (code, failed, [])
                assert "lines" not in lane.message

            monkeypatch.setenv("SINK_KEY", "whole")
            while not server.requests:
                [done] = (await app.subscriptions.deliver_once()).values()
                assert (done.failed, done.dead) == (0, 0)
            assert server.header("x-key") == ["whole"]
            assert json.loads(server.body)["attempt"] == failed + 1
        await app.close()

    asyncio.run(main())


def test_an_event_that_is_too_large_for_the_sink_is_a_dead_letter_at_once() -> None:
    async def main() -> None:
        app = app_of(request_bytes_max=10)
        async with serving(ok()) as server:
            target = {"url": f"{server.url}events"}
            await app.subscriptions.add("audit", sink="http", target=target, types=GRANTED, principal=ADA)
            await lease(app)
            [done] = (await app.subscriptions.deliver_once()).values()
            assert (done.failed, done.dead, server.requests) == (1, 1, [])
        await app.close()

    asyncio.run(main())
