"""W11: what a request costs: reads, durable commands, scenarios over HTTP, calls of MCP, and the live feed.

Prints JSON. The server is `interlock serve` in a process of its own on a store of its own; the caller is this process,
over connections that stay open, with no library between it and the sockets, so that the server is what is measured.
The store holds thousands of runs before it begins: a read is, in turn, a page of them and the status of one.
"At half load" is an open loop at half of the rate that was reached: nobody waits for anybody. It judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from w6_gates import document
from workloads import median, sequence

from interlock import App

CALLERS = 8
RUNS = 3_000
READS, COMMANDS, PAIRS, CALLS = 4_000, 2_000, 1_000, 500
HALF_LOAD_SECONDS = 5
READERS, EVENTS = 1_000, 50
VERSION = "2025-06-18"


class Connection:
    """One connection to the server that stays open."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._place = (host, port)
        self.head = f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"

    async def open(self) -> Connection:
        self.reader, self.writer = await asyncio.open_connection(*self._place, limit=2**20)
        return self

    async def ask(self, method: str, path: str, body: Any = None, more: str = "") -> tuple[int, bytes]:
        content = b"" if body is None else json.dumps(body).encode()
        kind = "Content-Type: application/json\r\n" if content else ""
        head = f"{method} {path} HTTP/1.1\r\n{self.head}{kind}{more}Content-Length: {len(content)}\r\n\r\n"
        self.writer.write(head.encode() + content)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        lengths = [line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if lengths:
            return status, await self.reader.readexactly(int(lengths[0].split(b":")[1]))
        return status, await self.chunks()

    async def chunks(self) -> bytes:
        found = b""
        while size := int(await self.reader.readline(), 16):
            found += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return found

    async def listen(self, path: str) -> None:
        """Begin to read the live feed."""
        self.writer.write(f"GET {path} HTTP/1.1\r\n{self.head}\r\n".encode())
        await self.reader.readuntil(b"\r\n\r\n")


async def with_runs(store: str) -> list[str]:
    """Make a store of ended runs; their ids."""
    plan = sequence(3)
    async with App.open(store) as app:
        ended = []
        for _ in range(0, RUNS, 500):
            ended += await asyncio.gather(*(app.runs.start(plan) for _ in range(500)))
    return [each.run_id for each in ended]


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Callable[[], Connection], list[str]]]:
    """A server in a process of its own; gives what makes a connection to it, and the runs that it knows."""
    with tempfile.TemporaryDirectory() as folder:
        runs = await with_runs(f"{folder}/store.db")
        settings = Path(folder) / "interlock.toml"
        settings.write_text(f"[event_stream]\nreaders_max = {READERS + 10}\n")
        command = [sys.executable, "-m", "interlock.surfaces.cli.main", "serve", "--port", "0"]
        places = ["--store", f"{folder}/store.db", "--config", str(settings)]
        process = await asyncio.create_subprocess_exec(*command, *places, stdout=DEVNULL, stderr=DEVNULL)
        try:
            told = Path(folder) / "server.json"
            while not told.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.05)
            found = json.loads(told.read_text())
            host, port = found["url"].removeprefix("http://").split(":")
            yield (lambda: Connection(host, int(port), found["token"])), runs
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 30)


Ask = Callable[[Connection, int], Awaitable[None]]


async def closed_loop(connections: list[Connection], count: int, ask: Ask) -> float:
    """Requests a second, where each caller asks again as soon as it is answered."""

    async def caller(number: int) -> None:
        for each in range(number, count, len(connections)):
            await ask(connections[number], each)

    began = time.perf_counter()
    await asyncio.gather(*map(caller, range(len(connections))))
    return count / (time.perf_counter() - began)


async def open_loop(make: Callable[[], Connection], rate: float, ask: Ask, first: int) -> tuple[float, float]:
    """Median and 99th percentile, in seconds, of requests that begin at a steady rate, whoever is answered."""
    free: list[Connection] = []
    seconds: list[float] = []

    async def one(number: int, due: float) -> None:
        connection = free.pop() if free else await make().open()
        await ask(connection, number)
        seconds.append(time.perf_counter() - due)
        free.append(connection)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * HALF_LOAD_SECONDS)):
            due = began + number / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
            group.create_task(one(first + number, due))
    ordered = sorted(seconds)
    return median(ordered), ordered[int(len(ordered) * 0.99)]


def expecting(status: int, answer: tuple[int, bytes]) -> bytes:
    if answer[0] != status:
        raise RuntimeError(f"{answer[0]}: {answer[1][:300]!r}")
    return answer[1]


def reading(runs: list[str]) -> Ask:
    """What reads a page of runs, and the status of one, in turn."""

    async def read(connection: Connection, number: int) -> None:
        path = "?limit=20" if number % 2 else f"/{runs[number * 7919 % len(runs)]}"
        expecting(200, await connection.ask("GET", f"/api/v1/runs{path}"))

    return read


