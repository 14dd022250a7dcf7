"""What tells two plans apart: their outlines, compared.

What it does: says which states and edges two outlines share, and what differs in a state that both have. What it does
not do: it judges nothing; whether a run may go on with another plan is `migrate`'s.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from interlock.engine.plan import PlanOutline


class StateChange(Struct, frozen=True):
    """A state that two plans have, and the members of its metadata and policies that differ."""

    state_id: str
    members: list[str]


class PlanDifference(Struct, frozen=True):
    """How the second of two plans differs from the first; edges are written `before -> after`.

    `is_reordered` says that states of both stand in another order; `has_other_pipeline` that the configuration of an
    operation, or the order of steps, is another.
    """

    fingerprint_a: str
    fingerprint_b: str
    version_a: str
    version_b: str
    states_kept: int
    states_added: list[str]
    states_removed: list[str]
    states_changed: list[StateChange]
    edges_added: list[str]
    edges_removed: list[str]
    is_reordered: bool
    has_other_pipeline: bool

    @property
    def is_same(self) -> bool:
        """Whether the plans are one."""
        return self.fingerprint_a == self.fingerprint_b


def plan_difference(a: PlanOutline, fingerprint_a: str, b: PlanOutline, fingerprint_b: str) -> PlanDifference:
    """What the plan `b` has otherwise than `a`."""
    states_a, states_b = ({state[0]: state for state in outline.states} for outline in (a, b))
    both = [state_id for state_id in states_a if state_id in states_b]
    changes = [(state_id, _members(states_a[state_id], states_b[state_id])) for state_id in both]
    edges_a, edges_b = ([" -> ".join(edge) for edge in outline.edges] for outline in (a, b))
    return PlanDifference(
        fingerprint_a,
        fingerprint_b,
        a.version,
        b.version,
        len(both),
        [state_id for state_id in states_b if state_id not in states_a],
        [state_id for state_id in states_a if state_id not in states_b],
        [StateChange(state_id, members) for state_id, members in changes if members],
        [edge for edge in edges_b if edge not in set(edges_a)],
        [edge for edge in edges_a if edge not in set(edges_b)],
        both != [state_id for state_id in states_b if state_id in states_a],
        a.pipeline != b.pipeline,
    )


def _members(a: tuple[Any, ...], b: tuple[Any, ...]) -> list[str]:
    """Names of what differs: members of the metadata, `retry` and `timeout_ms`."""
    meta_a, meta_b = (msgspec.json.decode(state[1], type=dict[str, Any]) for state in (a, b))
    names = [name for name in {**meta_a, **meta_b} if meta_a.get(name) != meta_b.get(name)]
    policies = zip(("retry", "timeout_ms"), a[2:], b[2:], strict=True)
    return [*names, *(name for name, one, other in policies if bytes(one) != bytes(other))]
