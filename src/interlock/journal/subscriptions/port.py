"""The port of what deliveries go to, and the record that crosses it.

What it does: declares `Sink` and `Delivery`. What it does not do: nothing here runs; sinks stand in `engine.io.sinks`.

Rules for every sink: returning says that the outside has it, durably; it raises `InterlockError` to say that it has
not, or that nobody knows; `sink_gone` says that the outside wants no more, and pauses the subscription;
`retry_after_ms` in the details says when the sink as a whole may be asked again. `Invalid` says that this event can
never be taken, and makes it a dead letter at once. A fault of the target is none of the event's: it is raised when the
sink is made, as a subscription is added, or, where only a delivery shows it, as `sink_target_unusable`. A repeated
`key` is the same event.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Raw, Struct


class Delivery(Struct, frozen=True, kw_only=True):
    """One event on its way: `key` is `<stream>#<seq>`, by which the outside knows a repetition.

    `data` are the stored bytes, or what the event's part tells of it; None where they were erased. `digest` is that of
    the event as it is stored. `attempt` counts from 1; `redriven` says that a person had it sent again, so that later
    events of its stream may have arrived before it.
    """

    key: str
    subscription: str
    store: str
    stream: str
    seq: int
    type: str
    version: int
    at_ms: int
    actor: str
    correlation: str | None
    digest: str
    attempt: int
    redriven: bool
    data: Raw | None


class Sink(Protocol):
    """Where the events of one subscription go. Deliveries of one stream come one after the other, others at once."""

    async def deliver(self, delivery: Delivery) -> None:
        """Hand one event over. Raises what the rules above say."""
        ...

    async def close(self) -> None:
        """Let go of what is held; no delivery follows."""
        ...
