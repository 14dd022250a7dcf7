"""Calls tools of one MCP server, a program or an HTTP server, through the official SDK.

What it does: opens a session at the first call and anew after it has failed, and calls tools in it. What it does not
do: it lists no tools, answers no request of the server, and knows no tool.

Rules: the SDK is loaded at the first call, by `mcp_wire` alone; after a failure the next session waits, each time twice
as long, up to a limit; a call that is cancelled ends its session, since a server that hangs is of no use to the next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from interlock.base.canonical import Json
from interlock.base.errors import Category, ErrorCode
from interlock.base.extras import install_advice
from interlock.engine.io.transports.framed import BackOff
from interlock.engine.io.transports.warden import Warden

if TYPE_CHECKING:
    from interlock.engine.io.transports.mcp_wire import Session

MCP_LIBRARY_MISSING = ErrorCode("mcp_library_missing", Category.REFUSED, install_advice("mcp"))
MCP_FAILED = ErrorCode("mcp_failed", Category.UNAVAILABLE, "See what the MCP server says of it.", retryable=True)
MCP_TOOL_FAILED = ErrorCode("mcp_tool_failed", Category.FAILED, "See what the MCP server says of this tool.")
ERRORS = (MCP_LIBRARY_MISSING, MCP_FAILED, MCP_TOOL_FAILED)

MESSAGE_BYTES_MAX = 1024 * 1024


class McpAnswer(Struct, frozen=True):
    """What a tool answered: its structured content, and its first text."""

    structured: Any
    text: str | None


class McpProgram(Struct, frozen=True):
    """A server that is a program."""

    command: tuple[str, ...]


class McpServer(Struct, frozen=True):
    """A server that is spoken to by HTTP; `token` is the value of a secret, and is only sent."""

    url: str
    allow_plain: bool
    connect_timeout_ms: int
    request_timeout_ms: int
    token: Any = None


class McpCaller:
    """The sessions with one server, one after the other."""

    def __init__(self, server: McpProgram | McpServer) -> None:
        self._server = server
        self._warden = Warden()
        self._session: Session | None = None
        self._opening = asyncio.Lock()
        self._back_off = BackOff()

    async def call(self, tool: str, arguments: dict[str, Json]) -> McpAnswer:
        """Call a tool. Raises: `mcp_library_missing`, `mcp_failed`, `mcp_tool_failed`, and what starting raises."""
        session = await self._opened()
        try:
            answer = await session.call(tool, arguments)
        except BaseException as fault:
            if getattr(fault, "kind", None) is not MCP_TOOL_FAILED:
                self._back_off.failed()
                await self._end(session)
            raise
        self._back_off.succeeded()
        return answer

    async def close(self) -> None:
        """End the session, its program, and the warden."""
        async with self._opening:
            if self._session is not None:
                await self._end(self._session)
        await self._warden.close()

    async def _opened(self) -> Session:
        async with self._opening:
            if self._session is None:
                await self._back_off.wait()
                # The SDK takes two seconds to load.
                wire = await asyncio.to_thread(_wire)
                try:
                    self._session = await wire.Session.open(self._server, self._warden)
                except BaseException:
                    self._back_off.failed()
                    raise
            return self._session

    async def _end(self, session: Session) -> None:
        if self._session is session:
            self._session = None
        await session.close()


def _wire() -> Any:
    try:
        from interlock.engine.io.transports import mcp_wire
    except ImportError:
        raise MCP_LIBRARY_MISSING.error(f"the MCP library is not installed. {install_advice('mcp')}") from None
    return mcp_wire
