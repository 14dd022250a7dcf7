"""What the linter says of the flow, against a run of it: every outcome of every gate, every way through the stages."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interlock.gates.scenario.flow import flow_flaws
from interlock.gates.scenario.outline import outline_of
from tests.unit.gates.scenario.documents import document, gate, stage

OUTCOMES = ("true", "false", "unknown")
TIMEOUT = {"timeout_ms": 1, "policy_tags": []}
_RULES = st.lists(st.tuples(st.sampled_from(["a", "b", "elsewhere"]), st.sampled_from(OUTCOMES)), max_size=6)


def looks(*, holds: bool, waits: bool) -> Iterator[dict[str, str]]:
    """Every state of the gates `a` and `b` in which the branch of their stage is looked at."""
    yield {"a": "true", "b": "true"}
    if waits:
        yield {"a": "unknown", "b": "unknown"}
    if holds:
        for first, second in product(OUTCOMES, OUTCOMES):
            yield {"a": first, "b": second}


def first_of(rules: list[tuple[str, str]], gates: dict[str, str]) -> int | None:
    """The rule that is taken, as the contract has it."""
    return next((n for n, (name, outcome) in enumerate(rules) if gates.get(name, "unknown") == outcome), None)


def flaws(value: Any) -> set[tuple[str, tuple[str | int, ...]]]:
    """The rules that are broken, and where."""
    return {(each.rule.id, each.path) for each in flow_flaws(outline_of(value, None))}


@given(rules=_RULES, holds=st.booleans(), waits=st.booleans(), falls=st.booleans())
def test_a_branch_is_called_dead_exactly_where_no_state_of_the_gates_takes_it(
    rules: list[tuple[str, str]], holds: bool, waits: bool, falls: bool
) -> None:
    branches = [{"gate_id": name, "outcome": outcome, "next_stage_id": "last"} for name, outcome in rules]
    first = stage(
        "first",
        gates=[gate("a"), gate("b")],
        advance_to={"kind": "branch", "branches": branches, "default": "last" if falls else None},
        on_timeout="alternate_branch" if waits else "fail",
        timeout=TIMEOUT if waits else None,
        on_hold="branch" if holds else "hold",
    )
    taken = {first_of(rules, gates) for gates in looks(holds=holds, waits=waits)}
    lost = [first_of(rules, gates) is None for gates in looks(holds=False, waits=waits)]

    found = flaws(document(stages=[first, stage("last", gates=[gate("elsewhere")])]))

    way = ("stages", 0, "advance_to")
    dead = {n for n, (name, _) in enumerate(rules) if name != "elsewhere" and n not in taken}
    assert {path for rule, path in found if rule == "branch_rule_dead"} == {(*way, "branches", n) for n in dead}
    assert (("branch_without_match", way) in found) == (any(lost) and not falls)


@given(st.data())
def test_circles_and_lost_stages_are_those_that_the_ways_through_the_stages_show(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    targets = st.none() | st.integers(0, count - 1)
    ways = [data.draw(st.lists(targets, min_size=1, max_size=2)) for _ in range(count)]
    reach = {start: reached(ways, start) for start in range(count)}
    circles = {min(t for t in reach[s] if s in reach[t]): s for s in range(count) if s in reach[s]}

    found = flaws(document(stages=[leading(number, way) for number, way in enumerate(ways)]))

    def places(rule: str) -> set[tuple[str | int, ...]]:
        return {path for name, path in found if name == rule}

    ids = {number: ("stages", number, "stage_id") for number in range(count)}
    endless = {first for first in circles if not any(None in ways[number] for number in reach[first])}
    assert places("stage_without_end") == {ids[first] for first in endless}
    assert places("stage_cycle") == {ids[first] for first in circles if first not in endless}
    assert places("stage_unreachable") == {ids[number] for number in range(1, count) if number not in reach[0]}


def reached(ways: list[list[int | None]], start: int) -> set[int]:
    """Every stage that can follow, sooner or later."""
    found: set[int] = set()
    left = [start]
    while left:
        new = {target for target in ways[left.pop()] if target is not None} - found
        found |= new
        left += new
    return found


def leading(number: int, way: list[int | None]) -> dict[str, Any]:
    """A stage that leads to each of these, None being the end: on true, and where the time has passed."""
    gates = [gate(f"g{number}")]
    if None in way:
        others = [target for target in way if target is not None]
        kind: dict[str, Any] = {"kind": "fixed", "stage_id": f"s{others[0]}"} if others else {"kind": "terminal"}
        return stage(f"s{number}", gates=gates, advance_to=kind, timeout=TIMEOUT)
    branches = [
        {"gate_id": f"g{number}", "outcome": outcome, "next_stage_id": f"s{target}"}
        for outcome, target in zip(("true", "unknown"), way, strict=False)
    ]
    waiting = {"timeout": TIMEOUT, "on_timeout": "alternate_branch"} if len(way) > 1 else {}
    return stage(f"s{number}", gates=gates, advance_to={"kind": "branch", "branches": branches}, **waiting)
