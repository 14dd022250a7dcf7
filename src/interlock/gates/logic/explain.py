"""Why a requirement is what it is: each part of the tree with its status and its reason, and what would make it hold.

What it does: builds the tree of reasons from what is known of each condition, and renders it as text. What it does not
do: it looks nothing up and decides what may be seen of nothing: whoever owns the conditions says of each what it is,
why, and in a record of its own what may be shown (`leaves` for those of scenarios).

Rules: the status is that of `evaluate`; a condition that nobody says anything about is unknown; text is safe for a
terminal, and names of conditions are cut there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Generic, Literal, TypeVar

from msgspec import UNSET, Struct, UnsetType

from interlock.base.ids import shown
from interlock.gates.logic.changes import Change, Changes, changes_to_pass
from interlock.gates.logic.check import depth_fault
from interlock.gates.logic.evaluate import combined, needed
from interlock.gates.logic.status import Status
from interlock.gates.logic.tree import And, Condition, Not, Or, RequireGroup, Requirement, children_of

Detail = TypeVar("Detail")
Kind = Literal["all", "any", "not", "at_least", "condition"]

_NAME_CHARACTERS_MAX = 120
_KINDS: dict[type[Requirement], Kind] = {And: "all", Or: "any", Not: "not", RequireGroup: "at_least"}


class Leaf(Struct, Generic[Detail], frozen=True):
    """A condition as its owner tells it: what it is, why, and what else may be shown of it."""

    status: Status
    why: str
    detail: Detail | UnsetType = UNSET


class Reason(Struct, Generic[Detail], frozen=True, omit_defaults=True):
    """A part of a requirement: what it is, why, and the parts right below it."""

    kind: Kind
    status: Status
    why: str
    condition_id: str | UnsetType = UNSET
    detail: Detail | UnsetType = UNSET
    reasons: tuple[Reason[Detail], ...] = ()


class Explanation(Struct, Generic[Detail], frozen=True):
    """What a requirement is, why, and what would make it hold."""

    status: Status
    reason: Reason[Detail]
    would_pass: Changes


def explain(requirement: Requirement, leaves: Mapping[str, Leaf[Detail]]) -> Explanation[Detail]:
    """The reasons of a requirement by what each of its conditions is."""
    deep = depth_fault(requirement)
    if deep is not None:
        reason: Reason[Detail] = Reason(_KINDS[type(requirement)], Status.UNKNOWN, deep.message)
    else:
        reason = _reason(requirement, leaves)
    statuses = {name: leaf.status for name, leaf in leaves.items()}
    return Explanation(reason.status, reason, changes_to_pass(requirement, statuses))


def _reason(requirement: Requirement, leaves: Mapping[str, Leaf[Detail]]) -> Reason[Detail]:
    if isinstance(requirement, Condition):
        name = requirement.condition_id
        leaf = leaves.get(name)
        if leaf is None:
            return Reason("condition", Status.UNKNOWN, "nothing is known of it", name)
        return Reason("condition", leaf.status, leaf.why, name, leaf.detail)
    below = tuple(_reason(each, leaves) for each in children_of(requirement))
    status = combined(requirement, [each.status for each in below])
    return Reason(_KINDS[type(requirement)], status, _why(requirement, below), reasons=below)


def _why(requirement: Requirement, below: tuple[Reason[Detail], ...]) -> str:
    if isinstance(requirement, Not):
        return "the opposite of what follows"
    counts = Counter(each.status for each in below)
    unknown = f", {counts[Status.UNKNOWN]} unknown" if counts[Status.UNKNOWN] else ""
    return f"{counts[Status.TRUE]} of {len(below)} true{unknown}; needs {needed(requirement)}"


def as_text(explanation: Explanation[Detail], tell: Callable[[Detail], str]) -> str:
    """An explanation as an indented tree, a part in each line; `tell` says in one line what a detail holds."""
    lines = _lines(explanation.reason, tell, 0)
    return "\n".join([*lines, *_advice(explanation.status, explanation.would_pass)])


def _lines(reason: Reason[Detail], tell: Callable[[Detail], str], level: int) -> list[str]:
    name = reason.kind if reason.condition_id is UNSET else _named(reason.condition_id)
    told = "" if reason.detail is UNSET else f"; {tell(reason.detail)}"
    line = f"{'  ' * level}{reason.status}  {name}: {reason.why}{told}"
    return [line, *(each for below in reason.reasons for each in _lines(below, tell, level + 1))]


def _advice(status: Status, changes: Changes) -> list[str]:
    if status is Status.TRUE:
        return []
    if not changes.sets:
        return ["Nothing would make it pass." if changes.complete else "What would make it pass is too much to list."]
    lines = [" and ".join(map(_said, each)) for each in changes.sets]
    more = [] if changes.complete else ["  … and other ways"]
    return ["It would pass if:", f"  {lines[0]}", *(f"  or {line}" for line in lines[1:]), *more]


def _said(change: Change) -> str:
    return f"{_named(change.condition_id)} became {change.becomes}"


def _named(condition_id: str) -> str:
    return shown(condition_id, _NAME_CHARACTERS_MAX)
