"""A run that is about to exist: what it is opened with, checked.

What it does: turns what a caller gave into what the first events and artifacts of a run hold. What it does not do: it
writes nothing (`runs` does).

Rule: whatever could be refused is refused here, before anything is written; nothing recorded looks like a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Raw, Struct

from interlock.base.bounds import JSON_BYTES_MAX
from interlock.base.canonical import Json, canonical, digest
from interlock.base.principal import Principal
from interlock.base.secret_scan import refuse_secrets
from interlock.engine import events as e
from interlock.engine.bound_events import FlowRequested
from interlock.engine.config import (
    BuildProvenance,
    ManifestFrame,
    RunConfig,
    check_supported,
    concurrency_of,
)
from interlock.engine.errors import ATTRIBUTES_INVALID, INPUT_TOO_LARGE
from interlock.engine.flow.limits import Needs
from interlock.engine.plan import PLAN_KIND, ExecutionPlan
from interlock.engine.sources import absolute_source
from interlock.engine.views import ATTRIBUTE_CHARACTERS_MAX, ATTRIBUTES_MAX
from interlock.journal.ports import Blob

MANIFEST_KIND = "Manifest"
FRAMES_MAX = 64
NO_ATTRIBUTES = Raw(b"{}")


class Opening(Struct, frozen=True):
    """A run that is about to exist, checked."""

    stream: str
    run_id: str
    plan: Any
    config: RunConfig
    given: dict[str, bytes]
    manifest: bytes
    source: str | None
    attributes: Raw
    deadline_ms: int | None
    principal: Principal
    parent: e.ParentLinked | None = None
    forked: e.RunForked | None = None
    needs: Needs | None = None

    @property
    def manifest_id(self) -> str:
        """The id of the run's manifest."""
        return digest(self.manifest)

    def extras(self, concurrency_max: int) -> list[Struct]:
        """What only some runs record at their start."""
        concurrency = min(concurrency_of(self.config), concurrency_max)
        limits = [e.RunLimits(self.deadline_ms, concurrency)] if self.deadline_ms is not None or concurrency > 1 else []
        needs = None if self.needs is None else FlowRequested(self.needs.flow, self.needs.rate)
        return [*limits, *(each for each in (needs, self.parent, self.forked) if each is not None)]


def manifest_of(plan: ExecutionPlan, given: Json, config: RunConfig, build: BuildProvenance) -> bytes:
    """The bytes of a run's manifest. Raises: `run_config_unsupported`, `run_input_too_large`, `secrets_detected`."""
    content = _frame(plan, config, build).around({} if given is None else given)
    if len(content) > JSON_BYTES_MAX:  # what could not be read again
        raise INPUT_TOO_LARGE.error(f"a manifest of more than {JSON_BYTES_MAX} bytes", limit_bytes=JSON_BYTES_MAX)
    if given:
        refuse_secrets(content, "manifest")
    return content


class _Framed(NamedTuple):
    plan: ExecutionPlan
    config: RunConfig
    build: BuildProvenance
    frame: ManifestFrame


_FRAMES: dict[int, _Framed] = {}
"""The last frame of each plan, by the plan's identity: who starts many runs of one checks and spells it once."""


def _frame(plan: ExecutionPlan, config: RunConfig, build: BuildProvenance) -> ManifestFrame:
    """What manifests of a plan share, checked. Raises: `run_config_unsupported`, `secrets_detected`."""
    known = _FRAMES.get(id(plan))
    if known is not None and known.plan is plan and known.config is config and known.build is build:
        return known.frame
    check_supported(config)
    frame = ManifestFrame.of(plan.op_id, plan.version, config, build)
    refuse_secrets(frame.around(None), "manifest")
    if len(_FRAMES) >= FRAMES_MAX:
        _FRAMES.clear()
    _FRAMES[id(plan)] = _Framed(plan, config, build, frame)
    return frame


def plan_blob(plan: ExecutionPlan) -> Blob:
    """What a run keeps of its plan: the outline, with the document that it is. Raises: `secrets_detected`."""
    if plan.document is not None:
        refuse_secrets(plan.document.content, "plan document")
    return Blob(plan.fingerprint, PLAN_KIND, plan.outline)


def checked_source(source: str | None) -> str | None:
    """Where a plan came from, absolute. Raises: `secrets_detected`."""
    if source is None:
        return None
    refuse_secrets(canonical(source), "plan source")
    return absolute_source(source)


def checked_attributes(given: Mapping[str, Any] | None) -> Raw:
    """What a run can be found by, as canonical JSON: short scalars. Raises: `run_attributes_invalid`."""
    if not given:
        return NO_ATTRIBUTES
    values = dict(given)
    scalar = all(value is None or isinstance(value, (str, int, bool)) for value in values.values())
    long = any(len(str(each)) > ATTRIBUTE_CHARACTERS_MAX for item in values.items() for each in item)
    if not scalar or long or len(values) > ATTRIBUTES_MAX:
        raise ATTRIBUTES_INVALID.error(
            f"give at most {ATTRIBUTES_MAX} attributes: short texts, whole numbers, booleans"
        )
    content = canonical(values)
    refuse_secrets(content, "attributes")
    return Raw(content)
