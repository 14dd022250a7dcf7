"""Plan documents for tests, and an application that runs them with real programs in a folder of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import msgspec

from interlock import App, RunResult
from interlock.engine import events as e
from interlock.journal.chain import Recorded
from interlock.testing.app import read_run


class Lived(NamedTuple):
    """A run of a document: how it ended, what its context holds, what it recorded."""

    result: RunResult
    values: dict[str, Any]
    events: list[Recorded]

    def emitted(self, name: str) -> list[Any]:
        """The payloads of the domain events of a name."""
        records = [event.record for event in self.events]
        return [
            msgspec.json.decode(each.payload)
            for each in records
            if isinstance(each, e.DomainEmitted) and each.name == name
        ]

    def facts(self, prefix: str) -> list[str]:
        """The keys of the facts that begin with a prefix."""
        records = [event.record for event in self.events]
        return [each.key for each in records if isinstance(each, e.FactRecorded) and each.key.startswith(prefix)]


def written(folder: Path, text: str, name: str = "plan.yaml") -> Path:
    """A document in a file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text).lstrip("\n"))
    return path


def run_document(folder: Path, text: str, given: Mapping[str, Any] | None = None, **options: Any) -> Lived:
    """Write a document, run it on a store in its folder, and replay it."""

    async def main() -> Lived:
        async with App.open(folder / "store.db") as app:
            return await live(app, written(folder, text), given, **options)

    return asyncio.run(main())


async def live(app: App, path: Path, given: Mapping[str, Any] | None = None, **options: Any) -> Lived:
    """Run the document in a file, and replay it: the replay of every run must be identical."""
    plan = app.runs.plans.load(str(path))
    result = await app.runs.start(plan, None if given is None else dict(given), source=str(path), **options)
    return await lived(app, result)


async def lived(app: App, result: RunResult) -> Lived:
    """What became of a run."""
    report = await app.runs.replay(result.run_id)
    assert report.divergence is None, report.divergence
    values = await app.runs.read.context(result.run_id)
    return Lived(result, values, await read_run(app, result.run_id))
