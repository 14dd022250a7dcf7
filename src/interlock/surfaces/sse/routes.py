"""The addresses of the live feed.

What it does: authenticates through what it is given, reads the query, and opens a stream. What it does not do: it
spells no error. Only servers load this module: it imports Starlette.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from interlock.base.errors import InterlockError
from interlock.surfaces.errors import STREAM_READERS_FULL
from interlock.surfaces.ingest import Authenticate, Problem
from interlock.surfaces.sse.filters import wanted_of
from interlock.surfaces.sse.reader import RETRY_AFTER_MS, EventStreams
from interlock.surfaces.sse.response import EventStreamResponse

PATHS: Final = ("/api/events/stream", "/api/v1/events/stream")
PERMISSION: Final = "event.stream"
"""What a principal needs; `Authenticate` refuses who has it not."""

STATUSES: Final = {STREAM_READERS_FULL.code: 503}
"""Statuses that an error's category does not give."""


def stream_routes(
    streams: EventStreams, *, authenticate: Authenticate, problem: Problem, paths: Sequence[str] = PATHS
) -> list[Route]:
    """The routes of the live feed. Whoever ends the server calls `streams.close()` first."""

    async def stream(request: Request) -> Response:
        try:
            principal = await authenticate(request)
            wanted = wanted_of(request.query_params.multi_items(), principal.tenant, streams.types)
            reader = await streams.open(principal, wanted, request.headers.get("last-event-id"))
        except InterlockError as fault:
            response = problem(request, fault)
            if fault.kind is STREAM_READERS_FULL:
                response.headers["Retry-After"] = str(RETRY_AFTER_MS // 1000)
            return response
        return EventStreamResponse(reader, streams.settings, lambda: authenticate(request))

    return [Route(path, stream, methods=["GET"], include_in_schema=False) for path in paths]
