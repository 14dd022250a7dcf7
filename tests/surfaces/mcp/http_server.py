"""A server on a real socket of this machine, with principals by the name that a bearer token says.

It is what a root application does, and no more: the routes, and the lifespan around them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client import session as sdk_session
from mcp.client.streamable_http import streamable_http_client
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Scope

from interlock.base.errors import Category, ErrorCode
from interlock.base.principal import Principal, PrincipalKind, local_principal
from interlock.surfaces.application import Opened, load
from interlock.surfaces.mcp.entrance import EntranceSettings
from interlock.surfaces.mcp.http import May, mcp_http, reads_only
from interlock.surfaces.mcp.wire.http import wire_http

TOKEN_INVALID = ErrorCode("token_invalid", Category.REFUSED, "Give a token that holds.")
TOKEN_BUSY = ErrorCode("token_busy", Category.OVERLOADED, "Ask later.", retryable=True)
TOKEN_DENIED = ErrorCode("token_denied", Category.REFUSED, "Ask for a role.")
PRINCIPALS = {
    "local": local_principal("ada"),
    "reader": Principal(id="token:reader", kind=PrincipalKind.TOKEN, roles=("viewer",)),
    "other": Principal(id="token:other", kind=PrincipalKind.TOKEN),
    "stranger": Principal(id="token:reader", kind=PrincipalKind.TOKEN, tenant="elsewhere"),
}


async def authenticate(scope: Scope) -> Principal:
    """The principal whose name is the token."""
    given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ")
    if given == "broken":
        raise RuntimeError("the secret")
    if given == "denied":
        raise TOKEN_DENIED.error("this token has no role")
    if given == "busy":
        raise TOKEN_BUSY.error("this token asks too often", retry_after_ms=1500)
    if given not in PRINCIPALS:
        raise TOKEN_INVALID.error("no token that holds was given")
    return PRINCIPALS[given]


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(
    routes: Sequence[Route], lifespan: AbstractAsyncContextManager[None] | None = None
) -> AsyncIterator[str]:
    """The address of a server with these routes."""

    @asynccontextmanager
    async def entered(_app: Starlette) -> AsyncIterator[None]:
        async with lifespan or nullcontext():
            yield

    app = Starlette(routes=list(routes), lifespan=entered)
    config = uvicorn.Config(app, log_level="error", ws="none", lifespan="on", timeout_graceful_shutdown=1)
    server = _Quiet(config)
    # Without the protocol's number the loop leaves TCP_NODELAY off.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        serving = asyncio.ensure_future(server.serve([listener]))
        while not server.started:
            assert not serving.done()
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def served(
    folder: Path,
    *,
    may: May = reads_only,
    settings: EntranceSettings = EntranceSettings(),  # noqa: B008 - immutable
    config: str | None = None,
    watch: Callable[[Opened], None] = lambda _opened: None,
) -> AsyncIterator[str]:
    """The address of the product on a store in a folder: `/mcp`, `/rpc` and `/debug/mutation_stats`."""
    application = load()
    place = folder / config if config else None
    async with application.open(store=str(folder / "store.db"), config=place, create=True) as opened:
        watch(opened)
        app, lifespan = mcp_http(opened, application, authenticate, may=may, settings=settings)
        routes = [Route("/mcp", app), *wire_http(opened, authenticate, settings=settings)]
        async with listening(routes, lifespan) as url:
            yield url


@asynccontextmanager
async def asked(url: str, **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that sends these headers with each request."""
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=30) as http:
        yield http


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


@asynccontextmanager
async def connected(url: str, name: str = "reader", version: str = "2026-07-28") -> AsyncIterator[Client]:
    """The official client with a token, speaking one version of the protocol."""
    modern = version in MODERN_PROTOCOL_VERSIONS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sdk_session, "LATEST_HANDSHAKE_VERSION", version)
        async with httpx2.AsyncClient(headers=bearer(name), timeout=30) as http:
            transport = streamable_http_client(f"{url}/mcp", http_client=http)
            async with Client(transport, mode=version if modern else "legacy") as client:
                assert client.protocol_version == version
                yield client


def talked(made: Callable[[], Any]) -> Any:
    """What a conversation comes to, in a loop of its own; a failed assertion is raised as it is."""

    async def whole() -> Any:
        async with asyncio.timeout(60):
            return await made()

    try:
        return asyncio.run(whole())
    except BaseExceptionGroup as faults:
        found: BaseException = faults
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        raise found from None
