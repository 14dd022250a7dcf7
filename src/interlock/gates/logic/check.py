"""Holds requirements that people write to their bounds, and says which of them can never pass.

What it does: reads a bare tree of JSON, checks its depth, its size and its groups, and finds what is decided before
there is any evidence. What it does not do: scenario documents, whose own rules allow more, are not refused by it
(`scenario.validate`), and it knows no conditions.

Rules (seed 000): depth first, then the parts in the order of the tree; a group asks for at least one of its members and
at most for all; an And or an Or without members is taken unless the caller says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from interlock.base.canonical import parse
from interlock.base.errors import ErrorCode, InterlockError
from interlock.gates.errors import (
    REQUIREMENT_EMPTY,
    REQUIREMENT_GROUP_INVALID,
    REQUIREMENT_INVALID,
    REQUIREMENT_TOO_DEEP,
    REQUIREMENT_TOO_LARGE,
)
from interlock.gates.logic.evaluate import DEPTH_MAX, evaluate
from interlock.gates.logic.status import Status
from interlock.gates.logic.tree import And, Group, Or, RequireGroup, Requirement, requirement_of, walked
from interlock.gates.values import wire

REQUIREMENT_BYTES_MAX = 1024 * 1024
"""Bytes of one requirement, as text or as JSON."""


class Fault(Struct, frozen=True):
    """What is wrong with a part of a requirement; the place leads there, such as `/And/0`."""

    kind: ErrorCode
    place: str
    message: str

    def error(self) -> InterlockError:
        """The error of this fault."""
        return self.kind.error(f"{self.message}, at {self.place or 'the top'}", place=self.place)


def read_requirement(content: bytes | str, *, empty_allowed: bool = True) -> Requirement:
    """The requirement of a JSON text. Raises: as `base.canonical.parse` and `check`; `requirement_invalid`."""
    value = parse(content, bytes_max=REQUIREMENT_BYTES_MAX)
    try:
        requirement = requirement_of(value)
    except ValueError as fault:
        raise REQUIREMENT_INVALID.error(str(fault)) from None
    check(requirement, empty_allowed=empty_allowed)
    return requirement


def check(requirement: Requirement, *, empty_allowed: bool = True) -> None:
    """Refuse a requirement for the first of its faults, and for its size.

    Raises: `requirement_too_deep`, `requirement_group_invalid`, `requirement_empty`, each with its place;
    `requirement_too_large`.
    """
    for fault in faults_in(requirement, empty_allowed=empty_allowed):
        raise fault.error()
    size_bytes = len(wire(requirement))
    if size_bytes > REQUIREMENT_BYTES_MAX:
        raise REQUIREMENT_TOO_LARGE.error(
            f"a requirement of {size_bytes} bytes, of {REQUIREMENT_BYTES_MAX} that it may have",
            limit_bytes=REQUIREMENT_BYTES_MAX,
        )


def faults_in(requirement: Requirement, *, empty_allowed: bool = True) -> Iterator[Fault]:
    """Every fault of a requirement; one that is nested too deep is not looked at any further."""
    deep = depth_fault(requirement)
    if deep is not None:
        yield deep
        return
    for place, _, found in walked(requirement):
        if isinstance(found, RequireGroup):
            wrong = group_fault(found.group)
            if wrong is not None:
                yield Fault(REQUIREMENT_GROUP_INVALID, place, wrong)
        elif not empty_allowed and isinstance(found, And | Or) and not found.reqs:
            yield Fault(REQUIREMENT_EMPTY, place, f"an {type(found).__name__} without members")


def depth_fault(requirement: Requirement) -> Fault | None:
    """Where a requirement is first nested too deep; None where it is nowhere."""
    for place, depth, _ in walked(requirement):
        if depth > DEPTH_MAX:
            return Fault(REQUIREMENT_TOO_DEEP, place, f"nested deeper than {DEPTH_MAX} levels")
    return None


def group_fault(group: Group) -> str | None:
    """Why a group asks for a number that makes no sense; None where it does not."""
    if group.min > len(group.reqs):
        return f"a group of {len(group.reqs)} can never have {group.min} that hold"
    if group.min == 0 and group.reqs:
        return "a group that asks for none of its members asks for nothing"
    return None


def foregone(requirement: Requirement) -> Status:
    """What a requirement is whatever the evidence will be: it always holds, it never does, or it depends.

    It sees what follows from the shape of the tree alone, so not that a condition and its opposite exclude each other.
    """
    return evaluate(requirement, {}).status


def dead_groups(requirement: Requirement) -> list[str]:
    """The places of the groups that can never pass, in the order of the tree."""
    return [
        place
        for place, _, found in walked(requirement)
        if isinstance(found, RequireGroup) and foregone(found) is Status.FALSE
    ]


def complexity(requirement: Requirement) -> int:
    """How many requirements a tree is made of, itself and its conditions among them."""
    return sum(1 for _ in walked(requirement))
