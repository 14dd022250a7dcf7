"""Restate: its server, and one service in granian over HTTP/2, which imports this file."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import restate
from protocol import HOST, Crowd, Given, main, server

CALLS_MAX = 500
STARTS_MAX = 300

work = restate.Service("Work")
told = Given(Path(os.environ.get("PEER_FOLDER", ".")), "", "", noted="PEER_NOTED" in os.environ)


@work.handler()
async def run(ctx: restate.Context, asked: dict[str, Any]) -> None:
    for number in range(asked["states"]):
        await ctx.run_typed("step", told.note, restate.RunOptions(), asked["run"], number)


app = restate.app(services=[work])


@asynccontextmanager
async def opened(given: Given) -> AsyncIterator[Crowd]:
    ingress, admin, node, service = given.ports(4)
    limits = httpx.Limits(max_connections=CALLS_MAX)
    async with (
        server(given, "restate", _server(given), admin, _server_environment(ingress, admin, node)),
        server(given, "granian", _service(service), service, _service_environment(given)),
        httpx.AsyncClient(timeout=None, limits=limits) as client,  # noqa: S113 (the driver holds the time limit)
    ):
        await _posted(client, f"http://{HOST}:{admin}/deployments", {"uri": f"http://{HOST}:{service}"})

        async def crowd(ids: Sequence[str], states: int) -> None:
            url = f"http://{HOST}:{ingress}/Work/run"
            await asyncio.gather(*(_posted(client, url, {"run": run, "states": states}, key=run) for run in ids))

        yield crowd


def _server(given: Given) -> list[str]:
    return [os.environ["RESTATE_SERVER"], "--node-name", "n1", "--base-dir", str(given.folder / "restate")]


def _server_environment(ingress: int, admin: int, node: int) -> dict[str, str]:
    return {
        "RESTATE_INGRESS__BIND_ADDRESS": f"{HOST}:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"{HOST}:{admin}",
        "RESTATE_BIND_ADDRESS": f"{HOST}:{node}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://{HOST}:{node}",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "error",
    }


def _service(port: int) -> list[str]:
    program = str(Path(sys.executable).parent / "granian")
    return [program, "on_restate:app", "--interface", "asgi", "--http", "2", "--host", HOST, "--port", str(port)]


def _service_environment(given: Given) -> dict[str, str]:
    noted = {"PEER_NOTED": "1"} if given.noted else {}
    return {"PEER_FOLDER": str(given.folder), "PYTHONPATH": str(Path(__file__).parent), **noted}


async def _posted(client: httpx.AsyncClient, url: str, body: dict[str, Any], key: str = "") -> None:
    """Post until the server takes it: after its port answers, it still needs a moment to be ready."""
    for _ in range(STARTS_MAX):
        answer = await client.post(url, json=body, headers={"idempotency-key": key} if key else {})
        if answer.is_success:
            return
        if answer.status_code < 500 and answer.status_code != 404:
            raise RuntimeError(f"{url} answered {answer.status_code}: {answer.text[:300]}")
        await asyncio.sleep(0.05)
    raise RuntimeError(f"{url} is never ready")


if __name__ == "__main__":
    main(opened)
