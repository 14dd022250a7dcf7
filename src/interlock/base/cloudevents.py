"""CloudEvents 1.0 in structured JSON: what leaves for systems that know nothing of ours.

What it does: the record of one event whose JSON is the published format, with the extensions that we add. What it does
not do: it sends nothing, and knows no stream.

Rules: extension names are lower-case letters and digits, at most 20; an attribute that is not there is left out, never
null. Source: CloudEvents 1.0.2, JSON format; extensions `sequence` and `partitionkey` as documented there.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

MEDIA_TYPE = "application/cloudevents+json"


class CloudEvent(Struct, frozen=True, kw_only=True):
    """One event. `attempt` counts deliveries of it from 1, `redriven` says that it comes later than its successors."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: str | UnsetType = UNSET
    datacontenttype: str | UnsetType = UNSET
    sequence: str
    partitionkey: str
    digest: str
    attempt: int
    redriven: bool
    correlation: str | UnsetType = UNSET
    data: Raw | UnsetType = UNSET

    def to_json(self) -> bytes:
        """The event in structured mode."""
        return msgspec.json.encode(self)
