"""A server on a real socket in the loop of a test, and a client that speaks to it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
from msgspec.structs import replace

from interlock.app import APPLICATION, App
from interlock.base.principal import local_principal
from interlock.parts import installed_parts, sections_of
from interlock.settings import load
from interlock.surfaces.http.listening import listen, url_of
from interlock.surfaces.http.serving import Server, run, served
from tests.surfaces.test_serve_safely import certified

TOKEN = "the-token-of-this-machine"  # noqa: S105 - of a test
ADA = local_principal("ada")
NONE: Mapping[str, Mapping[str, object]] = MappingProxyType({})


class Asking:
    """A client of one server, as the user of the machine unless it says otherwise."""

    def __init__(self, app: App, server: Server, url: str, client: httpx2.AsyncClient) -> None:
        self.app = app
        self.server = server
        self.url = url
        self.client = client

    async def ask(self, method: str, path: str, *, token: str | None = TOKEN, **more: Any) -> httpx2.Response:
        headers = {**({} if token is None else {"Authorization": f"Bearer {token}"}), **more.pop("headers", {})}
        return await self.client.request(method, f"{self.url}{path}", headers=headers, **more)

    async def token_of(self, *roles: str, tenant: str = "default", name: str = "zoe") -> str:
        """The token of somebody with these roles."""
        maker = replace(ADA, tenant=tenant)
        made = await self.app.tokens.new(name, roles=roles, groups=(), lifetime_ms=60_000, principal=maker)
        assert made.text is not None
        return made.text

    async def get(self, path: str, **more: Any) -> Any:
        response = await self.ask("GET", path, **more)
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, **body: Any) -> httpx2.Response:
        return await self.ask("POST", path, json=body)


@asynccontextmanager
async def serving(
    folder: Path, settings: Mapping[str, Mapping[str, object]] = NONE, *, https: bool = False, **sections: Any
) -> AsyncIterator[Asking]:
    """A server on a store in `folder`; `settings` maps sections to values, as a settings file would."""
    tls = (str(folder / "cert.pem"), str(folder / "key.pem")) if https else (None, None)
    verify = ssl.create_default_context(cadata=certified(folder).decode()) if https else True
    parts = installed_parts()
    loaded = load(sections_of(parts), arguments={**settings, **sections}, environ={}, folder=folder)
    async with App.open(folder / "store.db", parts=parts, settings=loaded) as app:
        server = served(app, APPLICATION, (TOKEN, ADA))
        with listen("127.0.0.1", 0) as listening:
            url = url_of(listening, tls=https)
            task = asyncio.ensure_future(run(server, listening, certificate=tls[0], key=tls[1]))
            try:
                async with httpx2.AsyncClient(timeout=20, trust_env=False, verify=verify) as client:
                    await _up(client, url, task)
                    yield Asking(app, server, url, client)
            finally:
                server.stop()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait_for(task, 20)


async def _up(client: httpx2.AsyncClient, url: str, task: asyncio.Future[str]) -> None:
    while True:
        assert not task.done(), task.exception()
        with suppress(httpx2.TransportError):
            if (await client.get(f"{url}/healthz")).status_code == 200:
                return
        await asyncio.sleep(0.02)


def problem(response: httpx2.Response) -> tuple[int, str]:
    """Status and code of a problem, whose form is checked."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = json.loads(response.text)
    assert set(found) == {
        *("type", "title", "status", "detail", "code", "advice", "retryable", "request_id", "details")
    }
    assert found["status"] == response.status_code
    assert found["request_id"] == response.headers["x-request-id"]
    return response.status_code, found["code"]
