"""The root of the server: every path under one application, with one way of telling errors.

What it does: puts the generated routes beside those of other modules, counts what is under way, and answers whatever
is raised as a problem. What it does not do: it knows no verb, makes no principal and listens nowhere.

Rules: an error of ours is told by its code, any other by `program_fault` and nothing more; a path that there is not is
told like an error; what is under way is bounded, and while the server drains nothing new is taken; keys stay encoded
until they are read, so that one may hold a slash.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
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
from interlock.surfaces.http.errors import METHOD_NOT_ALLOWED, PATH_UNKNOWN, SERVER_BUSY, SERVER_DRAINING
from interlock.surfaces.http.health import Health
from interlock.surfaces.http.problems import problem
from interlock.surfaces.http.request_ids import request_id_of
from interlock.surfaces.http.routes import PREFIX, Routes

_LOG = logging.getLogger("interlock.http")
Endpoint = Callable[[Request], Awaitable[Response]]
Elsewhere = Callable[[Request], Awaitable[Response | None]]
Lifespan = Callable[[], AbstractAsyncContextManager[Any]]


@dataclass
class Gate:
    """What is under way, and whether anything new is taken."""

    in_flight_max: int
    in_flight: int = 0
    draining: bool = False

    def enter(self) -> None:
        """Take a request. Raises: `server_draining`, `server_busy`."""
        if self.draining:
            raise SERVER_DRAINING.error("the server is about to stop")
        if self.in_flight >= self.in_flight_max:
            raise SERVER_BUSY.error(f"{self.in_flight_max} requests are under way", retry_after_ms=1_000)
        self.in_flight += 1

    def leave(self) -> None:
        """A request was answered."""
        self.in_flight -= 1


async def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Additions:
    """What other modules put beside the generated routes; endpoints of `guarded` are told errors for.

    `quiet` lets go of what streams; `elsewhere` may answer what comes to a path that there is not; what is posted to
    `counted` paths is under way like any other request.
    """

    guarded: Sequence[tuple[str, str, Endpoint]] = ()
    routes: Sequence[BaseRoute] = ()
    lifespans: Sequence[Lifespan] = ()
    quiet: Callable[[], Awaitable[None]] = _nothing
    elsewhere: Elsewhere | None = None
    counted: frozenset[str] = frozenset()


def build(routes: Routes, calls: Calls, health: Health, gate: Gate, additions: Additions) -> ASGIApp:
    """The server's application. Whoever runs it enters its lifespan."""
    ordered = sorted(routes.by_name.values(), key=lambda route: ("{" in route.path.rpartition("/")[2], route.path))
    methods: dict[str, dict[str, Endpoint]] = {}
    for route in ordered:
        methods.setdefault(route.path, {})[route.method] = guarded(calls.endpoint(route), gate)
    paths: list[BaseRoute] = [Path(path, _by_method(found), methods=[*found]) for path, found in methods.items()]
    beside = [Path(path, guarded(answer, gate), methods=[method]) for path, method, answer in additions.guarded]
    looks = [Path("/healthz", health.alive), Path("/readyz", health.ready)]
    known = [*(path for path in methods if "{" not in path), *(path for path, _, _ in additions.guarded)]
    app = Starlette(
        routes=[*looks, *beside, *additions.routes, *paths],
        lifespan=_lifespan(additions.lifespans),
        exception_handlers={HTTPException: _not_found(additions.elsewhere, known), Exception: _fault},
    )
    app.router.redirect_slashes = False
    return _Encoded(_Counted(app, gate, additions.counted))


def _by_method(found: Mapping[str, Endpoint]) -> Endpoint:
    """One endpoint for every method of a path, so that a method that it has not is told which it has."""

    async def answer(request: Request) -> Response:
        return await found["GET" if request.method == "HEAD" else request.method](request)

    return answer


def guarded(answer: Endpoint, gate: Gate) -> Endpoint:
    """An endpoint whose errors are told as problems, and which counts as under way while it answers."""

    async def whole(request: Request) -> Response:
        request_id = request_id_of(request)
        try:
            gate.enter()
        except InterlockError as fault:
            return headed(problem(fault, request_id), request_id)
        try:
            response = await answer(request)
        except InterlockError as fault:
            response = problem(fault, request_id)
        except Exception as fault:  # noqa: BLE001 - the last place where anything can be said about it
            response = _unexpected(fault, request_id)
        finally:
            gate.leave()
        return headed(response, request_id)

    return whole


def headed(response: Response, request_id: str) -> Response:
    """A response with the id of its request, and what keeps browsers from guessing and keeping."""
    response.headers["X-Request-Id"] = request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


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
            return headed(problem(error, request_id, **headers), request_id)
        found = None if elsewhere is None else await elsewhere(request)
        near = suggestion(request.url.path.rstrip("/"), known)
        return headed(found or problem(PATH_UNKNOWN.error(f"there is no such path{near}"), request_id), request_id)

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


class _Counted:
    """Counts what is posted to paths whose modules read their requests themselves; what only streams is not."""

    def __init__(self, app: ASGIApp, gate: Gate, paths: frozenset[str]) -> None:
        self._app = app
        self._gate = gate
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        try:
            self._gate.enter()
        except InterlockError as fault:
            request_id = request_id_of(Request(scope))
            await headed(problem(fault, request_id), request_id)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._gate.leave()


class _Encoded:
    """Leaves paths of the API as they were sent, percent-encoded."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if scope["type"] == "http" and raw is not None and raw.startswith(PREFIX.encode()):
            scope = {**scope, "path": raw.decode("latin-1")}
        await self._app(scope, receive, send)
