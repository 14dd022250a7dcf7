"""How events are delivered: the section `subscriptions` of the settings. It declares and does nothing else."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]


class SubscriptionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often a delivery is tried, how long it may take, and how much is held back at most."""

    attempts_max: Annotated[
        int, Meta(ge=1, le=1_000, description="Deliveries of one event before it is a dead letter.")
    ] = 30
    backoff_base_ms: Annotated[Milliseconds, Meta(description="Wait after the first failure; doubled with each.")] = (
        1_000
    )
    backoff_max_ms: Annotated[Milliseconds, Meta(description="Longest wait between two deliveries.")] = 3_600_000
    timeout_ms: Annotated[Milliseconds, Meta(description="How long one delivery may take.")] = 30_000
    concurrency: Annotated[
        int, Meta(ge=1, le=1_000, description="Streams of one subscription that are delivered at once.")
    ] = 16
    parked_max: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Streams that may be held back; with more, nothing new is read."),
    ] = 1_000
    claim_lease_ms: Annotated[Milliseconds, Meta(description="How long a silent deliverer is waited for.")] = 30_000
    look_interval_ms: Annotated[Milliseconds, Meta(description="How often a process looks for subscriptions.")] = 500
