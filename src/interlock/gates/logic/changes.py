"""What would have to become otherwise for a requirement to hold: the smallest sets of conditions that are enough.

What it does: finds sets of conditions, each with the status that it would need, of which each as a whole turns the
requirement to True, and none has a member too many. What it does not do: it says nothing of how likely or how hard a
change is, and takes every condition for independent of the others.

Rules: everything is bounded, because the number of such sets can double with each group; where a bound was met,
`complete` is false and what is given is still true of itself. Sets with fewer members come first, then those whose
members stand earlier in the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from interlock.gates.logic.check import complexity, depth_fault
from interlock.gates.logic.evaluate import evaluate, needed
from interlock.gates.logic.status import Status
from interlock.gates.logic.tree import Condition, Not, Requirement, children_of, conditions_of

CHANGES_MAX = 8
"""Sets that are given."""
CHANGED_CONDITIONS_MAX = 32
"""Conditions of one set."""
SEARCHED_NODES_MAX = 1_000
"""Requirements of a tree that is searched."""
_OPTIONS_MAX = 32
_STEPS_MAX = 20_000
# After so many steps one set is followed from each part, instead of so many as above.

_Option = frozenset[tuple[str, bool]]
"""Conditions and whether each of them holds: enough for a requirement to be what is looked for."""
_NOTHING: list[_Option] = [frozenset()]


class Change(Struct, frozen=True):
    """A condition, and what it would have to become."""

    condition_id: str
    becomes: Status


class Changes(Struct, frozen=True):
    """Sets of changes of which each is enough. With no set and `complete`, nothing is to be done, or nothing helps."""

    sets: tuple[tuple[Change, ...], ...]
    complete: bool


def changes_to_pass(requirement: Requirement, statuses: Mapping[str, Status]) -> Changes:
    """The smallest sets of changes that turn a requirement to True; none where it is, or never can be."""
    if depth_fault(requirement) or evaluate(requirement, statuses).status is Status.TRUE:
        return Changes((), complete=True)
    if complexity(requirement) > SEARCHED_NODES_MAX:
        return Changes((), complete=False)
    search = _Search(requirement, statuses)
    found = search.smallest(search.changed(option) for option in search.options(requirement, holds=True))
    sets = dict.fromkeys(search.needed_of(requirement, option) for option in found[:CHANGES_MAX])
    return Changes(tuple(sorted(sets, key=len)), search.complete and len(found) <= CHANGES_MAX)


class _Search:
    """One search: what it knows of the tree, and how far it has come."""

    def __init__(self, requirement: Requirement, statuses: Mapping[str, Status]) -> None:
        self._statuses = statuses
        self._order = {name: place for place, name in enumerate(dict.fromkeys(conditions_of(requirement)))}
        self._mixed = _wanted(requirement, holds=True) & _wanted(requirement, holds=False)
        self._steps = 0
        self._width = _OPTIONS_MAX
        self.complete = True

    def options(self, requirement: Requirement, *, holds: bool) -> list[_Option]:
        """The smallest sets of conditions with which a requirement certainly holds, or certainly does not."""
        if isinstance(requirement, Condition):
            return self._of_condition(requirement.condition_id, holds=holds)
        if isinstance(requirement, Not):
            return self.options(requirement.req, holds=not holds)
        below = children_of(requirement)
        least = needed(requirement)
        return self._of_group(
            least if holds else len(below) - least + 1, [self.options(each, holds=holds) for each in below]
        )

    def _of_condition(self, condition_id: str, *, holds: bool) -> list[_Option]:
        # What is so already costs nothing, and can be forgotten unless another part of the tree wants its opposite.
        if condition_id not in self._mixed and self._is(condition_id, holds=holds):
            return _NOTHING
        return [frozenset({(condition_id, holds)})]

    def _of_group(self, least: int, below: list[list[_Option]]) -> list[_Option]:
        """The smallest sets for at least so many of those below: of the first one, the first two, and so on."""
        least -= below.count(_NOTHING)
        left = [options for options in below if options and options != _NOTHING]
        if least <= 0:
            return _NOTHING
        if least > len(left):
            return []
        sets: list[list[_Option]] = [_NOTHING, *([] for _ in range(least))]
        for index, options in enumerate(left):
            first = max(1, least - (len(left) - index - 1))
            for count in range(min(least, index + 1), first - 1, -1):
                sets[count] = self.smallest([*sets[count], *self._joined(sets[count - 1], options)])
        return sets[least]

    def _joined(self, sets: list[_Option], others: list[_Option]) -> list[_Option]:
        joined = [one | other for one in sets[: self._width] for other in others[: self._width]]
        self._steps += len(joined)
        if self._steps > _STEPS_MAX:
            self._width = 1
            self.complete = False
        return joined

    def smallest(self, options: Iterable[_Option]) -> list[_Option]:
        """The possible ones of some sets, without those that hold another one, and as many as are kept."""
        kept: list[_Option] = []
        for option in sorted(set(options), key=self._rank):
            if any((name, not holds) in option for name, holds in option) or any(other <= option for other in kept):
                continue
            if len(kept) == self._width or len(option) > CHANGED_CONDITIONS_MAX:
                self.complete = False
                break
            kept.append(option)
        return kept

    def _rank(self, option: _Option) -> tuple[int, list[tuple[int, bool]]]:
        return len(option), sorted((self._order[name], holds) for name, holds in option)

    def changed(self, option: _Option) -> _Option:
        """What of a set is not so yet."""
        return frozenset((name, holds) for name, holds in option if not self._is(name, holds=holds))

    def _is(self, condition_id: str, *, holds: bool) -> bool:
        return self._statuses.get(condition_id) is (Status.TRUE if holds else Status.FALSE)

    def needed_of(self, requirement: Requirement, option: _Option) -> tuple[Change, ...]:
        """The changes of a set in the order of the tree, without those that it can do without."""
        changes = {
            name: Status.TRUE if holds else Status.FALSE
            for name, holds in sorted(option, key=lambda each: self._order[each[0]])
        }
        for name in list(changes):
            rest = {**self._statuses, **{other: status for other, status in changes.items() if other != name}}
            if evaluate(requirement, rest).status is Status.TRUE:
                del changes[name]
        return tuple(Change(name, status) for name, status in changes.items())


def _wanted(requirement: Requirement, *, holds: bool) -> set[str]:
    """The conditions that count for a requirement when they hold, or when they do not."""
    if isinstance(requirement, Condition):
        return {requirement.condition_id} if holds else set()
    if isinstance(requirement, Not):
        return _wanted(requirement.req, holds=not holds)
    return {name for each in children_of(requirement) for name in _wanted(each, holds=holds)}
