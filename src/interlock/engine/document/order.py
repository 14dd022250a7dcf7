"""The names of steps, and which steps each one needs.

What it does: holds names and `needs` of a list of steps together, and says what each step needs in the end. What it
does not do: it reads no expression.

Rule: a step needs earlier steps alone, so that what is written first runs first, and no cycle can be.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from interlock.base.ids import shown
from interlock.engine.document import rules
from interlock.engine.document.findings import Findings, one_of
from interlock.engine.document.tree import Node


def check_names(steps: Sequence[Node], inputs: Collection[str], findings: Findings) -> None:
    """Find names that come twice or are those of inputs."""
    seen: dict[str, int] = {}
    for step in steps:
        node = step.member("name")
        name = None if node is None else node.text()
        if node is None or name is None:
            continue
        if name in seen:
            findings.add(rules.NAME_TWICE, node.place, f"the step of line {seen[name]} has the name {shown(name)}")
        seen.setdefault(name, node.place.line)
        if name in inputs:
            findings.add(rules.NAME_SHADOWS_INPUT, node.place, f"{shown(name)} is the name of an input")


def needed_by(steps: Sequence[Node], findings: Findings) -> list[frozenset[str]]:
    """The names of all that each step needs, itself or through others; checks `needs` on the way."""
    names = [_name(step) for step in steps]
    known = dict.fromkeys(name for name in names if name is not None)
    all_needed: dict[str, frozenset[str]] = {}
    found: list[frozenset[str]] = []
    for place, step in enumerate(steps):
        mine = _direct(step, names[place], _Names(all_needed, known), findings)
        whole = mine.union(*(all_needed.get(name, frozenset()) for name in mine))
        found.append(frozenset(whole))
        name = names[place]
        if name is not None:
            all_needed.setdefault(name, frozenset(whole))
    return found


class _Names(NamedTuple):
    """The names that a step can mean: of the steps before it, and of all."""

    earlier: Mapping[str, frozenset[str]]
    known: Mapping[str, None]


def _direct(step: Node, own: str | None, names: _Names, findings: Findings) -> frozenset[str]:
    needs = step.member("needs")
    found: set[str] = set()
    for node in [] if needs is None else needs.items():
        need = node.text()
        if need is None:
            continue
        if need in found:
            findings.add(rules.NEEDS_TWICE, node.place, f"`needs` names {shown(need)} twice")
        elif need in names.earlier:
            found.add(need)
        elif need == own:
            findings.add(rules.NEEDS_ITSELF, node.place, f"{shown(need)} needs itself")
        elif need in names.known:
            findings.add(rules.NEEDS_LATER, node.place, f"{shown(need)} comes later")
        else:
            hint = one_of(need, names.earlier)
            findings.add(rules.NEEDS_UNKNOWN, node.place, f"there is no step {shown(need)}", hint)
    return frozenset(found)


def _name(step: Node) -> str | None:
    node = step.member("name")
    return None if node is None else node.text()
