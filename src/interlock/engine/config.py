"""Run configuration and manifest, in the contract's own wire shapes (seed 001, `config`).

What it does: records whose canonical JSON is the contract's, so that a manifest's id is the one that any
implementation of the contract computes. What it does not do: it starts nothing and reads no environment.

Rules: a stored manifest is hashed as the bytes that were stored, never encoded anew, so a default that is added later
changes no id (DR5); `input_params` hold no secret; every field counts in the id.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, Self

import msgspec
from msgspec import Meta, Struct

from interlock.base.canonical import canonical, digest, parse
from interlock.base.errors import InterlockError
from interlock.base.ids import ArtifactId, OpId
from interlock.engine.errors import MANIFEST_MISMATCH, RUN_CONFIG_UNSUPPORTED

DEFAULT_NIX_FLAKE_ALLOWLIST = ("github:willyrgf/mfm",)
Count = Annotated[int, Meta(ge=1, le=2**32 - 1)]


class Duration(Struct, frozen=True):
    """A length of time as the contract writes it."""

    secs: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0
    nanos: Annotated[int, Meta(ge=0, le=999_999_999)] = 0

    @property
    def ms(self) -> int:
        """Whole milliseconds."""
        return self.secs * 1000 + self.nanos // 1_000_000

    @classmethod
    def of_ms(cls, ms: int) -> Duration:
        """The duration of `ms` milliseconds."""
        return cls(ms // 1000, ms % 1000 * 1_000_000)


class FixedBackoff(Struct, frozen=True):
    """The same delay before every retry."""

    delay: Duration = Duration()


class ExponentialBackoff(Struct, frozen=True):
    """`base_delay` doubled with every failure, up to `max_delay`."""

    base_delay: Duration
    max_delay: Duration


class Backoff(Struct, frozen=True, forbid_unknown_fields=True):
    """Either member, never both: `{"Fixed": …}` or `{"Exponential": …}`."""

    Fixed: FixedBackoff | msgspec.UnsetType = msgspec.UNSET
    Exponential: ExponentialBackoff | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if (self.Fixed is msgspec.UNSET) == (self.Exponential is msgspec.UNSET):
            raise ValueError("a back-off is either Fixed or Exponential")


class RetryPolicy(Struct, frozen=True):
    """`max_attempts` counts the first execution too."""

    max_attempts: Count = 1
    backoff: Backoff = Backoff(Fixed=FixedBackoff())

    @classmethod
    def fixed(cls, max_attempts: int, delay_ms: int = 0) -> RetryPolicy:
        """`max_attempts` attempts, `delay_ms` apart."""
        return cls(max_attempts, Backoff(Fixed=FixedBackoff(Duration.of_ms(delay_ms))))

    @classmethod
    def exponential(cls, max_attempts: int, base_ms: int, max_ms: int) -> RetryPolicy:
        """`max_attempts` attempts, `base_ms` doubled with every failure up to `max_ms` apart."""
        backoff = ExponentialBackoff(Duration.of_ms(base_ms), Duration.of_ms(max_ms))
        return cls(max_attempts, Backoff(Exponential=backoff))


class FanOutLimit(Struct, frozen=True):
    """How many branches may run at once."""

    max_concurrency: Count


class FanOutJoin(Struct, frozen=True):
    """Wire form of the fan-out mode."""

    FanOutJoin: FanOutLimit

    @classmethod
    def of(cls, max_concurrency: int) -> Self:
        """The mode with at most `max_concurrency` states at once."""
        return cls(FanOutLimit(max_concurrency))


class Custom(Struct, frozen=True):
    """Wire form of a named custom policy."""

    Custom: str


class RunConfig(Struct, frozen=True):
    """Policy of a run; part of the manifest's hash."""

    io_mode: Literal["Live", "Replay"] = "Live"
    retry_policy: RetryPolicy = RetryPolicy()
    event_profile: Literal["Minimal", "Normal", "Verbose"] | Custom = "Normal"
    execution_mode: Literal["Sequential"] | FanOutJoin = "Sequential"
    context_checkpointing: Literal["AfterEveryState"] | Custom = "AfterEveryState"
    replay_missing_fact_retryable: bool = False
    skip_tags: tuple[str, ...] = ()
    nix_flake_allowlist: tuple[str, ...] = DEFAULT_NIX_FLAKE_ALLOWLIST


