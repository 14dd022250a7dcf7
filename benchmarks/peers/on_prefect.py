"""Prefect with a local server on SQLite: flows of tasks whose results are kept."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from protocol import HOST, Crowd, Given, main, server


@asynccontextmanager
async def opened(given: Given) -> AsyncIterator[Crowd]:
    (port,) = given.ports(1)
    os.environ |= {
        "PREFECT_HOME": str(given.folder / "prefect"),
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
    }
    program = str(Path(sys.executable).parent / "prefect")
    arguments = [program, "server", "start", "--host", HOST, "--port", str(port), "--no-ui"]
    async with server(given, "prefect", arguments, port):
        # Its settings are read when it is imported.
        from prefect import flow, task

        @task
        async def step(run: str, number: int) -> None:
            given.note(run, number)

        @flow
        async def work(run: str, states: int) -> None:
            for number in range(states):
                await step(run, number)

        async def crowd(ids: Sequence[str], states: int) -> None:
            await asyncio.gather(*(work(run, states) for run in ids))

        yield crowd


if __name__ == "__main__":
    main(opened)
