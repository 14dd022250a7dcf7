"""CloudEvents at any path: what says of itself that it is an event is taken, unless the path is for something else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.surfaces.http.serving import Asking, problem, serving

SOURCE = "https://forge.example/repo"
EVENT: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": SOURCE, "type": "forge.push", "data": {"n": 1}}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
BINARY = {
    "Content-Type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": SOURCE,
    "ce-type": "forge.push",
}
SETTINGS = {
    "sources": {"forge": {"source": "https://forge.example/*", "types": ["forge.*"]}},
    "webhook_origins": ["forge.example"],
}
ACCESS = {"roles": {"leaser": {"permissions": ["lease.read"]}}}


def over(folder: Path, check: Callable[[Asking], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serving(folder, events=SETTINGS, access=ACCESS) as asking:
            await check(asking)

    asyncio.run(main())


def event(name: str) -> bytes:
    return json.dumps({**EVENT, "id": name}).encode()


async def taken(asking: Asking) -> set[str]:
    """The ids of the events that were taken."""
    return {each["id"] for each in (await asking.get("/api/v1/events"))["items"]}


@pytest.mark.parametrize("path", ["/", "/hooks/forge", "/api/events/elsewhere", "/api/v1/nothing", "/a%2Fb"])
def test_an_event_is_taken_at_a_path_that_is_for_nothing_else(tmp_path: Path, path: str) -> None:
    async def check(asking: Asking) -> None:
        batch = b"[" + event("2") + b"," + event("3") + b"]"
        sent = [
            await asking.ask("POST", path, content=event("1"), headers=STRUCTURED),
            await asking.ask("POST", path, content=batch, headers=BATCH),
            await asking.ask("POST", path, content=b'{"n":1}', headers={**BINARY, "ce-id": "4"}),
        ]
        assert [(answer.status_code, answer.content) for answer in sent] == [(202, b"")] * 3
        assert await taken(asking) == {"1", "2", "3", "4"}

    over(tmp_path, check)


def test_a_path_for_something_else_stays_what_it_is_whatever_is_sent_to_it(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        sent: dict[str, Any] = {"content": event("1"), "headers": STRUCTURED}
        assert problem(await asking.ask("POST", "/api/v1/subscriptions", **sent)) == (415, "media_type_unsupported")
        assert problem(await asking.ask("POST", "/api/v1/plans/x/y/z", content=b"{}")) == (404, "path_unknown")
        assert problem(await asking.ask("POST", "/api/v1/leases", **sent)) == (405, "method_not_allowed")
        assert problem(await asking.ask("PUT", "/hooks/forge", **sent)) == (404, "path_unknown")
        assert (await asking.ask("POST", "/rpc", **sent)).status_code != 202
        assert await taken(asking) == set()

    over(tmp_path, check)


def test_an_event_at_any_path_needs_what_it_needs_at_its_own(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        sent: dict[str, Any] = {"content": event("1"), "headers": STRUCTURED}
        assert problem(await asking.ask("POST", "/hooks", token=None, **sent)) == (401, "credentials_missing")
        leaser = await asking.token_of("leaser")
        assert problem(await asking.ask("POST", "/hooks", token=leaser, **sent)) == (403, "permission_denied")
        wrong = {**EVENT, "source": "https://elsewhere.example/"}
        refused = await asking.ask("POST", "/hooks", json=wrong, headers=STRUCTURED)
        assert problem(refused) == (403, "event_source_refused")
        malformed = await asking.ask("POST", "/hooks", content=b"{", headers=STRUCTURED)
        assert problem(malformed) == (400, "cloud_event_malformed")
        assert await taken(asking) == set()

    over(tmp_path, check)


def test_a_sender_may_ask_at_any_path_whether_it_may_send(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        asked = {"WebHook-Request-Origin": "forge.example"}
        answer = await asking.ask("OPTIONS", "/hooks/forge", token=None, headers=asked)
        assert (answer.status_code, answer.headers["webhook-allowed-origin"]) == (200, "forge.example")
        assert problem(await asking.ask("OPTIONS", "/hooks/forge", token=None)) == (404, "path_unknown")

    over(tmp_path, check)
