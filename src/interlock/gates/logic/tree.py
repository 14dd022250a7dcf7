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


def requirement_of(value: Any, place: str = "") -> Requirement:
    """The requirement of a JSON value.

    Raises: `ValueError` that says what is wrong and where (`place` and from there `/And/0`), without a word of the
    content.
    """
    if not isinstance(value, dict) or len(value) != 1:
        raise _wrong("a requirement is an object with one member: And, Or, Not, RequireGroup or Condition", place)
    [(kind, content)] = value.items()
    match kind:
        case "And":
            return And(_each(content, f"{place}/And"))
        case "Or":
            return Or(_each(content, f"{place}/Or"))
        case "Not":
            return Not(requirement_of(content, f"{place}/Not"))
        case "RequireGroup":
            return RequireGroup(_group(content, f"{place}/RequireGroup"))
        case "Condition" if isinstance(content, str):
            return Condition(content)
        case "Condition":
            raise _wrong("a Condition is the id of a condition", place)
        case _:
            raise _wrong("a requirement is And, Or, Not, RequireGroup or Condition", place)


def _each(content: Any, place: str) -> tuple[Requirement, ...]:
    if not isinstance(content, list):
        raise _wrong("And, Or and reqs are lists of requirements", place)
    return tuple(requirement_of(item, f"{place}/{index}") for index, item in enumerate(content))


def _group(content: Any, place: str) -> Group:
    if not isinstance(content, dict) or "min" not in content or "reqs" not in content:
        raise _wrong("a RequireGroup has min and reqs", place)
    least = content["min"]
    if type(least) is not int or not 0 <= least <= GROUP_MIN_MAX:
        raise _wrong(f"min is a whole number from 0 to {GROUP_MIN_MAX}", f"{place}/min")
    return Group(least, _each(content["reqs"], f"{place}/reqs"))


def _wrong(what: str, place: str) -> ValueError:
    return ValueError(f"{what}, at {place or 'the top'}")


def children_of(requirement: Requirement) -> tuple[Requirement, ...]:
    """The requirements right below; none below a condition."""
    match requirement:
        case And(reqs) | Or(reqs) | RequireGroup(Group(_, reqs)):
            return reqs
        case Not(req):
            return (req,)
        case _:
            return ()


def walked(requirement: Requirement) -> Iterator[tuple[str, int, Requirement]]:
    """Every requirement in the order of the tree, with its place such as `/And/0` and its depth, from 0.

    It needs no stack, however deep the tree is.
    """
    left = [("", 0, requirement)]
    while left:
        place, depth, found = left.pop()
        yield place, depth, found
        left += [(place + below, depth + 1, child) for below, child in reversed(list(_below(found)))]


def _below(requirement: Requirement) -> Iterator[tuple[str, Requirement]]:
    if isinstance(requirement, Not):
        yield "/Not", requirement.req
        return
    holder = "/RequireGroup/reqs" if isinstance(requirement, RequireGroup) else f"/{type(requirement).__name__}"
    for index, child in enumerate(children_of(requirement)):
        yield f"{holder}/{index}", child


def conditions_of(requirement: Requirement) -> Iterator[str]:
    """The condition of each leaf, in the order of the tree; one that stands twice comes twice."""
    return (found.condition_id for _, _, found in walked(requirement) if isinstance(found, Condition))
