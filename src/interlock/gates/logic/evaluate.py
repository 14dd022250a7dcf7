"""Decides a requirement by what its conditions are, in strong Kleene logic, and traces each leaf.

What it does: gives a requirement's status, and what each of its leaves was. What it does not do: it compares nothing
(`comparators`), asks nobody, and stops nowhere early: a trace shows every leaf, once for each place where it stands.

Rules (seed 000): a leaf that nobody says anything about is unknown; nested deeper than 32 levels, the whole is unknown,
and the trace ends where that was found. That is also the bound of the recursion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from interlock.gates.logic.status import Status
from interlock.gates.logic.tree import And, Condition, Group, Not, RequireGroup, Requirement, children_of
from interlock.gates.records import Traced

DEPTH_MAX = 32
"""Levels below the root that are looked at."""

_OPPOSITE = {Status.TRUE: Status.FALSE, Status.FALSE: Status.TRUE, Status.UNKNOWN: Status.UNKNOWN}


class Evaluated(Struct, frozen=True):
    """What a requirement is, and what each leaf was, in the order of the tree."""

    status: Status
    trace: list[Traced]


class _TooDeep(Exception):
    """A level below the last one that is looked at."""


def evaluate(requirement: Requirement, statuses: Mapping[str, Status]) -> Evaluated:
    """Decide a requirement by the status of each condition; one that is not in `statuses` is unknown."""
    trace: list[Traced] = []
    try:
        return Evaluated(_visited(requirement, statuses, trace, 0), trace)
    except _TooDeep:
        return Evaluated(Status.UNKNOWN, trace)


def _visited(requirement: Requirement, statuses: Mapping[str, Status], trace: list[Traced], depth: int) -> Status:
    if depth > DEPTH_MAX:
        raise _TooDeep
    if isinstance(requirement, Condition):
        status = statuses.get(requirement.condition_id, Status.UNKNOWN)
        trace.append(Traced(requirement.condition_id, status))
        return status
    return combined(requirement, [_visited(each, statuses, trace, depth + 1) for each in children_of(requirement)])


def combined(requirement: Requirement, below: Sequence[Status]) -> Status:
    """What a requirement that is no condition is, by what those right below it are."""
    if isinstance(requirement, Not):
        return _OPPOSITE[below[0]]
    least = needed(requirement)
    holding = below.count(Status.TRUE)
    if holding >= least:
        return Status.TRUE
    return Status.FALSE if holding + below.count(Status.UNKNOWN) < least else Status.UNKNOWN


def needed(requirement: Requirement) -> int:
    """How many of those right below must hold: all of an And, one of an Or, and of a group as many as it says."""
    match requirement:
        case RequireGroup(Group(least, _)):
            return least
        case And(reqs):
            return len(reqs)
        case _:
            return 1
