"""The section `[gates]` of the settings: the reference's own sections, under one name.

What it does: declares what may be configured of gates, with the reference's keys and defaults, and what is ours. What
it does not do: it opens no provider and reads no key (`evidence.sources`).

Rules: an unknown key is refused; every key of the reference that we have nothing to set for is listed with the reason
in docs/reference/gates-settings.md.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from interlock.base.errors import InterlockError
from interlock.gates.comparators.strict import Enabled
from interlock.gates.control.namespaces import NamespaceSettings
from interlock.gates.control.policy import DisclosurePolicy
from interlock.gates.control.service import SecretScan
from interlock.gates.errors import VALIDATION_PERMISSIVE
from interlock.gates.evidence.config import (
    AnchorSettings,
    DevSettings,
    DisclosureSettings,
    EvidenceSettings,
    ProviderSettings,
    QuerySettings,
    TrustSettings,
)
from interlock.gates.showing import DiscoverySettings, DocsSettings, FeedbackSections


class ValidationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How strictly conditions are held against the types that they compare."""

    strict: bool = True
    profile: Annotated[str, Meta(pattern=r"\Astrict_core_v1\Z")] = "strict_core_v1"
    allow_permissive: bool = False
    enable_lexicographic: bool = False
    enable_deep_equals: bool = False

    @property
    def enabled(self) -> Enabled:
        """The comparators that may be used."""
        return Enabled(lexicographic=self.enable_lexicographic, deep_equals=self.enable_deep_equals)


class QueueSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls of scenario runs that wait for their turn."""

    per_run_max: Annotated[int, Meta(ge=1, le=100_000, description="Calls waiting on one run.")] = 256
    total_max: Annotated[int, Meta(ge=1, le=1_000_000, description="Calls waiting in the process.")] = 10_000
    wait_ms_max: Annotated[int, Meta(ge=1, le=600_000, description="Longest wait for a turn, ms.")] = 60_000


class GatesSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Providers of evidence, trust, disclosure and validation."""

    providers: Annotated[
        tuple[ProviderSettings, ...], Meta(max_length=1_000, description="Where evidence comes from.")
    ] = ()
    trust: Annotated[TrustSettings, Meta(description="Signatures and lanes that are asked for.")] = TrustSettings()
    evidence: Annotated[DisclosureSettings, Meta(description="Whether raw values are shown.")] = DisclosureSettings()
    anchors: Annotated[AnchorSettings, Meta(description="What evidence must be tied to.")] = AnchorSettings()
    policy: Annotated[DisclosurePolicy, Meta(description="Who may be shown which packet.")] = DisclosurePolicy()
    validation: Annotated[ValidationSettings, Meta(description="How strict conditions are.")] = ValidationSettings()
    payload_secret_scan: Annotated[
        SecretScan, Meta(description="Payloads that look like secrets: kept, kept with a warning, or refused.")
    ] = "warn"  # noqa: S105 - what is done, not a secret
    dev: Annotated[DevSettings, Meta(description="For trying things out; never for production.")] = DevSettings()
    namespace: Annotated[NamespaceSettings, Meta(description="Who may use the default one.")] = NamespaceSettings()
    feedback: Annotated[FeedbackSections, Meta(description="What is told beside a decision.")] = FeedbackSections()
    provider_discovery: Annotated[DiscoverySettings, Meta(description="Whose contracts are shown.")] = (
        DiscoverySettings()
    )
    docs: Annotated[DocsSettings, Meta(description="Which documentation is shown.")] = DocsSettings()
    query: Annotated[QuerySettings, Meta(description="The limits of asking for evidence.")] = QuerySettings()
    queue: Annotated[QueueSettings, Meta(description="The limits of waiting for a run.")] = QueueSettings()

    @property
    def sources(self) -> EvidenceSettings:
        """What concerns evidence."""
        return EvidenceSettings(
            providers=self.providers,
            trust=self.trust,
            evidence=self.evidence,
            anchors=self.anchors,
            dev=self.dev,
            query=self.query,
        )


def fault_of(settings: GatesSettings) -> InterlockError | None:
    """Why these settings cannot be worked with; None where they can."""
    if not settings.validation.strict and not settings.validation.allow_permissive:
        return VALIDATION_PERMISSIVE.error("[gates.validation] strict is off, and allow_permissive is, too")
    return None