DEFAULT_CONFIG = RunConfig()
"""What a run is started with unless its caller says otherwise; known to be supported."""


class BuildProvenance(Struct, frozen=True):
    """Where the code came from; fields keep the contract's names (see docs/decisions/0003)."""

    git_commit: str | None = None
    cargo_lock_hash: str | None = None
    flake_lock_hash: str | None = None
    rustc_version: str | None = None
    target_triple: str | None = None
    env_allowlist: tuple[str, ...] = ()


class RunManifest(Struct, frozen=True):
    """What a run is: operation, input, policy and build. Its id is the digest of its canonical bytes."""

    op_id: OpId
    op_version: str
    input_params: Any
    run_config: RunConfig
    build: BuildProvenance


def manifest_bytes(manifest: RunManifest) -> bytes:
    """The canonical bytes of a manifest, which are stored as its artifact."""
    return canonical(msgspec.to_builtins(manifest))


class ManifestFrame(NamedTuple):
    """The canonical bytes of a manifest before and after the member that is its input."""

    before: bytes
    after: bytes

    @classmethod
    def of(cls, op_id: OpId, op_version: str, config: RunConfig, build: BuildProvenance) -> Self:
        """The frame that manifests of one operation share, whatever their input."""
        whole = manifest_bytes(RunManifest(op_id, op_version, None, config, build))
        before, _, after = whole.partition(b'"input_params":null')
        return cls(before, after)

    def around(self, given: Any) -> bytes:
        """The bytes of the manifest with this input. Raises: as `canonical` does."""
        return b"%b%b%b" % (self.before, canonical({"input_params": given})[1:-1], self.after)


def read_manifest(manifest_id: ArtifactId, content: bytes) -> RunManifest:
    """The manifest in stored bytes. Raises: `manifest_mismatch` if they are not canonical, valid or of that id."""
    try:
        value = parse(content)
        manifest = msgspec.convert(value, RunManifest)
    except (msgspec.ValidationError, InterlockError) as fault:
        raise MANIFEST_MISMATCH.error("the stored manifest cannot be read") from fault
    if digest(content) != manifest_id or canonical(value) != content:
        raise MANIFEST_MISMATCH.error("the stored manifest is not the one that was named")
    return manifest


def concurrency_of(config: RunConfig) -> int:
    """How many states may run at once; 1 for a sequential run."""
    mode = config.execution_mode
    return mode.FanOutJoin.max_concurrency if isinstance(mode, FanOutJoin) else 1


def check_supported(config: RunConfig) -> None:
    """Refuse what this version cannot honour, and values that a program made past the rules of decoding.

    Raises: `run_config_unsupported`.
    """
    if config is DEFAULT_CONFIG:
        return
    try:
        msgspec.convert(msgspec.to_builtins(config), RunConfig)
    except msgspec.ValidationError as fault:
        raise RUN_CONFIG_UNSUPPORTED.error("the configuration has a value out of its bounds") from fault
    if config.io_mode == "Replay":
        raise RUN_CONFIG_UNSUPPORTED.error("io_mode Replay cannot be started; a run is replayed from its record")
    if config.context_checkpointing != "AfterEveryState":
        raise RUN_CONFIG_UNSUPPORTED.error("context_checkpointing must be AfterEveryState")
    if isinstance(config.event_profile, Custom):
        raise RUN_CONFIG_UNSUPPORTED.error("event_profile must be Minimal, Normal or Verbose")
