"""Settings of the PostgreSQL store.

What it does: declares `PostgresSettings` with bounds and units. What it does not do: it reads no file, and holds no
address: that is the name of the store.

Rule: what could lose acknowledged work is off, and its name begins with `unsafe_`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

MIB = 1024 * 1024


class PostgresSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one opened store on PostgreSQL."""

    connections_max: Annotated[
        int, Meta(ge=1, le=100, description="Connections for reading and claiming, beside the writer's and the bell's.")
    ] = 4
    writer_queue_capacity: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Appends that may wait for the writer; more are refused.")
    ] = 10_000
    batch_max_ops: Annotated[int, Meta(ge=1, le=100_000, description="Appends of one transaction.")] = 1000
    batch_max_bytes: Annotated[
        int, Meta(ge=1024, le=512 * MIB, description="Bytes of events and artifacts of one transaction.")
    ] = 16 * MIB
    batch_start_ops: Annotated[
        int, Meta(ge=1, le=100_000, description="Appends that start an idle writer before the turn of the loop ends.")
    ] = 64
    batch_retries_max: Annotated[
        int, Meta(ge=1, le=1000, description="How often a batch is tried anew because others wrote in between.")
    ] = 50
    heads_cached_max: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Stream heads that the writer remembers.")
    ] = 20_000
    connect_timeout_ms: Annotated[
        int, Meta(ge=1000, le=600_000, description="How long to wait for a connection to be made.")
    ] = 10_000
    statement_timeout_ms: Annotated[
        int, Meta(ge=100, le=3_600_000, description="How long one statement may take, waiting for locks included.")
    ] = 60_000
    reconnect_timeout_ms: Annotated[
        int, Meta(ge=0, le=3_600_000, description="How long to look for a server that went away before giving up.")
    ] = 30_000
    doorbell_poll_ms_max: Annotated[
        int, Meta(ge=10, le=600_000, description="Longest interval of looking for others' commits without a bell.")
    ] = 1000
    artifact_inline_bytes_max: Annotated[
        int, Meta(ge=0, le=16 * MIB, description="Artifacts up to this size stand in one row, others in parts.")
    ] = 64 * 1024
    unsafe_fsync_off: Annotated[
        bool, Meta(description="Take a server that does not flush to disk: a power cut loses acknowledged work.")
    ] = False
