"""DBOS, in process: on SQLite as it ships, or on the PostgreSQL that it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from dbos import DBOS, SetWorkflowID
from protocol import Crowd, Given, main


@asynccontextmanager
async def opened(given: Given) -> AsyncIterator[Crowd]:
    # A restarted process takes up the runs of the one before it only under the same executor and version.
    DBOS(
        config={
            "name": "peer",
            "system_database_url": given.database or f"sqlite:///{given.folder}/dbos.db",
            "executor_id": "one",
            "application_version": "1",
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )

    @DBOS.step()
    def step(run: str, number: int) -> None:
        given.note(run, number)

    @DBOS.workflow()
    def work(run: str, states: int) -> None:
        for number in range(states):
            step(run, number)

    def crowd(ids: Sequence[str], states: int) -> None:
        handles = []
        for run in ids:
            with SetWorkflowID(run):
                handles.append(DBOS.start_workflow(work, run, states))
        for handle in handles:
            handle.get_result()

    DBOS.launch()
    try:
        yield lambda ids, states: asyncio.to_thread(crowd, ids, states)
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main(opened)
