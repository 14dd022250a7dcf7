"""The root of the server: every path under one application, with one way of telling errors.

What it does: puts the generated routes beside those of other modules, behind the one gate, and answers whatever is
raised as a problem. What it does not do: it knows no verb, makes no principal, counts nothing and listens nowhere.

Rules: an error of ours is told by its code, any other by `program_fault` and nothing more; a path that there is not is
told like an error; keys stay encoded until they are read, so that one may hold a slash.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Path
from starlette.types import ASGIApp, Receive, Scope, Send

from interlock.base.errors import InterlockError
from interlock.base.nearest import suggestion
from interlock.surfaces.errors import PROGRAM_FAULT
from interlock.surfaces.http.calls import Calls
from interlock.surfaces.http.errors import METHOD_NOT_ALLOWED, PATH_UNKNOWN
from interlock.surfaces.http.gate import Doorway, Gate, Standing
from interlock.surfaces.http.health import Health
from interlock.surfaces.http.problems import problem
from interlock.surfaces.http.request_ids import request_id_of
from interlock.surfaces.http.routes import PREFIX, Routes, collection_of

_LOG = logging.getLogger("interlock.http")
Endpoint = Callable[[Request], Awaitable[Response]]
Elsewhere = Callable[[Request], Awaitable[Response | None]]
Lifespan = Callable[[], AbstractAsyncContextManager[Any]]


async def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Additions:
    """What other modules put beside the generated routes; endpoints of `guarded` are told errors for.

    `quiet` lets go of what streams; `elsewhere` may answer what comes to a path that there is not; `standing` is not
    counted as under way.
    """

    guarded: Sequence[tuple[str, str, Endpoint]] = ()
    routes: Sequence[BaseRoute] = ()
    lifespans: Sequence[Lifespan] = ()
    quiet: Callable[[], Awaitable[None]] = _nothing
    elsewhere: Elsewhere | None = None
    standing: Standing = field(default_factory=Standing)


def build(routes: Routes, calls: Calls, health: Health, gate: Gate, additions: Additions) -> ASGIApp:
    """The server's application. Whoever runs it enters its lifespan."""
    ordered = sorted(routes.by_name.values(), key=lambda route: ("{" in route.path.rpartition("/")[2], route.path))
    methods: dict[str, dict[str, Endpoint]] = {}
    for path, method, endpoint in additions.guarded:
        methods.setdefault(path, {})[method] = guarded(endpoint)
    for route in ordered:
        answer = calls.endpoint(route, routes.shows.get(collection_of(route.command)))
        methods.setdefault(route.path, {})[route.method] = guarded(answer)
    paths: list[BaseRoute] = [Path(path, _by_method(found), methods=[*found]) for path, found in methods.items()]
    before = len({path for path, _, _ in additions.guarded})  # what stands beside the routes is looked at first
    looks = [Path("/healthz", health.alive), Path("/readyz", health.ready)]
    known = [path for path in methods if "{" not in path]
    app = Starlette(
        routes=[*looks, *paths[:before], *additions.routes, *paths[before:]],
        lifespan=_lifespan(additions.lifespans),
        exception_handlers={HTTPException: _not_found(additions.elsewhere, known), Exception: _fault},
    )
    app.router.redirect_slashes = False
    return _Encoded(Doorway(app, gate, additions.standing))


def _by_method(found: Mapping[str, Endpoint]) -> Endpoint:
    """One endpoint for every method of a path, so that a method that it has not is told which it has."""

    async def answer(request: Request) -> Response:
        return await found["GET" if request.method == "HEAD" else request.method](request)

    return answer


def guarded(answer: Endpoint) -> Endpoint:
    """An endpoint whose errors are told as problems."""

    async def whole(request: Request) -> Response:
        request_id = request_id_of(request)
        try:
            return await answer(request)
        except InterlockError as fault:
            return problem(fault, request_id)
        except Exception as fault:  # noqa: BLE001 - the last place where anything can be said about it
            return _unexpected(fault, request_id)

    return whole


def _unexpected(fault: BaseException, request_id: str) -> Response:
    _LOG.error("request %s met a fault of the program", request_id, exc_info=fault)
    return problem(PROGRAM_FAULT.error(f"unexpected {type(fault).__name__}"), request_id)


def _not_found(
    elsewhere: Elsewhere | None, known: Sequence[str]
) -> Callable[[Request, Exception], Awaitable[Response]]:
    """What answers where no path, or no method of one, is asked for; one of the `known` paths may be meant."""

    async def answer(request: Request, fault: Exception) -> Response:
        request_id = request_id_of(request)
        status = fault.status_code if isinstance(fault, HTTPException) else 404
        if status == 405:
            headers = dict(getattr(fault, "headers", None) or {})
            error = METHOD_NOT_ALLOWED.error(f"the path knows no such method; it takes {headers.get('Allow', 'none')}")
            return problem(error, request_id, **headers)
        found = None if elsewhere is None else await elsewhere(request)
        near = suggestion(request.url.path.rstrip("/"), known)
        return found or problem(PATH_UNKNOWN.error(f"there is no such path{near}"), request_id)

    return answer


async def _fault(request: Request, fault: Exception) -> Response:
    return _unexpected(fault, request_id_of(request))


def _lifespan(lifespans: Sequence[Lifespan]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def entered(_app: Starlette) -> Any:
        async with AsyncExitStack() as ends:
            for lifespan in lifespans:
                await ends.enter_async_context(lifespan())
            yield

    return entered


class _Encoded:
    """Leaves paths of the API as they were sent, percent-encoded."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if scope["type"] == "http" and raw is not None and raw.startswith(PREFIX.encode()):
            scope = {**scope, "path": raw.decode("latin-1")}
        await self._app(scope, receive, send)
