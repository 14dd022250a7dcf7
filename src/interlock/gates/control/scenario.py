"""A scenario that is ready to decide by: its document with everything found by name.

What it does: holds a validated document, its hash, and its stages, conditions and packets by id. What it does not do:
it validates nothing (`scenario.validate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from interlock.gates.control.errors import STAGE_NOT_FOUND
from interlock.gates.spec import ConditionSpec, PacketSpec, ScenarioSpec, StageSpec
from interlock.gates.values import HashDigest


@dataclass(frozen=True)
class Scenario:
    """A validated document under its hash."""

    spec: ScenarioSpec
    spec_hash: HashDigest

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each stage stands in the list."""
        return {stage.stage_id: place for place, stage in enumerate(self.spec.stages)}

    @cached_property
    def conditions(self) -> dict[str, ConditionSpec]:
        """Conditions by id."""
        return {each.condition_id: each for each in self.spec.conditions}

    @cached_property
    def packets(self) -> dict[str, PacketSpec]:
        """Entry packets of all stages by id."""
        return {each.packet_id: each for stage in self.spec.stages for each in stage.entry_packets}

    @property
    def first(self) -> StageSpec:
        """The stage in which a run begins."""
        return self.spec.stages[0]

    def stage(self, stage_id: str) -> StageSpec:
        """A stage by id. Raises: `stage_not_found`."""
        place = self.places.get(stage_id)
        if place is None:
            raise STAGE_NOT_FOUND.error("the scenario has no such stage", stage_id=stage_id)
        return self.spec.stages[place]
