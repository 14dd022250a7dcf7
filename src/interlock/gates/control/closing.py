"""When gates that are true close by themselves: their evidence becomes too old.

What it does: finds, for each gate of a decision that is true, the time from which it would not be any more. What it
does not do: it asks for no evidence and looks at no clock; the decider sets a timer for what is found here.

Rules: evidence with `max_age_ms` counts up to and including that age, from when it was observed, or asked for where
nobody says; from then on it is unknown. A gate that does not need it stays open. Where the trigger's time is logical,
nothing that was asked for then has an age.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from msgspec import UNSET, Struct

from interlock.base.bounds import INTEGER_MAX
from interlock.gates.control.scenario import Scenario
from interlock.gates.logic.evaluate import evaluate
from interlock.gates.logic.status import Status
from interlock.gates.logic.tree import Requirement
from interlock.gates.records import GateEvalRecord
from interlock.gates.values import Timestamp, UnixMillis


class GateEnd(Struct, frozen=True):
    """A gate, and the time at which it closes by itself, in ms since 1970."""

    at_ms: int
    gate_id: str


def gate_ends(
    scenario: Scenario, gates: Iterable[GateEvalRecord], observed: Mapping[str, int | None], decided_at: Timestamp
) -> tuple[GateEnd, ...]:
    """The gates among `gates` that close by themselves, in the order of their times, then of their ids.

    `observed` says when the evidence of conditions was observed, in ms since 1970, where that is known.
    """
    asked_ms = decided_at.value if isinstance(decided_at, UnixMillis) else None
    ends = [
        GateEnd(at_ms, gate.evaluation.gate_id)
        for gate in gates
        if gate.evaluation.status is Status.TRUE and (at_ms := _end(scenario, gate, observed, asked_ms)) is not None
    ]
    return tuple(sorted(ends, key=lambda each: (each.at_ms, each.gate_id)))


def _end(
    scenario: Scenario, gate: GateEvalRecord, observed: Mapping[str, int | None], asked_ms: int | None
) -> int | None:
    """When a gate that is true closes; None: never, by itself."""
    statuses = {each.condition_id: each.status for each in gate.evidence}
    ages: dict[str, int] = {}
    for name in statuses:
        max_age_ms = scenario.conditions[name].max_age_ms
        since_ms = observed.get(name)
        since_ms = asked_ms if since_ms is None else since_ms
        if max_age_ms is not UNSET and since_ms is not None:
            ages[name] = min(since_ms + max_age_ms + 1, INTEGER_MAX)
    requirement = _requirement(scenario, gate) if ages else None
    if requirement is None:
        return None
    ends = sorted(set(ages.values()))
    # Evidence that is gone makes no gate true that was not, so that the first end is found by halving.
    place = bisect_left(ends, x=True, key=lambda at_ms: not _is_true(requirement, statuses, ages, at_ms))
    return ends[place] if place < len(ends) else None


def _is_true(requirement: Requirement, statuses: Mapping[str, Status], ages: Mapping[str, int], at_ms: int) -> bool:
    fresh = {name: each for name, each in statuses.items() if ages.get(name, INTEGER_MAX + 1) > at_ms}
    return evaluate(requirement, fresh).status is Status.TRUE


def _requirement(scenario: Scenario, gate: GateEvalRecord) -> Requirement | None:
    stage = scenario.stage(gate.stage_id)
    return next((each.requirement for each in stage.gates if each.gate_id == gate.evaluation.gate_id), None)
