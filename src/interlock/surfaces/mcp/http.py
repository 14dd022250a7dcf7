"""The official protocol over streamable HTTP: an ASGI application, with every version that the SDK speaks.

What it does: finds out who asks before the SDK sees anything, gives each principal the tools that it may call, and
keeps sessions of those versions that have any. What it does not do: it opens no socket, makes no principal and decides
no permission; `authenticate` and `may` are given to it.

Rules: a session belongs to the principal that opened it, and is not there for others; whoever asks is found out anew at
each request, and again and again while an answer stands, so that what is revoked ends; a body is read once, by the
strict reader of JSON; a principal has a bounded number of calls, however many sessions, and a share of the sessions;
verbs about this machine, or about files of it, are no tools here.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import mcp_types as types
import msgspec
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import EventStore
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interlock.base.canonical import digest, parse
from interlock.base.errors import InterlockError
from interlock.base.part import Command, Effect
from interlock.base.principal import Principal, PrincipalKind
from interlock.gates.config import GatesSettings
from interlock.surfaces.application import Application, Opened
from interlock.surfaces.errors import MCP_TOOL_NOT_PERMITTED, PROGRAM_FAULT
from interlock.surfaces.http.bodies import JSON, Bounds, body, check_media_type
from interlock.surfaces.http.errors import SERVER_BUSY
from interlock.surfaces.http.problems import problem
from interlock.surfaces.http.request_ids import request_id_of
from interlock.surfaces.mcp.entrance import EntranceSettings, check_place, with_body
from interlock.surfaces.mcp.front import Calls, Context, Front, server_of
from interlock.surfaces.mcp.pages import library_of
from interlock.surfaces.mcp.search import Library
from interlock.surfaces.mcp.serving import warn
from interlock.surfaces.mcp.sessions import SESSION, Sessions
from interlock.surfaces.mcp.tools import Refusal, Toolbox, tool_name, within
from interlock.surfaces.seats import Seats, owner_of, refused_by
from interlock.surfaces.standing import until_refused

Authenticate = Callable[[Scope], Awaitable[Principal]]
"""Who asks. Raises an `InterlockError` where nobody may: its status and advice are the answer."""

May = Callable[[Principal, Command], bool]
Told = Callable[[Principal, Command], Awaitable[None]]
Lifespan = AbstractAsyncContextManager[None]
_PRINCIPAL = "interlock.principal"
END_SECONDS = 1.0
"""How long whoever reads a stream that is cut off may take for its end."""


def reads_only(principal: Principal, command: Command) -> bool:
    """What may be called where nothing else is said: everything by the user of this machine, reads by others."""
    return principal.kind is PrincipalKind.LOCAL or command.effect is Effect.READS


async def unheard(_principal: Principal, _command: Command) -> None:
    """Nobody wants to know of a refusal."""


def mcp_http(
    opened: Opened,
    application: Application,
    authenticate: Authenticate,
    *,
    may: May = reads_only,
    refused: Told = unheard,
    settings: EntranceSettings = EntranceSettings(),  # noqa: B008 - immutable
) -> tuple[Entrance, Lifespan]:
    """The application for one path, and what has to be entered, once, around its requests.

    `may` says which tools there are for whom; `refused` hears of calls of those that there are not.

    Raises: `documents_unreadable`.
    """
    fronts = Fronts(opened, application, library_of(opened.get(GatesSettings).docs, warn), may, refused)
    return streamable(server_of(fronts, fronts.input_schema), authenticate, settings)


def streamable(
    server: Server[Any], authenticate: Authenticate, settings: EntranceSettings, events: EventStore | None = None
) -> tuple[Entrance, Lifespan]:
    """A server of the SDK over streamable HTTP; its handlers find the principal with `principal_of`."""
    manager = StreamableHTTPSessionManager(
        server,
        event_store=events,
        session_idle_timeout=settings.session_idle_ms / 1000,
        max_request_body_size=settings.body_bytes_max,
        max_sessions=None,  # `Sessions` bounds them, for each principal, too
    )
    full = refused_by(SERVER_BUSY, f"{settings.sessions_max} sessions are open")
    seats = Seats(settings.sessions_max, settings.shares, full, "sessions")
    sessions = Sessions(manager.handle_request, seats, settings.session_idle_ms)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with manager.run():
            yield

    return Entrance(sessions, authenticate, settings, replays=events is not None), lifespan()


class Entrance:
    """Lets requests to the SDK whose principal is known, each with its whole body."""

    def __init__(
        self, inner: Sessions, authenticate: Authenticate, settings: EntranceSettings, *, replays: bool = False
    ) -> None:
        self._inner = inner
        self._replays = replays
        self._authenticate = authenticate
        self._settings = settings
        self._quiet = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it as a problem."""
        if scope["type"] != "http":
            raise RuntimeError("only HTTP is answered here")
        request_id = request_id_of(HTTPConnection(scope))
        try:
            admitted, content = await self._admitted(scope, receive)
            answering = self._answering(admitted, content)
            await self._answer(answering, admitted, with_body(content, receive), send)
        except InterlockError as fault:
            await problem(fault, request_id)(scope, receive, send)

    def _answering(self, scope: Scope, content: bytes) -> ASGIApp:
        """Who answers a message: the SDK, for a session that is there or opens, or the refusal of what is no JSON."""
        try:
            message = parse(content, bytes_max=self._settings.body_bytes_max, wide=True) if content else None
        except InterlockError as fault:
            return _unreadable(fault)
        if scope["method"] == "POST" and _opens(scope, message):
            return partial(self._inner.opening, scope[_PRINCIPAL])
        return self._inner

    async def quiet(self) -> None:
        """Let go of streams that only stand, before whoever serves waits for what is under way."""
        self._quiet.set()

    async def _answer(self, answering: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it be answered until that is done, whoever asked may no longer, or only a stream stands at the end.

        Raises: as opening a session does, before anything is sent.
        """
        sending = _Sending(send)
        look = until_refused(lambda: self._authenticate(scope), self._settings.look_ms / 1000)
        refused = asyncio.ensure_future(look)
        ends: list[asyncio.Future[Any]] = [refused]
        if scope["method"] == "GET":
            ends.append(asyncio.ensure_future(self._quiet.wait()))
        time = asyncio.timeout(None)
        try:
            async with time:
                for end in ends:
                    end.add_done_callback(lambda end: _end_now(end, time))
                await answering(scope, receive, sending)
        except TimeoutError:
            if not time.expired():
                raise
            if refused.done() and not sending.begun:
                await problem(refused.result(), request_id_of(HTTPConnection(scope)))(scope, receive, sending)
            await sending.end()
        finally:
            for end in ends:
                end.cancel()

    async def _principal(self, scope: Scope) -> Principal:
        try:
            return await self._authenticate(scope)
        except InterlockError:
            raise
        except Exception as fault:  # noqa: BLE001 - who cannot be found out is not let in
            traceback.print_exception(fault, file=sys.stderr)
            raise PROGRAM_FAULT.error(f"unexpected {type(fault).__name__}") from None

    async def _admitted(self, scope: Scope, receive: Receive) -> tuple[Scope, bytes]:
        check_place(scope, self._settings)
        principal = await self._principal(scope)
        bounds = Bounds(self._settings.body_bytes_max, self._settings.body_timeout_ms)
        content = await body(scope, receive, bounds)
        if scope["method"] == "POST":
            check_media_type(Request(scope), JSON)
        # The SDK compares this with whoever opened a session, and says that there is none where they differ.
        # Two tokens of one name are two owners.
        credential = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        owner = f"{_owner(principal)} {digest(credential)}"
        user = AuthenticatedUser(AccessToken(token="", client_id=owner, scopes=[]))
        return {**scope, "headers": self._headers(scope), "user": user, _PRINCIPAL: principal}, content

    def _headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """The headers that the SDK is given: where nothing is kept, it answers nobody who asks for a repetition."""
        return [each for each in scope["headers"] if self._replays or each[0] != b"last-event-id"]


def _end_now(end: asyncio.Future[Any], time: asyncio.Timeout) -> None:
    if not end.cancelled():
        with suppress(RuntimeError):  # it was answered in the same moment
            time.reschedule(asyncio.get_running_loop().time())


class _Sending:
    """Sends an answer, and ends one that was cut off as whole as it can: its bearer sees a stream that is over."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        self._done = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
        elif message["type"] == "http.response.body":
            self._done = not message.get("more_body", False)
        await self._send(message)

    async def end(self) -> None:
        """Send the end that is missing; nothing where there is none, or where it is not taken in time."""
        if self.begun and not self._done:
            with suppress(OSError):  # a time that is over is one
                async with asyncio.timeout(END_SECONDS):
                    await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _opens(scope: Scope, message: object) -> bool:
    """Whether a message opens a session: where it has one already, the SDK says so."""
    named = any(name == SESSION for name, _ in scope["headers"])
    return not named and isinstance(message, dict) and message.get("method") == "initialize"


def _unreadable(fault: InterlockError) -> Response:
    """What the SDK says of a body that is no JSON."""
    error = {"code": types.PARSE_ERROR, "message": f"Parse error: {fault.message}"}
    return Response(msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": error}), 400, media_type=JSON)


class Fronts:
    """The front of whoever asks, made for each message; the calls of a principal are counted over all of them."""

    def __init__(
        self, opened: Opened, application: Application, library: Library, may: May, refused: Told = unheard
    ) -> None:
        self._opened = opened
        self._library = library
        self._may = may
        self._refused = refused
        commands = [command for command in application.catalogue() if not command.local]
        self._tools = Toolbox(commands, within("starts"))
        self._calls: WeakValueDictionary[str, Calls] = WeakValueDictionary()

    def input_schema(self, name: str) -> dict[str, object] | None:
        """The schema of a tool's input."""
        return self._tools.input_schema(name)

    async def list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """`tools/list`."""
        return await self._front(ctx).list_tools(ctx, params)

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """`tools/call`."""
        principal, command = principal_of(ctx), self._tools.found(params.name)
        if command is not None and not self._may(principal, command):
            await self._refused(principal, command)
        return await self._front(ctx).call_tool(ctx, params)

    async def list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """`resources/list`."""
        return await self._front(ctx).list_resources(ctx, params)

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        """`resources/read`."""
        return await self._front(ctx).read_resource(ctx, params)

    def _front(self, ctx: Context) -> Front:
        principal = principal_of(ctx)
        calls = self._calls.setdefault(_owner(principal), Calls())
        toolbox = self._tools.bounded(_refusal(principal, self._may))
        return Front(self._opened.client(principal), toolbox, self._library, calls)


def principal_of(ctx: Context) -> Principal:
    """Whose request it is."""
    if ctx.request is None:
        raise RuntimeError("a message without its request")
    found: Principal = ctx.request.scope[_PRINCIPAL]
    return found


def _refusal(principal: Principal, may: May) -> Refusal:
    def refusal(command: Command) -> InterlockError | None:
        if may(principal, command):
            return None
        return MCP_TOOL_NOT_PERMITTED.error(f"{tool_name(command)} needs the permission {command.permission}")

    return refusal


def _owner(principal: Principal) -> str:
    """Who a principal is, as text: its tenant, how it was established, and its id."""
    return msgspec.json.encode(owner_of(principal)).decode()
