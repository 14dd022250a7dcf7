"""Temporal's development server with one worker: its database in memory, or in a file (`--variant file`).

It is not how Temporal is run in production, and says nothing about that.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from protocol import HOST, Crowd, Given, main, server
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "bench"
CONNECTS_MAX = 300


@workflow.defn
class Work:
    """A run: its steps are activities, one after the other."""

    @workflow.run
    async def run(self, run: str, states: int) -> None:
        for number in range(states):
            await workflow.execute_activity("step", args=[run, number], start_to_close_timeout=timedelta(seconds=60))


class Steps:
    """The activity, with what it was told."""

    def __init__(self, given: Given) -> None:
        self._given = given

    @activity.defn
    async def step(self, run: str, number: int) -> None:
        self._given.note(run, number)


@asynccontextmanager
async def opened(given: Given) -> AsyncIterator[Crowd]:
    port, http, metrics = given.ports(3)
    program = str(Path(sys.executable).parent / "temporal")
    arguments = [program, "server", "start-dev", "--headless", "--ip", HOST, "--log-level", "error"]
    arguments += ["--port", str(port), "--http-port", str(http), "--metrics-port", str(metrics)]
    if given.variant == "file":
        arguments += ["--db-filename", str(given.folder / "temporal.db")]
    async with server(given, "temporal", arguments, port):
        client = await _connected(f"{HOST}:{port}")
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[Work],
            activities=[Steps(given).step],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_activities=200,
            max_concurrent_activity_task_polls=10,
            max_concurrent_workflow_task_polls=10,
        ):
            yield lambda ids, states: _crowd(client, ids, states)


async def _connected(address: str) -> Client:
    for _ in range(CONNECTS_MAX):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.05)
    raise RuntimeError("the server takes no client")


async def _crowd(client: Client, ids: Sequence[str], states: int) -> None:
    handles = await asyncio.gather(*(_started(client, run, states) for run in ids))
    await asyncio.gather(*(handle.result() for handle in handles))


async def _started(client: Client, run: str, states: int) -> Any:
    try:
        return await client.start_workflow(
            Work.run,
            args=[run, states],
            id=run,
            task_queue=QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
    except WorkflowAlreadyStartedError:
        return client.get_workflow_handle(run)


if __name__ == "__main__":
    main(opened)
