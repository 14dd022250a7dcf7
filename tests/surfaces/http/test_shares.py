"""What one principal, or one tenant, has of the server at once: a share, so that the others are served on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from tests.surfaces.http.serving import NONE, Asking, problem, serving
from tests.surfaces.http.test_load import ended, opened
from tests.surfaces.mcp.test_front import INITIALIZE

QUARTER = {"principal_percent_max": 25, "tenant_percent_max": 75}
SLOW = {"server": {"in_flight_max": 8, "body_timeout_ms": 600_000, **QUARTER}}
"""Eight requests at once: two of a principal, six of a tenant."""


def over(
    folder: Path, check: Callable[[Asking], Awaitable[None]], settings: Mapping[str, Mapping[str, object]] = NONE
) -> None:
    async def main() -> None:
        async with serving(folder, settings) as asking, asyncio.timeout(50):
            await check(asking)

    asyncio.run(main())


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def begun(asking: Asking, path: str, token: str) -> Connection:
    """A request whose body does not come."""
    kind = "application/cloudevents+json" if "events" in path or "hooks" in path else "application/json"
    reader, writer = await opened(asking)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    writer.write(f"{head}Content-Type: {kind}\r\nContent-Length: 10\r\n\r\n".encode())
    return reader, writer


async def taken(asking: Asking, count: int) -> None:
    """Return when so many requests are under way."""
    while asking.server.gate.in_flight != count:
        await asyncio.sleep(0.01)


async def status(connection: Connection) -> bytes:
    return (await connection[0].readline())[9:12]


@pytest.mark.parametrize("path", ["/api/v1/subscriptions", "/mcp", "/rpc", "/api/events/", "/hooks/of/nobody"])
def test_slow_bodies_of_one_principal_take_no_more_than_its_share(tmp_path: Path, path: str) -> None:
    async def check(asking: Asking) -> None:
        slow, other = await asking.token_of("operator"), await asking.token_of("viewer", name="ann")
        held = [await begun(asking, path, slow) for _ in range(2)]
        await taken(asking, 2)
        more = [await begun(asking, path, slow) for _ in range(8)]
        assert {await status(each) for each in more} == {b"429"}
        assert (await asking.ask("GET", "/api/v1/runs", token=other)).status_code == 200
        over_its_share = await asking.ask("GET", "/api/v1/runs", token=slow)
        assert problem(over_its_share) == (429, "share_taken")
        assert over_its_share.headers["retry-after"] == "1"
        for _, writer in [*held, *more]:
            writer.transport.abort()
        await taken(asking, 0)
        assert (await asking.ask("GET", "/api/v1/runs", token=slow)).status_code == 200

    over(tmp_path, check, SLOW)


def test_the_principals_of_one_tenant_leave_places_to_the_other_tenants(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        many = [await asking.token_of("operator", name=f"n{number}") for number in range(4)]
        held = [await begun(asking, "/api/v1/subscriptions", many[number % 3]) for number in range(6)]
        await taken(asking, 6)
        assert problem(await asking.ask("GET", "/api/v1/runs", token=many[3])) == (429, "share_taken")
        elsewhere = await asking.token_of("viewer", tenant="staging")
        assert (await asking.ask("GET", "/api/v1/runs", token=elsewhere)).status_code == 200
        assert (await asking.ask("GET", "/api/v1/runs")).status_code == 200  # the user of the machine has no share
        for _, writer in held:
            writer.transport.abort()
        await taken(asking, 0)

    over(tmp_path, check, SLOW)


def test_who_may_not_call_a_command_has_no_body_waited_for_and_is_recorded_once(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        viewer = await asking.token_of("viewer")
        for _ in range(20):
            reader, writer = await begun(asking, "/api/v1/subscriptions", viewer)
            assert (await reader.readline()).startswith(b"HTTP/1.1 403")
            writer.close()
        await taken(asking, 0)
        position = await asking.app.journal.store.events.position("default")
        feed = await asking.app.journal.store.events.feed("default", 0, position)
        assert [each.stream for each in feed].count("default/audit/access") == 1

    over(tmp_path, check, SLOW)


def test_a_body_that_is_not_read_ends_its_connection_in_time(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        reader, writer = await begun(asking, "/api/v1/subscriptions", await asking.token_of("viewer"))
        assert (await ended(reader)).startswith(b"HTTP/1.1 403")
        writer.close()

    over(tmp_path, check, {"server": {"head_timeout_ms": 300}})


async def listened(asking: Asking, token: str) -> tuple[bytes, asyncio.StreamWriter]:
    """Somebody who follows the feed: the status of the answer, and the connection to end."""
    reader, writer = await opened(asking)
    head = f"GET /api/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    return await status((reader, writer)), writer


def test_readers_of_one_principal_leave_seats_to_the_others(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        greedy, other = await asking.token_of("viewer"), await asking.token_of("viewer", name="ann", tenant="staging")
        readers = [await listened(asking, greedy) for _ in range(5)]
        assert [told for told, _ in readers] == [b"200", b"200", b"429", b"429", b"429"]
        refused = await asking.ask("GET", "/api/v1/events/stream", token=greedy)
        assert problem(refused) == (429, "share_taken")
        assert refused.headers["retry-after"] == "1"
        readers += [await listened(asking, other) for _ in range(2)]
        assert [told for told, _ in readers[-2:]] == [b"200", b"200"]
        for _, writer in readers:
            writer.transport.abort()
        while (await listened_once(asking, greedy)) != b"200":
            await asyncio.sleep(0.01)

    over(tmp_path, check, {"event_stream": {"readers_max": 8}, "server": QUARTER})


async def listened_once(asking: Asking, token: str) -> bytes:
    told, writer = await listened(asking, token)
    writer.transport.abort()
    return told


def test_sessions_of_one_principal_leave_sessions_to_the_other_tenants(tmp_path: Path) -> None:
    accept = {"Accept": "application/json, text/event-stream"}

    async def check(asking: Asking) -> None:
        for number in range(3):
            token = await asking.token_of("viewer", name=f"n{number}")
            for _ in range(10):
                answer = await asking.ask("POST", "/mcp", token=token, json=INITIALIZE, headers=accept)
                assert answer.status_code == 200, answer.text
        last = await asking.token_of("viewer", name="late")
        refused = await asking.ask("POST", "/mcp", token=last, json=INITIALIZE, headers=accept)
        assert problem(refused) == (429, "share_taken")
        elsewhere = await asking.token_of("viewer", tenant="staging")
        opening = await asking.ask("POST", "/mcp", token=elsewhere, json=INITIALIZE, headers=accept)
        assert opening.status_code == 200

    over(tmp_path, check, {"server": {"sessions_max": 8, **QUARTER}})
