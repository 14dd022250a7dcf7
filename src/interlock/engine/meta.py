"""What a state says about itself (seed 001, `meta`).

What it does: tags, side-effect classes, idempotency and dependency hints as frozen records. What it does not do:
nothing here runs; `depends_on` is a hint for planners and never an edge.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

CONFIG = "config"
FETCH_DATA = "fetch_data"
COMPUTE = "compute"
EXECUTE = "execute"
REPORT = "report"
APPLY_SIDE_EFFECT = "apply_side_effect"
IMPURE = "impure"

STANDARD_TAGS = (CONFIG, FETCH_DATA, COMPUTE, EXECUTE, REPORT, APPLY_SIDE_EFFECT, IMPURE)
"""The contract's vocabulary; the last two are policy signals and reserved for that."""


class SideEffectKind(StrEnum):
    """What a state does to the outside."""

    PURE = "pure"
    READ_ONLY_IO = "read_only_io"
    APPLY_SIDE_EFFECT = "apply_side_effect"


class DependencyStrategy(StrEnum):
    """Which of the states that match a dependency tag is meant."""

    LATEST = "latest"
    EARLIEST = "earliest"
    LATEST_SUCCESSFUL = "latest_successful"


class StateMeta(Struct, frozen=True, kw_only=True):
    """Classification of a state. `idempotency` is the stable key of its effect, or None."""

    tags: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    depends_on_strategy: DependencyStrategy = DependencyStrategy.LATEST
    side_effects: SideEffectKind = SideEffectKind.READ_ONLY_IO
    idempotency: str | None = None


class SnapshotPolicy(StrEnum):
    """A hint of when a state wants its context kept; never leave to go without a required checkpoint."""

    NEVER = "never"
    ON_SUCCESS = "on_success"
    ALWAYS = "always"
