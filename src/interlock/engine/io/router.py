"""Which transport serves a namespace.

What it does: finds the transport whose group is the longest prefix of a namespace by whole segments, and
makes each transport at its first call. What it does not do: it looks into no request.

Rules: a group is not empty and belongs to one transport; a transport is made once for an application, so
that connections are shared, and never while nobody calls it (replay makes none); what was made is closed by
`close`. Source: seed 001, `live_io_router` and `live_io_registry`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from interlock.base.errors import Category, ErrorCode
from interlock.base.ids import SEGMENT, shown
from interlock.base.part import Services, TransportFactory
from interlock.engine.io.transports.port import Transport

IO_UNKNOWN_NAMESPACE = ErrorCode(
    "io_unknown_namespace", Category.INVALID, "Use a namespace that a transport of the application serves."
)
TRANSPORT_GROUP_INVALID = ErrorCode(
    "transport_group_invalid",
    Category.INVALID,
    "Give each transport a namespace group of its own: segments joined by dots.",
)

ERRORS = (IO_UNKNOWN_NAMESPACE, TRANSPORT_GROUP_INVALID)

_GROUP: Final = re.compile(rf"{SEGMENT}(?:\.{SEGMENT})*")


class Router:
    """The transports of an application. Raises: `transport_group_invalid` for an empty or a doubled group."""

    def __init__(self, factories: Iterable[TransportFactory], services: Services) -> None:
        self._services = services
        self._factories: dict[str, TransportFactory] = {}
        self._made: dict[str, Transport] = {}
        for factory in factories:
            group = factory.namespace
            if _GROUP.fullmatch(group) is None or group in self._factories:
                raise TRANSPORT_GROUP_INVALID.error(f"the namespace group {shown(group)!r} is empty or taken")
            self._factories[group] = factory

    def route(self, namespace: str) -> Transport:
        """The transport that serves `namespace`, made if this is its first call.

        Raises: `io_unknown_namespace`.
        """
        group = self._group(namespace)
        transport = self._made.get(group)
        if transport is None:
            transport = self._made[group] = self._factories[group].make(self._services)
        return transport

    async def close(self) -> None:
        """Close every transport that was made."""
        while self._made:
            _, transport = self._made.popitem()
            await transport.close()

    def _group(self, namespace: str) -> str:
        candidate = namespace
        while candidate not in self._factories:
            candidate, dot, _ = candidate.rpartition(".")
            if not dot:
                raise IO_UNKNOWN_NAMESPACE.error(f"no transport serves the namespace {shown(namespace)!r}")
        return candidate
