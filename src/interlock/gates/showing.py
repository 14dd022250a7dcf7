"""What an installation shows of itself: feedback, contracts, documentation.

What it does: declares the sections of the reference's configuration that say so. What it does not do: it shows nothing.

Rule: names and defaults are the reference's, which has `feedback` under `server`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from interlock.gates.control.feedback import FeedbackSettings


class FeedbackSections(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Feedback, by the tool that gives it."""

    scenario_next: FeedbackSettings = FeedbackSettings()


class DiscoverySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose contracts are shown to callers: all, unless some are listed, and never those that are denied."""

    allowlist: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    denylist: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    max_response_bytes: Annotated[int, Meta(ge=1, le=16 * 1024 * 1024)] = 1024 * 1024

    def shows(self, provider_id: str) -> bool:
        """Whether the contract of a provider is shown."""
        return provider_id not in self.denylist and (not self.allowlist or provider_id in self.allowlist)


class DocsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which documentation is shown to callers; the limits are for pages that an installation adds."""

    enabled: bool = True
    enable_search: bool = True
    enable_resources: bool = True
    include_default_docs: bool = True
    extra_paths: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    max_doc_bytes: Annotated[int, Meta(ge=1, le=1024 * 1024)] = 256 * 1024
    max_total_bytes: Annotated[int, Meta(ge=1, le=8 * 1024 * 1024)] = 1024 * 1024
    max_docs: Annotated[int, Meta(ge=1, le=256)] = 32
    max_sections: Annotated[int, Meta(ge=1, le=10)] = 10
