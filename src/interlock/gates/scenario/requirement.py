"""A requirement as it is written in a document: its leaves with their paths, and what is wrong with it.

What it does: walks the JSON form or the text of a requirement and collects all of that at once. What it does not do: it
decides nothing (`logic.evaluate`), and does not know which conditions there are.

Rules: any JSON value can be walked; below a part that has no form nothing is said; every path leads to a value of the
document, from a text to the text itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from interlock.base.errors import InterlockError
from interlock.engine.document.findings import Rule
from interlock.gates.logic.tree import GROUP_MIN_MAX, Requirement
from interlock.gates.scenario import rules
from interlock.gates.scenario.flaw import Flaw, Path

ReadText = Callable[[str], Requirement]
"""Reads the text of a requirement. Raises: an error whose message says where it cannot be read."""

DEPTH_MAX: Final = 32
"""Levels below the root of a requirement; what is deeper makes the whole unknown."""

_LISTS: Final = (list, tuple)
_LIST: Final = "And, Or and reqs are lists of requirements"


class Leaf(NamedTuple):
    """A condition that a requirement names."""

    condition_id: str
    path: Path


class Walked(NamedTuple):
    """All that is seen of a requirement without evidence."""

    leaves: tuple[Leaf, ...] = ()
    flaws: tuple[Flaw, ...] = ()


class _Range(NamedTuple):
    """Whether a requirement can hold, and whether it can fail, if its conditions are free to do either."""

    can_hold: bool = True
    can_fail: bool = True


_FREE: Final = _Range()


def walk(value: Any, path: Path, read_text: ReadText | None) -> Walked:
    """What stands at `path` where a requirement is expected."""
    if isinstance(value, str) and read_text is not None:
        try:
            value = tree_of(value, read_text)
        except InterlockError as fault:
            return Walked(flaws=(Flaw(rules.REQUIREMENT_TEXT, path, fault.message),))
    walking = _Walk()
    whole = walking.visit(value, path, 0)
    never, always = not whole.can_hold, not whole.can_fail
    if never and not any(flaw.rule is rules.GROUP_NEVER_HOLDS for flaw in walking.flaws):
        walking.flaw(rules.REQUIREMENT_NEVER_HOLDS, path, "whatever the evidence is, this never holds")
    if always and not any(flaw.rule is rules.GROUP_ALWAYS_HOLDS for flaw in walking.flaws):
        walking.flaw(rules.REQUIREMENT_ALWAYS_HOLDS, path, "whatever the evidence is, this holds")
    return Walked(tuple(walking.leaves), tuple(walking.flaws))


def tree_of(text: str, read_text: ReadText) -> Any:
    """The JSON form of a requirement that is written as text. Raises: as `read_text`."""
    return msgspec.json.decode(msgspec.json.encode(read_text(text)))


class _Walk:
    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self.flaws: list[Flaw] = []

    def flaw(self, rule: Rule, path: Path, message: str) -> None:
        self.flaws.append(Flaw(rule, path, message))

    def visit(self, value: Any, path: Path, depth: int) -> _Range:
        """Take in one node and what is below; say what it can become."""
        if depth == DEPTH_MAX + 1:
            self.flaw(rules.REQUIREMENT_TOO_DEEP, path, f"this is nested more than {DEPTH_MAX} levels deep")
        if not isinstance(value, dict) or len(value) != 1:
            return self._formless(path, "a requirement is an object with one member")
        [(kind, content)] = value.items()
        below = (*path, kind)
        match kind:
            case "Condition" if isinstance(content, str):
                self.leaves.append(Leaf(content, below))
                return _FREE
            case "Condition":
                return self._formless(below, "a Condition is the id of a condition")
            case "Not":
                inner = self.visit(content, below, depth + 1)
                return _Range(inner.can_fail, inner.can_hold)
            case "RequireGroup":
                return self._group(content, below, depth)
            case "And" | "Or" if isinstance(content, _LISTS):
                return self._all_or_any(kind, self._each(content, below, depth))
            case "And" | "Or":
                return self._formless(below, _LIST)
            case _:
                return self._formless(path, "a requirement is And, Or, Not, RequireGroup or Condition")

    def _formless(self, path: Path, message: str) -> _Range:
        self.flaw(rules.REQUIREMENT_FORM, path, message)
        return _FREE

    def _each(self, content: Sequence[Any], path: Path, depth: int) -> list[_Range]:
        return [self.visit(item, (*path, index), depth + 1) for index, item in enumerate(content)]

    def _all_or_any(self, kind: str, each: list[_Range]) -> _Range:
        if kind == "And":
            return _Range(all(one.can_hold for one in each), any(one.can_fail for one in each))
        return _Range(any(one.can_hold for one in each), all(one.can_fail for one in each))

    def _group(self, content: Any, path: Path, depth: int) -> _Range:
        if not isinstance(content, dict) or set(content) != {"min", "reqs"}:
            return self._formless(path, "a RequireGroup has min and reqs, and nothing else")
        least, reqs = content["min"], content["reqs"]
        if not isinstance(reqs, _LISTS):
            return self._formless((*path, "reqs"), _LIST)
        each = self._each(reqs, (*path, "reqs"), depth)
        if type(least) is not int or not 0 <= least <= GROUP_MIN_MAX:
            return self._formless((*path, "min"), f"min is a whole number from 0 to {GROUP_MIN_MAX}")
        if least > len(each):
            self.flaw(rules.GROUP_NEVER_HOLDS, (*path, "min"), f"{least} of {len(each)} can never hold")
        elif least == 0:
            self.flaw(rules.GROUP_ALWAYS_HOLDS, (*path, "min"), "a group of which nothing must hold always holds")
        can_hold = sum(one.can_hold for one in each) >= least
        return _Range(can_hold, sum(one.can_fail for one in each) > len(each) - least)
