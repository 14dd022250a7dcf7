"""Whose events are taken: the section `events` of the settings.

What it does: declares the list of sources, and finds the entry that a source falls under. What it does not do: it
resolves no secret.

Rules: empty means no: without a list nothing is taken, and a source without `types` has no known ones; of several
entries that fit, the exact one counts, then the one with the longest beginning.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from interlock.base.secrets import SecretRef

Pattern = Annotated[str, Meta(min_length=1, max_length=1_024, pattern=r"\A[^*\s]*\*?\Z")]


class EventSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of senders: `source` and `types` are whole, or beginnings and `*`."""

    source: Annotated[Pattern, Meta(description="The source, or how it begins and `*`.")]
    types: Annotated[tuple[Pattern, ...], Meta(max_length=1_000, description="Types that something here knows.")] = ()
    secret: Annotated[
        SecretRef | None, Meta(description="The key of its signatures; with one, every request is signed.")
    ] = None

    def knows(self, event_type: str) -> bool:
        """Whether a type is one of its known ones."""
        return any(fits(pattern, event_type) for pattern in self.types)


class EventSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sources, signatures and the handshake of webhooks."""

    sources: Annotated[dict[str, EventSource], Meta(description="Whose events are taken, by a name of yours.")] = {}
    allow_unlisted: Annotated[bool, Meta(description="Whether any other source may send, unsigned.")] = False
    signature_tolerance_seconds: Annotated[
        int, Meta(ge=1, le=86_400, description="How far the time of a signature may be from now.")
    ] = 300
    body_timeout_ms: Annotated[
        int, Meta(ge=1, le=600_000, description="How long a request may take to arrive whole, ms.")
    ] = 10_000
    webhook_origins: Annotated[
        tuple[str, ...],
        Meta(max_length=1_000, description="Hosts whose handshake is granted (`WebHook-Request-Origin`); `*` is all."),
    ] = ()
    webhook_rate_per_minute: Annotated[
        int, Meta(ge=1, le=1_000_000, description="The rate that a handshake grants, requests a minute.")
    ] = 600

    def source(self, source: str) -> EventSource | None:
        """The entry that a source falls under, or None."""
        fitting = [each for each in self.sources.values() if fits(each.source, source)]
        return max(fitting, key=lambda each: (not each.source.endswith("*"), len(each.source)), default=None)


def fits(pattern: str, text: str) -> bool:
    """Whether a pattern, whole or a beginning and `*`, is that of a text."""
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
