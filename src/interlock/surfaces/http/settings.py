"""The section `[server]`: where the server listens, and what it bears.

What it does: declares the settings. What it does not do: it opens nothing.

Rule: each bound has a default that one small machine bears; nothing here opens the server to the network by itself.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from interlock.surfaces.seats import Shares

Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]
Percent = Annotated[int, Meta(ge=1, le=100)]


class ServerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of the server, and the names under which it is reached."""

    hosts: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=253)], ...],
        Meta(max_length=100, description="Names of hosts that requests may be for, beside those of this machine."),
    ] = ()
    body_bytes_max: Annotated[
        int, Meta(ge=1024, le=64 * 1024 * 1024, description="Bytes of a request's body, but for uploads.")
    ] = 4 * 1024 * 1024
    body_timeout_ms: Annotated[Milliseconds, Meta(description="How long a body may take to arrive.")] = 30_000
    upload_bytes_max: Annotated[int, Meta(ge=1024, le=64 * 1024**3, description="Bytes of an uploaded pack.")] = (
        2 * 1024**3
    )
    download_bytes_max: Annotated[
        int, Meta(ge=1024, le=64 * 1024**3, description="Bytes of what a pack is made of that is sent.")
    ] = 2 * 1024**3
    packs_max: Annotated[
        int, Meta(ge=1, le=1_000, description="Packs that are made, sent, received or verified at once.")
    ] = 4
    artifacts_max: Annotated[
        int, Meta(ge=1, le=1_000, description="Artifacts of some size that are sent or received at once.")
    ] = 8
    transfer_ms: Annotated[
        Milliseconds, Meta(description="How long a whole pack or artifact may take to send or receive.")
    ] = 3_600_000
    transfer_bytes_per_second_min: Annotated[
        int,
        Meta(
            ge=1,
            le=1024**3,
            description="Bytes a second that one moves at least; it may stay below that for `body_timeout_ms`.",
        ),
    ] = 32 * 1024
    in_flight_max: Annotated[int, Meta(ge=1, le=100_000, description="Requests that are answered at once.")] = 256
    sessions_max: Annotated[int, Meta(ge=1, le=100_000, description="Sessions of MCP that are open at once.")] = 1_000
    session_idle_ms: Annotated[
        Milliseconds, Meta(description="How long a session of MCP may be asked nothing before it ends.")
    ] = 1_800_000
    principal_percent_max: Annotated[
        Percent, Meta(description="Of what may be there at once, the most that one principal may have, in per cent.")
    ] = 50
    tenant_percent_max: Annotated[
        Percent, Meta(description="Of what may be there at once, the most that one tenant may have, in per cent.")
    ] = 75
    connections_max: Annotated[
        int, Meta(ge=1, le=100_000, description="Connections at once; fewer where the process may open fewer files.")
    ] = 4_096
    handshake_timeout_ms: Annotated[
        Milliseconds, Meta(description="How long TLS of a connection may take to begin, and to end.")
    ] = 10_000
    head_timeout_ms: Annotated[Milliseconds, Meta(description="How long the head of a request may take to arrive.")] = (
        10_000
    )
    answer_timeout_ms: Annotated[
        Milliseconds, Meta(description="How long a client may take nothing of an answer before its connection ends.")
    ] = 30_000
    drain_ms: Annotated[Milliseconds, Meta(description="How long requests may take to end when it stops.")] = 10_000


def shares_of(settings: ServerSettings) -> Shares:
    """The shares of principals and tenants in whatever is bounded."""
    return Shares(settings.principal_percent_max, settings.tenant_percent_max)
