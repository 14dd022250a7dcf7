"""What a state says about itself (seed 001, `meta`).

What it does: tags, side-effect classes, idempotency and dependency hints as frozen records. What it does not do:
nothing here runs; `depends_on` is a hint for planners and never an edge.

Rule: a tag is any text. Lower case is a recommendation, so what is written otherwise gets a remark and is not refused.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

CONFIG = "config"
"""Checks or shapes configuration."""
FETCH_DATA = "fetch_data"
"""Gets data from the outside."""
COMPUTE = "compute"
"""Makes something of what is there, and nothing else."""
EXECUTE = "execute"
"""Does or prepares work that is imperative."""
REPORT = "report"
"""Puts together what people are shown."""
APPLY_SIDE_EFFECT = "apply_side_effect"
"""Policy signal: changes the outside. A dry run skips it; a state that declares such effects gets it by itself."""
IMPURE = "impure"
"""Policy signal: the same context and facts need not give the same result. A run skips it where it is told to."""

STANDARD_TAGS = (CONFIG, FETCH_DATA, COMPUTE, EXECUTE, REPORT, APPLY_SIDE_EFFECT, IMPURE)
"""The contract's vocabulary; the last two are policy signals and reserved for that."""


def tag_remark(tag: str) -> str | None:
    """What is unusual about the spelling of a tag; None where nothing is. A tag is compared as it is written."""
    plain = tag.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in STANDARD_TAGS and tag != plain:
        return f"the standard tag is {plain}, and this is another one"
    if tag != tag.lower():
        return "tags are lower case by recommendation"
    if not tag or tag != "".join(tag.split()):
        return "a tag is a word without white space by recommendation"
    return None


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
