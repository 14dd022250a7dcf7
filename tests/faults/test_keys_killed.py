"""A process that is killed between taking a key and answering under it: the same call again has one effect."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.journal.store_name import StoreName
from tests.postgres import fresh_schema
from tests.unit.gates.control.test_verbs import document

DYING: Final = """
import asyncio, json, os, signal, sys
from dataclasses import replace

from interlock.app import App
from interlock.base.principal import local_principal
from interlock.parts import PARTS

store, point, name, given = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])


def deadly(command):
    async def handler(ctx, record):
        if point == "effect":
            await command.handler(ctx, record)
        os.kill(os.getpid(), signal.SIGKILL)

    return replace(command, handler=handler) if command.name == name else command


async def main():
    parts = [replace(part, commands=tuple(map(deadly, part.commands))) for part in PARTS]
    async with App.open(store, parts=parts) as app:
        await app.client(local_principal("ada")).call(name, given, command_id="k")


asyncio.run(main())
"""
RUN: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
ADA: Final = local_principal("ada")
PLACE: Final = {"scenario": "release", "run": "r1"}
CALLS: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "subscription.pause": ({"name": "audit", "reason": "x"}, {"name": "other", "reason": "x"}),
    "scenario.trigger": ({**PLACE, "source": "ci"}, {**PLACE, "source": "cd"}),
    "scenario.next": ({**PLACE, "agent": "a1"}, {**PLACE, "agent": "a2"}),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreName:
    """The name of a store that is not there yet."""
    if request.param == "sqlite":
        return tmp_path / "store.db"
    return fresh_schema(request.getfixturevalue("postgres_url"))


def killed(store: StoreName, point: str, name: str, given: dict[str, Any]) -> None:
    """Let a process make a call under the key `k`, and be killed at a point of it."""
    line = [sys.executable, "-c", DYING, str(store), point, name, json.dumps(given)]
    assert subprocess.run(line, check=False, timeout=60).returncode == -signal.SIGKILL


async def prepare(app: App, folder: Path) -> None:
    call = app.client(ADA).call
    await call("subscription.add", {"name": "audit", "sink": "log"})
    await call("scenario.define", {"document": document(folder / "release.json")})
    await call("scenario.start", {**PLACE, "time": "0", "to": ["agent:a1"]})


@pytest.mark.parametrize("point", ["taken", "effect"])
@pytest.mark.parametrize("name", CALLS)
def test_what_died_unanswered_is_done_once_and_no_other_call_gets_its_key(
    store: StoreName, tmp_path: Path, name: str, point: str
) -> None:
    given, other = CALLS[name]

    async def before() -> None:
        async with App.open(store) as app:
            await prepare(app, tmp_path)

    async def after() -> None:
        async with App.open(store) as app:
            call = app.client(ADA).call
            with pytest.raises(InterlockError, match=r"\[command_id_conflict\]"):
                await call(name, other, command_id="k")
            first = await call(name, given, command_id="k")
            end = await app.store.events.position("default")
            assert await call(name, given, command_id="k") == first
            assert await app.store.events.position("default") == end
            if name == "subscription.pause":
                assert getattr(first, "changed", None) is True
            else:
                stands: Any = await call("scenario.status", PLACE)
                assert stands.triggers == 1

    asyncio.run(before())
    killed(store, point, name, given)
    asyncio.run(after())
