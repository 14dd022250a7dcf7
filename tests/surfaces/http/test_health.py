"""What a server says of itself: that it lives, and whether it is of use."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from interlock.journal.errors import STORE_CLOSED
from interlock.surfaces.http.health import Health
from tests.surfaces.http.serving import serving


def states(found: Any) -> dict[str, str | None]:
    return {each.name: each.code for each in found.checks}


def test_a_server_is_ready_only_while_everything_that_it_needs_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with serving(tmp_path) as asking:
            await asking.post("/api/v1/subscriptions", name="audit", sink="log")
            store = asking.app.store
            health = Health(asking.app, lambda: False)
            assert (await health.readiness()).ready

            async def fail(*_given: object) -> None:
                raise STORE_CLOSED.error("it is closed")

            async def stand(*_given: object) -> None:
                await asyncio.sleep(60)

            async def late(*_given: object) -> int:
                return 1

            monkeypatch.setattr("interlock.surfaces.http.health.LOOK_MS_MAX", 50)
            for port, name, broken, what, code in (
                (store.events, "partitions", fail, "store", "store_closed"),
                (store.views, "drop", stand, "writer", "timeout"),
                (store.timers, "next_due", late, "timers", "timers_overdue"),
            ):
                with monkeypatch.context() as patched:
                    patched.setattr(port, name, broken)
                    found = await health.readiness()
                    assert (found.ready, states(found)[what]) == (False, code)
            assert (await health.readiness()).ready

    asyncio.run(main())


def test_who_asks_often_keeps_no_store_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving(tmp_path) as asking:
            looks = 0
            drop = asking.app.store.views.drop

            async def counted(*given: Any) -> None:
                nonlocal looks
                looks += 1
                await drop(*given)

            monkeypatch.setattr(asking.app.store.views, "drop", counted)
            answers = await asyncio.gather(*(asking.ask("GET", "/readyz", token=None) for _ in range(20)))
            assert {each.status_code for each in answers} == {200}
            assert looks <= 2

    asyncio.run(main())
