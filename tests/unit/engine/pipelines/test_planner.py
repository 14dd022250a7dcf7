"""What tags lead to where somebody asks: edges, reports of tags that mean nothing, recovery points, remarks."""

from __future__ import annotations

import pytest

from interlock.base.errors import InterlockError
from interlock.engine.meta import STANDARD_TAGS, DependencyStrategy, SideEffectKind, StateMeta, tag_remark
from interlock.engine.pipelines.planner import (
    DanglingDependencyTag,
    TagRemark,
    dangling_tags,
    derive_edges,
    recovery_point,
    tag_remarks,
)
from interlock.engine.plan import DependencyEdge, ExecutionPlan, StateNode
from tests.simulation.histories import Idle

LATEST, EARLIEST, SUCCESSFUL = DependencyStrategy
NAMES = ("a", "b", "c", "d")


def state(name: str, *tags: str, needs: tuple[str, ...] = (), strategy: DependencyStrategy = LATEST) -> StateNode:
    return StateNode(f"m.{name}.main", Idle(StateMeta(tags=tags, depends_on=needs, depends_on_strategy=strategy)))


def three(strategy: DependencyStrategy = LATEST) -> list[StateNode]:
    """Three states that fetch, and one that depends on fetching."""
    return [*(state(name, "fetch_data") for name in "abc"), state("d", needs=("fetch_data",), strategy=strategy)]


def short(edges: tuple[DependencyEdge, ...]) -> list[str]:
    return [f"{edge.before[2]}{edge.after[2]}" for edge in edges]


@pytest.mark.parametrize(
    ("strategy", "edges"), [(LATEST, ["cd"]), (EARLIEST, ["ad"]), (SUCCESSFUL, ["ad", "bd", "cd"])]
)
def test_a_strategy_says_which_of_the_tagged_states_are_waited_for(
    strategy: DependencyStrategy, edges: list[str]
) -> None:
    assert short(derive_edges(three(strategy))) == edges


def test_edges_that_are_there_stay_and_are_not_repeated() -> None:
    given = (DependencyEdge("m.a.main", "m.b.main"), DependencyEdge("m.c.main", "m.d.main"))

    assert short(derive_edges(three(), given)) == ["ab", "cd"]


def test_which_state_is_the_latest_follows_the_edges_that_are_there() -> None:
    given = (DependencyEdge("m.b.main", "m.a.main"), DependencyEdge("m.c.main", "m.a.main"))

    assert short(derive_edges(three(), given)) == ["ba", "ca", "ad"]


def test_a_tag_means_no_state_that_comes_later_and_never_the_state_itself() -> None:
    states = [state("a", "report", needs=("report",)), state("b", "report")]

    assert dangling_tags(states) == (DanglingDependencyTag("m.a.main", "report"),)


def test_every_tag_that_nothing_before_carries_is_reported_and_the_first_refused() -> None:
    states = [state("a", "x"), state("b", needs=("x", "y")), state("c", needs=("z", "z"))]

    assert dangling_tags(states) == (
        DanglingDependencyTag("m.b.main", "y"),
        DanglingDependencyTag("m.c.main", "z"),
    )
    with pytest.raises(InterlockError) as caught:
        derive_edges(states)
    assert caught.value.code == "plan_invalid"
    assert caught.value.details == {"reason": "dangling_dependency_tag", "state_id": "m.b.main", "missing_tag": "y"}


def test_a_plan_of_derived_edges_runs_what_is_depended_on_first() -> None:
    states = three(SUCCESSFUL)
    plan = ExecutionPlan("m", "1", tuple(states), derive_edges(states))

    assert plan.operations["m.d"] == ("m.d.main",)
    assert [plan.states[place].id[2] for place in plan.order] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("strategy", "completed", "expected"),
    [
        (LATEST, "abc", "c"),
        (LATEST, "ab", None),
        (EARLIEST, "abc", "a"),
        (EARLIEST, "bc", None),
        (SUCCESSFUL, "abc", "c"),
        (SUCCESSFUL, "ab", "b"),
        (SUCCESSFUL, "", None),
    ],
)
def test_the_strategy_picks_the_recovery_point(
    strategy: DependencyStrategy, completed: str, expected: str | None
) -> None:
    plan = ExecutionPlan("m", "1", tuple(three(strategy)))
    done = {f"m.{name}.main" for name in completed}
    found = recovery_point(plan, done, "m.d.main")

    assert found == (None if expected is None else f"m.{expected}.main")
    assert recovery_point(ExecutionPlan("m", "1", tuple(three())), done, "m.d.main", strategy) == found


def test_a_state_that_depends_on_no_tag_has_no_recovery_point() -> None:
    plan = ExecutionPlan("m", "1", tuple(three()))

    assert recovery_point(plan, {"m.a.main", "m.b.main"}, "m.c.main") is None


@pytest.mark.parametrize(
    ("tag", "remark"),
    [
        ("Fetch_Data", "the standard tag is fetch_data, and this is another one"),
        ("fetch-data", "the standard tag is fetch_data, and this is another one"),
        (" report", "the standard tag is report, and this is another one"),
        ("Nightly", "tags are lower case by recommendation"),
        ("two words", "a tag is a word without white space by recommendation"),
        ("", "a tag is a word without white space by recommendation"),
    ],
)
def test_an_unusual_tag_gets_a_remark_and_is_not_refused(tag: str, remark: str) -> None:
    plan = ExecutionPlan("m", "1", (state("a", tag),))

    assert tag_remarks(plan.states) == (TagRemark("m.a.main", tag, remark),)


@pytest.mark.parametrize("tag", [*STANDARD_TAGS, "team:billing", "v1.2", "é"])
def test_a_usual_tag_gets_no_remark(tag: str) -> None:
    assert tag_remark(tag) is None


def test_a_tag_that_contradicts_what_its_state_does_gets_a_remark() -> None:
    applies = StateMeta(side_effects=SideEffectKind.APPLY_SIDE_EFFECT, idempotency="k")
    states = [StateNode("m.a.main", Idle(applies)), state("b", "apply_side_effect")]

    assert [(each.state_id, each.tag) for each in tag_remarks(states)] == [
        ("m.a.main", "apply_side_effect"),
        ("m.b.main", "apply_side_effect"),
    ]
