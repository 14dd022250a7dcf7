"""The library eventsourcing on SQLite: one saved event for each state. It is no engine, but a floor for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from protocol import Crowd, Given, main


class Run(Aggregate):
    """A run: each state is one event of it."""

    @event("Began")
    def __init__(self, run: str) -> None:
        self.run = run
        self.done = 0

    @event("StateCompleted")
    def complete(self) -> None:
        self.done += 1


@asynccontextmanager
async def opened(given: Given) -> AsyncIterator[Crowd]:
    kept = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(given.folder / "events.db")}
    app = Application(env=kept)

    async def crowd(ids: Sequence[str], states: int) -> None:
        for run in ids:
            made = Run(run)
            for _ in range(states):
                made.complete()
                app.save(made)

    try:
        yield crowd
    finally:
        app.close()


if __name__ == "__main__":
    main(opened)
