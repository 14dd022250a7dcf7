"""What is configured of evidence: providers, trust, anchors, disclosure, and the limits of asking.

What it does: declares the records, in the shapes of the reference's sections `providers`, `trust`, `evidence`,
`anchors` and `dev`, with its defaults, and `query`, which is ours. What it does not do: it reads no file and opens
nothing (`sources`); what a provider's own `config` may hold stands beside the provider.

Rules: an unknown member is refused; a bearer token is the reference of a secret, never the secret.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from interlock.base.secrets import SecretRef
from interlock.gates.spec import Lane

KEYS_MAX = 64


class SignatureKeys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public keys, by their paths, one of which must have signed."""

    keys: Annotated[tuple[str, ...], Meta(min_length=1, max_length=KEYS_MAX)]


class RequireSignature(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Evidence counts only with a signature."""

    require_signature: SignatureKeys


SignaturePolicy = Literal["audit"] | RequireSignature


class TrustSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far evidence is believed."""

    default_policy: SignaturePolicy = "audit"
    min_lane: Lane = "verified"


class DisclosureSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether raw values of evidence are shown to who asks for them."""

    allow_raw_values: bool = False
    require_provider_opt_in: bool = True


class AnchorRequirement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the evidence of a provider must be tied to."""

    provider_id: str
    anchor_type: str
    required_fields: Annotated[tuple[str, ...], Meta(max_length=64)] = ()


class AnchorSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The anchors that are required."""

    providers: tuple[AnchorRequirement, ...] = ()


class DevSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules for trying things out; never for production."""

    permissive: bool = False
    permissive_exempt_providers: tuple[str, ...] = ("assetcore_read", "assetcore")


class Timeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long an external provider is waited for."""

    connect_timeout_ms: Annotated[int, Meta(ge=100, le=10_000)] = 2_000
    request_timeout_ms: Annotated[int, Meta(ge=500, le=30_000)] = 10_000


class BearerAuth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token that an external provider asks for: the reference of a secret."""

    bearer_token: SecretRef


class ProviderSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider.

    A built-in one has a `config`. An external one (`type = "mcp"`) has a `command` or a `url`, and the file of its
    contract; `protocol` says how it is spoken to. `offered` says whether others than the user of this machine may have
    it asked, by a query or by a scenario that they define; unsaid, only `time` and `run` are.
    """

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    type: Literal["builtin", "mcp"]
    protocol: Literal["reference", "mcp"] = "reference"
    command: Annotated[tuple[str, ...], Meta(max_length=1_000)] = ()
    url: Annotated[str, Meta(max_length=8_192)] | None = None
    allow_insecure_http: bool = False
    capabilities_path: str | None = None
    auth: BearerAuth | None = None
    trust: SignaturePolicy | None = None
    allow_raw: bool = False
    offered: bool | None = None
    timeouts: Timeouts = Timeouts()
    config: dict[str, Any] = {}


class QuerySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of asking."""

    concurrency_max: Annotated[int, Meta(ge=1, le=1_000, description="Queries of one call at one time.")] = 8
    timeout_ms: Annotated[int, Meta(ge=1, le=600_000, description="How long one query is waited for.")] = 30_000


class EvidenceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is configured of evidence."""

    providers: Annotated[tuple[ProviderSettings, ...], Meta(max_length=1_000)] = ()
    trust: TrustSettings = TrustSettings()
    evidence: DisclosureSettings = DisclosureSettings()
    anchors: AnchorSettings = AnchorSettings()
    dev: DevSettings = DevSettings()
    query: QuerySettings = QuerySettings()
