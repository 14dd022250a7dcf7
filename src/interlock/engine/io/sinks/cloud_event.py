"""An event as a CloudEvent. Pure.

What it does: says which attribute each member of a delivery becomes. What it does not do: it sends nothing.

Rules: `source` names the store and `id` the event in it, so that the two together are the same for every repetition,
and for no other event; `type` is ours behind `interlock.`, `subject` the stream.
"""

from __future__ import annotations

from msgspec import UNSET

from interlock.base.clock import RFC_3339_LAST_MS, rfc3339
from interlock.base.cloudevents import CloudEvent
from interlock.journal.subscriptions.port import Delivery


def cloud_event_of(delivery: Delivery) -> CloudEvent:
    """The event that others get of a delivery; erased data is left out."""
    data = delivery.data
    return CloudEvent(
        id=delivery.key,
        source=f"urn:interlock:{delivery.store}",
        type=f"interlock.{delivery.type}",
        subject=delivery.stream,
        time=rfc3339(delivery.at_ms) if delivery.at_ms <= RFC_3339_LAST_MS else UNSET,
        datacontenttype=UNSET if data is None else "application/json",
        sequence=str(delivery.seq),
        partitionkey=delivery.stream,
        digest=delivery.digest,
        attempt=delivery.attempt,
        redriven=delivery.redriven,
        correlation=UNSET if delivery.correlation is None else delivery.correlation,
        data=UNSET if data is None else data,
    )
