"""One session with an MCP server, through the official SDK over our own connections.

What it does: gives the SDK streams to a program of ours, or an HTTP client whose addresses and bodies are checked,
keeps the session in a task of its own, and calls tools. What it does not do: it opens no second session (`mcp_client`
does).

Rules: this module alone imports the SDK, and is itself imported at the first call. A message of a program is one line
of at most `MESSAGE_BYTES_MAX`; a body of HTTP is counted as it arrives. A session is entered and left by the same task,
as the SDK's scopes ask for. Nothing that the SDK says of a failure is repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import anyio
import httpcore2
import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import CONNECTION_CLOSED, CallToolResult, TextContent, jsonrpc_message_adapter

from interlock.base.canonical import Json
from interlock.base.errors import InterlockError
from interlock.engine.io.transports.addresses import system_resolver
from interlock.engine.io.transports.http_wire import CheckedBackend, Counted, Reach
from interlock.engine.io.transports.mcp_client import (
    MCP_FAILED,
    MCP_TOOL_FAILED,
    MESSAGE_BYTES_MAX,
    McpAnswer,
    McpProgram,
    McpServer,
)
from interlock.engine.io.transports.peer import Peer
from interlock.engine.io.transports.warden import Warden

_Streams = AbstractAsyncContextManager[Any]


class Session:
    """A session that is open until `close`."""

    def __init__(self, streams: _Streams) -> None:
        self._opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._ending = asyncio.Event()
        self._task = asyncio.create_task(self._live(streams))

    @classmethod
    async def open(cls, server: McpProgram | McpServer, warden: Warden) -> Session:
        """Open a session with a server. Raises: `mcp_failed`, `peer_start_failed`."""
        streams = _of_program(server, warden) if isinstance(server, McpProgram) else _of_server(server)
        session = cls(streams)
        try:
            await asyncio.shield(session._opened)
        except BaseException:
            await session.close()
            raise
        return session

    async def call(self, tool: str, arguments: dict[str, Json]) -> McpAnswer:
        """Call a tool. Raises: `mcp_failed`, `mcp_tool_failed`."""
        client = await self._opened
        try:
            result = await client.call_tool(tool, arguments)
        except MCPError as fault:
            kind = MCP_FAILED if fault.code == CONNECTION_CLOSED else MCP_TOOL_FAILED
            raise kind.error(f"the MCP server answered with the error {fault.code}", rpc_code=fault.code) from None
        except Exception:  # noqa: BLE001 - what a session of the SDK raises is not all declared
            raise MCP_FAILED.error("the session with the MCP server has failed") from None
        if result.is_error:
            raise MCP_TOOL_FAILED.error("the tool answered with an error")
        return _answer(result)

    async def close(self) -> None:
        """End the session."""
        self._ending.set()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.shield(asyncio.wait([self._task]))

    async def _live(self, streams: _Streams) -> None:
        """Keep the session; whatever ends it before it is open is what opening raises."""
        try:
            async with Client(streams, cache=None) as client:
                self._opened.set_result(client)
                await self._ending.wait()
        except BaseException as fault:  # noqa: BLE001 - the SDK's task groups raise groups
            if not self._opened.done():
                self._opened.set_exception(_known(fault) or MCP_FAILED.error("no session with the MCP server"))
                self._opened.exception()  # nobody may be left to look at it


def _known(fault: BaseException) -> InterlockError | None:
    """The error of ours in what a task group raised."""
    if isinstance(fault, BaseExceptionGroup):
        return next(filter(None, map(_known, fault.exceptions)), None)
    return fault if isinstance(fault, InterlockError) else None


def _answer(result: CallToolResult) -> McpAnswer:
    texts = [item.text for item in result.content if isinstance(item, TextContent)]
    return McpAnswer(result.structured_content, texts[0] if texts else None)


@asynccontextmanager
async def _of_program(server: McpProgram, warden: Warden) -> AsyncIterator[Any]:
    """Streams to a program: one message a line."""
    peer = await Peer.start(server.command, warden, MESSAGE_BYTES_MAX)
    arrived, inbound = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outbound, leaving = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        async with arrived:
            with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                while True:
                    line = await peer.reader.readuntil(b"\n")
                    await arrived.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))

    async def write() -> None:
        async with leaving:
            async for message in leaving:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await _said(peer, text.encode() + b"\n")

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(write)
            try:
                yield inbound, outbound
            finally:
                group.cancel_scope.cancel()
    finally:
        for stream in (arrived, inbound, outbound, leaving):
            stream.close()
        await peer.end()


async def _said(peer: Peer, line: bytes) -> None:
    """Hand a line over. One failure for a program that has gone, whether it is met in writing or in reading."""
    try:
        await peer.write(line)
    except InterlockError:
        raise MCP_FAILED.error("the program has closed its input") from None


@asynccontextmanager
async def _of_server(server: McpServer) -> AsyncIterator[Any]:
    """Streams to an HTTP server."""
    headers = {} if server.token is None else {"authorization": f"Bearer {server.token.reveal()}"}
    seconds = server.request_timeout_ms / 1000
    timeout = httpx2.Timeout(seconds, connect=server.connect_timeout_ms / 1000)
    async with (
        httpx2.AsyncClient(transport=_Checked(server), headers=headers, timeout=timeout, trust_env=False) as client,
        streamable_http_client(server.url, http_client=client, max_sse_event_size=MESSAGE_BYTES_MAX) as streams,
    ):
        yield streams


class _Checked(httpx2.AsyncBaseTransport):
    """Sends over connections of ours."""

    def __init__(self, server: McpServer) -> None:
        # The configuration names the address, and no plan does.
        self._reach = Reach(allow_private=True, allowed_hosts=None, allow_plain=server.allow_plain)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            network_backend=CheckedBackend(system_resolver, allow_private=True),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._reach.check(request.url)
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore2.Request(
                request.method,
                httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            response.status, headers=response.headers, stream=_Body(response, MESSAGE_BYTES_MAX), request=request
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(Counted):
    """A body that closes its connection."""

    def __init__(self, response: httpcore2.Response, bytes_max: int) -> None:
        super().__init__(response.stream, bytes_max)
        self._response = response

    async def aclose(self) -> None:
        await self._response.aclose()
