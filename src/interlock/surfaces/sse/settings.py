"""How the live feed is served: the section `event_stream` of the settings. It declares and does nothing else."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class EventStreamSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Readers of the live feed, and how much is kept for one that is slow."""

    heartbeat_ms: Annotated[int, Meta(ge=10, le=600_000, description="Longest silence of a stream, ms.")] = 15_000
    slow_reader_ms: Annotated[
        int, Meta(ge=10, le=600_000, description="How long a reader may take for what was sent, before it is dropped.")
    ] = 10_000
    readers_max: Annotated[int, Meta(ge=1, le=1_000_000, description="Readers of the process at once.")] = 1_000
    backlog_events_max: Annotated[
        int, Meta(ge=1, le=100_000, description="Events that wait for one reader, before it is dropped.")
    ] = 1_000
    backlog_bytes_max: Annotated[
        int, Meta(ge=1, le=1_073_741_824, description="Bytes that wait for one reader, before it is dropped.")
    ] = 4 * 1024 * 1024
