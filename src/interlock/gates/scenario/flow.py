"""Where the stages of a scenario lead: what can be reached, what leads back, and which branches can be taken.

What it does: says of each stage under which outcomes of its gates which rule of its branch is the first that fits, and
follows the stages from there. What it does not do: it decides no run (`control`), and does not say of a target that
there is no such stage (`validate`).

Rules (seed 000, stage advance): a branch is looked at when every gate is true; at a timeout with `alternate_branch`,
when every gate is unknown; with `on_hold: branch`, whatever the gates are. A gate of another stage is unknown always.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from interlock.base.ids import first_names, shown
from interlock.gates.scenario import rules
from interlock.gates.scenario.flaw import Flaw, Path
from interlock.gates.scenario.outline import Outline, Stage, targets_of

END: Final = -1
"""Where a stage leads that ends the run, or that leads to no stage that is known."""

_ONLY_ON_HOLD: Final = (
    "Write `on_hold: branch`, or for unknown `on_timeout: alternate_branch` with a `timeout`: otherwise a branch is "
    "looked at when every gate is true."
)


class _Branching(NamedTuple):
    """Which rules of a branch can be taken, by index, and whether its default can."""

    taken: frozenset[int]
    default: bool
    lost: tuple[str, ...]
    """When no rule fits and there is no default."""


def flow_flaws(outline: Outline) -> Iterator[Flaw]:
    """All that is wrong with where stages lead."""
    known = {gate.id.text for gate in outline.gates if gate.id is not None}
    for stage in outline.stages:
        if stage.advance == "branch":
            yield from _branch_flaws(stage, known)
    places = _places(outline)
    edges = [sorted(_targets(outline, number, places)) for number in range(len(outline.stages))]
    if all(name.text in places for stage in outline.stages for name in targets_of(stage)):
        yield from _unreachable(outline, edges)
    yield from _circles(outline, edges)


def _branching(stage: Stage) -> _Branching:
    own = {gate.id.text for gate in stage.gates if gate.id is not None}
    wanted = [(None if rule.gate is None else rule.gate.text, rule.outcome) for rule in stage.rules]
    passing = [outcome == ("true" if gate in own else "unknown") for gate, outcome in wanted]
    waiting = [outcome == "unknown" for _, outcome in wanted]
    looks = [("every gate is true", passing)]
    if _waits(stage):
        looks.append(("the stage's time has passed", waiting))
    firsts = [next((number for number, fits in enumerate(fitting) if fits), None) for _, fitting in looks]
    taken = {number for number in firsts if number is not None}
    if stage.branches_on_hold:
        taken |= _any_outcome(wanted, own)
    lost = [when for (when, _), first in zip(looks, firsts, strict=True) if first is None and stage.default is None]
    return _Branching(frozenset(taken), None in firsts or stage.branches_on_hold, tuple(lost))


def _waits(stage: Stage) -> bool:
    """Whether the branch is taken with unknown gates when the stage's time has passed."""
    return stage.has_timeout and stage.on_timeout == "alternate_branch"


def _any_outcome(wanted: Sequence[tuple[str | None, str | None]], own: set[str]) -> set[int]:
    """The rules that are the first to fit for some outcomes of the stage's gates."""
    found: set[int] = set()
    seen: set[tuple[str | None, str | None]] = set()
    for number, (gate, outcome) in enumerate(wanted):
        if gate not in own:
            if outcome == "unknown":
                return {*found, number}
            continue
        if (gate, outcome) not in seen:
            found.add(number)
        seen.add((gate, outcome))
        if all((gate, each) in seen for each in ("true", "false", "unknown")):
            break
    return found


