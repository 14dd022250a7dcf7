"""Settings of the SQLite store.

What it does: declares `SqliteSettings` with bounds and units. What it does not do: it reads no file.

Rule: what could lose acknowledged work is off, and its name begins with `unsafe_`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

MIB = 1024 * 1024


class SqliteSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one opened store."""

    writer_queue_capacity: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Appends that may wait for the writer; more are refused.")
    ] = 10_000
    batch_max_ops: Annotated[int, Meta(ge=1, le=100_000, description="Appends of one transaction.")] = 1000
    batch_max_bytes: Annotated[
        int, Meta(ge=1024, le=1024 * MIB, description="Bytes of events and artifacts of one transaction.")
    ] = 16 * MIB
    batch_max_wait_ms: Annotated[
        int, Meta(ge=0, le=1000, description="How long an append waits for company; 0: one turn of the loop.")
    ] = 0
    batch_start_ops: Annotated[
        int, Meta(ge=1, le=100_000, description="Appends that start an idle writer before the turn ends.")
    ] = 64
    inline_max_ops: Annotated[
        int, Meta(ge=0, le=1000, description="Appends that are committed without the writer's thread.")
    ] = 8
    busy_timeout_ms: Annotated[
        int, Meta(ge=0, le=600_000, description="How long to wait for another process that writes.")
    ] = 10_000
    checkpoint_wal_bytes: Annotated[
        int, Meta(ge=64 * 1024, le=1024 * MIB, description="Write-ahead log that starts a checkpoint.")
    ] = 8 * MIB
    checkpoint_idle_ms: Annotated[
        int, Meta(ge=10, le=3_600_000, description="Rest after which the write-ahead log is checkpointed.")
    ] = 1000
    heads_cached_max: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Stream heads that the writer remembers.")
    ] = 20_000
    doorbell_poll_ms_max: Annotated[
        int, Meta(ge=1, le=60_000, description="Longest interval of looking for other processes' commits.")
    ] = 50
    artifact_inline_bytes_max: Annotated[
        int,
        Meta(ge=0, le=16 * MIB, description="Artifacts up to this size live in the database, others in files."),
    ] = 64 * 1024
    unsafe_synchronous_normal: Annotated[
        bool, Meta(description="Acknowledge before the disk has it: a power cut loses acknowledged work.")
    ] = False
