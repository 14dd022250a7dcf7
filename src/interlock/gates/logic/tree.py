"""Requirement trees: what must hold, over conditions by name.

What it does: declares the five kinds of requirement and their JSON form. What it does not do: it evaluates nothing
(`evaluate`) and refuses no tree for being large or senseless (`check`).

Rules (seed 000): the JSON form is tagged outside with a capital, `{"And": […]}`; a tree that is deeper than JSON may be
nested was refused before it came here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

GROUP_MIN_MAX = 255


class Requirement:
    """One of the five kinds below: records that are their own JSON form."""

    __slots__ = ()


class And(Requirement, Struct, frozen=True):
    """Every one holds; with none, it does."""

    reqs: tuple[Requirement, ...] = field(default=(), name="And")


class Or(Requirement, Struct, frozen=True):
    """Any one holds; with none, it does not."""

    reqs: tuple[Requirement, ...] = field(default=(), name="Or")


class Not(Requirement, Struct, frozen=True):
    """The other does not hold."""

    req: Requirement = field(name="Not")


class Group(Struct, frozen=True):
    """So many of these at least."""

    min: int
    reqs: tuple[Requirement, ...]


class RequireGroup(Requirement, Struct, frozen=True):
    """At least `group.min` of `group.reqs` hold."""

    group: Group = field(name="RequireGroup")


class Condition(Requirement, Struct, frozen=True):
    """The condition of this name holds."""

    condition_id: str = field(name="Condition")


def requirement_of(value: Any) -> Requirement:
    """The requirement of a JSON value. Raises: `ValueError` that says what is wrong, without a word of the content."""
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("a requirement is an object with one member: And, Or, Not, RequireGroup or Condition")
    [(kind, content)] = value.items()
    match kind:
        case "And":
            return And(_each(content))
        case "Or":
            return Or(_each(content))
        case "Not":
            return Not(requirement_of(content))
        case "RequireGroup":
            return RequireGroup(_group(content))
        case "Condition" if isinstance(content, str):
            return Condition(content)
        case "Condition":
            raise ValueError("a Condition is the id of a condition")
        case _:
            raise ValueError("a requirement is And, Or, Not, RequireGroup or Condition")


def _each(content: Any) -> tuple[Requirement, ...]:
    if not isinstance(content, list):
        raise ValueError("And, Or and reqs are lists of requirements")  # noqa: TRY004 - it becomes a refusal of input
    return tuple(map(requirement_of, content))


def _group(content: Any) -> Group:
    if not isinstance(content, dict) or "min" not in content or "reqs" not in content:
        raise ValueError("a RequireGroup has min and reqs")
    least = content["min"]
    if type(least) is not int or not 0 <= least <= GROUP_MIN_MAX:
        raise ValueError(f"min is a whole number from 0 to {GROUP_MIN_MAX}")
    return Group(least, _each(content["reqs"]))


def conditions_of(requirement: Requirement) -> Iterator[str]:
    """The condition of each leaf, in the order of the tree; one that stands twice comes twice."""
    match requirement:
        case Condition(condition_id):
            yield condition_id
        case Not(req):
            yield from conditions_of(req)
        case And(reqs) | Or(reqs) | RequireGroup(Group(_, reqs)):
            for each in reqs:
                yield from conditions_of(each)