def _branch_flaws(stage: Stage, known: set[str]) -> Iterator[Flaw]:
    own = {gate.id.text for gate in stage.gates if gate.id is not None}
    branching = _branching(stage)
    for number, rule in enumerate(stage.rules):
        gate = rule.gate
        if gate is not None and gate.text not in known:
            yield Flaw(rules.BRANCH_GATE_UNKNOWN, gate.path, f"no gate has the id {shown(gate.text)}")
        elif gate is not None and gate.text not in own:
            message = f"the gate {shown(gate.text)} is one of another stage"
            yield Flaw(rules.BRANCH_GATE_ELSEWHERE, gate.path, message)
        elif number not in branching.taken and gate is not None and rule.outcome is not None:
            is_held = rule.outcome == "false" or (rule.outcome == "unknown" and not _waits(stage))
            is_held = is_held and not stage.branches_on_hold
            message = "this branch can never be taken" if is_held else "an earlier branch is always taken instead"
            yield Flaw(rules.BRANCH_RULE_DEAD, rule.path, message, _ONLY_ON_HOLD if is_held else None)
    is_formed = all(rule.gate is not None and rule.outcome is not None for rule in stage.rules)
    for when in branching.lost if is_formed else ():
        message = f"when {when}, no branch fits and there is no `default`"
        yield Flaw(rules.BRANCH_WITHOUT_MATCH, (*stage.path, "advance_to"), message)


def _targets(outline: Outline, number: int, places: Mapping[str, int]) -> set[int]:
    """The stages that a stage can lead to, by their numbers."""
    stage = outline.stages[number]
    match stage.advance:
        case "linear":
            found = {number + 1 if number + 1 < len(outline.stages) else END}
        case "fixed":
            found = {END if stage.fixed is None else places.get(stage.fixed.text, END)}
        case "branch":
            branching = _branching(stage)
            names = [stage.rules[each].target for each in branching.taken]
            names += [stage.default] if branching.default else []
            found = {END if name is None else places.get(name.text, END) for name in names}
        case _:
            found = {END}
    return found | ({END} if stage.has_timeout and stage.on_timeout == "fail" else set())


def _places(outline: Outline) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, stage in enumerate(outline.stages):
        if stage.id is not None:
            found.setdefault(stage.id.text, number)
    return found


def _unreachable(outline: Outline, edges: Sequence[Sequence[int]]) -> Iterator[Flaw]:
    reached = _reached(edges, [0])
    for number, stage in enumerate(outline.stages):
        if number not in reached:
            message = f"nothing leads to the stage {_name(stage)}"
            yield Flaw(rules.STAGE_UNREACHABLE, _place(stage), message)


def _circles(outline: Outline, edges: Sequence[Sequence[int]]) -> Iterator[Flaw]:
    """Stages that lead back to themselves: each circle once, at its first stage."""
    back: list[list[int]] = [[] for _ in edges]
    ends: list[int] = []
    for number, targets in enumerate(edges):
        for target in targets:
            if target == END:
                ends.append(number)
            else:
                back[target].append(number)
    ending = _reached(back, ends)
    for circle in _circles_of(edges, back):
        names = first_names([_name(outline.stages[number]) for number in circle])
        place = _place(outline.stages[circle[0]])
        if circle[0] in ending:
            yield Flaw(rules.STAGE_CYCLE, place, f"this leads back to itself: {names}")
        else:
            yield Flaw(rules.STAGE_WITHOUT_END, place, f"nothing leads out of {names}")


def _reached(edges: Sequence[Iterable[int]], starts: Iterable[int]) -> set[int]:
    """All that can be reached from `starts`, with these."""
    left = list(starts) if edges else []
    found: set[int] = set()
    while left:
        number = left.pop()
        if number != END and number not in found:
            found.add(number)
            left.extend(edges[number])
    return found


def _circles_of(edges: Sequence[Sequence[int]], back: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The largest sets of stages that all lead to one another, by Kosaraju's algorithm."""
    seen: set[int] = set()
    for root in reversed(_finished(edges)):
        circle: list[int] = []
        left = [root]
        while left:
            number = left.pop()
            if number not in seen:
                seen.add(number)
                circle.append(number)
                left.extend(back[number])
        if len(circle) > 1 or (circle and root in edges[root]):
            yield sorted(circle)


def _finished(edges: Sequence[Sequence[int]]) -> list[int]:
    """The stages in the order in which a search through the depth leaves them."""
    seen: set[int] = set()
    order: list[int] = []
    for root in range(len(edges)):
        left = [(root, False)]
        while left:
            number, is_left = left.pop()
            if is_left:
                order.append(number)
            elif number not in seen:
                seen.add(number)
                left.append((number, True))
                left.extend((target, False) for target in edges[number] if target != END)
    return order


def _name(stage: Stage) -> str:
    return "without an id" if stage.id is None else shown(stage.id.text)


def _place(stage: Stage) -> Path:
    return stage.path if stage.id is None else stage.id.path