async def command(connection: Connection, number: int) -> None:
    body = {"name": f"f{number}", "state": "parked"}
    expecting(201, await connection.ask("POST", "/api/v1/filters", body))


async def pair(connection: Connection, number: int) -> None:
    body = {"scenario": "opens", "run": f"r{number}", "time": f"logical:{number}"}
    expecting(201, await connection.ask("POST", "/api/v1/scenario-runs", body))
    path = f"/api/v1/scenario-runs/opens/r{number}/trigger"
    answer = expecting(200, await connection.ask("POST", path, {"id": "t", "time": f"logical:{number + 1}"}))
    if json.loads(answer)["status"] != "completed":
        raise RuntimeError("the gate did not open")


async def tool_calls(connection: Connection) -> list[float]:
    """Seconds of each call of a tool in one session."""
    accepts = "Accept: application/json, text/event-stream\r\n"

    async def send(body: dict[str, Any], more: str = "") -> tuple[int, bytes]:
        return await connection.ask("POST", "/mcp", {"jsonrpc": "2.0", **body}, accepts + more)

    hello = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    connection.writer.write(b"")
    session = await opened_session(connection, accepts, hello)
    more = f"Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: {VERSION}\r\n"
    await send({"method": "notifications/initialized"}, more)
    seconds = []
    for number in range(CALLS):
        began = time.perf_counter()
        params = {"name": "run_list", "arguments": {"limit": 20}}
        answer = expecting(200, await send({"id": number + 2, "method": "tools/call", "params": params}, more))
        seconds.append(time.perf_counter() - began)
        if b'"items"' not in answer:
            raise RuntimeError(repr(answer[:300]))
    return seconds


async def opened_session(connection: Connection, accepts: str, hello: dict[str, Any]) -> str:
    """The id of a new session of MCP."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode()
    head = f"POST /mcp HTTP/1.1\r\n{connection.head}{accepts}Content-Type: application/json\r\n"
    connection.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await connection.reader.readuntil(b"\r\n\r\n")
    [session] = [line.split(b": ")[1] for line in answer.split(b"\r\n") if line.lower().startswith(b"mcp-session-id")]
    if b"content-length" in answer.lower():
        raise RuntimeError(repr(answer))
    await connection.chunks()
    return session.decode()


async def fan_out(make: Callable[[], Connection]) -> tuple[float, float]:
    """Messages a second over all readers, and seconds from the last event to the last reader that has it."""
    readers = await asyncio.gather(*(make().open() for _ in range(READERS)))
    await asyncio.gather(*(each.listen("/api/events/stream?type=journal.*&type=engine.*") for each in readers))
    sender = await make().open()
    ends: list[float] = []

    async def hear(each: Connection) -> None:
        heard = 0
        while heard < EVENTS:
            heard += (await each.reader.readline()).startswith(b"event: event")
        ends.append(time.perf_counter())

    hearing = [asyncio.ensure_future(hear(each)) for each in readers]
    began = time.perf_counter()
    for number in range(EVENTS):
        await command(sender, 10_000_000 + number)
    sent = time.perf_counter()
    await asyncio.wait_for(asyncio.gather(*hearing), 120)
    for each in readers:
        each.writer.close()
    return READERS * EVENTS / (max(ends) - began), max(ends) - sent


async def measured() -> dict[str, float]:
    async with serving() as (make, runs):
        read = reading(runs)
        connections = await asyncio.gather(*(make().open() for _ in range(CALLERS)))
        await closed_loop(connections, 200, read)
        reads = await closed_loop(connections, READS, read)
        _, read_p99 = await open_loop(make, reads / 2, read, 0)
        commands = await closed_loop(connections, COMMANDS, command)
        command_p50, command_p99 = await open_loop(make, commands / 2, command, 1_000_000)
        spec = json.loads(document("opens", {"Condition": "after"}))
        expecting(201, await connections[0].ask("POST", "/api/v1/scenario-specs", {"spec": spec}))
        pairs = await closed_loop(connections, PAIRS, pair)
        calls = await tool_calls(connections[0])
        messages, last = await fan_out(make)
    return {
        "reads_per_second": round(reads, 1),
        "read_ms_p99_at_half_load": round(read_p99 * 1000, 2),
        "commands_per_second": round(commands, 1),
        "command_ms_p50_at_half_load": round(command_p50 * 1000, 2),
        "command_ms_p99_at_half_load": round(command_p99 * 1000, 2),
        "scenario_pairs_per_second": round(pairs, 1),
        "mcp_call_ms_p50": round(median(calls) * 1000, 2),
        "feed_messages_per_second": round(messages, 1),
        "feed_last_reader_ms": round(last * 1000, 1),
    }


def run() -> dict[str, float]:
    return asyncio.run(measured())


if __name__ == "__main__":
    print(json.dumps(run()))
